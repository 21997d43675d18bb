"""
Connections: how they are opened, what a transaction means, and how a database's complaints become our errors.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DatabaseError, InternalError, OperationalError, SQLAlchemyError, StatementError
from sqlalchemy.pool import ConnectionPoolEntry

from broker.errors import RecordUnavailable

BUSY_MS = 5_000
"""How long a SQLite writer waits for another one, and anybody for a free connection, in milliseconds."""


def open_engine(url: str) -> Engine:
    """
    Open the database at a SQLAlchemy URL. Nothing is read or written yet.

    On SQLite every commit is on disk when it returns (`synchronous=FULL`, write-ahead log), and a writing transaction
    takes its lock at the start: a lock taken halfway may fail without waiting.
    """
    engine = create_engine(
        url,
        json_serializer=_to_json,
        json_deserializer=orjson.loads,
        pool_pre_ping=not _is_sqlite(url),
        pool_timeout=BUSY_MS / 1000,
    )
    if _is_sqlite(url):
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


class RowRefused(RecordUnavailable):
    """The database works, but does not take these very rows; others may still be written."""


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that will write. Raises RecordUnavailable when the database cannot be used."""
    with translated(), engine.connect().execution_options(broker_writes=True) as connection, connection.begin():
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that sees one consistent state and waits for no writer. Raises as `writing` does."""
    with translated(), engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def translated() -> Iterator[None]:
    """Turn whatever the database says into RecordUnavailable, without its statement and parameters."""
    try:
        yield
    except StatementError as fault:
        if _is_about_these_rows(fault):
            raise RowRefused(f"the storage refused: {type(fault).__name__}; nothing was changed") from None
        raise RecordUnavailable(f"the storage cannot be used now: {_reason(fault)}; nothing was changed") from None
    except SQLAlchemyError as fault:  # no free connection in time, a row that must be there is not
        raise RecordUnavailable(
            f"the storage cannot be used now: {type(fault).__name__}; nothing was changed"
        ) from None


def _is_about_these_rows(fault: StatementError) -> bool:
    # The plain DatabaseError is what SQLite says of a file that is damaged or no database at all.
    return not isinstance(fault, OperationalError | InternalError) and type(fault) is not DatabaseError


def _reason(fault: StatementError) -> str:
    # The first line of the driver's own words ("database or disk is full"); later ones may quote the statement.
    text = str(fault.orig).splitlines()
    return text[0][:200] if text else type(fault).__name__


def _is_sqlite(url: str) -> bool:
    return make_url(url).get_backend_name() == "sqlite"


def _to_json(value: object) -> str:
    return orjson.dumps(value).decode() if not isinstance(value, str) else json.dumps(value)


def _set_up_sqlite(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    # We begin transactions ourselves: the driver would begin only before the first write.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_MS}"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> Any:  # noqa: ANN401 - the event's interface
    writes = connection.get_execution_options().get("broker_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
