"""
One line for each request, for people; the last thousand in memory, for tests. Never a token, never a header's value.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from broker.emulator.issuer_keys import Clock
from broker.emulator.printable import plain

REMEMBERED = 1000
CONTROL = "/__control__"
"""Prefix of the control endpoints; they are printed, not remembered: a test asks for what the clients did."""

Line = Callable[[str], None]
"""Takes one finished line of the log."""


@dataclass(slots=True)
class Record:
    """
    What one request was and how it ended. `user` and `note` are filled in by whoever answers.

    `authorization` says whether the header was there; its value is kept nowhere. `claims` are those of an assertion
    that was accepted: what it said, without the token that said it.
    """

    time: str
    method: str
    path: str
    authorization: bool
    status: int = 0
    user: str = "-"
    note: str = ""
    claims: Mapping[str, object] | None = None

    def line(self) -> str:
        """Return `time method path status user=… note`."""
        return f"{self.time} {self.method} {self.path} {self.status} user={plain(self.user)} {self.note}".rstrip()


def record_of(request: HTTPConnection) -> Record:
    """Return the record of the request that is being answered."""
    record = request.scope["state"]["record"]
    if not isinstance(record, Record):
        raise TypeError("the access log is the outermost part of the app")
    return record


class AccessLog:
    """
    ASGI middleware: writes and remembers.

    It also turns a defect into a plain 500: no stack trace reaches a client or the log, only where it happened.
    """

    def __init__(self, app: ASGIApp, clock: Clock, write: Line) -> None:
        self._app = app
        self._clock = clock
        self._write = write
        self.records: deque[Record] = deque(maxlen=REMEMBERED)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and write what became of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = self._begin(scope)
        scope.setdefault("state", {})["record"] = record

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            record.note = "the client went away"
        except Exception as defect:  # noqa: BLE001 - the last border: a trace in a client's log would help nobody
            record.note = _where(defect)
            if record.status == 0:
                await JSONResponse({"error": "server_error"}, 500)(scope, receive, watched)
        finally:
            self._end(record)

    def _begin(self, scope: Scope) -> Record:
        time = datetime.fromtimestamp(self._clock(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        present = any(name == b"authorization" for name, _ in scope["headers"])
        return Record(time, plain(scope["method"]), plain(scope["path"]).replace(" ", "%20"), present)

    def _end(self, record: Record) -> None:
        if not record.path.startswith(CONTROL):
            self.records.append(record)
        self._write(record.line())


def _where(defect: Exception) -> str:
    trace = defect.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = "" if trace is None else f" at {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
    return f"internal error: {type(defect).__name__}{place}"
