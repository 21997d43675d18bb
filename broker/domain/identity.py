"""
Who owns content, who calls the broker, and what a role allows.
"""

import re
import unicodedata
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from broker.errors import InvalidGroupName, InvalidUsername, OwnerLocked, OwnerNotPublisher

_USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_MAX_NAME = 255


class Role(StrEnum):
    """What a user may do, in rising order (vendor API: `user_role`)."""

    VIEWER = "viewer"
    PUBLISHER = "publisher"
    ADMINISTRATOR = "administrator"

    @property
    def rank(self) -> int:
        """Position in the order of rights; a higher rank includes the lower ones."""
        return _RANKS[self]

    def capped(self, ceiling: "Role | None") -> "Role":
        """Return the lesser of the two: the role of a key never exceeds that of its user."""
        return self if ceiling is None or self.rank <= ceiling.rank else ceiling


_RANKS = {role: rank for rank, role in enumerate(Role)}


@dataclass(frozen=True, slots=True)
class User:
    """A person or a build system that has an account; the field names are those of the vendor's API."""

    guid: str
    username: str
    role: Role
    created_time: datetime
    updated_time: datetime
    email: str = ""
    first_name: str = ""
    last_name: str = ""
    external_id: str | None = None
    active_time: datetime | None = None
    locked: bool = False

    @property
    def full_name(self) -> str:
        """First and last name; empty where neither is known."""
        return f"{self.first_name} {self.last_name}".strip()


@dataclass(frozen=True, slots=True)
class Group:
    """A named set of users. Access lists refer to its guid, so a group re-created under an old name is another one."""

    guid: str
    name: str
    owner_guid: str | None
    member_count: int = 0


@dataclass(frozen=True, slots=True)
class ApiKey:
    """
    A key of a user, without the key itself: only its SHA-256 is kept.

    `role` caps the user's role; None leaves it as it is. `expires_time` None means never.
    """

    id: str
    user_guid: str
    name: str
    sha256: str = field(repr=False)
    role: Role | None
    created_time: datetime
    active_time: datetime | None = None
    expires_time: datetime | None = None

    def is_expired(self, now: datetime) -> bool:
        """Whether the key has ended by itself."""
        return self.expires_time is not None and self.expires_time <= now


@dataclass(frozen=True, slots=True)
class KeyUsed:
    """A key was used at `time`, about: uses within minutes of each other are one."""

    key_sha256: str
    time: datetime


@dataclass(frozen=True, slots=True)
class UserActive:
    """A user was active at `time`, about."""

    user_guid: str
    time: datetime


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request, after authentication: a user with the role that the presented key allows."""

    user: User
    role: Role
    key_id: str

    @property
    def name(self) -> str:
        """The name that the audit and the assertion's `act` claim carry."""
        return self.user.username


@dataclass(frozen=True, slots=True)
class Owner:
    """The user whose content is built, with the groups of that instant."""

    user: User
    group_guids: frozenset[str]

    def must_be_able_to_build(self) -> None:
        """Raise OwnerLocked or OwnerNotPublisher where this user cannot own a build."""
        if self.user.locked:
            raise OwnerLocked(
                f"{self.user.username} is locked and cannot own a build; an administrator can unlock the account",
                payload={"owner_guid": self.user.guid},
            )
        if self.user.role.rank < Role.PUBLISHER.rank:
            raise OwnerNotPublisher(
                f"{self.user.username} is a {self.user.role} and cannot own a build; "
                "an administrator can make the account a publisher",
                payload={"owner_guid": self.user.guid},
            )


def checked_username(text: str) -> str:
    """Return the user name unchanged, or raise InvalidUsername."""
    if not _USERNAME.fullmatch(text):
        raise InvalidUsername(
            "a user name has 1 to 64 characters, starts with a letter or digit and goes on with letters, digits, "
            f"dots, hyphens, underscores or @; got {text[:80]!r}"
        )
    return text


def checked_group_name(text: str) -> str:
    """Return the group name unchanged, or raise InvalidGroupName."""
    if not text.strip() or text != text.strip() or len(text) > _MAX_NAME or has_controls(text):
        raise InvalidGroupName(
            f"a group name has 1 to {_MAX_NAME} printable characters without white space at its ends; got {text[:80]!r}"
        )
    return text


def has_controls(text: str, *, allowed: str = "") -> bool:
    """
    Whether the text has control, format or unassigned characters, which could hide or forge a line of a report.
    """
    return any(unicodedata.category(character).startswith("C") and character not in allowed for character in text)


def folded(name: str) -> str:
    """Return the form in which names are compared for being taken: `Alice` and `alice` do not live side by side."""
    return unicodedata.normalize("NFKC", name).casefold()
