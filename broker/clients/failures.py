"""
Everything that httpx, aiohttp, OpenSSL and the operating system raise, told in our words.

Only facts that nobody outside can phrase go into a message: our URL, OpenSSL's fixed sentences, the names of errno.
"""

import os
import ssl
from collections.abc import Iterator

import aiohttp
import httpx

from broker.clients.addresses import ForbiddenAddress
from broker.domain.package_manager import PackageManagerUrl
from broker.errors import (
    AddressForbidden,
    AnswerNotUnderstood,
    ExchangeFailed,
    PackageManagerTimeout,
    PackageManagerUnreachable,
    PackageManagerUntrusted,
)

TRANSPORT_FAILURES = (
    httpx.HTTPError,
    httpx.InvalidURL,
    httpx.StreamError,
    aiohttp.ClientError,
    OSError,
    UnicodeError,
    RuntimeError,  # uvloop's name for some failed connects, and a session that is closed under us
)
"""What a request may raise; `httpx-aiohttp` translates some of aiohttp's errors and lets others through."""

_MAX_CAUSES = 10


def translated(error: BaseException, url: PackageManagerUrl) -> ExchangeFailed:
    """
    Return the leaf of ExchangeFailed for a transport's failure.

    The original is not chained: an httpx error holds the request, and the request holds the assertion.
    """
    # From the root outwards: httpx-aiohttp calls a reset connection a ConnectTimeout, and aiohttp knows better.
    for cause in reversed(list(_causes(error))):
        failure = _leaf(cause, url)
        if failure is not None:
            return failure
    return PackageManagerUnreachable(f"{url} could not be asked ({type(error).__name__})")


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    for _ in range(_MAX_CAUSES):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__ or cause.__context__


def _leaf(cause: BaseException, url: PackageManagerUrl) -> ExchangeFailed | None:
    match cause:
        case ForbiddenAddress():
            return AddressForbidden(
                f"{url} leads to {cause.address}, {cause.what}: the broker sends no assertion there; "
                "correct ppm_url or the DNS entry of its host"
            )
        case ssl.SSLCertVerificationError():
            return PackageManagerUntrusted(
                f"the certificate of {url} does not verify ({_openssl(cause, 'verify_message')}); "
                "give the broker the file of the certificate authority that signed it"
            )
        case ssl.SSLError():
            return PackageManagerUnreachable(f"no TLS connection to {url} ({_openssl(cause, 'reason')})")
        case TimeoutError():
            return PackageManagerTimeout(f"{url} gave no complete answer in time")
        case OSError():
            return PackageManagerUnreachable(f"no connection to {url}: {_in_words(cause)}")
        case _:
            return _http_leaf(cause, url)


def _http_leaf(cause: BaseException, url: PackageManagerUrl) -> ExchangeFailed | None:
    match cause:
        case aiohttp.ClientPayloadError() | aiohttp.ClientConnectionError() | httpx.NetworkError():
            return PackageManagerUnreachable(f"{url} broke off before its answer was complete")
        case aiohttp.ClientResponseError() | httpx.ProtocolError():
            return AnswerNotUnderstood(f"{url} does not answer with HTTP that the broker understands")
        case httpx.TimeoutException():
            return PackageManagerTimeout(f"{url} gave no complete answer in time")
        case _:
            return None


def _openssl(error: ssl.SSLError, attribute: str) -> str:
    # OpenSSL's own errors have these attributes; those that Python code raises do not.
    return str(getattr(error, attribute, None) or "no reason given")


def _in_words(error: OSError) -> str:
    # Resolver errors are negative on Linux and have no text in os.strerror.
    if error.errno is None or error.errno <= 0:
        return "its host name was not found, or has no address"
    return os.strerror(error.errno)
