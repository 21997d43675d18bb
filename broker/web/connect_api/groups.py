"""
`/__api__/v1/groups` and the members of a group.
"""

from fastapi import APIRouter

from broker.web.connect_api.parameters import Caller, GroupGuid, Paging, Prefix, UserGuid
from broker.web.connect_api.shapes import GroupIn, MemberIn, group_out, page_out, user_out

router = APIRouter(prefix="/__api__/v1/groups", tags=["groups"])


@router.get("")
def list_groups(session: Caller, page: Paging, prefix: Prefix = "") -> dict[str, object]:
    """List groups by name."""
    found = session.services.people.groups(session.act, page, prefix=prefix)
    return page_out([group_out(group) for group in found.results], page, found)


@router.post("")
def create_group(session: Caller, body: GroupIn) -> dict[str, object]:
    """Create a group."""
    return group_out(session.services.people.create_group(session.act, body.name))


@router.get("/{group_guid}")
def get_group(session: Caller, group_guid: GroupGuid) -> dict[str, object]:
    """Show one group."""
    return group_out(session.services.people.group(session.act, group_guid))


@router.put("/{group_guid}")
def rename_group(session: Caller, group_guid: GroupGuid, body: GroupIn) -> dict[str, object]:
    """Rename a group; what it may use does not change."""
    return group_out(session.services.people.rename_group(session.act, group_guid, body.name))


@router.delete("/{group_guid}", status_code=204)
def delete_group(session: Caller, group_guid: GroupGuid) -> None:
    """Delete a group; integrations that admitted only this group admit nobody then."""
    session.services.people.delete_group(session.act, group_guid)


@router.get("/{group_guid}/members")
def list_members(session: Caller, group_guid: GroupGuid, page: Paging, prefix: Prefix = "") -> dict[str, object]:
    """List the members of a group by user name."""
    found = session.services.people.members(session.act, group_guid, page, prefix=prefix)
    return page_out([user_out(user) for user in found.results], page, found)


@router.post("/{group_guid}/members", status_code=204)
def add_member(session: Caller, group_guid: GroupGuid, body: MemberIn) -> None:
    """Add a user to a group."""
    session.services.people.add_member(session.act, group_guid, body.user_guid.lower())


@router.delete("/{group_guid}/members/{user_guid}", status_code=204)
def remove_member(session: Caller, group_guid: GroupGuid, user_guid: UserGuid) -> None:
    """Remove a user from a group."""
    session.services.people.remove_member(session.act, group_guid, user_guid)
