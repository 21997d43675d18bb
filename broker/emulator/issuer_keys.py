"""
The keys of one issuer, fetched when needed and remembered as its Cache-Control says.

Three things must not follow from a stranger's token: a fetch for each (T40: unknown kid), the loss of the keys that
were known when a fetch fails, and two fetches at once.
"""

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from broker.emulator.fetching import Document, Fetch
from broker.emulator.key_set import PublishedKey, read_key_set
from broker.emulator.printable import differs, shown
from broker.emulator.refusals import IssuerUnavailable

Clock = Callable[[], float]
"""Seconds since 1970."""

COOL_DOWN = 10.0
"""Seconds between two fetches that unknown kids ask for."""

RETRY_AFTER_FAILURE = 1.0
"""Seconds after a failed fetch in which the next one is not tried."""

DEFAULT_AGE, MIN_AGE, MAX_AGE = 300.0, 10.0, 3600.0
"""Seconds that a key set is fresh: without Cache-Control, at least, at most."""

MAX_STALE = 24 * 3600.0
"""Seconds for which the last known keys are used while the issuer cannot be reached."""

_AGE = re.compile(r"(?:^|[,\s])max-age\s*=\s*\"?(\d{1,9})")
_OK = 200


class IssuerKeys:
    """
    Answers "which key has this kid?" for one issuer.

    `long_cache` returns the seconds of the fault `long-jwks-cache` or None: a Package Manager that keeps what it has
    and does not look again, whatever the issuer says.
    """

    def __init__(self, issuer: str, fetch: Fetch, clock: Clock, long_cache: Callable[[], float | None]) -> None:
        self.issuer = issuer
        self._fetch = fetch
        self._clock = clock
        self._long_cache = long_cache
        self._lock = asyncio.Lock()
        self._keys: dict[str, PublishedKey] = {}
        self._fetched = self._failed = float("-inf")
        self._age = 0.0
        self._failure = ""

    async def find(self, kid: str) -> PublishedKey | None:
        """
        Return the key, None where the issuer publishes none of this name.

        Raises IssuerUnavailable when nothing is known and nothing can be had.
        """
        async with self._lock:
            if not self._is_fresh() or (kid not in self._keys and self._may_look_again()):
                await self._refresh()
            return self._keys.get(kid)

    def _is_fresh(self) -> bool:
        return self._clock() < self._fetched + (self._long_cache() or self._age)

    def _may_look_again(self) -> bool:
        return self._long_cache() is None and self._clock() >= self._fetched + COOL_DOWN

    async def _refresh(self) -> None:
        if self._clock() >= self._failed + (COOL_DOWN if self._keys else RETRY_AFTER_FAILURE):
            try:
                self._keys, self._age = await self._load()
                self._fetched = self._clock()
            except IssuerUnavailable as fault:
                self._failed, self._failure = self._clock(), str(fault)
            else:
                return
        # The last known keys stay good for a while: an outage of the issuer is not an outage of every build.
        if not self._keys or self._clock() > self._fetched + MAX_STALE:
            raise IssuerUnavailable(self._failure)

    async def _load(self) -> tuple[dict[str, PublishedKey], float]:
        discovery = f"{self.issuer.removesuffix('/')}/.well-known/openid-configuration"
        metadata = _json(await self._fetch(discovery), discovery)
        if metadata.get("issuer") != self.issuer:
            # OIDC Discovery 4.3, byte for byte: a document that names somebody else proves nothing about this issuer.
            raise IssuerUnavailable(differs(f"issuer in {discovery}", self.issuer, metadata.get("issuer")))
        url = _same_origin(metadata.get("jwks_uri"), self.issuer)
        answer = await self._fetch(url)
        return read_key_set(_json(answer, url), url), _max_age(answer.headers.get("cache-control", ""))


def _json(answer: Document, url: str) -> Mapping[str, object]:
    if answer.status != _OK:
        raise IssuerUnavailable(f"{url} answers {answer.status} instead of 200 (redirects are not followed)")
    try:
        value = json.loads(answer.body)
    except (ValueError, RecursionError):
        raise IssuerUnavailable(f"{url} is not JSON") from None
    if not isinstance(value, dict):
        raise IssuerUnavailable(f"{url} is not a JSON object")
    return value


def _same_origin(url: object, issuer: str) -> str:
    # Keys from another host are somebody else's word (CVE-2026-49478); the broker serves its own.
    ours = urlsplit(issuer)
    parts = urlsplit(url) if isinstance(url, str) else None
    if not isinstance(url, str) or parts is None or (parts.scheme, parts.netloc) != (ours.scheme, ours.netloc):
        raise IssuerUnavailable(f"jwks_uri {shown(url)} is not on {ours.scheme}://{ours.netloc}, the issuer's own host")
    return url


def _max_age(header: str) -> float:
    lower = header.lower()
    match = _AGE.search(lower)
    if "no-store" in lower or "no-cache" in lower:
        return MIN_AGE
    return DEFAULT_AGE if match is None else min(max(float(match[1]), MIN_AGE), MAX_AGE)
