"""
The history of the schema. A released migration is never edited.
"""
