"""
JWS in its compact form (RFC 7515 7.1): written by hand, because the header of a key never changes and can be kept.
"""

import base64
import binascii
import json
from dataclasses import dataclass
from functools import lru_cache

from keys.model import KeyFault, PublicKey, SigningKey, base64url

_PARTS = 3


@dataclass(frozen=True, slots=True)
class Parts:
    """A compact JWS taken apart; nothing in it has been verified."""

    header: bytes
    payload: bytes
    signature: bytes


def write(key: SigningKey, payload: bytes) -> str:
    """Sign a payload; the header is `alg`, `kid` and `typ: JWT`."""
    signed = f"{_header(key.algorithm.value, key.kid)}.{base64url(payload)}"
    return f"{signed}.{base64url(key.sign(signed.encode()))}"


def take_apart(token: str) -> Parts:
    """Split a compact JWS into its decoded parts. Raises KeyFault unless it is written just as `write` writes."""
    parts = token.split(".")
    if len(parts) != _PARTS:
        raise KeyFault("not a compact JWS: it does not have three parts")
    return Parts(*(_decode(part) for part in parts))


def is_headed_for(parts: Parts, key: PublicKey) -> bool:
    """Whether the header is the one that belongs to the key, to the byte."""
    return parts.header == _header_json(key.algorithm.value, key.kid)


@lru_cache(maxsize=64)
def _header(algorithm: str, kid: str) -> str:
    return base64url(_header_json(algorithm, kid))


@lru_cache(maxsize=64)
def _header_json(algorithm: str, kid: str) -> bytes:
    return json.dumps({"alg": algorithm, "kid": kid, "typ": "JWT"}, separators=(",", ":")).encode()


def _decode(part: str) -> bytes:
    try:
        data = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError):
        raise KeyFault("not a compact JWS: a part is not base64url") from None
    if base64url(data) != part:
        raise KeyFault("not a compact JWS: a part is not canonical base64url")
    return data
