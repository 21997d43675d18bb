"""
Migrated SQLite databases, fast: the migrations run once for all tests.
"""

import sqlite3
import tempfile
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from broker.storage.engine import BUSY_MS, open_engine
from broker.storage.schema import upgrade


@cache
def _migrated():
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "broker.db")
        engine = open_engine(f"sqlite:///{file}")
        upgrade(engine)
        engine.dispose()
        return file.read_bytes()


def new_database(folder):
    """
    Return the path of a new database with the schema of this version and nothing in it.
    """
    file = folder / "broker.db"
    file.write_bytes(_migrated())
    return file


@contextmanager
def engine_on(file, *, busy_ms=BUSY_MS, options=""):
    """
    Open an engine as the broker does; `busy_ms` shortens how long it waits for a lock.
    """
    engine = open_engine(f"sqlite:///{file}{options}", busy_ms=busy_ms)
    try:
        yield engine
    finally:
        engine.dispose()


def look(file, sql, *values):
    """
    Read from another connection, as another process would: only what is committed.
    """
    connection = sqlite3.connect(file)
    try:
        return connection.execute(sql, values).fetchall()
    finally:
        connection.close()
