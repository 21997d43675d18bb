"""
The hot path: open and finish builds. Starlette routes in the FastAPI application, described by hand in its document.
"""

import re
from datetime import datetime
from typing import Annotated, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from broker.domain.builds import MAX_REPOSITORIES, BuildRequest, Credential, OpenedBuild
from broker.errors import BodyTooLarge, InvalidIdentifier
from broker.web.auth import correlation_id, key_sha256, services_of
from broker.web.errors import wrong_form

PATH = "/__api__/v1/builds"

MAX_BODY = 64 * 1024
"""Bytes; twice what the longest request takes. It is read before the key is looked up, so it must not cost much."""

GUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_GUID = re.compile(GUID)
Guid = Annotated[str, Field(pattern=f"^{GUID}$")]
Repository = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]


class NewBuild(BaseModel):
    """What a build system sends; exactly one of the two owner fields."""

    model_config = ConfigDict(extra="forbid", strict=True)

    owner_guid: Guid | None = None
    owner_username: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    content_guid: Guid | None = None
    repositories: Annotated[list[Repository], Field(min_length=1, max_length=MAX_REPOSITORIES)] | None = None
    duration: int | None = None
    on_problem: Literal["continue", "fail"] = "continue"

    def request(self) -> BuildRequest:
        """Return it as the value that the use case takes."""
        return BuildRequest(
            self.owner_guid and self.owner_guid.lower(),
            self.owner_username,
            self.content_guid and self.content_guid.lower(),
            None if self.repositories is None else frozenset(self.repositories),
            self.duration,
            fail_on_problem=self.on_problem == "fail",
        )


def routes() -> list[Route]:
    """Return the routes of builds."""
    return [
        Route(PATH, _open, methods=["POST"]),
        Route(PATH + "/{guid}", _finish, methods=["DELETE"]),
    ]


def describe() -> dict[str, object]:
    """Return the OpenAPI paths of these routes."""
    fails = {
        "description": "an error",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    errors = dict.fromkeys(("400", "401", "403", "404", "413", "502", "503"), fails)
    body = NewBuild.model_json_schema(ref_template="#/components/schemas/{model}")
    guid = {"name": "guid", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}
    opened = {
        "description": "the build with its netrc",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
    return {
        PATH: {
            "post": {
                "summary": "Open a build and obtain its credentials",
                "tags": ["builds"],
                "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
                "responses": {"200": opened, **errors},
            }
        },
        PATH + "/{guid}": {
            "delete": {
                "summary": "Finish a build",
                "tags": ["builds"],
                "parameters": [guid],
                "responses": {"204": {"description": "the build is over"}, **errors},
            }
        },
    }


async def _open(request: Request) -> Response:
    presented = key_sha256(request)
    new = _parsed(await request.body())
    services = services_of(request)
    opened = await services.open_build(presented, new.request(), correlation_id(request))
    services.note_use(presented)
    return Response(render(opened), headers={"Cache-Control": "no-store"}, media_type="application/json")


async def _finish(request: Request) -> Response:
    guid = request.path_params["guid"]
    presented = key_sha256(request)
    if not _GUID.fullmatch(guid):
        raise InvalidIdentifier("the guid of a build is a UUID")
    services = services_of(request)
    await services.finish_build(presented, guid.lower(), correlation_id(request))
    services.note_use(presented)
    return Response(status_code=204)


def _parsed(body: bytes) -> NewBuild:
    if len(body) > MAX_BODY:
        raise BodyTooLarge(f"the body is larger than {MAX_BODY} bytes, the most that a build takes")
    try:
        return NewBuild.model_validate_json(body)
    except ValidationError as fault:
        faults = fault.errors(include_url=False, include_input=False)
        raise wrong_form([{**each, "loc": ("body", *each["loc"])} for each in faults]) from None


def render(opened: OpenedBuild) -> bytes:
    """Write the answer; the one place where tokens are revealed to a caller."""
    build = opened.build
    return orjson.dumps(
        {
            "guid": build.guid,
            "owner_guid": build.owner_guid,
            "owner_username": opened.owner_username,
            "content_guid": build.content_guid,
            "created_time": rfc3339(build.created_time),
            "expires_time": rfc3339(build.expires_time),
            "decision_guid": opened.decision_guid,
            "netrc": opened.netrc.reveal(),
            "credentials": [_credential(credential) for credential in opened.credentials],
            "skipped": [
                {"integration_guid": s.integration_guid, "name": s.name, "reason": s.reason, "detail": s.detail}
                for s in opened.skipped
            ],
            "skipped_total": opened.skipped_total,
            "problems": [
                {
                    "integrations": list(problem.integration_guids),
                    "integration_guid": problem.integration_guids[0],
                    "ppm_url": problem.ppm_url,
                    "code": problem.code,
                    "detail": problem.detail,
                    "retryable": problem.retryable,
                }
                for problem in opened.problems
            ],
        }
    )


def rfc3339(instant: datetime) -> str:
    """Write a UTC time in whole seconds with a Z."""
    return instant.replace(tzinfo=None, microsecond=0).isoformat() + "Z"


def _credential(credential: Credential) -> dict[str, object]:
    return {
        "machine": credential.machine,
        "login": credential.login,
        "password": credential.token.reveal(),
        "ppm_url": str(credential.url),
        "scopes": list(credential.scopes.render()),
        "integrations": list(credential.integration_guids),
        "expires_time": rfc3339(credential.expires_time),
    }
