"""
Connections: how they are opened, what a transaction means, and how a database's complaints become our errors.
"""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager

import orjson
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DatabaseError, InternalError, OperationalError, SQLAlchemyError, StatementError

from broker.errors import RecordUnavailable

BUSY_MS = 5_000
"""How long a SQLite writer waits for another one, and anybody for a free connection, in milliseconds."""

_LOOK_AGAIN = 0.001
"""Seconds between two looks at whether it is our turn to write."""


def open_engine(url: str, *, busy_ms: int = BUSY_MS) -> Engine:
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
        pool_timeout=busy_ms / 1000,
    )
    if _is_sqlite(url):
        event.listen(engine, "connect", lambda connection, _entry: _set_up_sqlite(connection, busy_ms))
        event.listen(engine, "begin", lambda connection: _begin_sqlite(connection, busy_ms))
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


def _set_up_sqlite(connection: sqlite3.Connection, busy_ms: int) -> None:
    # We begin transactions ourselves: the driver would begin only before the first write.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={busy_ms}"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection, busy_ms: int) -> None:
    if not connection.get_execution_options().get("broker_writes", False):
        connection.exec_driver_sql("BEGIN")
        return
    driver = connection.connection.dbapi_connection
    if not isinstance(driver, sqlite3.Connection):
        raise TypeError(driver)
    # SQLite itself waits by sleeping for up to 100 ms at a time, which two busy workers feel with every build. A writer
    # is done in a few milliseconds, so this looks again after one.
    driver.execute("PRAGMA busy_timeout=0").close()
    try:
        if not _is_begun(driver, busy_ms):
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # once more, to be refused in the usual way
    finally:
        driver.execute(f"PRAGMA busy_timeout={busy_ms}").close()


def _is_begun(driver: sqlite3.Connection, busy_ms: int) -> bool:
    deadline = time.monotonic() + busy_ms / 1000
    while time.monotonic() < deadline:
        try:
            driver.execute("BEGIN IMMEDIATE").close()
        except sqlite3.OperationalError as fault:
            if fault.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                return False
            time.sleep(_LOOK_AGAIN)
        else:
            return True
    return False
