"""
Everything that touches a private key, and nothing else.

A leaf: it imports nothing of `broker`. `model` says what a key is, `ring` which one signs now, `jws` and `jwks` what is
written with them, `backends` where they live.
"""

from keys.model import Algorithm, KeyFault, PublicKey, SigningKey
from keys.ring import KeyRing

__all__ = ["Algorithm", "KeyFault", "KeyRing", "PublicKey", "SigningKey"]
