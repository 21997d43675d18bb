"""
The build API over http.client: two requests, no session, no redirects.

No proxy is taken from the environment and no netrc is read (http.client knows neither), so the API key goes to the
broker that was named and nowhere else.
"""

import http.client
import io
import json
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

from broker.domain.secrets import Secret
from broker.errors import BrokerRefused, BrokerUnreachable, RunFault
from broker.runner.address import ServerAddress
from broker.runner.answers import Build, guid_of, parse_build
from broker.runner.text import plain

ASK_SECONDS = 60.0
"""For opening a build: the broker itself waits for Package Managers meanwhile."""

FINISH_SECONDS = 5.0
"""For finishing one: the command has ended and somebody waits for the prompt."""

MAX_ANSWER = 1024 * 1024
"""Bytes; the largest honest answer (a netrc of 120 kB twice over, and the reasons) is far below."""

_ADVICE = {
    401: "check the API key in BROKER_API_KEY: it may be mistyped, expired or deleted",
    403: "ask an administrator of the broker",
    404: "check the owner's name, and that the URL is the broker's, with its path prefix if it has one",
    413: "ask for fewer repositories",
    429: "too many requests; try again later",
    503: "nothing is lost; try again",
}
_SUCCESS = range(200, 300)
_REDIRECT = range(300, 400)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    content_type: str
    retry_after: str
    body: bytes


class BuildApi:
    """
    The two calls that a build makes. `clock` gives seconds that only grow; `ask_seconds` bounds a whole exchange.
    """

    def __init__(
        self,
        address: ServerAddress,
        api_key: Secret,
        *,
        ca_file: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        ask_seconds: float = ASK_SECONDS,
    ) -> None:
        self._address = address
        self._api_key = api_key
        self._clock = clock
        self._ask_seconds = ask_seconds
        self._tls = _tls(ca_file) if address.scheme == "https" else None

    def open_build(self, wanted: dict[str, object]) -> Build:
        """
        `POST /__api__/v1/builds`.

        Raises BrokerUnreachable (no answer, or one that is not understood) and BrokerRefused (the broker's own words).
        A build whose answer we refuse is finished at once: nobody else knows its guid.
        """
        answer = self._ask("POST", "/__api__/v1/builds", wanted, self._ask_seconds)
        if answer.status not in _SUCCESS:
            raise self._refusal(answer)
        value = self._json(answer)
        try:
            return parse_build(value)
        except RunFault:
            self._finish_quietly(guid_of(value))
            raise

    def finish_build(self, guid: str) -> None:
        """`DELETE /__api__/v1/builds/{guid}`. Raises BrokerUnreachable and BrokerRefused."""
        answer = self._ask("DELETE", f"/__api__/v1/builds/{guid}", None, FINISH_SECONDS)
        if answer.status not in _SUCCESS:
            raise self._refusal(answer)

    def _finish_quietly(self, guid: str | None) -> None:
        try:
            if guid:
                self.finish_build(guid)
        except RunFault:
            return  # the build ends at its expiry; what matters to the caller is the first fault

    def _ask(self, method: str, path: str, body: object, seconds: float) -> _Answer:
        connection = self._connection(seconds)
        try:
            connection.request(method, self._address.prefix + path, _encoded(body), self._headers(body))
            with connection.getresponse() as response:
                text = response.read(MAX_ANSWER + 1)
                headers = response.headers
                if len(text) > MAX_ANSWER:
                    raise BrokerUnreachable(f"{self._address} answers without end; is it the broker?")
                return _Answer(response.status, headers.get("Content-Type", ""), headers.get("Retry-After", ""), text)
        except (OSError, http.client.HTTPException) as fault:
            raise self._unreachable(fault, seconds) from None
        finally:
            connection.close()

    def _connection(self, seconds: float) -> http.client.HTTPConnection:
        host, port = self._address.host, self._address.port
        if self._tls is None:
            connection = http.client.HTTPConnection(host, port, timeout=seconds)
        else:
            connection = http.client.HTTPSConnection(host, port, timeout=seconds, context=self._tls)
        connection.response_class = response_by(self._clock() + seconds, self._clock)
        return connection

    def _headers(self, body: object) -> dict[str, str]:
        headers = {
            "Authorization": f"Key {self._api_key.reveal()}",
            "Accept": "application/json",
            "User-Agent": "broker-run",
            "Connection": "close",
        }
        return headers if body is None else {**headers, "Content-Type": "application/json"}

    def _json(self, answer: _Answer) -> object:
        try:
            return json.loads(answer.body)
        except (ValueError, RecursionError):
            # `from None`: the decoder's error carries the whole body, and in it the tokens.
            raise BrokerUnreachable(f"{self._address} answered {_kind(answer)}, not JSON; is it the broker?") from None

    def _refusal(self, answer: _Answer) -> RunFault:
        if answer.status in _REDIRECT:
            return BrokerUnreachable(
                f"{self._address} redirects ({answer.status}); the API key is not sent to a second address, "
                "so give the broker's final URL"
            )
        words = _own_words(answer)
        advice = _advice(answer)
        if words is None:
            return BrokerUnreachable(
                f"{self._address} answered {answer.status} with {_kind(answer)} instead of the broker's JSON; a proxy "
                f"in front of it, or another server? {advice}".rstrip()
            )
        return BrokerRefused(
            f"the broker answered {answer.status}: {words}" + (f" ({advice})" if advice else ""),
            payload={"status": answer.status},
        )

    def _unreachable(self, fault: Exception, seconds: float) -> BrokerUnreachable:
        return BrokerUnreachable(f"the broker at {self._address} cannot be reached: {_why(fault, seconds)}")


