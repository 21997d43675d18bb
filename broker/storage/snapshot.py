"""
The policy in memory: read as a whole, replaced as a whole, read again only when its version moved.
"""

import threading

from sqlalchemy import Connection, Engine, select

from broker.domain.policy import Policy
from broker.storage import rows, tables
from broker.storage.contents import SqlContents
from broker.storage.engine import reading
from broker.storage.integrations import load_all

_VERSION = select(tables.policy.c.version)
_MEMBERS = select(tables.members.c.user_guid, tables.members.c.group_guid)


class Snapshot:
    """The policy source of one process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._policy = self._read()

    def current(self) -> Policy:
        """Return the policy last read."""
        return self._policy

    def refresh(self) -> Policy:
        """Return the stored policy; asks the database for its version and reads it only where that moved."""
        with self._lock:
            with reading(self._engine) as connection:
                moved = connection.scalars(_VERSION).one() != self._policy.version
            if moved:
                self._policy = self._read()
            return self._policy

    def _read(self) -> Policy:
        with reading(self._engine) as connection:
            return load(connection)


def load(connection: Connection) -> Policy:
    """Read the policy in one transaction: its parts belong together."""
    return Policy.of(
        connection.scalars(_VERSION).one(),
        users=[rows.user_of(row) for row in connection.execute(select(tables.users)).mappings()],
        memberships=[(user, group) for user, group in connection.execute(_MEMBERS)],
        keys=[rows.key_of(row) for row in connection.execute(select(tables.api_keys)).mappings()],
        integrations=load_all(connection),
        contents=SqlContents(connection).all(),
    )
