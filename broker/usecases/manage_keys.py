"""
API keys: made once, shown once, kept as SHA-256.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from broker.domain.audit import Action
from broker.domain.callers import Right
from broker.domain.identity import ApiKey, Role, has_controls
from broker.domain.secrets import Secret
from broker.errors import InvalidKeyName, InvalidParameter, KeyRoleTooHigh, NotFound
from broker.ports import Clock, Ids, Transaction
from broker.usecases.road import Act, Change, Road

MAX_NAME = 255


@dataclass(frozen=True, slots=True)
class NewKey:
    """The only moment at which a key and its record are seen together."""

    record: ApiKey
    key: Secret


@dataclass(frozen=True, slots=True)
class ManageKeys:
    """One's own keys; those of others for administrators. Raises PermissionDenied and RecordUnavailable as well."""

    road: Road
    ids: Ids
    clock: Clock

    def create(
        self, act: Act, user_guid: str, *, name: str, role: Role | None, expires_time: datetime | None
    ) -> NewKey:
        """
        Make a key.

        A key that calls with a capped role makes no key above that: otherwise it could lift its own cap.
        Raises NotFound (no such user), InvalidKeyName, KeyRoleTooHigh, InvalidParameter (an expiry in the past).
        """

        def work(transaction: Transaction) -> Change[NewKey]:
            user = transaction.people.user(user_guid)
            if user is None:
                raise NotFound(f"there is no user {user_guid}")
            key, now = self.ids.api_key(), self.clock.now()
            _check_name(name)
            if expires_time is not None and expires_time <= now:
                raise InvalidParameter("expires_at is in the past")
            ceiling = user.role.capped(act.caller.role)
            if role is not None and role.rank > ceiling.rank:
                raise KeyRoleTooHigh(f"user_role {role} is above {ceiling}, the most that this key may have")
            draft = ApiKey("", user_guid, name, key.sha256(), role or ceiling, now, expires_time=expires_time)
            record = transaction.people.add_key(draft)
            detail = {"key_id": record.id, "name": name, "role": record.role, "key_sha256": record.sha256}
            return Change(NewKey(record, key), user_guid, detail)

        return self.road.change(act, _right(act, user_guid), Action.KEY_CREATED, work, target=user_guid)

    def list(self, act: Act, user_guid: str) -> Sequence[ApiKey]:
        """Return the records of a user's keys. Raises NotFound."""

        def work(transaction: Transaction) -> Sequence[ApiKey]:
            if transaction.people.user(user_guid) is None:
                raise NotFound(f"there is no user {user_guid}")
            return transaction.people.keys(user_guid)

        return self.road.read(act, _right(act, user_guid), work)

    def get(self, act: Act, user_guid: str, key_id: str) -> ApiKey:
        """Return the record of one key. Raises NotFound."""
        found = [key for key in self.list(act, user_guid) if key.id == key_id]
        if not found:
            raise NotFound(f"this user has no API key {key_id}")
        return found[0]

    def delete(self, act: Act, user_guid: str, key_id: str) -> None:
        """Delete a key; it stops working with the next request. Raises NotFound."""

        def work(transaction: Transaction) -> Change[None]:
            if not transaction.people.delete_key(user_guid, key_id):
                raise NotFound(f"this user has no API key {key_id}")
            return Change(None, user_guid, {"key_id": key_id})

        self.road.change(act, _right(act, user_guid), Action.KEY_DELETED, work, target=user_guid)


def _right(act: Act, user_guid: str) -> Right:
    return Right.MANAGE_OWN_KEYS if act.caller.user.guid == user_guid else Right.MANAGE_PEOPLE


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > MAX_NAME or has_controls(name):
        raise InvalidKeyName(f"the name of a key has 1 to {MAX_NAME} printable characters")
