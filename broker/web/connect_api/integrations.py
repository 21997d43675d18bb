"""
`/__api__/v1/oauth/integrations`.
"""

from fastapi import APIRouter, Request, Response

from broker.domain.integrations import TEMPLATE
from broker.errors import TemplateIsFixed, TemplateNotFound
from broker.usecases.manage_integrations import IntegrationChange, NewIntegration, Saved
from broker.web.auth import correlation_id, key_sha256
from broker.web.connect_api.parameters import Caller, IntegrationGuid
from broker.web.connect_api.shapes import IntegrationIn, IntegrationPatch, integration_out, principals

WARNING_HEADER = "Broker-Warning"
"""Carries what will surprise at build time; the body stays the object alone, because clients compare it."""

_MAX_WARNINGS = 5
"""Header lines of one answer: clients and proxies give up on an answer with very many (Python's own beyond 100)."""

router = APIRouter(prefix="/__api__/v1/oauth/integrations", tags=["integrations"])


@router.get("")
def list_integrations(session: Caller) -> list[dict[str, object]]:
    """List integrations in the order of their creation."""
    return [integration_out(integration) for integration in session.services.integrations.list(session.act)]


@router.post("")
def create_integration(session: Caller, body: IntegrationIn, response: Response) -> dict[str, object]:
    """Create an integration; without permissions it is open to every publisher."""
    if body.template != TEMPLATE:
        raise TemplateNotFound(f"there is no template {body.template[:80]!r}; this broker has {TEMPLATE}")
    new = NewIntegration(body.name, body.description or "", body.config, body.access, principals(body.permissions))
    return _shown(session.services.integrations.create(session.act, new), response)


@router.get("/{guid}")
def get_integration(session: Caller, guid: IntegrationGuid) -> dict[str, object]:
    """Show one integration."""
    return integration_out(session.services.integrations.get(session.act, guid))


@router.patch("/{guid}")
def change_integration(
    session: Caller, guid: IntegrationGuid, body: IntegrationPatch, response: Response
) -> dict[str, object]:
    """Change an integration; `permissions` replaces the whole access list."""
    if body.template not in (None, TEMPLATE):
        raise TemplateIsFixed("the template of an integration cannot be changed; create another integration")
    change = IntegrationChange(body.name, body.description, body.config, body.access, principals(body.permissions))
    return _shown(session.services.integrations.change(session.act, guid, change), response)


@router.delete("/{guid}", status_code=204)
def delete_integration(session: Caller, guid: IntegrationGuid) -> None:
    """Delete an integration and its access list."""
    session.services.integrations.delete(session.act, guid)


@router.get("/{guid}/associations")
def list_associations(session: Caller, guid: IntegrationGuid) -> list[dict[str, object]]:
    """List the content associated with an integration: always none, because `ppm` integrations apply to every build."""
    session.services.integrations.must_be_there(session.act, guid)
    return []


@router.post("/{guid}/verify", response_class=Response)
async def verify_integration(session: Caller, guid: IntegrationGuid, request: Request) -> Response:
    """Try an exchange with the integration's Package Manager, with the caller as owner; no token is answered."""
    await session.services.verify_integration(key_sha256(request), guid, correlation_id(request))
    return Response()


def _shown(saved: Saved, response: Response) -> dict[str, object]:
    warnings = list(saved.warnings[:_MAX_WARNINGS])
    if len(saved.warnings) > _MAX_WARNINGS:
        warnings.append(f"and {len(saved.warnings) - _MAX_WARNINGS} more integrations in the same way")
    for warning in warnings:
        response.headers.append(WARNING_HEADER, warning.encode("ascii", "replace").decode())
    return integration_out(saved.integration)
