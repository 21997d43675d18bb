"""
Puts the emulator together: settings, clock, network and ids in, one ASGI app out.
"""

import asyncio
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from broker.emulator.access import Gate
from broker.emulator.control import Control
from broker.emulator.exchange import Exchange, UsedAssertions
from broker.emulator.faults import Switchboard
from broker.emulator.federation import Federations
from broker.emulator.fetching import Fetch
from broker.emulator.issuer_keys import Clock, IssuerKeys
from broker.emulator.log import AccessLog, Line
from broker.emulator.repositories import Repositories
from broker.emulator.repository_tokens import RepositoryTokens
from broker.emulator.settings import EmulatorSettings
from broker.emulator.shelves import Shelves
from broker.emulator.status import status
from broker.emulator.troubles import Sleep

_ANY = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


def create_app(
    settings: EmulatorSettings,
    *,
    clock: Clock,
    fetch: Fetch,
    ids: Callable[[], str],
    write: Line,
    sleep: Sleep = asyncio.sleep,
) -> AccessLog:
    """
    Return the ASGI app; its `records` are the last requests.

    `clock` gives seconds since 1970, `fetch` gets an issuer's documents, `ids` a new unguessable id for each token,
    `write` takes each line of the log.
    """
    faults = Switchboard(settings.faults)

    def skewed() -> float:
        return clock() + (faults.number("skew") or 0)

    def keys(issuer: str) -> IssuerKeys:
        # How long keys are remembered has nothing to do with what the clock on the wall is thought to say.
        return IssuerKeys(issuer, fetch, clock, lambda: faults.number("long-jwks-cache"))

    tokens = RepositoryTokens(skewed, ids)
    federations = Federations(settings.federations, keys, skewed, settings.max_assertion_life)
    used = UsedAssertions(skewed) if settings.one_use else None
    exchange = Exchange(federations, tokens, faults, used, sleep)
    repositories = Repositories(Shelves(settings.packages), Gate(tokens, faults), faults, sleep)
    control = Control(faults, tokens, lambda: log).routes() if settings.control else []
    routes = [
        *control,
        Route("/", repositories.root),
        Route("/__api__/token", exchange.answer, methods=_ANY),
        Route("/__api__/status", _status),
        Route("/__api__/repos", repositories.names),
        Route("/{path:path}", repositories.answer),
    ]
    log = AccessLog(Starlette(routes=routes), clock, write)
    return log


async def _status(_: Request) -> Response:
    return JSONResponse(status())
