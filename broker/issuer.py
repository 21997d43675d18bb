"""
The only place where a token is born.

`mint` takes claims that were decided and recorded, signs them, and looks at the result as a stranger would before it
lets it go: a defect here would hand out rights, so the finished bytes are parsed and checked, not the intentions. That
the key verifies what it signs was proved when it was loaded.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import orjson

from broker.domain.claims import Claims, check
from broker.domain.scopes import ScopeSet
from broker.domain.secrets import Secret
from broker.errors import BrokerError, ClaimsRefused, SigningUnavailable
from keys import Algorithm, KeyFault, SigningKey, jws
from keys.jwks import Document, document
from keys.ring import KeyRingSource

_WORTH_A_THREAD = 3
"""RSA signatures of one build from which two threads beat one: `cryptography` releases the GIL while it signs."""


@dataclass(frozen=True, slots=True)
class Order:
    """One assertion to mint: its claims, the algorithm, and the scopes that the decision granted."""

    claims: Claims
    algorithm: str
    ceiling: ScopeSet


@dataclass(frozen=True, slots=True)
class Assertion:
    """A minted assertion and what may be recorded of it."""

    token: Secret
    jti: str
    sha256: str
    kid: str


class Issuer:
    """Signs assertions with the keys of now."""

    def __init__(self, rings: KeyRingSource) -> None:
        self._rings = rings
        self._published: tuple[Sequence[SigningKey], Document] = ((), document(()))

    async def mint_all(self, orders: Sequence[Order], now: datetime) -> list[Assertion]:
        """
        Mint the assertions of one build, in the order in which they were asked for.

        Raises SigningUnavailable or ClaimsRefused, and then none of them leaves.
        """
        slow = sum(order.algorithm == Algorithm.RS256 for order in orders)
        if slow < _WORTH_A_THREAD:
            return [self.mint(order, now) for order in orders]
        half = len(orders) // 2
        # Handed to the pool at once: a task would begin only when this one waits, which is after our own half.
        rest = asyncio.get_running_loop().run_in_executor(None, self._mint_each, orders[half:], now)
        try:
            first = self._mint_each(orders[:half], now)
        except BrokerError:
            rest.cancel()
            raise
        return first + await rest

    def jwks(self, now: datetime) -> Document:
        """Return the JWKS to publish at this instant: every key whose tokens may still be alive, and the next one."""
        keys = self._rings.current().published(now)
        if keys != self._published[0]:
            self._published = (keys, document(keys))
        return self._published[1]

    def mint(self, order: Order, now: datetime) -> Assertion:
        """
        Mint one assertion; it never outlives the publication of its key. Raises SigningUnavailable or ClaimsRefused.
        """
        key, algorithm = self._key(order.algorithm, now)
        claims = _capped(order.claims, key)
        token = jws.write(key, orjson.dumps(claims.payload()))
        _look_at(token, claims, order.ceiling, key, algorithm)
        secret = Secret(token)
        return Assertion(secret, claims.jti, secret.sha256(), key.kid)

    def _key(self, algorithm: str, now: datetime) -> tuple[SigningKey, str]:
        ring = self._rings.current()
        try:
            return ring.signing(Algorithm(algorithm), now), algorithm
        except ValueError as fault:  # no such algorithm
            raise SigningUnavailable(str(fault)) from None
        except KeyFault as fault:
            # An algorithm that was added to the settings: verifiers may not have seen its first key yet.
            stand_in = ring.stand_in(Algorithm(algorithm), now)
            if stand_in is None:
                raise SigningUnavailable(str(fault)) from None
            return stand_in, stand_in.algorithm

    def _mint_each(self, orders: Sequence[Order], now: datetime) -> list[Assertion]:
        return [self.mint(order, now) for order in orders]


def _capped(claims: Claims, key: SigningKey) -> Claims:
    end = key.life.forgotten_at
    if end is None or claims.expires_at <= end.timestamp():
        return claims
    seconds = int(end.timestamp()) - claims.issued_at
    if seconds < 1:
        raise SigningUnavailable(f"the key {key.kid} is about to be forgotten; check this machine's clock and the keys")
    return replace(claims, lifetime=seconds)


def _look_at(token: str, claims: Claims, ceiling: ScopeSet, key: SigningKey, algorithm: str) -> None:
    try:
        parts = jws.take_apart(token)
        payload = orjson.loads(parts.payload)
    except (KeyFault, json.JSONDecodeError):
        raise ClaimsRefused("the freshly signed assertion does not parse") from None
    if not jws.is_headed_for(parts, key) or key.algorithm != algorithm:
        raise ClaimsRefused("the freshly signed assertion does not carry the header of its key")
    check(payload, claims, ceiling)
