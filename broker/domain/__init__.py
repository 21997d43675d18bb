"""
What the broker decides, without knowing how it is asked or where it is kept.

Reads no clock, opens no file, knows no key. Asked by `usecases`; told about the world through `ports`.
"""
