"""
The one place with status codes: every error of the broker as the vendor's API says it.

The body is always `{"code", "error", "payload"}`. Codes up to 999 are the vendor's (its OpenAPI document); the vendor
has none for some of our errors, so those from 9000 on are ours. docs/errors.md lists all.
"""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from broker import errors
from broker.errors import BrokerError, TryAgain

STATUS: Mapping[type[BrokerError], tuple[HTTPStatus, int]] = {
    errors.InvalidRequest: (HTTPStatus.BAD_REQUEST, 2),
    errors.InvalidJson: (HTTPStatus.BAD_REQUEST, 121),
    errors.UnparsableBody: (HTTPStatus.BAD_REQUEST, 87),
    errors.BodyTooLarge: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, 9013),
    errors.UnsupportedMediaType: (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, 9015),
    errors.MethodNotAllowed: (HTTPStatus.METHOD_NOT_ALLOWED, 9005),
    errors.MissingParameter: (HTTPStatus.BAD_REQUEST, 12),
    errors.InvalidParameter: (HTTPStatus.BAD_REQUEST, 25),
    errors.InvalidIdentifier: (HTTPStatus.BAD_REQUEST, 3),
    errors.InvalidIntegrationGuid: (HTTPStatus.BAD_REQUEST, 207),
    errors.InvalidUserGuid: (HTTPStatus.BAD_REQUEST, 261),
    errors.InvalidGroupGuid: (HTTPStatus.BAD_REQUEST, 262),
    errors.InvalidUsername: (HTTPStatus.BAD_REQUEST, 7),
    errors.InvalidGroupName: (HTTPStatus.BAD_REQUEST, 14),
    errors.InvalidKeyName: (HTTPStatus.BAD_REQUEST, 62),
    errors.KeyRoleTooHigh: (HTTPStatus.BAD_REQUEST, 234),
    errors.InvalidIntegrationName: (HTTPStatus.BAD_REQUEST, 225),
    errors.InvalidIntegrationDescription: (HTTPStatus.BAD_REQUEST, 226),
    errors.TemplateNotFound: (HTTPStatus.BAD_REQUEST, 227),
    errors.InvalidTemplateConfig: (HTTPStatus.BAD_REQUEST, 228),
    errors.TemplateIsFixed: (HTTPStatus.BAD_REQUEST, 229),
    errors.InvalidScope: (HTTPStatus.BAD_REQUEST, 25),
    errors.AmbiguousAccess: (HTTPStatus.BAD_REQUEST, 9001),
    errors.TokenNotRetrieved: (HTTPStatus.BAD_REQUEST, 241),
    errors.NothingToRemove: (HTTPStatus.BAD_REQUEST, 17),
    errors.NothingToUpdate: (HTTPStatus.BAD_REQUEST, 18),
    errors.NotFound: (HTTPStatus.NOT_FOUND, 4),
    errors.Conflict: (HTTPStatus.CONFLICT, 9009),
    errors.DuplicateUsername: (HTTPStatus.CONFLICT, 8),
    errors.DuplicateGroupName: (HTTPStatus.CONFLICT, 15),
    errors.DuplicateMember: (HTTPStatus.CONFLICT, 16),
    errors.DuplicateContentName: (HTTPStatus.CONFLICT, 9011),
    errors.LastAdministrator: (HTTPStatus.CONFLICT, 61),
    errors.BuildIsOver: (HTTPStatus.CONFLICT, 9010),
    errors.NotAuthenticated: (HTTPStatus.UNAUTHORIZED, 24),
    errors.InvalidLogin: (HTTPStatus.UNAUTHORIZED, 30),
    errors.PermissionDenied: (HTTPStatus.FORBIDDEN, 22),
    errors.OwnerLocked: (HTTPStatus.FORBIDDEN, 50),
    errors.OwnerNotPublisher: (HTTPStatus.FORBIDDEN, 9003),
    errors.ContentNotOwned: (HTTPStatus.FORBIDDEN, 9004),
    errors.RecordUnavailable: (HTTPStatus.SERVICE_UNAVAILABLE, 9030),
    errors.PolicyKeepsChanging: (HTTPStatus.SERVICE_UNAVAILABLE, 9031),
    errors.SigningUnavailable: (HTTPStatus.SERVICE_UNAVAILABLE, 9032),
    errors.CredentialsFailed: (HTTPStatus.BAD_GATEWAY, 9020),
}
"""Status and code of each error that can reach HTTP."""

INTERNAL = (HTTPStatus.INTERNAL_SERVER_ERROR, 1)

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_log = logging.getLogger(__name__)


