"""
Fetches small documents over HTTP: bounded in size and time, no redirects, nothing taken from the environment.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from broker.emulator.refusals import IssuerUnavailable

MAX_DOCUMENT = 256 * 1024
"""Largest discovery document or key set that is read, in bytes."""

TIMEOUT = 5.0
"""Seconds for one document, from the name look-up to the last byte."""


@dataclass(frozen=True, slots=True)
class Document:
    """An answer of an issuer; header names in lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


Fetch = Callable[[str], Awaitable[Document]]
"""GETs a URL; raises IssuerUnavailable with a sentence when there is no answer to read."""


class HttpFetch:
    """
    The `Fetch` of the running emulator.

    A connection is opened for each document: they are rarely asked for, and a pool would have to be closed.
    `authorities` is a PEM file with the certificates to trust besides those of the system, `timeout` in seconds.
    """

    def __init__(self, authorities: Path | None = None, *, timeout: float = TIMEOUT) -> None:
        self._timeout = timeout
        self._tls = ssl.create_default_context()
        if authorities is not None:
            self._tls.load_verify_locations(authorities)

    async def __call__(self, url: str) -> Document:
        """GET `url`; raises IssuerUnavailable."""
        try:
            async with asyncio.timeout(self._timeout):
                return await self._get(url)
        except TimeoutError:
            raise IssuerUnavailable(f"no complete answer from {url} within {self._timeout:g} seconds") from None
        except (httpx.HTTPError, httpx.InvalidURL) as fault:
            raise IssuerUnavailable(f"{url} cannot be fetched: {str(fault) or type(fault).__name__}") from None

    async def _get(self, url: str) -> Document:
        # trust_env: a proxy or netrc of the machine must not stand between the emulator and the issuer by accident.
        client = httpx.AsyncClient(verify=self._tls, trust_env=False, follow_redirects=False, timeout=self._timeout)
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        async with client, client.stream("GET", url, headers=headers) as answer:
            body = bytearray()
            # Raw bytes: a compressed answer that nobody asked for is not unpacked (a small bomb is a large document).
            async for chunk in answer.aiter_raw():
                body += chunk
                if len(body) > MAX_DOCUMENT:
                    raise IssuerUnavailable(f"{url} answers with more than {MAX_DOCUMENT} bytes")
            return Document(answer.status_code, bytes(body), {k.lower(): v for k, v in answer.headers.items()})
