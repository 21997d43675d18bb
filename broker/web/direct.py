"""
The few routes that are most of the traffic, found in a dictionary before the framework walks its stack of layers.

They are routes of the application all the same: it describes them, and answers other methods on their paths. Only the
way to them is shorter.
"""

from collections.abc import Iterable

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from broker.errors import BrokerError
from broker.web.errors import on_broker_error, on_disconnect, on_http_error


class Direct:
    """Serves the given routes of an application directly, and everything else through it."""

    def __init__(self, app: FastAPI, routes: Iterable[Route]) -> None:
        self._app = app
        self._endpoints = {
            (method, route.path): route.endpoint
            for route in routes
            if not route.param_convertors
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of the ASGI server."""
        endpoint = self._endpoints.get((scope.get("method", ""), scope.get("path", "")))
        if endpoint is None:
            await self._app(scope, receive, send)
            return
        scope["app"] = self._app
        request = Request(scope, receive, send)
        response: Response
        try:
            response = await endpoint(request)
        except BrokerError as error:
            response = await on_broker_error(request, error)
        except HTTPException as error:
            response = await on_http_error(request, error)
        except ClientDisconnect as error:
            response = await on_disconnect(request, error)
        await response(scope, receive, send)
