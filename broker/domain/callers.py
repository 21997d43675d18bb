"""
Who may call what: one function that identifies, one table that says what a role may do, and silence means no.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum, auto
from types import MappingProxyType

from broker.domain.identity import Caller, Role
from broker.domain.policy import Policy
from broker.errors import InvalidLogin, PermissionDenied


class Right(Enum):
    """What a caller may want to do."""

    READ_INTEGRATIONS = auto()
    MANAGE_INTEGRATIONS = auto()
    READ_PEOPLE = auto()
    MANAGE_PEOPLE = auto()
    MANAGE_OWN_KEYS = auto()
    OWN_CONTENT = auto()
    MANAGE_CONTENT = auto()
    BUILD_FOR_SELF = auto()
    BUILD_FOR_ANYONE = auto()


NEEDED: Mapping[Right, Role] = MappingProxyType(
    {
        Right.READ_INTEGRATIONS: Role.PUBLISHER,
        Right.MANAGE_INTEGRATIONS: Role.ADMINISTRATOR,
        Right.READ_PEOPLE: Role.VIEWER,
        Right.MANAGE_PEOPLE: Role.ADMINISTRATOR,
        Right.MANAGE_OWN_KEYS: Role.VIEWER,
        Right.OWN_CONTENT: Role.PUBLISHER,
        Right.MANAGE_CONTENT: Role.ADMINISTRATOR,
        Right.BUILD_FOR_SELF: Role.PUBLISHER,
        Right.BUILD_FOR_ANYONE: Role.ADMINISTRATOR,
    }
)
"""The least role for each right (vendor API where it says so; a build for somebody else is ours and needs the most)."""


def identify(policy: Policy, key_sha256: str, now: datetime) -> Caller:
    """
    Return who presents the API key with this SHA-256.

    Raises InvalidLogin, in the same words whatever is wrong: a stranger learns nothing about keys that exist.
    """
    key = policy.key(key_sha256)
    user = policy.user(key.user_guid) if key is not None else None
    if key is None or user is None or user.locked or key.is_expired(now):
        raise InvalidLogin(
            "the API key is not valid: it is unknown, deleted or expired, or its user is locked; "
            "an administrator can make a new one"
        )
    return Caller(user, user.role.capped(key.role), key.id)


def is_allowed(caller: Caller, right: Right) -> bool:
    """Whether the caller's role includes the right."""
    return caller.role.rank >= NEEDED[right].rank


def authorise(caller: Caller, right: Right) -> None:
    """Raise PermissionDenied unless the caller's role includes the right."""
    if not is_allowed(caller, right):
        raise PermissionDenied(
            f"{caller.name} calls as {caller.role}, and this takes {NEEDED[right]}; "
            "use another key, or ask an administrator",
            payload={"needed_role": NEEDED[right].value},
        )


def authorise_build(caller: Caller, owner_guid: str) -> None:
    """Raise PermissionDenied unless the caller may have a build for this owner."""
    authorise(caller, Right.BUILD_FOR_SELF if caller.user.guid == owner_guid else Right.BUILD_FOR_ANYONE)