def answer(error: BrokerError, correlation_id: str = "-") -> Response:
    """Return the answer for an error of ours; what has no status of its own is our fault, and says little."""
    # An adapter may raise a finer kind of an error that stands in the table.
    known = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), None)
    if known is None:
        _log.error("%s met the border, correlation id %s: %s", type(error).__name__, correlation_id, error.message)
        return unexpected()
    status, code = known
    headers = {"Retry-After": str(error.retry_after)} if isinstance(error, TryAgain) else {}
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Key"
    return _response(status, code, error.message, error.payload, headers)


def unexpected() -> Response:
    """Return the answer to a defect: no stack trace, no details; the log has them under the correlation id."""
    status, code = INTERNAL
    return _response(status, code, "the broker met an internal error; its log has the details", None, {})


async def on_broker_error(request: Request, error: Exception) -> Response:
    """Answer an error of ours."""
    return answer(error, request.scope["correlation_id"]) if isinstance(error, BrokerError) else unexpected()


async def on_validation_error(_request: Request, error: Exception) -> Response:
    """Answer a request that does not have the documented form."""
    return answer(_wrong_form(error.errors()) if isinstance(error, RequestValidationError) else _defect())


async def on_http_error(request: Request, error: Exception) -> Response:
    """Answer what the framework itself refuses: an unknown path, a method that a path does not have."""
    status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.INTERNAL_SERVER_ERROR
    # Not request.url: it is built from the Host header, which may be anything, also something that does not parse.
    path = request.scope["path"][:200]
    if status == HTTPStatus.NOT_FOUND:
        return answer(errors.NotFound(f"there is nothing at {path}"))
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        refused = answer(errors.MethodNotAllowed(f"{request.method[:20]} is not possible at {path}"))
        refused.headers["Allow"] = ", ".join(_methods_at(request))
        return refused
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE and isinstance(error, HTTPException):
        return answer(errors.BodyTooLarge(error.detail))
    return answer(
        errors.InvalidJson("the body is not JSON in UTF-8, or it is nested too deeply or has too long a number")
    )


async def on_disconnect(_request: Request, _error: Exception) -> Response:
    """Answer a caller who went away while sending; nobody reads it, but it is no defect of ours either."""
    return answer(errors.InvalidRequest("the connection ended before the body did"))


async def on_defect(_request: Request, _error: Exception) -> Response:
    """Answer for any other exception; it goes on to the edge, which logs it."""
    return unexpected()


def wrong_form(faults: Sequence[Mapping[str, Any]]) -> BrokerError:
    """Turn pydantic's list of faults into the one error that says them all."""
    return _wrong_form(faults)


def _wrong_form(faults: Sequence[Mapping[str, Any]]) -> BrokerError:
    first = faults[0]
    where, kind = str(first["loc"][0]) if first["loc"] else "body", first["type"]
    if kind == "json_invalid":
        return errors.InvalidJson(f"the body is not JSON: {first.get('ctx', {}).get('error', 'it does not parse')}")
    told = "; ".join(_one_fault(fault) for fault in faults[:10])
    if kind == "missing" and not _is_whole_body(first):
        return errors.MissingParameter(told)
    if where in {"query", "path", "header"} or kind in {"enum", "literal_error", "value_error"}:
        return errors.InvalidParameter(told)
    return errors.UnparsableBody(told)


def _methods_at(request: Request) -> list[str]:
    # RFC 9110 15.5.6: all methods of the resource; the framework would name those of the first matching route only.
    return [
        method
        for method in _METHODS
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in request.app.routes)
    ]


def _is_whole_body(fault: Mapping[str, Any]) -> bool:
    return tuple(fault["loc"]) in {("body",), ()}


def _one_fault(fault: Mapping[str, Any]) -> str:
    # Not the value: whoever mixes up two fields may have put a key into it.
    if _is_whole_body(fault):
        return "the body must be a JSON object"
    place = ".".join(str(part)[:80] for part in fault["loc"][1:])
    said = {"missing": "is required", "extra_forbidden": "is not a known field"}.get(fault["type"], fault["msg"])
    return f"{place}: {said}"


def _defect() -> BrokerError:
    return BrokerError("a handler was given an error of another kind")


def _response(
    status: HTTPStatus, code: int, message: str, payload: Mapping[str, object] | None, headers: Mapping[str, str]
) -> Response:
    # A message may quote what was sent, and JSON may hold half of a surrogate pair, which no UTF-8 can carry.
    told = message.encode(errors="backslashreplace").decode()
    body = orjson.dumps({"code": code, "error": told, "payload": payload})
    return Response(body, status, {"Cache-Control": "no-store", **headers}, "application/json")
