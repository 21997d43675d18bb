"""
What the broker asks of the world: small Protocols, each with a contract suite in tests/contract.

Times are timezone-aware UTC. What may block says so; everything else answers from memory.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from broker.domain.audit import Event
from broker.domain.builds import Build, BuildEnd, CredentialRecord, Decision
from broker.domain.content import Content
from broker.domain.identity import ApiKey, Group, KeyUsed, Role, User, UserActive
from broker.domain.integrations import Draft, Integration, Principal
from broker.domain.package_manager import PackageManagerUrl, RepositoryToken
from broker.domain.policy import Policy
from broker.domain.secrets import Secret
from keys import Algorithm, KeyRing

T = TypeVar("T")

Row = Build | Decision | CredentialRecord | BuildEnd | Event | KeyUsed | UserActive
"""What the hot path records."""


class Clock(Protocol):
    """The time."""

    def now(self) -> datetime:
        """Return the present instant, in UTC."""
        ...


class Ids(Protocol):
    """Everything that must be unique or unguessable."""

    def guid(self) -> str:
        """Return a new random UUID in its canonical lower-case form."""
        ...

    def jti(self) -> str:
        """Return 128 random bits, URL-safe."""
        ...

    def api_key(self) -> Secret:
        """Return a new API key of 256 random bits with the prefix by which scanners know it."""
        ...


Ring = KeyRing
"""The signing keys of one instant, for use cases: those never import `keys` themselves."""


class KeyStore(Protocol):
    """Where signing keys live. Every call may block."""

    def load(self) -> KeyRing:
        """Return all keys; an empty ring before the first start."""
        ...

    def ensure(self, algorithms: Iterable[Algorithm], now: datetime) -> KeyRing:
        """Make a key that signs at once for each algorithm that has none; return all keys."""
        ...

    def update(self, change: Callable[[KeyRing], KeyRing]) -> KeyRing:
        """
        Compare and swap: put the answer of `change` in the place of the ring it was asked about, and return it.

        No write of another process is lost. Whatever `change` raises goes through, and nothing is written; a store that
        has versions and no lock may ask it again about a newer ring. The same ring as an answer writes nothing.
        """
        ...


class KeySchedule(Protocol):
    """What is to become of the signing keys; every answer is a ring, the same one where nothing is to be done."""

    def due(self, ring: KeyRing, now: datetime) -> KeyRing:
        """Return the ring as it should be now."""
        ...

    def rotated(self, ring: KeyRing, algorithm: str, now: datetime) -> KeyRing:
        """Return the ring with a successor of the algorithm's key on its way."""
        ...

    def revoked(self, ring: KeyRing, kids: Collection[str], now: datetime) -> KeyRing:
        """Return the ring without these keys; where one of them signed, another one does so at once."""
        ...


class PackageManager(Protocol):
    """A Package Manager as the broker uses it."""

    async def exchange(self, url: PackageManagerUrl, assertion: Secret) -> RepositoryToken:
        """
        Exchange an assertion for a repository token (RFC 8693) at this Package Manager and nowhere else.

        Raises a leaf of ExchangeFailed, and nothing else.
        """
        ...


class PolicySource(Protocol):
    """The policy of now."""

    def current(self) -> Policy:
        """Return the policy last read, from memory. It may be outdated; `Recorder.record` notices."""
        ...

    def refresh(self) -> Policy:
        """
        Return the policy as the storage has it now, read anew only where its version moved. Blocks.

        Raises RecordUnavailable when the storage does not answer.
        """
        ...


