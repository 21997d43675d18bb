"""
`/__api__/v1/content`: what is published and who owns it, as far as a build needs it.
"""

from fastapi import APIRouter

from broker.web.builds import Guid
from broker.web.connect_api.parameters import Caller, ContentGuid
from broker.web.connect_api.shapes import ContentIn, ContentPatch, content_out

router = APIRouter(prefix="/__api__/v1/content", tags=["content"])


@router.get("")
def list_content(session: Caller, name: str | None = None, owner_guid: Guid | None = None) -> list[dict[str, object]]:
    """List content in the order of its creation: one's own, for administrators all."""
    found = session.services.content.list(session.act, name=name, owner_guid=owner_guid and owner_guid.lower())
    return [content_out(content) for content in found]


@router.post("")
def create_content(session: Caller, body: ContentIn) -> dict[str, object]:
    """Register content, by default of the caller."""
    guid, owner_guid = body.guid and body.guid.lower(), body.owner_guid and body.owner_guid.lower()
    made = session.services.content.create(session.act, body.name, owner_guid=owner_guid, guid=guid)
    return content_out(made)


@router.get("/{content_guid}")
def get_content(session: Caller, content_guid: ContentGuid) -> dict[str, object]:
    """Show one content."""
    return content_out(session.services.content.get(session.act, content_guid))


@router.patch("/{content_guid}")
def change_content(session: Caller, content_guid: ContentGuid, body: ContentPatch) -> dict[str, object]:
    """Rename content or, as an administrator, transfer it to another owner."""
    owner_guid = body.owner_guid and body.owner_guid.lower()
    changed = session.services.content.change(session.act, content_guid, name=body.name, owner_guid=owner_guid)
    return content_out(changed)


@router.delete("/{content_guid}", status_code=204)
def delete_content(session: Caller, content_guid: ContentGuid) -> None:
    """Forget content."""
    session.services.content.delete(session.act, content_guid)


@router.get("/{content_guid}/oauth/integrations/associations")
def list_associations(session: Caller, content_guid: ContentGuid) -> list[dict[str, object]]:
    """List the integrations associated with content: always none, because `ppm` integrations apply to every build."""
    session.services.content.get(session.act, content_guid)
    return []
