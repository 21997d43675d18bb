"""
Users, groups and their members.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from broker.domain.audit import Action
from broker.domain.callers import Right
from broker.domain.identity import Group, Role, User, checked_group_name, checked_username
from broker.errors import InvalidUserGuid, LastAdministrator, NotFound, NothingToRemove, NothingToUpdate
from broker.ports import Clock, Ids, Listing, Page, Transaction
from broker.usecases.road import Act, Change, Road


@dataclass(frozen=True, slots=True)
class UserFields:
    """What can be said about a user; None leaves it as it is (or at its default)."""

    username: str | None = None
    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    role: Role | None = None
    external_id: str | None = None

    def given(self) -> dict[str, Any]:
        """Return what is not None."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class ManagePeople:
    """The administrator's view of people. Every call raises PermissionDenied and RecordUnavailable as well."""

    road: Road
    ids: Ids
    clock: Clock

    def create_user(self, act: Act, fields: UserFields) -> User:
        """Create a user, as a viewer unless said otherwise. Raises InvalidUsername, DuplicateUsername."""

        def work(transaction: Transaction) -> Change[User]:
            now = self.clock.now()
            blank = User(self.ids.guid(), checked_username(fields.username or ""), Role.VIEWER, now, now)
            user = _with(blank, fields)
            transaction.people.add_user(user)
            return Change(user, user.guid, {"after": _summary(user)})

        return self.road.change(act, Right.MANAGE_PEOPLE, Action.USER_CREATED, work)

    def user(self, act: Act, guid: str) -> User:
        """Return one user. Raises NotFound."""
        return self.road.read(act, Right.READ_PEOPLE, lambda transaction: _user(transaction, guid))

    def users(
        self, act: Act, page: Page, *, prefix: str, roles: Collection[Role], locked: bool | None
    ) -> Listing[User]:
        """List users by name, only those with one of the roles where some are given."""
        return self.road.read(
            act,
            Right.READ_PEOPLE,
            lambda transaction: transaction.people.users(page, prefix=prefix, roles=roles, locked=locked),
        )

    def change_user(self, act: Act, guid: str, fields: UserFields) -> User:
        """Change a user. Raises NotFound, NothingToUpdate, InvalidUsername, DuplicateUsername, LastAdministrator."""

        def work(transaction: Transaction) -> Change[User]:
            if not fields.given():
                raise NothingToUpdate("send at least one field of the user")
            before = _user(transaction, guid)
            user = replace(_with(before, fields), updated_time=self.clock.now())
            transaction.people.change_user(user)
            _somebody_must_administer(transaction)
            return Change(user, guid, {"before": _summary(before), "after": _summary(user)})

        return self.road.change(act, Right.MANAGE_PEOPLE, Action.USER_CHANGED, work, target=guid)

    def lock_user(self, act: Act, guid: str, *, locked: bool) -> User:
        """Lock or unlock a user: a locked one neither calls nor owns builds. Raises NotFound, LastAdministrator."""

        def work(transaction: Transaction) -> Change[User]:
            user = replace(_user(transaction, guid), locked=locked, updated_time=self.clock.now())
            transaction.people.change_user(user)
            _somebody_must_administer(transaction)
            return Change(user, guid, {"after": _summary(user)})

        action = Action.USER_LOCKED if locked else Action.USER_UNLOCKED
        return self.road.change(act, Right.MANAGE_PEOPLE, action, work, target=guid)

    def create_group(self, act: Act, name: str) -> Group:
        """Create a group without members. Raises InvalidGroupName, DuplicateGroupName."""

        def work(transaction: Transaction) -> Change[Group]:
            group = Group(self.ids.guid(), checked_group_name(name), act.caller.user.guid)
            transaction.people.add_group(group)
            return Change(group, group.guid, {"name": name})

        return self.road.change(act, Right.MANAGE_PEOPLE, Action.GROUP_CREATED, work)

    def group(self, act: Act, guid: str) -> Group:
        """Return one group. Raises NotFound."""
        return self.road.read(act, Right.READ_PEOPLE, lambda transaction: _group(transaction, guid))

    def groups(self, act: Act, page: Page, *, prefix: str) -> Listing[Group]:
        """List groups by name."""
        return self.road.read(
            act, Right.READ_PEOPLE, lambda transaction: transaction.people.groups(page, prefix=prefix)
        )

    def rename_group(self, act: Act, guid: str, name: str) -> Group:
        """Rename a group; access lists go by its guid and do not change. Raises NotFound, DuplicateGroupName."""

        def work(transaction: Transaction) -> Change[Group]:
            before = _group(transaction, guid)
            group = replace(before, name=checked_group_name(name))
            transaction.people.change_group(group)
            return Change(group, guid, {"before": before.name, "after": name})

        return self.road.change(act, Right.MANAGE_PEOPLE, Action.GROUP_CHANGED, work, target=guid)

    def delete_group(self, act: Act, guid: str) -> None:
        """Delete a group; integrations that admitted only it admit nobody then. Raises NotFound."""

        def work(transaction: Transaction) -> Change[None]:
            before = _group(transaction, guid)
            transaction.people.delete_group(guid)
            return Change(None, guid, {"before": before.name, "member_count": before.member_count})

        self.road.change(act, Right.MANAGE_PEOPLE, Action.GROUP_DELETED, work, target=guid)

    def members(self, act: Act, group_guid: str, page: Page, *, prefix: str) -> Listing[User]:
        """List the members of a group by user name. Raises NotFound."""

        def work(transaction: Transaction) -> Listing[User]:
            _group(transaction, group_guid)
            return transaction.people.members(group_guid, page, prefix=prefix)

        return self.road.read(act, Right.READ_PEOPLE, work)

    def add_member(self, act: Act, group_guid: str, user_guid: str) -> None:
        """Add a user to a group. Raises NotFound (no such group), InvalidUserGuid (no such user), DuplicateMember."""

        def work(transaction: Transaction) -> Change[None]:
            _group(transaction, group_guid)
            if transaction.people.user(user_guid) is None:
                raise InvalidUserGuid(f"there is no user {user_guid}")
            transaction.people.add_member(group_guid, user_guid)
            return Change(None, group_guid, {"user_guid": user_guid})

        self.road.change(act, Right.MANAGE_PEOPLE, Action.MEMBER_ADDED, work, target=group_guid)

    def remove_member(self, act: Act, group_guid: str, user_guid: str) -> None:
        """Remove a user from a group. Raises NotFound (no such group), NothingToRemove (no such member)."""

        def work(transaction: Transaction) -> Change[None]:
            _group(transaction, group_guid)
            if not transaction.people.remove_member(group_guid, user_guid):
                raise NothingToRemove(f"the user {user_guid} is not a member of this group")
            return Change(None, group_guid, {"user_guid": user_guid})

        self.road.change(act, Right.MANAGE_PEOPLE, Action.MEMBER_REMOVED, work, target=group_guid)


def _with(user: User, fields: UserFields) -> User:
    if fields.username is not None:
        checked_username(fields.username)
    return replace(user, **fields.given())


def _user(transaction: Transaction, guid: str) -> User:
    user = transaction.people.user(guid)
    if user is None:
        raise NotFound(f"there is no user {guid}")
    return user


def _group(transaction: Transaction, guid: str) -> Group:
    group = transaction.people.group(guid)
    if group is None:
        raise NotFound(f"there is no group {guid}")
    return group


def _somebody_must_administer(transaction: Transaction) -> None:
    if transaction.people.administrators() == 0:
        raise LastAdministrator("this would leave no administrator who is not locked; make somebody else one first")


def _summary(user: User) -> Mapping[str, object]:
    return {"username": user.username, "role": user.role, "locked": user.locked, "external_id": user.external_id}