class Recorder(Protocol):
    """The record that goes before the act: what it has accepted is on disk."""

    async def record(self, rows: Sequence[Row], *, policy_version: int | None = None) -> None:
        """
        Write the rows in one transaction with whatever else waits, and return when they are durable.

        With a `policy_version`, nothing is written and PolicyChanged is raised when the stored policy is another one.
        Raises RecordUnavailable when nothing could be written.
        """
        ...

    def note(self, rows: Sequence[Row], *, patience: float = 0) -> None:
        """
        Write the rows soon, if it can be done. Raises nothing; what is lost is in the log.

        `patience` is how long to wait for it, in seconds; 0 does not block.
        """
        ...


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing; numbers start at 1."""

    number: int = 1
    size: int = 20


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """The objects of one page and how many there are on all pages."""

    results: Sequence[T]
    total: int


class People(Protocol):
    """Users, groups and keys inside a transaction. Lookups return None where there is nothing."""

    def add_user(self, user: User) -> None:
        """Raise DuplicateUsername where the name is taken, in whatever case."""
        ...

    def user(self, guid: str) -> User | None:
        """Return the user with this guid."""
        ...

    def users(
        self, page: Page, *, prefix: str = "", roles: Collection[Role] = (), locked: bool | None = None
    ) -> Listing[User]:
        """List by user name, only those with one of the roles where some are given."""
        ...

    def change_user(self, user: User) -> None:
        """Raise DuplicateUsername where a new name is taken."""
        ...

    def administrators(self) -> int:
        """Return how many users could administer the broker now: administrators who are not locked."""
        ...

    def add_group(self, group: Group) -> None:
        """Raise DuplicateGroupName where the name is taken, in whatever case."""
        ...

    def group(self, guid: str) -> Group | None:
        """Return the group with this guid."""
        ...

    def groups(self, page: Page, *, prefix: str = "") -> Listing[Group]:
        """List by name."""
        ...

    def change_group(self, group: Group) -> None:
        """Raise DuplicateGroupName where a new name is taken."""
        ...

    def delete_group(self, guid: str) -> None:
        """Delete the group, its memberships, and its entries in access lists, which stay restricted."""
        ...

    def add_member(self, group_guid: str, user_guid: str) -> None:
        """Raise DuplicateMember where the user is a member."""
        ...

    def remove_member(self, group_guid: str, user_guid: str) -> bool:
        """Return whether there was such a member."""
        ...

    def members(self, group_guid: str, page: Page, *, prefix: str = "") -> Listing[User]:
        """List by user name."""
        ...

    def add_key(self, key: ApiKey) -> ApiKey:
        """Return the key with its id."""
        ...

    def keys(self, user_guid: str) -> Sequence[ApiKey]:
        """List in the order of creation."""
        ...

    def delete_key(self, user_guid: str, key_id: str) -> bool:
        """Return whether there was such a key."""
        ...


class Integrations(Protocol):
    """Integrations inside a transaction."""

    def add(self, guid: str, draft: Draft, now: datetime) -> Integration:
        """Store a new integration and return it with its ids."""
        ...

    def get(self, guid: str) -> Integration | None:
        """Return the integration with this guid, or None."""
        ...

    def all(self) -> Sequence[Integration]:
        """List in the order of creation."""
        ...

    def replace(self, guid: str, draft: Draft, now: datetime) -> Integration:
        """Change an integration that exists; entries of the access list that stay keep their ids."""
        ...

    def delete(self, guid: str) -> None:
        """Delete the integration and its access list."""
        ...


class Contents(Protocol):
    """Content inside a transaction."""

    def add(self, content: Content) -> None:
        """Raise Conflict where the guid is taken, DuplicateContentName where the owner has that name already."""
        ...

    def get(self, guid: str) -> Content | None:
        """Return the content with this guid."""
        ...

    def all(self, *, name: str | None = None, owner_guid: str | None = None) -> Sequence[Content]:
        """List in the order of creation, only those with this name and of this owner where they are given."""
        ...

    def replace(self, content: Content) -> None:
        """Change content that exists. Raise DuplicateContentName where its owner has that name already."""
        ...

    def delete(self, guid: str) -> None:
        """Delete the content; builds of it stay on record."""
        ...


class Transaction(Protocol):
    """Reads and writes that happen together or not at all."""

    @property
    def people(self) -> People:
        """Users, groups and keys."""
        ...

    @property
    def integrations(self) -> Integrations:
        """Integrations and their access lists."""
        ...

    @property
    def contents(self) -> Contents:
        """Content and its owners."""
        ...

    def build(self, guid: str) -> Build | None:
        """Return the build with this guid."""
        ...

    def missing(self, principals: Iterable[Principal]) -> Sequence[Principal]:
        """Return those that name no user and no group."""
        ...

    def audit(self, event: Event) -> None:
        """Write an event; it stands or falls with the transaction."""
        ...

    def policy_changed(self) -> None:
        """Say that decisions made before this transaction are outdated."""
        ...


class Store(Protocol):
    """The durable state, for everything that is not the hot path. Blocks."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """
        Open a transaction that writes; it commits at the end of the block and rolls back on an exception.

        Raises RecordUnavailable when the storage cannot be used.
        """
        ...

    def reading(self) -> AbstractContextManager[Transaction]:
        """Open a transaction that only reads; it sees one consistent state and waits for no writer."""
        ...
