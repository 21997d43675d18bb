"""
The administrator's reads and writes: everything that is not the hot path.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

from sqlalchemy import Connection, Engine, Table, select, update

from broker.domain.audit import Event
from broker.domain.builds import Build
from broker.domain.integrations import Kind, Principal
from broker.errors import RecordUnavailable
from broker.ports import Ids
from broker.storage import tables
from broker.storage.contents import SqlContents
from broker.storage.engine import reading, writing
from broker.storage.integrations import SqlIntegrations
from broker.storage.people import SqlPeople
from broker.storage.snapshot import Snapshot
from broker.storage.statements import Statements


class SqlTransaction:
    """One open transaction on one connection."""

    def __init__(self, connection: Connection, ids: Ids, statements: Statements) -> None:
        self._connection = connection
        self._statements = statements
        self.people = SqlPeople(connection)
        self.integrations = SqlIntegrations(connection, ids)
        self.contents = SqlContents(connection)
        self.changes_policy = False

    def build(self, guid: str) -> Build | None:
        """Return the build with this guid."""
        row = self._connection.execute(select(tables.builds).where(tables.builds.c.guid == guid)).mappings().first()
        return None if row is None else Build(**row)

    def missing(self, principals: Iterable[Principal]) -> Sequence[Principal]:
        """Return those that name no user and no group."""
        wanted = list(principals)
        found = {
            Principal(kind, guid)
            for kind, table in ((Kind.USER, tables.users), (Kind.GROUP, tables.groups))
            for guid in self._existing(table, [p.guid for p in wanted if p.kind is kind])
        }
        return [principal for principal in wanted if principal not in found]

    def audit(self, event: Event) -> None:
        """Write an event; it stands or falls with the transaction."""
        self._statements.write(self._connection, [event])

    def policy_changed(self) -> None:
        """Say that decisions made before this transaction are outdated."""
        self._connection.execute(update(tables.policy).values(version=tables.policy.c.version + 1))
        self.changes_policy = True

    def _existing(self, table: Table, guids: Sequence[str]) -> Iterator[str]:
        for start in range(0, len(guids), _CHUNK):
            chunk = guids[start : start + _CHUNK]
            yield from self._connection.scalars(select(table.c.guid).where(table.c.guid.in_(chunk)))


_CHUNK = 500
"""Values of one IN list; databases bound the parameters of a statement."""


class SqlStore:
    """The store on a SQL database; keeps the policy in memory in step with its own changes."""

    def __init__(self, engine: Engine, snapshot: Snapshot, ids: Ids) -> None:
        self._engine = engine
        self._ids = ids
        self._snapshot = snapshot
        self._statements = Statements(engine.dialect)

    @contextmanager
    def transaction(self) -> Iterator[SqlTransaction]:
        """Open a transaction that writes; after a change of the policy, the next decision of this process sees it."""
        with writing(self._engine) as connection:
            transaction = SqlTransaction(connection, self._ids, self._statements)
            yield transaction
        if transaction.changes_policy:
            # The change is made, whatever happens here; decisions on the older policy are refused when recorded.
            with suppress(RecordUnavailable):
                self._snapshot.refresh()

    @contextmanager
    def reading(self) -> Iterator[SqlTransaction]:
        """Open a transaction that only reads."""
        with reading(self._engine) as connection:
            yield SqlTransaction(connection, self._ids, self._statements)
