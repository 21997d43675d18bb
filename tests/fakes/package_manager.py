"""
Package Managers in memory: they give tokens, refuse, fail and keep one waiting on demand.
"""

import asyncio
import json
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from broker.domain.package_manager import PackageManagerUrl, RepositoryToken
from broker.domain.secrets import Secret
from broker.errors import AssertionRefused, ExchangeFailed


@dataclass(frozen=True, slots=True)
class Exchange:
    """One assertion that arrived somewhere."""

    url: str
    assertion: Secret


class FakePackageManager:
    """
    Implements the PackageManager port for any number of Package Managers, told apart by their URL.

    Each gives one-hour tokens in the form of a JWT, and takes an assertion once, like the real one. `received` lists
    what arrived, in order, refused or not.

    >>> manager = FakePackageManager(now=clock.now)
    >>> manager.fail("https://b.example", PackageManagerFault("b is broken"))
    """

    def __init__(self, *, now: Callable[[], datetime], lifetime: timedelta = timedelta(hours=1)) -> None:
        self.received: list[Exchange] = []
        self._now = now
        self._lifetime = lifetime
        self._failures: dict[str, ExchangeFailed] = {}
        self._tokens: dict[str, RepositoryToken] = {}
        self._gates: dict[str, asyncio.Event] = {}

    async def exchange(self, url: PackageManagerUrl, assertion: Secret) -> RepositoryToken:
        where = str(url)
        used = any(assertion == earlier.assertion for earlier in self.received)
        self.received.append(Exchange(where, assertion))
        if where in self._gates:
            await self._gates[where].wait()
        await asyncio.sleep(0)  # other tasks get their turn, as they do while a real answer is on its way
        if where in self._failures:
            raise self._failures[where]
        if used:
            raise AssertionRefused(f"{where} refused the assertion (400): it has been used before")
        return self._tokens.get(where) or self._new_token()

    def fail(self, url: str, error: ExchangeFailed) -> None:
        """From now on, raise `error` for each exchange with `url`."""
        self._failures[url] = error

    def give(self, url: str, token: RepositoryToken) -> None:
        """From now on, give this very token."""
        self._tokens[url] = token

    def hold(self, url: str) -> asyncio.Event:
        """From now on, let exchanges with `url` wait until the returned event is set."""
        return self._gates.setdefault(url, asyncio.Event())

    def recover(self, url: str) -> None:
        """Undo `fail`, `give` and `hold`."""
        self._failures.pop(url, None)
        self._tokens.pop(url, None)
        if gate := self._gates.pop(url, None):
            gate.set()

    def _new_token(self) -> RepositoryToken:
        expires_time = (self._now() + self._lifetime).replace(microsecond=0)
        claims = {"iss": "packagemanager", "aud": "packagemanager", "sub": "connect"}
        return RepositoryToken(Secret(jwt({**claims, "exp": int(expires_time.timestamp())})), expires_time)


def jwt(claims: object) -> str:
    """Return something in the form of a JWT with these claims and a random signature."""
    return ".".join([_part({"alg": "RS256", "typ": "JWT"}), _part(claims), secrets.token_urlsafe(64)])


def _part(value: object) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
