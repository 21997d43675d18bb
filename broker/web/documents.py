"""
The issuer as verifiers see it: discovery, JWKS, and the endpoints that the documents must name.

OIDC Discovery 1.0 (3, 4), RFC 8414 (2, 3.1), RFC 7517 (5). There is no sign-in for people here, so the authorization
endpoint refuses every request, and it never redirects: no client is registered to be redirected to.
"""

import hashlib
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from broker.bootstrap import Services

JWKS_PATH = "/openid/v1/jwks"
"""Where the vendor's own issuer serves its keys."""

AUTHORIZE_PATH = "/oauth/authorize"
TOKEN_PATH = "/oauth/token"  # noqa: S105 - a path, not a password
DISCOVERY_PATH = "/.well-known/openid-configuration"
METADATA_PATH = "/.well-known/oauth-authorization-server"

CLAIMS = (
    "iss", "aud", "sub", "roles", "iat", "nbf", "exp", "jti", "azp", "owner_guid", "preferred_username", "email",
    "name", "build_guid", "content_guid", "txn", "act",
)  # fmt: skip
"""Every claim of an assertion; docs/token.md describes each."""

JWKS_TYPE = "application/jwk-set+json"
"""RFC 7517 8.5.2."""


class Page:
    """Public bytes with their entity tag, and the two answers that there are to a request for them."""

    def __init__(self, body: bytes, etag: str, media_type: str, max_age: int) -> None:
        headers = {
            "ETag": etag,
            "Cache-Control": f"public, max-age={max_age}",
            "Access-Control-Allow-Origin": "*",
        }
        self.etag = etag
        self._whole = Response(body, headers=headers, media_type=media_type)
        self._unchanged = Response(status_code=304, headers=headers)

    def answer(self, request: Request) -> Response:
        """Return the page, or 304 to a caller who has it (RFC 9110 13.1.2)."""
        known = request.headers.get("if-none-match")
        if known is None:
            return self._whole
        tags = {tag.strip().removeprefix("W/") for tag in known.split(",")}
        return self._unchanged if tags & {self.etag, "*"} else self._whole


def discovery(issuer: str, algorithms: tuple[str, ...]) -> dict[str, object]:
    """Return the metadata of the issuer; `issuer` appears in it byte for byte as configured (Discovery 4.3)."""
    base = issuer.removesuffix("/")
    return {
        "issuer": issuer,
        "authorization_endpoint": base + AUTHORIZE_PATH,
        "token_endpoint": base + TOKEN_PATH,
        "jwks_uri": base + JWKS_PATH,
        "response_types_supported": ["id_token"],
        "response_modes_supported": ["fragment"],
        # What belongs to the one response type that the specification lets an issuer without sign-in name; an absent
        # list would mean more (RFC 8414 2), an empty one is not allowed (3.2).
        "grant_types_supported": ["implicit"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": list(algorithms),
        "token_endpoint_auth_methods_supported": ["none"],
        "scopes_supported": ["openid"],
        "claim_types_supported": ["normal"],
        "claims_supported": list(CLAIMS),
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
    }


def describe() -> dict[str, object]:
    """Return the OpenAPI paths of the public routes; the second form of each well-known path depends on the issuer."""
    return {
        DISCOVERY_PATH: {"get": _described("The issuer's metadata (OIDC Discovery 4)", "application/json")},
        METADATA_PATH: {"get": _described("The issuer's metadata (RFC 8414 3)", "application/json")},
        JWKS_PATH: {"get": _described("The keys that assertions are signed with (RFC 7517 5)", JWKS_TYPE)},
        AUTHORIZE_PATH: {
            "get": _described("Refuses: nobody signs in here", None),
            "post": _described("Refuses: nobody signs in here", None),
        },
        TOKEN_PATH: {"post": _described("Refuses every grant", None)},
    }


def _described(summary: str, media_type: str | None) -> dict[str, object]:
    content = {media_type or "application/json": {"schema": {"type": "object"}}}
    if media_type is None:
        return {"summary": summary, "tags": ["issuer"], "responses": {"400": {"description": "refused (RFC 6749 5.2)",
                "content": content}}}  # fmt: skip
    found = {"description": "the document", "content": content}
    unchanged = {"description": "as the caller knows it"}
    return {"summary": summary, "tags": ["issuer"], "responses": {"200": found, "304": unchanged}}


def routes(services: Callable[[], Services], issuer: str, algorithms: tuple[str, ...], max_age: int) -> list[Route]:
    """Return the public routes; both documents may be cached for `max_age` seconds."""
    body = orjson.dumps(discovery(issuer, algorithms))
    inserted = urlsplit(issuer).path.rstrip("/")
    metadata = Page(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"', "application/json", max_age)
    keys = metadata

    async def serve_metadata(request: Request) -> Response:
        return metadata.answer(request)

    async def serve_jwks(request: Request) -> Response:
        nonlocal keys
        found = services()
        document = found.issuer.jwks(found.clock.now())
        if document.etag != keys.etag:
            keys = Page(document.body, document.etag, JWKS_TYPE, max_age)
        return keys.answer(request)

    return [
        # RFC 8414 3.1 puts the issuer's path behind the well-known part, Discovery 4.1 before it: both are served.
        *(
            Route(path + behind, serve_metadata)
            for path in (DISCOVERY_PATH, METADATA_PATH)
            for behind in {"", inserted}
        ),
        Route(JWKS_PATH, serve_jwks),
        Route(
            AUTHORIZE_PATH, _refuse("unsupported_response_type", "this issuer has no sign-in"), methods=["GET", "POST"]
        ),
        Route(TOKEN_PATH, _refuse("unsupported_grant_type", "this issuer supports no grant here"), methods=["POST"]),
    ]


def _refuse(error: str, description: str) -> Callable[[Request], Awaitable[Response]]:
    body = orjson.dumps({"error": error, "error_description": description})

    async def refuse(_request: Request) -> Response:
        return Response(body, 400, {"Cache-Control": "no-store"}, "application/json")

    return refuse
