"""
The JSON objects of the administration: what is read strictly, and what is shown.
"""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from broker.domain.content import Content
from broker.domain.identity import ApiKey, Group, Role, User, has_controls
from broker.domain.integrations import TEMPLATE, Access, Integration, Kind, Permission, Principal
from broker.domain.templates import to_values
from broker.errors import InvalidParameter
from broker.ports import Listing, Page
from broker.web.builds import Guid, rfc3339

AUTH_TYPE = "Service Account"
"""How `ppm` integrations authenticate, in the vendor's words: by an identity of the server, not of the viewer."""


def _printable(text: str) -> str:
    # These texts become claims, and lines of somebody else's log: a line break in a name would forge one.
    if has_controls(text):
        raise PydanticCustomError("not_printable", "Input should not have control or unprintable characters")
    return text


def _in_utc(instant: datetime) -> datetime:
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("instant", "Input should be a time that UTC can express") from None


Email = Annotated[str, Field(max_length=320), AfterValidator(_printable)]
Name = Annotated[str, Field(max_length=255), AfterValidator(_printable)]
Instant = Annotated[AwareDatetime, AfterValidator(_in_utc)]


class Strict(BaseModel):
    """A request body: an unknown field is an error (vendor API)."""

    model_config = ConfigDict(extra="forbid")


class PermissionIn(Strict):
    """An entry of an access list; exactly one of the two guids."""

    user_guid: Guid | None = None
    group_guid: Guid | None = None

    def principal(self) -> Principal:
        """Return it as a value. Raises InvalidParameter."""
        if (self.user_guid is None) == (self.group_guid is None):
            raise InvalidParameter("each entry of permissions names exactly one of user_guid and group_guid")
        if self.user_guid is not None:
            return Principal(Kind.USER, self.user_guid.lower())
        return Principal(Kind.GROUP, str(self.group_guid).lower())


class IntegrationIn(Strict):
    """Create an integration."""

    template: str
    name: str
    description: str | None = ""
    config: dict[str, Any]
    access: Access | None = None
    permissions: list[PermissionIn] | None = None


class IntegrationPatch(Strict):
    """Change an integration; what is absent or null stays."""

    template: str | None = None
    name: str | None = None
    description: str | None = None
    config: dict[str, Any] | None = None
    access: Access | None = None
    permissions: list[PermissionIn] | None = None


class UserIn(Strict):
    """Create a user. A password is accepted and not kept: callers authenticate by key."""

    username: str
    password: str | None = None
    email: Email = ""
    first_name: Name = ""
    last_name: Name = ""
    user_role: Role = Role.VIEWER
    external_id: Name | None = None
    user_must_set_password: bool | None = None
    unique_id: Name | None = None


class UserPatch(Strict):
    """Change a user; what is absent or null stays."""

    username: str | None = None
    email: Email | None = None
    first_name: Name | None = None
    last_name: Name | None = None
    user_role: Role | None = None
    external_id: Name | None = None


class LockIn(Strict):
    """Lock or unlock."""

    locked: Annotated[bool, Field(strict=True)]


class GroupIn(Strict):
    """Create or rename a group."""

    name: str


class MemberIn(Strict):
    """Add a member."""

    user_guid: Guid


class ContentIn(Strict):
    """Register content; `guid` where it has one already."""

    name: str
    owner_guid: Guid | None = None
    guid: Guid | None = None


class ContentPatch(Strict):
    """Change content; what is absent or null stays."""

    name: str | None = None
    owner_guid: Guid | None = None


class KeyIn(Strict):
    """Make an API key."""

    name: str
    user_role: Role | None = None
    expires_at: Instant | None = None


def principals(entries: list[PermissionIn] | None) -> list[Principal] | None:
    """Return an access list as values; None stays None."""
    return None if entries is None else [entry.principal() for entry in entries]


def integration_out(integration: Integration) -> dict[str, object]:
    """Show an integration; secrets of a config would not be shown, and the ppm template has none."""
    return {
        "id": integration.id,
        "guid": integration.guid,
        "created_time": rfc3339(integration.created_time),
        "updated_time": rfc3339(integration.updated_time),
        "name": integration.name,
        "description": integration.draft.description,
        "template": TEMPLATE,
        "auth_type": AUTH_TYPE,
        "config": to_values(integration.config),
        "access": integration.access.access.value,
        "permissions": [_permission_out(integration.guid, entry) for entry in integration.permissions],
    }


def _permission_out(integration_guid: str, entry: Permission) -> dict[str, object]:
    principal = entry.principal
    return {
        "id": entry.id,
        "guid": entry.guid,
        "integration_guid": integration_guid,
        "user_guid": principal.guid if principal.kind is Kind.USER else None,
        "group_guid": principal.guid if principal.kind is Kind.GROUP else None,
    }


def user_out(user: User) -> dict[str, object]:
    """Show a user."""
    shown: dict[str, object] = {
        "guid": user.guid,
        "username": user.username,
        "email": user.email,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "user_role": user.role.value,
        "created_time": rfc3339(user.created_time),
        "updated_time": rfc3339(user.updated_time),
        "active_time": _time(user.active_time),
        "confirmed": True,
        "locked": user.locked,
    }
    return shown if user.external_id is None else {**shown, "external_id": user.external_id}


def group_out(group: Group) -> dict[str, object]:
    """Show a group."""
    return {
        "guid": group.guid,
        "name": group.name,
        "owner_guid": group.owner_guid,
        "member_count": group.member_count,
    }


def content_out(content: Content) -> dict[str, object]:
    """Show content."""
    return {
        "guid": content.guid,
        "name": content.name,
        "owner_guid": content.owner_guid,
        "created_time": rfc3339(content.created_time),
    }


def key_out(key: ApiKey, user: User | None) -> dict[str, object]:
    """Show the record of a key; a key without a cap has its user's role."""
    role = key.role or (user.role if user else None)
    return {
        "id": key.id,
        "name": key.name,
        "user_role": role.value if role else None,
        "created_time": rfc3339(key.created_time),
        "active_time": _time(key.active_time),
        "expires_at": _time(key.expires_time),
    }


def page_out(results: list[dict[str, object]], page: Page, listing: Listing[Any]) -> dict[str, object]:
    """Show one page; exactly these three members (one more breaks a client of the vendor)."""
    return {"results": results, "current_page": page.number, "total": listing.total}


def _time(instant: datetime | None) -> str | None:
    return None if instant is None else rfc3339(instant)
