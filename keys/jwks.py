"""
The JWKS document that verifiers fetch (RFC 7517 5).
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

from keys.model import PublicKey

MEDIA_TYPE = "application/jwk-set+json"
"""RFC 7517 8.5.2."""

PUBLIC_MEMBERS = frozenset({"kty", "use", "alg", "kid", "n", "e", "crv", "x", "y"})
"""The only members that are ever written; a private one cannot slip through by a new kind of key."""


@dataclass(frozen=True, slots=True)
class Document:
    """The bytes to serve and their strong ETag; equal key sets give equal bytes on every replica."""

    body: bytes
    etag: str


def document(keys: Iterable[PublicKey]) -> Document:
    """Write the public halves of the keys."""
    shown = [{member: text for member, text in key.jwk().items() if member in PUBLIC_MEMBERS} for key in keys]
    body = json.dumps({"keys": shown}, sort_keys=True, separators=(",", ":")).encode()
    return Document(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')
