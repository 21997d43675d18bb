"""
The policy of one instant: everything that a decision depends on, immutable and indexed.

A decision asks it only what the owner can use; its cost does not grow with what else exists. `version` is the number
under which the decision is recorded: the record is refused when the policy has moved on (docs/architecture.md).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

from broker.domain.content import Content
from broker.domain.identity import ApiKey, Owner, User
from broker.domain.integrations import Access, Integration, Principal, principals_of

_NO_GROUPS: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Policy:
    """Users, groups, keys, integrations and content, as of `version`. Build it with `of`."""

    version: int
    _users: Mapping[str, User]
    _guids: Mapping[str, str]
    _groups: Mapping[str, frozenset[str]]
    _keys: Mapping[str, ApiKey]
    _open: tuple[Integration, ...]
    _restricted: tuple[Integration, ...]
    _admitted: Mapping[Principal, tuple[Integration, ...]]
    _order: Mapping[str, int]
    _all: tuple[Integration, ...]
    _content_owners: Mapping[str, str]

    @classmethod
    def of(
        cls,
        version: int,
        *,
        users: Iterable[User],
        memberships: Iterable[tuple[str, str]],
        keys: Iterable[ApiKey],
        integrations: Sequence[Integration],
        contents: Iterable[Content] = (),
    ) -> Self:
        """
        Build the indexes.

        `memberships` are pairs of user guid and group guid; `integrations` come in the order of their creation.
        """
        people = {user.guid: user for user in users}
        groups: dict[str, set[str]] = defaultdict(set)
        for user_guid, group_guid in memberships:
            groups[user_guid].add(group_guid)
        admitted: dict[Principal, list[Integration]] = defaultdict(list)
        for integration in integrations:
            for principal in integration.access.principals:
                admitted[principal].append(integration)
        return cls(
            version,
            MappingProxyType(people),
            MappingProxyType({user.username: user.guid for user in people.values()}),
            MappingProxyType({guid: frozenset(of_user) for guid, of_user in groups.items()}),
            MappingProxyType({key.sha256: key for key in keys}),
            tuple(i for i in integrations if i.access.access is Access.EVERYONE),
            tuple(i for i in integrations if i.access.access is Access.RESTRICTED),
            MappingProxyType({principal: tuple(some) for principal, some in admitted.items()}),
            MappingProxyType({integration.guid: n for n, integration in enumerate(integrations)}),
            tuple(integrations),
            MappingProxyType({content.guid: content.owner_guid for content in contents}),
        )

    def user(self, guid: str) -> User | None:
        """Return the user with this guid."""
        return self._users.get(guid)

    def key(self, sha256: str) -> ApiKey | None:
        """Return the API key with this SHA-256 (hex)."""
        return self._keys.get(sha256)

    def owner(self, *, guid: str | None = None, username: str | None = None) -> Owner | None:
        """Return a user with the groups of this instant, by guid or by exact user name."""
        found = guid if guid is not None else self._guids.get(username or "")
        user = self._users.get(found) if found is not None else None
        return None if user is None else Owner(user, self._groups.get(user.guid, _NO_GROUPS))

    def integration(self, guid: str) -> Integration | None:
        """Return the integration with this guid."""
        place = self._order.get(guid)
        return None if place is None else self._all[place]

    def content_owner(self, guid: str) -> str | None:
        """Return the guid of the user who owns this content; None where the content is not registered here."""
        return self._content_owners.get(guid)

    def candidates(self, owner: Owner) -> list[Integration]:
        """Return the integrations that admit the owner, in the order of their creation."""
        found = [*self._open, *self._admitting(owner).values()]
        return sorted(found, key=lambda integration: self._order[integration.guid])

    def closed_to(self, owner: Owner) -> Iterator[Integration]:
        """Yield the integrations that do not admit the owner; lazily, since there may be many."""
        inside = self._admitting(owner)
        return (integration for integration in self._restricted if integration.guid not in inside)

    def count_closed_to(self, owner: Owner) -> int:
        """Return how many integrations `closed_to` would yield, without looking at each."""
        return len(self._restricted) - len(self._admitting(owner))

    def _admitting(self, owner: Owner) -> dict[str, Integration]:
        return {
            integration.guid: integration
            for principal in principals_of(owner)
            for integration in self._admitted.get(principal, ())
        }
