"""
A signing key as it may be shown: who operates the broker reads it, and so may everybody else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class KeyState(StrEnum):
    """What a key does at an instant; docs/key-rotation.md describes each."""

    WAITING = "waiting"
    SIGNING = "signing"
    RETIRED = "retired"
    FORGOTTEN = "forgotten"


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """
    The public half of a key, its state and its four instants, of which the last two may still be open.

    `jwk` is the public JWK (RFC 7517), `pem` the same key as SubjectPublicKeyInfo.
    """

    kid: str
    algorithm: str
    state: KeyState
    created: datetime
    signs_from: datetime
    signs_until: datetime | None
    forgotten_at: datetime | None
    jwk: Mapping[str, str]
    pem: str


@dataclass(frozen=True, slots=True)
class Revocation:
    """
    What a revocation left: the keys there are now.

    `recorded` is False where the audit could not be written; a leaked key is stopped all the same.
    """

    time: datetime
    keys: tuple[KeyFacts, ...]
    recorded: bool
