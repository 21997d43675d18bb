"""
One module for each step of the schema; the number in its name is its place.
"""
