"""
Integrations and their access lists; neither can be constructed invalid.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Self

from broker.domain.identity import Owner, has_controls
from broker.domain.package_manager import PackageManagerUrl
from broker.domain.scopes import ScopeSet
from broker.errors import (
    AmbiguousAccess,
    InvalidIntegrationDescription,
    InvalidIntegrationName,
    InvalidParameter,
    InvalidTemplateConfig,
)

TEMPLATE = "ppm"
"""The template of Package Manager integrations; they apply to every build without an association (vendor guide)."""

MAX_NAME = 255
MAX_DESCRIPTION = 4096
MAX_ENTRIES = 10_000


class Access(StrEnum):
    """Whom an integration admits. Said in words, because an empty list once meant both everyone and nobody."""

    EVERYONE = "everyone"
    RESTRICTED = "restricted"


class Kind(StrEnum):
    """What an entry of an access list names."""

    USER = "user"
    GROUP = "group"


@dataclass(frozen=True, slots=True, order=True)
class Principal:
    """A user or a group, by its immutable guid: a renamed or re-created name never inherits a grant."""

    kind: Kind
    guid: str


@dataclass(frozen=True, slots=True)
class AccessList:
    """
    Who may use an integration.

    A restricted list may be empty (it admits nobody); an open one has no entries.
    """

    access: Access
    principals: tuple[Principal, ...] = ()
    _members: frozenset[Principal] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_members", frozenset(self.principals))
        if self.access is Access.EVERYONE and self.principals:
            raise InvalidParameter(
                'access "everyone" takes no permissions: send "access": "restricted" to admit only those in the list'
            )
        if len(self.principals) > MAX_ENTRIES:
            raise InvalidParameter(f"an access list has at most {MAX_ENTRIES} entries; use a group instead")
        if len(self._members) != len(self.principals):
            twice = Counter(self.principals).most_common(1)[0][0]
            raise InvalidParameter(f"permissions name the {twice.kind} {twice.guid} twice")

    @classmethod
    def created(cls, access: Access | None, principals: Sequence[Principal] | None) -> Self:
        """Return the list of a new integration: without permissions it is open (the vendor's documented default)."""
        if access is None:
            access = Access.RESTRICTED if principals else Access.EVERYONE
        return cls(access, tuple(principals or ()))

    def changed(self, access: Access | None, principals: Sequence[Principal] | None) -> Self:
        """
        Return the list after a PATCH; what is None stays as it is.

        Raises AmbiguousAccess when the list would become empty without `access` saying what that means.
        """
        if access is Access.EVERYONE:
            return type(self)(access, tuple(principals or ()))
        if principals is None:
            return self if access is None else replace(self, access=access)
        if not principals and access is None:
            raise AmbiguousAccess(
                "this PATCH empties the permissions without saying who may use the integration then; send "
                '"access": "restricted" with it to admit nobody, or "access": "everyone" to admit every publisher'
            )
        return type(self)(Access.RESTRICTED, tuple(principals))

    def without(self, principal: Principal) -> Self:
        """Return the list after a user or group is gone; it stays restricted, even when nobody is left."""
        return replace(self, principals=tuple(p for p in self.principals if p != principal))

    def admitting(self, owner: Owner) -> Principal | None:
        """Return the entry that admits the owner, directly before through a group; None where none does."""
        return next((principal for principal in principals_of(owner) if principal in self._members), None)


def principals_of(owner: Owner) -> list[Principal]:
    """Return everything that an access list may name to admit this owner: the user first, then the groups."""
    return [Principal(Kind.USER, owner.user.guid), *(Principal(Kind.GROUP, guid) for guid in sorted(owner.group_guids))]


@dataclass(frozen=True, slots=True)
class PackageManagerConfig:
    """
    How the Package Manager of one integration is reached and what is asked there.

    `audience`, `subject` and `algorithm` None mean the broker's own settings. `scopes` may go beyond `repos:read` only
    with `allow_other_scopes`, so that an integration for builds does not turn into one for administration by a slip.
    """

    ppm_url: PackageManagerUrl
    scopes: ScopeSet
    audience: str | None = None
    subject: str | None = None
    algorithm: str | None = None
    allow_other_scopes: bool = False

    def __post_init__(self) -> None:
        if not self.scopes:
            raise InvalidTemplateConfig("config.scopes is empty; a build needs repos:read:<names> or repos:read:*")
        if not self.allow_other_scopes and self.scopes.only_read() != self.scopes:
            raise InvalidTemplateConfig(
                f'config.scopes "{self.scopes}" goes beyond repos:read, which is all that a build needs; '
                'set config.allow_other_scopes to "true" if that is intended'
            )
        for name, value in (("audience", self.audience), ("subject", self.subject)):
            if value is not None and (not value or len(value) > MAX_NAME or has_controls(value)):
                raise InvalidTemplateConfig(f"config.{name} must be 1 to {MAX_NAME} printable characters")


@dataclass(frozen=True, slots=True)
class Draft:
    """An integration as an administrator wants it, before it has ids and times."""

    name: str
    description: str
    config: PackageManagerConfig
    access: AccessList

    def __post_init__(self) -> None:
        if not self.name.strip() or len(self.name) > MAX_NAME or has_controls(self.name):
            raise InvalidIntegrationName(f"name must be 1 to {MAX_NAME} printable characters")
        if len(self.description) > MAX_DESCRIPTION or has_controls(self.description, allowed="\n\r\t"):
            raise InvalidIntegrationDescription(f"description must be at most {MAX_DESCRIPTION} printable characters")


@dataclass(frozen=True, slots=True)
class Permission:
    """An entry of an access list as the vendor's API shows it."""

    id: str
    guid: str
    principal: Principal


@dataclass(frozen=True, slots=True)
class Integration:
    """A Package Manager, what to ask for there, and who may have it."""

    id: str
    guid: str
    created_time: datetime
    updated_time: datetime
    draft: Draft
    permissions: tuple[Permission, ...]

    @property
    def name(self) -> str:
        """The name that people see."""
        return self.draft.name

    @property
    def config(self) -> PackageManagerConfig:
        """Where the Package Manager is and what is asked for."""
        return self.draft.config

    @property
    def access(self) -> AccessList:
        """Who may use the integration."""
        return self.draft.access
