"""
The application: routes, error handlers and the edge around them.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from broker.bootstrap import Services
from broker.config import Settings
from broker.errors import BrokerError
from broker.web import builds, documents
from broker.web.connect_api import content, groups, integrations, server, templates, users
from broker.web.direct import Direct
from broker.web.edge import Edge
from broker.web.errors import on_broker_error, on_defect, on_disconnect, on_http_error, on_validation_error

OpenServices = Callable[[Settings], AbstractAsyncContextManager[Services]]


class Error(BaseModel):
    """The body of every answer from 400 on."""

    code: int
    error: str
    payload: dict[str, Any] | None


def create_app(settings: Settings, open_services: OpenServices, new_id: Callable[[], str]) -> ASGIApp:
    """Put the application together; the services open when the server starts and close when it stops."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services(settings) as services:
            app.state.services = services
            yield

    app = FastAPI(
        title="Package credential broker",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/__api__/openapi.json",
        redirect_slashes=False,
        # It would hand requests to whatever OpenTelemetry SDK is installed beside us, and ours carry keys.
        telemetry={"tracing": False},
        responses={400: {"model": Error}, 401: {"model": Error}, 403: {"model": Error}, 404: {"model": Error},
                   409: {"model": Error}, 413: {"model": Error}, 415: {"model": Error}, 503: {"model": Error}},
    )  # fmt: skip
    busy = builds.routes() + documents.routes(
        lambda: app.state.services, settings.issuer, tuple(settings.signing_algorithms), settings.jwks_max_age
    )
    app.router.routes += busy
    for module in (integrations, templates, content, users, groups, server):
        app.include_router(module.router)
    app.add_exception_handler(BrokerError, on_broker_error)
    app.add_exception_handler(RequestValidationError, on_validation_error)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(ClientDisconnect, on_disconnect)
    app.add_exception_handler(Exception, on_defect)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]
    return Edge(Direct(app, busy), prefix=settings.path_prefix, max_body=settings.max_body_bytes, new_id=new_id)


def _described(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, routes=app.routes)
        document["paths"].update(builds.describe() | documents.describe())
        _without_framework_errors(document)
        app.openapi_schema = document
    return app.openapi_schema


def _without_framework_errors(document: dict[str, Any]) -> None:
    # The framework announces 422 with a body of its own; `on_validation_error` answers 400 with ours instead.
    for operation in (operation for path in document["paths"].values() for operation in path.values()):
        operation["responses"].pop("422", None)
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
