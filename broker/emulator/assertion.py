"""
From text off the wire to an `UnverifiedToken`: a well-formed compact JWS, nothing in it believed yet.

Python's own decoders are lenient where attackers like it (duplicate members, missing padding, NaN), so the strictness
is here, before any library sees the token.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from broker.domain.secrets import Secret
from broker.emulator.printable import differs, shown
from broker.emulator.refusals import ExchangeRefused

MAX_TOKEN = 16 * 1024
"""Longest assertion in characters; longer ones are refused before they are split (CVE-2025-30204)."""

_PARTS = 3
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")
_FORBIDDEN = ("crit", "jwk", "jku", "x5u", "x5c", "b64", "zip", "enc")
"""Header members that ask the verifier to trust, fetch or understand something that the sender chose."""


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """A compact JWS that parses. `header` and `claims` are what the sender says, no more."""

    text: Secret
    header: Mapping[str, object]
    claims: Mapping[str, object]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Split and decode `text` strictly; raises ExchangeRefused."""
        if len(text) > MAX_TOKEN:
            raise ExchangeRefused(f"subject_token has {len(text)} characters; at most {MAX_TOKEN} are read")
        if text.count(".") != _PARTS - 1:
            raise ExchangeRefused(f"subject_token is not a signed JWT: {text.count('.') + 1} parts instead of {_PARTS}")
        head, body, signature = text.split(".")
        header = _object(_decoded(head, "header"), "header")
        _refuse_header(header)
        claims = _object(_decoded(body, "claims"), "claims")
        _decoded(signature, "signature")
        return cls(Secret(text), header, claims)


def _refuse_header(header: Mapping[str, object]) -> None:
    for name in _FORBIDDEN:
        if name in header:
            raise ExchangeRefused(f"the token's header has {name}, which is never accepted")
    if header.get("typ") != "JWT":
        raise ExchangeRefused(differs("typ in the token's header", "JWT", header.get("typ")))
    for name in ("alg", "kid"):
        if not isinstance(header.get(name), str) or not header[name]:
            raise ExchangeRefused(f"the token's header needs {name} as text, got {shown(header.get(name))}")


def _decoded(part: str, what: str) -> bytes:
    if not _BASE64URL.fullmatch(part):
        raise ExchangeRefused(f"the token's {what} is empty or not base64url")
    try:
        raw = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (ValueError, binascii.Error):
        raise ExchangeRefused(f"the token's {what} is not base64url") from None
    # Two spellings of one token would be two tokens to whoever remembers the used ones (RFC 7515, 2; RFC 4648, 3.5).
    if base64.urlsafe_b64encode(raw).rstrip(b"=") != part.encode():
        raise ExchangeRefused(f"the token's {what} is not canonical base64url")
    return raw


def _object(raw: bytes, what: str) -> Mapping[str, object]:
    try:
        value = json.loads(raw.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as fault:
        # A decoder's message repeats input only where it is ours (`_unique`, `_no_constant`).
        why = str(fault) if isinstance(fault, _Told) else "it is not JSON"
        raise ExchangeRefused(f"the token's {what} cannot be read: {why}") from None
    if not isinstance(value, dict):
        raise ExchangeRefused(f"the token's {what} is not a JSON object")
    return value


class _Told(ValueError):
    pass


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        # RFC 7515, 10.12: readers differ on which of the two counts.
        twice = next(name for index, (name, _) in enumerate(pairs) if name in dict(pairs[:index]))
        raise _Told(f"the member {shown(twice)} stands there twice")
    return members


def _no_constant(name: str) -> object:
    raise _Told(f"{name} is not a JSON number")
