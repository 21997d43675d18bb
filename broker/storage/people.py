"""
Users, groups, members and API keys in SQL.
"""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from broker.domain.identity import ApiKey, Group, Role, User, folded
from broker.errors import DuplicateGroupName, DuplicateMember, DuplicateUsername
from broker.ports import Listing, Page
from broker.storage import rows
from broker.storage.tables import api_keys, groups, members, users

_MEMBER_COUNT = (
    select(func.count())
    .select_from(members)
    .where(members.c.group_guid == groups.c.guid)
    .scalar_subquery()
    .label("member_count")
)
_GROUP = select(groups.c.guid, groups.c.name, groups.c.owner_guid, _MEMBER_COUNT)


class SqlPeople:
    """The people of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add_user(self, user: User) -> None:
        """Raise DuplicateUsername where the name is taken, in whatever case."""
        try:
            self._connection.execute(insert(users).values(rows.user_values(user)))
        except IntegrityError:
            raise DuplicateUsername(
                f"there is a user {user.username!r} already (upper and lower case count as one)"
            ) from None

    def user(self, guid: str) -> User | None:
        """Return the user with this guid."""
        row = self._connection.execute(select(users).where(users.c.guid == guid)).mappings().first()
        return None if row is None else rows.user_of(row)

    def users(
        self, page: Page, *, prefix: str = "", roles: Collection[Role] = (), locked: bool | None = None
    ) -> Listing[User]:
        """List by user name, only those with one of the roles where some are given."""
        query = select(users).where(_starts(users.c.username_folded, prefix))
        if roles:
            query = query.where(users.c.role.in_([role.value for role in roles]))
        if locked is not None:
            query = query.where(users.c.locked.is_(locked))
        return self._user_page(query, page)

    def change_user(self, user: User) -> None:
        """Raise DuplicateUsername where a new name is taken."""
        try:
            self._connection.execute(update(users).where(users.c.guid == user.guid).values(rows.user_values(user)))
        except IntegrityError:
            raise DuplicateUsername(
                f"there is a user {user.username!r} already (upper and lower case count as one)"
            ) from None

    def administrators(self) -> int:
        """Return how many users could administer the broker now."""
        able = users.c.locked.is_(False) & (users.c.role == Role.ADMINISTRATOR.value)
        return self._count(select(users).where(able))

    def add_group(self, group: Group) -> None:
        """Raise DuplicateGroupName where the name is taken, in whatever case."""
        try:
            self._connection.execute(insert(groups).values(_group_values(group)))
        except IntegrityError:
            raise _duplicate_group(group) from None

    def group(self, guid: str) -> Group | None:
        """Return the group with this guid."""
        row = self._connection.execute(_GROUP.where(groups.c.guid == guid)).mappings().first()
        return None if row is None else Group(**row)

    def groups(self, page: Page, *, prefix: str = "") -> Listing[Group]:
        """List by name."""
        query = _GROUP.where(_starts(groups.c.name_folded, prefix))
        found = self._connection.execute(_paged(query.order_by(groups.c.name_folded), page)).mappings()
        return Listing([Group(**row) for row in found], self._count(query))

    def change_group(self, group: Group) -> None:
        """Raise DuplicateGroupName where a new name is taken."""
        try:
            self._connection.execute(update(groups).where(groups.c.guid == group.guid).values(_group_values(group)))
        except IntegrityError:
            raise _duplicate_group(group) from None

    def delete_group(self, guid: str) -> None:
        """Delete the group; memberships and entries of access lists go with it, by their foreign keys."""
        self._connection.execute(delete(groups).where(groups.c.guid == guid))

    def add_member(self, group_guid: str, user_guid: str) -> None:
        """Raise DuplicateMember where the user is a member."""
        try:
            self._connection.execute(insert(members).values(group_guid=group_guid, user_guid=user_guid))
        except IntegrityError:
            raise DuplicateMember("the user is a member of this group already") from None

    def remove_member(self, group_guid: str, user_guid: str) -> bool:
        """Return whether there was such a member."""
        which = (members.c.group_guid == group_guid) & (members.c.user_guid == user_guid)
        return self._connection.execute(delete(members).where(which)).rowcount > 0

    def members(self, group_guid: str, page: Page, *, prefix: str = "") -> Listing[User]:
        """List by user name."""
        query = (
            select(users)
            .join(members, members.c.user_guid == users.c.guid)
            .where(members.c.group_guid == group_guid, _starts(users.c.username_folded, prefix))
        )
        return self._user_page(query, page)

    def add_key(self, key: ApiKey) -> ApiKey:
        """Return the key with its id."""
        values = {
            "user_guid": key.user_guid,
            "name": key.name,
            "sha256": key.sha256,
            "role": key.role.value if key.role else None,
            "created_time": key.created_time,
            "expires_time": key.expires_time,
        }
        stored = self._connection.execute(insert(api_keys).values(values).returning(api_keys)).mappings().one()
        return rows.key_of(stored)

    def keys(self, user_guid: str) -> Sequence[ApiKey]:
        """List in the order of creation."""
        query = select(api_keys).where(api_keys.c.user_guid == user_guid).order_by(api_keys.c.id)
        return [rows.key_of(row) for row in self._connection.execute(query).mappings()]

    def delete_key(self, user_guid: str, key_id: str) -> bool:
        """Return whether there was such a key."""
        if not key_id.isdecimal() or len(key_id) > _MAX_DIGITS:
            return False
        which = (api_keys.c.user_guid == user_guid) & (api_keys.c.id == int(key_id))
        return self._connection.execute(delete(api_keys).where(which)).rowcount > 0

    def _user_page(self, query: Select[Any], page: Page) -> Listing[User]:
        found = self._connection.execute(_paged(query.order_by(users.c.username_folded), page)).mappings()
        return Listing([rows.user_of(row) for row in found], self._count(query))

    def _count(self, query: Select[Any]) -> int:
        return self._connection.scalar(select(func.count()).select_from(query.subquery())) or 0


_MAX_DIGITS = 18


def _paged(query: Select[Any], page: Page) -> Select[Any]:
    return query.limit(page.size).offset((page.number - 1) * page.size)


def _starts(column: ColumnElement[str], prefix: str) -> ColumnElement[bool]:
    return column.startswith(folded(prefix), autoescape=True)


def _group_values(group: Group) -> dict[str, Any]:
    return {"guid": group.guid, "name": group.name, "name_folded": folded(group.name), "owner_guid": group.owner_guid}


def _duplicate_group(group: Group) -> DuplicateGroupName:
    return DuplicateGroupName(f"there is a group {group.name!r} already (upper and lower case count as one)")
