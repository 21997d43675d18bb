"""
Is there a Package Manager, and what does it serve? One public GET, asked once for each server.

The URL comes from whoever wrote the content, so nothing secret goes there, no redirect is followed, and whatever comes
back is small, in time and looked at, or there is no Package Manager as far as a build is concerned. No proxy of the
environment is used: http.client knows none.
"""

import http.client
import json
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from broker.domain.package_manager import PackageManagerUrl
from broker.domain.repositories import PackageManagerStatus
from broker.runner.client import response_by
from broker.runner.text import plain

SECONDS = 5.0
"""For one whole answer: a build waits for it, and can do without."""

MAX_ANSWER = 512 * 1024
"""Bytes; the public Package Manager, with every distribution there is, answers a tenth of this."""

MAX_SERVERS = 32
"""Servers that are asked; a manifest with a thousand silent ones would hold a build for hours."""

_MAX_DISTRIBUTIONS = 1000
_OK = 200
_REDIRECT = range(300, 400)
_BEFORE_ARCHITECTURES = ("x86_64",)
"""What a Package Manager builds for that does not say so: those that could do more say it."""


@dataclass(frozen=True, slots=True)
class NotAPackageManager:
    """Why a server is not treated as a Package Manager."""

    reason: str


Answer = PackageManagerStatus | NotAPackageManager


class Statuses:
    """
    The servers that one build has asked, each remembered with its answer, failures too.

    `tls` is what certificates are verified with, None for the system's (and SSL_CERT_FILE). `clock` gives seconds that
    only grow; `seconds` bounds one answer.
    """

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
        seconds: float = SECONDS,
    ) -> None:
        self._tls = tls
        self._clock = clock
        self._seconds = seconds
        self._answers: dict[PackageManagerUrl, Answer] = {}

    def of(self, server: PackageManagerUrl) -> Answer:
        """Return what the server told, now or earlier. Never raises: a build can do without its answer."""
        known = self._answers.get(server)
        if known is not None:
            return known
        if len(self._answers) >= MAX_SERVERS:
            return NotAPackageManager(f"{MAX_SERVERS} other servers were asked already, and no further one is")
        answer = self._ask(server)
        self._answers[server] = answer
        return answer

    def _ask(self, server: PackageManagerUrl) -> Answer:
        try:
            connection = self._connection(server)
            try:
                connection.request("GET", f"{server.path}/__api__/status", headers=_HEADERS)
                with connection.getresponse() as response:
                    return _read(response)
            finally:
                connection.close()
        except (OSError, http.client.HTTPException) as fault:
            return NotAPackageManager(f"its status cannot be read: {_why(fault, self._seconds)}")

    def _connection(self, server: PackageManagerUrl) -> http.client.HTTPConnection:
        if server.is_cleartext:
            connection = http.client.HTTPConnection(server.host, server.port, timeout=self._seconds)
        else:
            context = self._tls or ssl.create_default_context()
            connection = http.client.HTTPSConnection(server.host, server.port, timeout=self._seconds, context=context)
        connection.response_class = response_by(self._clock() + self._seconds, self._clock)
        return connection


_HEADERS = {"Accept": "application/json", "User-Agent": "broker-run", "Connection": "close"}


def parse_status(text: bytes) -> PackageManagerStatus | None:
    """Read the body of a status answer; None for one that no Package Manager gives. Odd entries are left out."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    distributions = document.get("distros") if isinstance(document, dict) else None
    if not isinstance(distributions, list):
        return None
    version = document.get("version")
    pairs = (pair for entry in distributions[:_MAX_DISTRIBUTIONS] for pair in _binaries(entry))
    return PackageManagerStatus(plain(version) if isinstance(version, str) else "", frozenset(pairs))


def _binaries(entry: object) -> Iterator[tuple[str, str]]:
    # `is True`: the product lists distributions without binaries as well, for their system requirements.
    if not isinstance(entry, dict) or entry.get("binaries") is not True:
        return
    code = entry.get("binaryURL")
    architectures = entry.get("arch") or _BEFORE_ARCHITECTURES
    if isinstance(code, str) and code and isinstance(architectures, list | tuple):
        yield from ((code, each) for each in architectures if isinstance(each, str))


def _read(response: http.client.HTTPResponse) -> Answer:
    if response.status in _REDIRECT:
        return NotAPackageManager(f"it redirects ({response.status}), which is not followed; write its final URL")
    if response.status != _OK:
        return NotAPackageManager(f"it answers {response.status} where a Package Manager tells its status")
    text = response.read(MAX_ANSWER + 1)
    if len(text) > MAX_ANSWER:
        return NotAPackageManager("its status answer has no end")
    return parse_status(text) or NotAPackageManager("its status is not that of a Package Manager")


def _why(fault: Exception, seconds: float) -> str:
    match fault:
        case TimeoutError():
            return f"no complete answer within {seconds:g} seconds"
        case ssl.SSLCertVerificationError():
            return (
                f"its certificate is not trusted ({plain(fault.verify_message)}); name the CA's file in SSL_CERT_FILE"
            )
        case http.client.HTTPException():
            return f"the answer is not HTTP ({type(fault).__name__})"
        case _:
            return plain(getattr(fault, "strerror", None) or getattr(fault, "reason", None) or "the connection broke")
