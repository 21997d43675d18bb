"""
What every request passes: the correlation id, the limit on bodies, the access log, and the last net under defects.

Plain ASGI: the framework's own middleware base costs more than an ES256 signature.
"""

import logging
import re
import time
from collections.abc import Callable
from typing import Any

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from broker import errors
from broker.web.errors import answer, unexpected

CORRELATION_HEADER = "X-Correlation-ID"
_CORRELATION = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_FORM = "application/x-www-form-urlencoded"
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_MAX_DIGITS = 18

access_log = logging.getLogger("broker.access")
_log = logging.getLogger(__name__)


class Edge:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, *, prefix: str, max_body: int, new_id: Callable[[], str]) -> None:
        self._app = app
        self._prefix = prefix
        self._max_body = max_body
        self._new_id = new_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of the ASGI server."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        exchange = _Exchange(scope, send, self._correlation_id(headers))
        scope = {**scope, "path": self._below_prefix(scope["path"]), "correlation_id": exchange.correlation_id}
        try:
            await self._serve(scope, headers, receive, exchange)
        except Exception:  # noqa: BLE001 - the last net: whatever it was, the caller gets an answer without details
            _log.exception("defect while serving, correlation id %s", exchange.correlation_id)
            if not exchange.started:
                await unexpected()(scope, receive, exchange.send)
        finally:
            exchange.log()

    async def _serve(self, scope: Scope, headers: Headers, receive: Receive, exchange: "_Exchange") -> None:
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            # What is left of the body is not read, so the next request on this connection could not be found.
            exchange.close_after = True
            await answer(refusal)(scope, receive, exchange.send)
            return
        _take_json_from_curl(scope)
        await self._app(scope, self._limited(receive, exchange), exchange.send)

    def _refusal(self, scope: Scope, headers: Headers) -> errors.BrokerError | None:
        declared = headers.get("content-length", "0")
        if not (declared.isascii() and declared.isdecimal()):
            return errors.InvalidRequest("the header Content-Length is not a number of bytes")
        if len(declared) > _MAX_DIGITS or int(declared) > self._max_body:
            return errors.BodyTooLarge(self._too_large())
        if _is_api(scope) and scope["method"] in _WITH_BODY and not _is_readable(_media_type(headers)):
            return errors.UnsupportedMediaType("send the body as JSON, with Content-Type: application/json")
        return None

    def _limited(self, receive: Receive, exchange: "_Exchange") -> Receive:
        seen = 0

        async def limited() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._max_body:
                exchange.close_after = True
                raise HTTPException(413, self._too_large())
            return message

        return limited

    def _too_large(self) -> str:
        return f"the body is larger than {self._max_body} bytes, which is the broker's setting max_body_bytes"

    def _correlation_id(self, headers: Headers) -> str:
        given = headers.get(CORRELATION_HEADER, "")
        return given if _CORRELATION.fullmatch(given) else self._new_id()

    def _below_prefix(self, path: str) -> str:
        # Some proxies strip the issuer's path and some do not; both are right.
        if self._prefix and (path == self._prefix or path.startswith(f"{self._prefix}/")):
            return path[len(self._prefix) :] or "/"
        return path


class _Exchange:
    """One request and what has been sent for it."""

    def __init__(self, scope: Scope, send: Send, correlation_id: str) -> None:
        self.correlation_id = correlation_id
        self.started = False
        self.close_after = False
        self._scope = scope
        self._send = send
        self._status = 0
        self._begun = time.perf_counter()

    async def send(self, message: Message) -> None:
        """Send, adding the headers that every answer has."""
        if message["type"] == "http.response.start":
            self.started = True
            self._status = message["status"]
            added = [(b"x-correlation-id", self.correlation_id.encode()), (b"x-content-type-options", b"nosniff")]
            if self.close_after:
                added.append((b"connection", b"close"))
            # A new list: the one in the message may belong to an answer that is given again.
            message = {**message, "headers": [*message["headers"], *added]}
        await self._send(message)

    def log(self) -> None:
        """Write the line of the access log; the query string stays out, since people put secrets there."""
        if access_log.isEnabledFor(logging.INFO):
            client: Any = self._scope.get("client") or ("-",)
            path = self._scope["path"][:200].encode("unicode_escape").decode()
            milliseconds = (time.perf_counter() - self._begun) * 1000
            access_log.info(
                "%s %s %s %d %.1fms %s",
                client[0], self._scope["method"], path, self._status, milliseconds, self.correlation_id,
            )  # fmt: skip


def _take_json_from_curl(scope: Scope) -> None:
    # `curl -d '{…}'`, as the vendor's guide writes it, announces a form. Callers authenticate by a header that no
    # browser adds by itself, so reading such a body as JSON opens no door to cross-site requests.
    if _is_api(scope) and _media_type(Headers(scope=scope)) == _FORM:
        kept = [(name, value) for name, value in scope["headers"] if name != b"content-type"]
        scope["headers"] = [*kept, (b"content-type", b"application/json")]


def _is_api(scope: Scope) -> bool:
    path: str = scope["path"]
    return path.startswith("/__api__/v1/")


def _media_type(headers: Headers) -> str:
    return headers.get("content-type", _FORM).partition(";")[0].strip().lower()


def _is_readable(media_type: str) -> bool:
    return media_type in {_FORM, "application/json"} or (
        media_type.startswith("application/") and media_type.endswith("+json")
    )
