"""
Reads an issuer's published key set (RFC 7517) into keys that each verify with fixed algorithms.

The algorithm comes from the key, never from the token (CVE-2022-29217, CVE-2026-11800).
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from broker.emulator.printable import shown
from broker.emulator.refusals import IssuerUnavailable

MAX_KEYS = 100
MIN_RSA_BITS = 2048
_MIN_EXPONENT = 65537
_PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")

VerifyKey = RSAKey | ECKey | OKPKey

_ALGORITHMS = {
    ("RSA", None): frozenset({"RS256"}),
    ("EC", "P-256"): frozenset({"ES256"}),
    ("OKP", "Ed25519"): frozenset({"Ed25519", "EdDSA"}),
}
_MEMBERS = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """A public key and the algorithms that a signature by it may name."""

    kid: str
    algorithms: frozenset[str]
    key: VerifyKey


def read_key_set(document: Mapping[str, object], url: str) -> dict[str, PublishedKey]:
    """
    Return the usable keys by kid; keys of other kinds, uses and strengths are ignored (RFC 7517, 5).

    Raises IssuerUnavailable for a set that nobody should trust: private or symmetric members, two keys with one kid,
    too many keys, none usable.
    """
    entries = document.get("keys")
    if not isinstance(entries, list) or len(entries) > MAX_KEYS:
        raise IssuerUnavailable(f"{url} is not a key set: `keys` must be a list of at most {MAX_KEYS}")
    keys: dict[str, PublishedKey] = {}
    for entry in entries:
        if not isinstance(entry, dict):
            raise IssuerUnavailable(f"{url} is not a key set: it lists {shown(entry)}")
        _refuse_private(entry, url)
        key = _usable(entry)
        if key is not None and key.kid in keys:
            raise IssuerUnavailable(f"{url} has two keys with kid {shown(key.kid)}")
        if key is not None:
            keys[key.kid] = key
    if not keys:
        raise IssuerUnavailable(f"{url} has no key to verify RS256, ES256 or Ed25519 signatures with")
    return keys


def _refuse_private(entry: Mapping[str, object], url: str) -> None:
    # Whoever publishes a private key has lost it: nothing signed with it, or beside it, proves anything.
    if any(member in entry for member in _PRIVATE) or entry.get("kty") == "oct":
        raise IssuerUnavailable(f"{url} publishes private or symmetric key material (kid {shown(entry.get('kid'))})")


def _usable(entry: Mapping[str, object]) -> PublishedKey | None:
    kid, kind, curve = entry.get("kid"), entry.get("kty"), entry.get("crv")
    if not isinstance(kid, str) or not kid or not isinstance(kind, str) or entry.get("use", "sig") != "sig":
        return None
    operations = entry.get("key_ops", ["verify"])
    algorithms = _ALGORITHMS.get((kind, curve if isinstance(curve, str) else None), frozenset())
    if "alg" in entry:
        algorithms &= _named(entry["alg"])
    if not algorithms or not isinstance(operations, list) or "verify" not in operations:
        return None
    key = _imported(kind, entry)
    return None if key is None else PublishedKey(kid, algorithms, key)


def _named(algorithm: object) -> frozenset[str]:
    # `EdDSA` with this curve and the fully-specified `Ed25519` are one algorithm (RFC 9864).
    if algorithm in ("Ed25519", "EdDSA"):
        return frozenset({"Ed25519", "EdDSA"})
    return frozenset({algorithm}) if isinstance(algorithm, str) else frozenset()


def _imported(kind: str, entry: Mapping[str, object]) -> VerifyKey | None:
    members = {name: entry.get(name) for name in _MEMBERS[kind]}
    if not all(isinstance(value, str) for value in members.values()):
        return None
    material: dict[str, str | list[str]] = {"kty": kind}
    material.update({name: str(value) for name, value in members.items()})
    try:
        if kind == "RSA":
            return RSAKey.import_key(material) if _is_strong(str(entry["n"]), str(entry["e"])) else None
        return ECKey.import_key(material) if kind == "EC" else OKPKey.import_key(material)
    except (JoseError, ValueError, TypeError):
        return None


def _is_strong(modulus: str, exponent: str) -> bool:
    # Asked before the library sees the key: it would warn on standard error of every weak one that somebody publishes.
    return _number(modulus).bit_length() >= MIN_RSA_BITS and _number(exponent) >= _MIN_EXPONENT


def _number(text: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")
