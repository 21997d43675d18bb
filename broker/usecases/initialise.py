"""
Make the first administrator, once.
"""

from dataclasses import dataclass

from broker.domain.audit import Action, Event
from broker.domain.identity import ApiKey, Role, User, checked_username
from broker.domain.secrets import Secret
from broker.errors import AlreadyInitialised
from broker.ports import Clock, Ids, Store


@dataclass(frozen=True, slots=True)
class Initialise:
    """Create the administrator whose key everything else starts from."""

    store: Store
    clock: Clock
    ids: Ids

    def __call__(self, username: str) -> Secret:
        """
        Return the first API key; it is not kept and cannot be shown again.

        Raises AlreadyInitialised when there is an administrator, InvalidUsername, RecordUnavailable.
        """
        now = self.clock.now()
        user = User(self.ids.guid(), checked_username(username), Role.ADMINISTRATOR, now, now)
        key = self.ids.api_key()
        with self.store.transaction() as transaction:
            if transaction.people.administrators() > 0:
                raise AlreadyInitialised(
                    "there is an administrator already; sign in with that key, or make another key with it"
                )
            transaction.people.add_user(user)
            transaction.people.add_key(ApiKey("", user.guid, "first key", key.sha256(), None, now))
            transaction.audit(Event(now, "system", Action.BROKER_INITIALISED, user.guid))
            transaction.policy_changed()
        return key
