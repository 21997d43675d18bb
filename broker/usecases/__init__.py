"""
What the broker does, one verb phrase a file: who may, what is decided, what is recorded, in this order.

Use cases speak to the world through `ports` and do not call each other.
"""
