"""
Who got what, when and why: one frozen event for each thing that happened, denials included, never a secret.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Action(StrEnum):
    """What was done or tried; the values are stable, docs/audit.md describes each."""

    BROKER_INITIALISED = "broker.initialised"
    BUILD_OPENED = "build.opened"
    BUILD_REFUSED = "build.refused"
    BUILD_FINISHED = "build.finished"
    CREDENTIAL_OBTAINED = "credential.obtained"
    CREDENTIAL_FAILED = "credential.failed"
    INTEGRATION_CREATED = "integration.created"
    INTEGRATION_CHANGED = "integration.changed"
    INTEGRATION_DELETED = "integration.deleted"
    VERIFICATION_BEGUN = "integration.verification_begun"
    INTEGRATION_VERIFIED = "integration.verified"
    CONTENT_CREATED = "content.created"
    CONTENT_CHANGED = "content.changed"
    CONTENT_DELETED = "content.deleted"
    USER_CREATED = "user.created"
    USER_CHANGED = "user.changed"
    USER_LOCKED = "user.locked"
    USER_UNLOCKED = "user.unlocked"
    GROUP_CREATED = "group.created"
    GROUP_CHANGED = "group.changed"
    GROUP_DELETED = "group.deleted"
    MEMBER_ADDED = "group.member_added"
    MEMBER_REMOVED = "group.member_removed"
    KEY_CREATED = "key.created"
    KEY_DELETED = "key.deleted"
    SIGNING_KEY_PUBLISHED = "signing_key.published"
    SIGNING_KEY_RESCHEDULED = "signing_key.rescheduled"
    SIGNING_KEY_REVOKED = "signing_key.revoked"
    SIGNING_KEY_ERASED = "signing_key.erased"


class Outcome(StrEnum):
    """How it ended."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Event:
    """
    One line of the audit.

    `actor` is the guid of the caller (or "system", or "operator" for the machine's command line), `target` the guid of
    what it was done to, or the kid of a signing key. `detail` holds small JSON values; a token appears in it only as
    its SHA-256.
    """

    time: datetime
    actor: str
    action: Action
    target: str | None
    outcome: Outcome = Outcome.ALLOWED
    correlation_id: str | None = None
    detail: Mapping[str, object] = field(default_factory=dict)
