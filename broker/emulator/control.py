"""
Endpoints for tests, not part of the imitation: switch faults, read the log, revoke what was handed out.

They exist only with `--control` and answer only callers on this machine; to everybody else, and to web pages, there is
nothing here.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from ipaddress import ip_address

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from broker.emulator.faults import KINDS, Fault, Switchboard
from broker.emulator.log import CONTROL, AccessLog
from broker.emulator.repository_tokens import RepositoryTokens

MAX_BODY = 64 * 1024

Endpoint = Callable[[Request], Awaitable[Response]]


class Control:
    """The endpoints; `log` is asked for when needed, since it is wrapped around the app that this is a part of."""

    def __init__(self, faults: Switchboard, tokens: RepositoryTokens, log: Callable[[], AccessLog]) -> None:
        self._faults = faults
        self._tokens = tokens
        self._log = log

    def routes(self) -> list[Route]:
        """Return the routes to put in front of the catch-all."""
        table: dict[str, dict[str, Endpoint]] = {
            "/faults": {"GET": self.faults, "PUT": self.switch, "DELETE": self.clear},
            "/log": {"GET": self.log, "DELETE": self.forget},
            "/tokens": {"DELETE": self.revoke},
        }
        return [
            Route(f"{CONTROL}{path}", _local(endpoint), methods=[method])
            for path, endpoints in table.items()
            for method, endpoint in endpoints.items()
        ]

    async def faults(self, _: Request) -> Response:
        """Tell what is on and what there is."""
        return JSONResponse(
            {"faults": [str(fault) for fault in self._faults], "known": {k.name: k.summary for k in KINDS.values()}}
        )

    async def switch(self, request: Request) -> Response:
        """Switch on exactly the faults of `{"faults": ["slow:2", …]}`."""
        try:
            self._faults.replace(_read(await _bounded(request)))
        except ValueError as fault:
            return JSONResponse({"error": str(fault)}, 400)
        return await self.faults(request)

    async def clear(self, request: Request) -> Response:
        """Switch everything off."""
        self._faults.replace(())
        return await self.faults(request)

    async def log(self, _: Request) -> Response:
        """Return the last requests, the oldest first."""
        return JSONResponse({"requests": [asdict(record) for record in self._log().records]})

    async def forget(self, _: Request) -> Response:
        """Empty the log in memory."""
        self._log().records.clear()
        return Response(status_code=204)

    async def revoke(self, _: Request) -> Response:
        """Make every repository token so far worthless."""
        self._tokens.revoke_all()
        return Response(status_code=204)


def _local(endpoint: Endpoint) -> Endpoint:
    async def guarded(request: Request) -> Response:
        # A browser on this machine is a caller on this machine, whoever wrote the page: it always says Origin.
        from_page = "origin" in request.headers or request.headers.get("sec-fetch-site", "none") != "none"
        if from_page or not _is_loopback(request):
            return JSONResponse({"error": "not found"}, 404)
        return await endpoint(request)

    return guarded


def _is_loopback(request: Request) -> bool:
    try:
        return request.client is not None and ip_address(request.client.host).is_loopback
    except ValueError:
        return False


async def _bounded(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise ValueError(f"the body is larger than {MAX_BODY} bytes")
    return bytes(body)


def _read(body: bytes) -> list[Fault]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("the body is not JSON") from None
    texts = document.get("faults") if isinstance(document, dict) else None
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError('the body must be {"faults": ["name", "name:value", …]}')
    return [Fault.parse(text) for text in texts]