def _why(fault: Exception, seconds: float) -> str:
    match fault:
        case ssl.SSLCertVerificationError():
            return (
                f"its certificate is not trusted ({plain(fault.verify_message)}); name the CA's file with --ca-file "
                "or in the environment variable SSL_CERT_FILE"
            )
        case ssl.SSLError():
            return f"TLS failed ({plain(fault.reason or 'no reason given')}); does it speak https on this port?"
        case http.client.RemoteDisconnected():
            return "it closed the connection without an answer"
        case http.client.HTTPException():
            return f"the answer is not HTTP ({type(fault).__name__}); is it the broker?"
        case _:
            return _why_not_connected(fault, seconds)


def _why_not_connected(fault: Exception, seconds: float) -> str:
    if isinstance(fault, TimeoutError):
        return f"no complete answer within {seconds:g} seconds"
    if isinstance(fault, socket.gaierror):
        return "its name is not known to the name service; check the URL"
    words = fault.strerror if isinstance(fault, OSError) else None
    return f"{plain(words or 'the connection broke')}; is it running, and are host and port right?"


def _tls(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as fault:
        raise BrokerUnreachable(
            f"the CA file {plain(ca_file or '')} cannot be used ({plain(fault.strerror or 'not readable')}); "
            "it must be a readable PEM file"
        ) from None


def _encoded(body: object) -> bytes | None:
    return None if body is None else json.dumps(body).encode()


def _own_words(answer: _Answer) -> str | None:
    """Return the broker's error text, None if the body is not the broker's error object."""
    try:
        value = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    words = value.get("error") if isinstance(value, dict) else None
    return plain(words) if isinstance(words, str) and words else None


def _advice(answer: _Answer) -> str:
    advice = _ADVICE.get(answer.status, "")
    if answer.retry_after.isdecimal():
        return f"{advice or 'try again'}; wait {plain(answer.retry_after)} s"
    return advice


def _kind(answer: _Answer) -> str:
    if not answer.body:
        return "nothing"
    looks_like_html = "html" in answer.content_type.lower() or answer.body.lstrip()[:1] == b"<"
    return "a web page (HTML)" if looks_like_html else "something else"


def response_by(deadline: float, clock: Callable[[], float]) -> type[http.client.HTTPResponse]:
    """
    Return a response class whose reads all end at `deadline`.

    A socket's timeout starts anew with every read, so a server that drips one byte a second would hold a build forever.
    """

    class Response(http.client.HTTPResponse):
        def __init__(self, sock: socket.socket, *arguments: object, **named: object) -> None:
            super().__init__(sock, *arguments, **named)  # type: ignore[arg-type]  # http.client's own call, passed on
            self.fp = io.BufferedReader(_Timed(sock, self.fp, deadline, clock))

    return Response


class _Timed(io.RawIOBase):
    def __init__(
        self, sock: socket.socket, source: io.BufferedIOBase, deadline: float, clock: Callable[[], float]
    ) -> None:
        self._sock = sock
        self._source = source
        self._deadline = deadline
        self._clock = clock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # narrower than `Buffer`
        left = self._deadline - self._clock()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        return self._source.readinto1(buffer)

    def close(self) -> None:
        self._source.close()
        super().close()
