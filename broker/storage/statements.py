"""
The statements of the hot path, compiled once for the database in use and run as the driver's own text.

SQLAlchemy writes them, so they are right on every database; sending them through it row by row would cost as much as
the database itself (docs/benchmarks.md).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Column, Connection, Dialect, Executable, Table, bindparam, insert, update
from sqlalchemy.sql.compiler import SQLCompiler

from broker.domain.audit import Event
from broker.domain.builds import Build, BuildEnd, CredentialRecord, Decision
from broker.ports import Row
from broker.storage import tables

_BUILD_END = (
    update(tables.builds)
    .where(tables.builds.c.guid == bindparam("build_guid"), tables.builds.c.finished_time.is_(None))
    .values(finished_time=bindparam("time"))
)
_END_COLUMNS = {"build_guid": tables.builds.c.guid, "time": tables.builds.c.finished_time}

_SOURCES: tuple[tuple[type[Row], Table | None], ...] = (
    (Build, tables.builds),
    (Decision, tables.decisions),
    (CredentialRecord, tables.credentials),
    (BuildEnd, None),
    (Event, tables.audit),
)
"""In the order in which foreign keys want them; None is the one update."""

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
        self._of = {kind: _compile(kind, table, dialect) for kind, table in _SOURCES}

    def write(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Write records of any kinds inside the connection's transaction."""
        values: dict[type[Row], list[Any]] = {kind: [] for kind in self._of}
        for row in rows:
            # A row of no known kind is a KeyError: left out, it would count as recorded.
            values[type(row)].append(self._of[type(row)].values(row))
        for kind, statement in self._of.items():
            if values[kind]:
                connection.exec_driver_sql(statement.text, values[kind])


def _compile(kind: type[Row], table: Table | None, dialect: Dialect) -> Statement:
    names = [field.name for field in fields(kind)]
    executable: Executable = _BUILD_END if table is None else insert(table)
    columns = _END_COLUMNS if table is None else {name: table.c[name] for name in names}
    compiled = executable.compile(dialect=dialect, column_keys=None if table is None else names)  # type: ignore[attr-defined]
    if not isinstance(compiled, SQLCompiler):
        raise TypeError(kind)
    order = compiled.positiontup if compiled.positional else names
    parameters = tuple((name, _converter(columns[name], dialect)) for name in order or names)
    return Statement(str(compiled), parameters, compiled.positional)


def _converter(column: Column[Any], dialect: Dialect) -> Converter:
    return column.type.dialect_impl(dialect).bind_processor(dialect)
