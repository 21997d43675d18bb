"""
The administration in the vendor's form (Connect Server API), so that its own clients work unmodified.

`shapes` holds the JSON objects; the other modules one kind of object each. Endpoints are plain functions: they block.
"""
