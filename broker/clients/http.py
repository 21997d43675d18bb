"""
The one HTTP client that the broker keeps, opened so that nothing of its surroundings rubs off on it.

httpx outside, aiohttp inside: httpcore's connection pool gets slower with every request in flight, aiohttp's does not
(`python -m tests.bench exchange-client`), and the httpx interface keeps tests free to inject a transport.
"""

import ssl
from collections.abc import Callable
from http.cookiejar import CookieJar
from pathlib import Path

import httpx
from aiohttp import ClientSession, DummyCookieJar, TCPConnector
from aiohttp.abc import AbstractResolver
from aiohttp.resolver import ThreadedResolver
from httpx_aiohttp import AiohttpTransport

from broker.clients.addresses import AddressPolicy, GuardedResolver, guarded_sockets
from broker.errors import FileFault

MAX_CONNECTIONS = 512
"""Open connections to all Package Managers together; half of the usual limit of 1024 open files."""

MAX_PER_HOST = 128
"""Open connections to one Package Manager, so that one that hangs cannot use up what the others need."""

KEEP_ALIVE = 4.0
"""
Seconds for which an idle connection is kept: less than the 5 seconds of Apache httpd and uvicorn, because an exchange
that meets a connection which the other side is just closing fails and is not repeated (assertions are for one use).
"""


class _Transport(AiohttpTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        # httpx logs it at INFO, and it is a stranger's text that may quote the assertion: the canary tests found it.
        response.extensions.pop("reason_phrase", None)
        return response


class _NoCookies(httpx.Cookies):
    def extract_cookies(self, response: httpx.Response) -> None:
        """Keep nothing: a cookie would tie exchanges of different owners together."""


class _Client(httpx.AsyncClient):
    """A client that keeps no cookies. Not even looking for them also saves a tenth of the CPU of a request."""

    _no_cookies = _NoCookies()

    @property
    def cookies(self) -> httpx.Cookies:
        return self._no_cookies

    @cookies.setter
    def cookies(self, cookies: httpx.Cookies | CookieJar | dict[str, str] | list[tuple[str, str]]) -> None:
        raise NotImplementedError("this client keeps no cookies")


def open_http_client(
    *,
    timeout: float,
    ca_file: Path | None,
    addresses: AddressPolicy,
    resolver: Callable[[], AbstractResolver] = ThreadedResolver,
) -> httpx.AsyncClient:
    """
    Return a client with one pooled aiohttp session; close it with `aclose()` in the event loop that used it.

    `timeout` is in seconds for one attempt to connect; the deadline of a whole exchange is `Limits.deadline`.
    `ca_file` is a PEM file of further certificate authorities, beside those of the operating system.
    May be called before there is an event loop: the session is born with the first request, in the loop that sends it.
    Reads no netrc, no proxy variables, follows no redirect, keeps no cookie. Raises FileFault for a bad `ca_file`.
    """
    context = _tls(ca_file)

    def open_session() -> ClientSession:
        connector = TCPConnector(
            ssl=context,
            resolver=GuardedResolver(addresses, resolver()),
            socket_factory=guarded_sockets(addresses),
            limit=MAX_CONNECTIONS,
            limit_per_host=MAX_PER_HOST,
            keepalive_timeout=KEEP_ALIVE,
        )
        return ClientSession(connector=connector, cookie_jar=DummyCookieJar(), trust_env=False)

    return _Client(
        # The transport builds a TLS context in any case; given ours it does not spend 20 ms on one that nobody uses.
        transport=_Transport(client=open_session, verify=context, trust_env=False),
        timeout=httpx.Timeout(None, connect=timeout),  # a timer for each read costs CPU and a drip of bytes resets it
        trust_env=False,
        follow_redirects=False,
    )


def _tls(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ValueError) as error:
            # OpenSSL says "[X509] PEM lib" for anything that is not PEM; ssl.SSLError is an OSError.
            reason = "is not a PEM file of certificates" if isinstance(error, ssl.SSLError) else "cannot be read"
            raise FileFault(f"the file of certificate authorities {ca_file} {reason}") from None
    return context
