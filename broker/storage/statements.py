"""
The statements of the hot path, compiled once for the database in use and run as the driver's own text.

SQLAlchemy writes them, so they are right on every database; sending them through it row by row would cost as much as
the database itself (docs/benchmarks.md).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Column, Connection, Dialect, Table, Update, bindparam, insert, or_, update
from sqlalchemy.sql.compiler import SQLCompiler

from broker.domain.audit import Event
from broker.domain.builds import Build, BuildEnd, CredentialRecord, Decision
from broker.domain.identity import KeyUsed, UserActive
from broker.ports import Row
from broker.storage import tables

_BUILD_END = (
    update(tables.builds)
    .where(tables.builds.c.guid == bindparam("build_guid"), tables.builds.c.finished_time.is_(None))
    .values(finished_time=bindparam("time"))
)


@dataclass(frozen=True, slots=True)
class _Change:
    """A record that changes a row which is there already, and the columns that its fields stand for."""

    statement: Update
    columns: dict[str, Column[Any]]


def _seen(table: Table, key: Column[Any], field: str) -> _Change:
    # Processes note the same use at about the same time; the time never moves back.
    older = or_(table.c.active_time.is_(None), table.c.active_time < bindparam("time"))
    statement = update(table).where(key == bindparam(field), older).values(active_time=bindparam("time"))
    return _Change(statement, {field: key, "time": table.c.active_time})


_SOURCES: tuple[tuple[type[Row], Table | _Change], ...] = (
    (Build, tables.builds),
    (Decision, tables.decisions),
    (CredentialRecord, tables.credentials),
    (BuildEnd, _Change(_BUILD_END, {"build_guid": tables.builds.c.guid, "time": tables.builds.c.finished_time})),
    (KeyUsed, _seen(tables.api_keys, tables.api_keys.c.sha256, "key_sha256")),
    (UserActive, _seen(tables.users, tables.users.c.guid, "user_guid")),
    (Event, tables.audit),
)
"""In the order in which foreign keys want them."""

Converter = Callable[[Any], Any] | None


@dataclass(frozen=True, slots=True)
class Statement:
    """How one kind of record is written: the text, and where each parameter comes from."""

    text: str
    parameters: tuple[tuple[str, Converter], ...]
    positional: bool

    def values(self, row: Row) -> tuple[Any, ...] | dict[str, Any]:
        """Return the parameters of one record, in the form that the driver takes."""
        found = [
            getattr(row, name) if convert is None else convert(getattr(row, name)) for name, convert in self.parameters
        ]
        if self.positional:
            return tuple(found)
        return {name: value for (name, _), value in zip(self.parameters, found, strict=True)}


class Statements:
    """The statements for one database."""

    def __init__(self, dialect: Dialect) -> None:
        self._of = {kind: _compile(kind, source, dialect) for kind, source in _SOURCES}

    def write(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Write records of any kinds inside the connection's transaction."""
        values: dict[type[Row], list[Any]] = {kind: [] for kind in self._of}
        for row in rows:
            # A row of no known kind is a KeyError: left out, it would count as recorded.
            values[type(row)].append(self._of[type(row)].values(row))
        for kind, statement in self._of.items():
            if values[kind]:
                connection.exec_driver_sql(statement.text, values[kind])


def _compile(kind: type[Row], source: Table | _Change, dialect: Dialect) -> Statement:
    names = [field.name for field in fields(kind)]
    if isinstance(source, _Change):
        columns, compiled = source.columns, source.statement.compile(dialect=dialect)
    else:
        columns = {name: source.c[name] for name in names}
        compiled = insert(source).compile(dialect=dialect, column_keys=names)
    if not isinstance(compiled, SQLCompiler):
        raise TypeError(kind)
    order = compiled.positiontup if compiled.positional else names
    parameters = tuple((name, _converter(columns[name], dialect)) for name in order or names)
    return Statement(str(compiled), parameters, compiled.positional)


def _converter(column: Column[Any], dialect: Dialect) -> Converter:
    return column.type.dialect_impl(dialect).bind_processor(dialect)
