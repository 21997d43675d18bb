"""
Where signing keys live. Each backend loads a ring and adds keys to it; no private key shows in a log or an error.
"""
