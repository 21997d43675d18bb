"""
The exchange of an assertion for a repository token, over HTTP (RFC 8693, as the clients of the vendor do it).

One POST, no retry: an assertion is for one use, so asking again is the caller's decision and takes a new one.
"""

import asyncio
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import quote_plus

import httpx

from broker.clients.answers import Answer, read, worth_reading
from broker.clients.failures import TRANSPORT_FAILURES, translated
from broker.domain.package_manager import PackageManagerUrl, RepositoryToken
from broker.domain.secrets import Secret
from broker.errors import ExchangeFailed, PackageManagerUnreachable
from broker.ports import Clock

_GRANT_TYPE = quote_plus("urn:ietf:params:oauth:grant-type:token-exchange")
_SUBJECT_TOKEN_TYPE = quote_plus("urn:ietf:params:oauth:token-type:id_token")
_HEADERS: Final = {
    # All that is ever sent, beside Host and Content-Length. An allowlist: nothing ambient joins (CVE-2026-4525).
    "User-Agent": "package-credential-broker",
    "Accept": "application/json",
    "Accept-Encoding": "identity",  # a small body that unpacks to gigabytes is not asked for
    "Content-Type": "application/x-www-form-urlencoded",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """
    What one exchange may cost.

    `deadline` is in seconds for everything from looking up the name to the last byte, so that a drip of bytes does not
    renew it; `max_answer` is in bytes.
    """

    deadline: float = 10.0
    max_answer: int = 64 * 1024


DEFAULT_LIMITS: Final = Limits()


class HttpPackageManager:
    """
    The PackageManager port on a client from `open_http_client`.

    Safe to use by any number of tasks of one event loop; each exchange has its own deadline.
    """

    def __init__(self, client: httpx.AsyncClient, *, clock: Clock, limits: Limits = DEFAULT_LIMITS) -> None:
        self._client = client
        self._clock = clock
        self._limits = limits
        self._endpoint = lru_cache(maxsize=1024)(_endpoint)  # parsing an URL costs a tenth of a request

    async def exchange(self, url: PackageManagerUrl, assertion: Secret) -> RepositoryToken:
        """
        Post the assertion to this Package Manager, and to nobody else, and return its repository token.

        Raises a leaf of ExchangeFailed; neither the assertion nor the answer is in it or in what it is chained to.
        """
        try:
            async with asyncio.timeout(self._limits.deadline):
                answer = await self._post(url, assertion)
            return read(answer, url, assertion=assertion, now=self._clock.now())
        except ExchangeFailed as error:
            failure = error
        except TRANSPORT_FAILURES as error:
            failure = translated(error, url)
        # Raised here, not above: `from None` hides the original but keeps it as __context__, and the frames of a
        # traceback keep their variables. Error reporters print both, and there the form with the assertion lies.
        failure.__cause__ = failure.__context__ = None
        raise failure.with_traceback(None)

    async def _post(self, url: PackageManagerUrl, assertion: Secret) -> Answer:
        if self._client.is_closed:
            raise PackageManagerUnreachable(f"{url} was not asked: the broker is shutting down")
        response = await self._client.send(self._request(url, assertion), stream=True, auth=None)
        try:
            return await self._answer(response)
        finally:
            await response.aclose()

    def _request(self, url: PackageManagerUrl, assertion: Secret) -> httpx.Request:
        form = (
            f"grant_type={_GRANT_TYPE}&subject_token={quote_plus(assertion.reveal())}"
            f"&subject_token_type={_SUBJECT_TOKEN_TYPE}"
        )
        endpoint, headers = self._endpoint(url)
        # Built by hand: the client's own method would add the client's headers, cookies and query. From a stream that
        # is read at once, because httpx prepares no headers for streams: ours are complete, and that took 70 µs.
        request = httpx.Request("POST", endpoint, headers=headers, stream=httpx.ByteStream(form.encode()))
        request.headers.encoding = "ascii"  # spares httpx from guessing it once for each header
        request.headers["Content-Length"] = str(len(request.read()))
        return request

    async def _answer(self, response: httpx.Response) -> Answer:
        status, headers = response.status_code, response.headers
        headers.encoding = "latin-1"  # not guessed: a stranger's bytes are never an error, and it takes less time
        if not worth_reading(status):
            return Answer(status, None, retry_after=headers.get("retry-after", ""))
        if headers.get("content-encoding", "identity").lower() != "identity":
            return Answer(status, None, compressed=True)
        return Answer(status, await self._body(response))

    async def _body(self, response: httpx.Response) -> bytes | None:
        body = bytearray()
        # The raw stream of a response that was opened with stream=True; None as soon as it is too long.
        async for chunk in response.stream:  # type: ignore[union-attr]  # an AsyncClient gives async streams
            body += chunk
            if len(body) > self._limits.max_answer:
                return None
        return bytes(body)


def _endpoint(url: PackageManagerUrl) -> tuple[httpx.URL, httpx.Headers]:
    endpoint = httpx.URL(f"{url}/__api__/token")
    return endpoint, httpx.Headers({"Host": endpoint.netloc.decode(), **_HEADERS})
