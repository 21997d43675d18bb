"""
The answers of a Package Manager in trouble: what the faults of faults.py look like on the wire.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse

from broker.emulator.faults import Switchboard, Where

Sleep = Callable[[float], Awaitable[None]]

_PAGE = "<!DOCTYPE html>\n<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>\n"
_CHUNK = b" " * 4096
_PAUSE = 0.001


async def trouble(faults: Switchboard, where: Where, sleep: Sleep) -> Response | None:
    """Wait as `slow` says, then return the answer of the first fault that replaces the real one, None for none."""
    seconds = faults.number("slow", where)
    if seconds is not None:
        await sleep(seconds)
    if (wait := faults.text("rate-limit", where)) is not None:
        return JSONResponse({"error": "too_many_requests"}, 429, headers={"Retry-After": wait})
    if faults.has("error-500", where):
        return JSONResponse({"error": "server_error", "error_description": "fault error-500 is on"}, 500)
    return _exchange_only(faults) if where is Where.EXCHANGE else None


def _exchange_only(faults: Switchboard) -> Response | None:
    if faults.has("html"):
        return Response(_PAGE.format("502 Bad Gateway"), 502, media_type="text/html")
    if faults.has("html-200"):
        return Response(_PAGE.format("Sign in"), 200, media_type="text/html")
    if (url := faults.text("redirect")) is not None:
        return RedirectResponse(url, 307)
    if faults.has("endless"):
        return StreamingResponse(_endless(), 200, media_type="application/json")
    return None


async def _endless() -> AsyncIterator[bytes]:
    # Valid JSON so far, for ever: a client that waits for the end of the document has no reason to give up.
    yield b'{"access_token": "'
    while True:
        yield _CHUNK
        await asyncio.sleep(_PAUSE)


def spoilt_token(faults: Switchboard, token: str) -> str:
    """Return the token as the faults `huge-token` and `bad-token` would hand it out."""
    if (length := faults.number("huge-token")) is not None:
        token = token[: int(length)].ljust(int(length), "A")
    return f'{token} "#' if faults.has("bad-token") else token
