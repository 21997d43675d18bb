"""
The group-commit writer: one thread, one transaction for everything that waits, one fsync for all of it.

A request hands over its rows and goes on when they are on disk. Whether the decision in them is still good is looked up
inside the same transaction: on SQLite nobody else writes meanwhile, on other databases the version row is locked.
"""

import asyncio
import contextlib
import logging
import queue
import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, select

from broker.errors import BrokerError, PolicyChanged, RecordUnavailable
from broker.ports import Row
from broker.storage import tables
from broker.storage.engine import RowRefused, writing
from broker.storage.statements import Statements

MAX_WAITING = 10_000
"""Requests that may wait for the disk; beyond that the caller is told to come back."""

MAX_BATCH = 256

_VERSION = select(tables.policy.c.version).with_for_update(read=True)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Request:
    rows: Sequence[Row]
    policy_version: int | None
    waiting: "tuple[asyncio.AbstractEventLoop, asyncio.Future[None]] | threading.Event"
    """Whom to tell, and in which loop; for a note the event that its batch is over."""


_Verdict = tuple[_Request, BrokerError | None]
_Told = tuple["asyncio.Future[None]", BrokerError | None]


class GroupCommitWriter:
    """A Recorder. Start it once for each process; `close` writes what waits and ends the thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._statements = Statements(engine.dialect)
        self._waiting: queue.Queue[_Request | None] = queue.Queue(MAX_WAITING)
        self._closing = False
        self._door = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="record-writer", daemon=True)
        self._thread.start()

    async def record(self, rows: Sequence[Row], *, policy_version: int | None = None) -> None:
        """Return when the rows are durable; raise PolicyChanged or RecordUnavailable when they are not written."""
        loop = asyncio.get_running_loop()
        answer = loop.create_future()
        self._hand_over(_Request(rows, policy_version, (loop, answer)))
        await answer

    def note(self, rows: Sequence[Row], *, patience: float = 0) -> None:
        """Write the rows with the next batch; wait at most `patience` seconds for it, and never fail."""
        over = threading.Event()
        try:
            self._hand_over(_Request(rows, None, over))
        except RecordUnavailable as fault:
            _log_lost(fault)
        else:
            over.wait(patience)

    def close(self) -> None:
        """Write what waits, then stop; whoever comes later gets RecordUnavailable."""
        with self._door:
            if not self._closing:
                self._closing = True
                self._waiting.put(None)
        self._thread.join()

    def _hand_over(self, request: _Request) -> None:
        with self._door:  # nothing comes after the end, where nobody would answer it
            if self._closing:
                raise RecordUnavailable("the broker is stopping; nothing was minted")
            try:
                self._waiting.put_nowait(request)
            except queue.Full:
                raise RecordUnavailable("too many requests wait for the storage; nothing was minted") from None

    def _run(self) -> None:
        while (batch := self._next_batch()) is not None:
            _answer(self._write(batch))

    def _next_batch(self) -> list[_Request] | None:
        first = self._waiting.get()
        if first is None:
            return None
        batch = [first]
        with contextlib.suppress(queue.Empty):
            while len(batch) < MAX_BATCH:
                request = self._waiting.get_nowait()
                if request is None:
                    self._waiting.put(None)  # the end comes after this batch
                    break
                batch.append(request)
        return batch

    def _write(self, batch: Sequence[_Request]) -> list[_Verdict]:
        try:
            with writing(self._engine) as connection:
                return self._write_into(connection, batch)
        except RowRefused as fault:
            refusal: RecordUnavailable = fault
        except RecordUnavailable as fault:
            return [(request, fault) for request in batch]
        except Exception:  # noqa: BLE001 - a thread that dies would leave every request waiting for ever
            _log.exception("the record writer met a defect; %d requests were not written", len(batch))
            refusal = RecordUnavailable("the record could not be written")
        if len(batch) == 1:
            return [(batch[0], refusal)]
        # The rows of one request were refused: the others do not suffer for it.
        return [verdict for request in batch for verdict in self._write([request])]

    def _write_into(self, connection: Connection, batch: Iterable[_Request]) -> list[_Verdict]:
        version = connection.scalars(_VERSION).one()
        verdicts: list[_Verdict] = []
        rows: list[Row] = []
        for request in batch:
            if request.policy_version in (None, version):
                rows.extend(request.rows)
                verdicts.append((request, None))
            else:
                verdicts.append((request, PolicyChanged("the policy changed after the decision")))
        self._statements.write(connection, rows)
        return verdicts


def _answer(verdicts: Iterable[_Verdict]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[_Told]] = defaultdict(list)
    for request, fault in verdicts:
        if isinstance(request.waiting, threading.Event):
            if fault is not None:
                _log_lost(fault)
            request.waiting.set()
        else:
            loop, answer = request.waiting
            by_loop[loop].append((answer, fault))
    for loop, mine in by_loop.items():
        # A loop that was closed meanwhile has nobody left who waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_tell, mine)


def _tell(told: Iterable[_Told]) -> None:
    for answer, fault in told:
        if answer.done():  # the caller went away
            continue
        if fault is None:
            answer.set_result(None)
        else:
            answer.set_exception(fault)


def _log_lost(fault: BrokerError) -> None:
    _log.warning("a note was not written: %s", fault.message)
