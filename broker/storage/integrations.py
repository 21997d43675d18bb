"""
Integrations and their access lists in SQL.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from broker.domain.integrations import Draft, Integration, Kind, Permission, Principal
from broker.ports import Ids
from broker.storage import rows
from broker.storage.tables import integrations, permissions


class SqlIntegrations:
    """The integrations of one transaction."""

    def __init__(self, connection: Connection, ids: Ids) -> None:
        self._connection = connection
        self._ids = ids

    def add(self, guid: str, draft: Draft, now: datetime) -> Integration:
        """Store a new integration and return it with its ids."""
        values = {**rows.integration_values(draft), "guid": guid, "created_time": now, "updated_time": now}
        number = self._connection.execute(insert(integrations).values(values).returning(integrations.c.id)).scalar_one()
        self._admit(number, draft.access.principals)
        return self._existing(guid)

    def get(self, guid: str) -> Integration | None:
        """Return the integration with this guid, or None."""
        row = self._connection.execute(select(integrations).where(integrations.c.guid == guid)).mappings().first()
        if row is None:
            return None
        query = select(permissions).where(permissions.c.integration_id == row["id"]).order_by(permissions.c.id)
        entries = [rows.permission_of(entry) for entry in self._connection.execute(query).mappings()]
        return rows.integration_of(row, entries)

    def all(self) -> Sequence[Integration]:
        """List in the order of creation."""
        return load_all(self._connection)

    def replace(self, guid: str, draft: Draft, now: datetime) -> Integration:
        """Change an integration that exists; entries of the access list that stay keep their ids."""
        before = self._existing(guid)
        values = {**rows.integration_values(draft), "updated_time": now}
        self._connection.execute(update(integrations).where(integrations.c.guid == guid).values(values))
        kept = set(draft.access.principals)
        gone = [int(entry.id) for entry in before.permissions if entry.principal not in kept]
        for number in gone:
            self._connection.execute(delete(permissions).where(permissions.c.id == number))
        had = set(before.access.principals)
        self._admit(int(before.id), [p for p in draft.access.principals if p not in had])
        return self._existing(guid)

    def delete(self, guid: str) -> None:
        """Delete the integration; its access list goes with it, by its foreign key."""
        self._connection.execute(delete(integrations).where(integrations.c.guid == guid))

    def _existing(self, guid: str) -> Integration:
        found = self.get(guid)
        if found is None:
            raise LookupError(guid)
        return found

    def _admit(self, integration_id: int, principals: Iterable[Principal]) -> None:
        entries = [
            {
                "guid": self._ids.guid(),
                "integration_id": integration_id,
                "user_guid": principal.guid if principal.kind is Kind.USER else None,
                "group_guid": principal.guid if principal.kind is Kind.GROUP else None,
            }
            for principal in principals
        ]
        if entries:
            self._connection.execute(insert(permissions), entries)


def load_all(connection: Connection) -> list[Integration]:
    """Read every integration with its access list in two queries, in the order of creation."""
    entries: dict[int, list[Permission]] = defaultdict(list)
    for row in connection.execute(select(permissions).order_by(permissions.c.id)).mappings():
        entries[row["integration_id"]].append(rows.permission_of(row))
    query = select(integrations).order_by(integrations.c.id)
    return [rows.integration_of(row, entries[row["id"]]) for row in connection.execute(query).mappings()]
