"""
`/__api__/v1/oauth/templates`: what an integration can be configured with, for clients that draw a form of it.
"""

from collections.abc import Mapping

from fastapi import APIRouter

from broker.errors import NotFound
from broker.web.connect_api.parameters import Caller

router = APIRouter(prefix="/__api__/v1/oauth/templates", tags=["integrations"])


@router.get("")
def list_templates(session: Caller) -> list[Mapping[str, object]]:
    """List the templates; this broker has one."""
    return list(session.services.integrations.templates(session.act))


@router.get("/{key}")
def get_template(session: Caller, key: str) -> Mapping[str, object]:
    """Show one template."""
    templates = session.services.integrations.templates(session.act)
    found = next((template for template in templates if template["id"] == key), None)
    if found is None:
        raise NotFound(f"there is no template {key[:80]!r}; GET /__api__/v1/oauth/templates lists them")
    return found
