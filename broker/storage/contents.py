"""
Content and its owners in SQL.
"""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from broker.domain.content import Content
from broker.errors import Conflict, DuplicateContentName
from broker.storage.tables import contents

_CONTENT = select(contents.c.guid, contents.c.name, contents.c.owner_guid, contents.c.created_time)


class SqlContents:
    """The content of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, content: Content) -> None:
        """Raise Conflict where the guid is taken, DuplicateContentName where the owner has that name already."""
        if self.get(content.guid) is not None:
            raise Conflict(f"there is content {content.guid} already")
        try:
            self._connection.execute(insert(contents).values(asdict(content)))
        except IntegrityError:
            raise _duplicate(content) from None

    def get(self, guid: str) -> Content | None:
        """Return the content with this guid."""
        row = self._connection.execute(_CONTENT.where(contents.c.guid == guid)).mappings().first()
        return None if row is None else Content(**row)

    def all(self, *, name: str | None = None, owner_guid: str | None = None) -> Sequence[Content]:
        """List in the order of creation, only those with this name and of this owner where they are given."""
        query = _CONTENT.order_by(contents.c.id)
        if name is not None:
            query = query.where(contents.c.name == name)
        if owner_guid is not None:
            query = query.where(contents.c.owner_guid == owner_guid)
        return [Content(**row) for row in self._connection.execute(query).mappings()]

    def replace(self, content: Content) -> None:
        """Change content that exists. Raise DuplicateContentName where its owner has that name already."""
        try:
            self._connection.execute(update(contents).where(contents.c.guid == content.guid).values(asdict(content)))
        except IntegrityError:
            raise _duplicate(content) from None

    def delete(self, guid: str) -> None:
        """Delete the content; builds of it stay on record."""
        self._connection.execute(delete(contents).where(contents.c.guid == guid))


def _duplicate(content: Content) -> DuplicateContentName:
    return DuplicateContentName(
        f"this owner has content named {content.name!r} already; the names of one owner's content differ"
    )
