"""
The tokens that the emulator hands out and takes back: JWTs as the real product's look, signed with a key that lives as
long as the process.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from broker.domain.secrets import Secret
from broker.emulator.issuer_keys import Clock
from broker.emulator.refusals import AccessRefused

ISSUER = "packagemanager"
"""`iss` and `aud` of a repository token, as observed."""

MAX_LENGTH = 16 * 1024
_ALGORITHM = "ES256"


@dataclass(frozen=True, slots=True)
class Issued:
    """A fresh token; `lifetime` in seconds."""

    token: Secret
    jti: str
    lifetime: int


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who holds a valid token, and what it opens."""

    user: str
    scopes: tuple[str, ...]
    jti: str


class RepositoryTokens:
    """Issues tokens and recognises its own."""

    def __init__(self, clock: Clock, ids: Callable[[], str]) -> None:
        self._clock = clock
        self._ids = ids
        self._key = _new_key()

    def issue(self, user: str, scopes: Sequence[str], lifetime: int) -> Issued:
        """Return a token for `user` that is good for `lifetime` seconds."""
        now, jti = int(self._clock()), self._ids()
        claims = {"iss": ISSUER, "aud": ISSUER, "sub": user, "iat": now, "exp": now + lifetime, "jti": jti}
        text = jwt.encode({"alg": _ALGORITHM}, claims | {"scopes": list(scopes)}, self._key)
        return Issued(Secret(text), jti, lifetime)

    def revoke_all(self) -> None:
        """Make every token so far worthless."""
        self._key = _new_key()

    def read(self, token: Secret) -> Bearer:
        """Return the holder of a valid token; raises AccessRefused (401) with the reason for the log."""
        text = token.reveal()
        if not text or len(text) > MAX_LENGTH:
            _refuse(f"the token is empty or longer than {MAX_LENGTH} characters")
        try:
            claims = jwt.decode(text, self._key, algorithms=[_ALGORITHM]).claims
        except (JoseError, ValueError, TypeError, json.JSONDecodeError):
            _refuse("not a token of this server: made by another process, altered, or revoked")
        if self._clock() >= claims["exp"]:
            _refuse(f"the token of {claims['sub']} expired {self._clock() - claims['exp']:.0f} s ago")
        return Bearer(claims["sub"], tuple(claims["scopes"]), claims["jti"])


def _new_key() -> ECKey:
    return ECKey.generate_key("P-256")


def _refuse(reason: str) -> NoReturn:
    raise AccessRefused(reason)
