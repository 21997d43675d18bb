"""
Who sends a request: the API key in `Authorization: Key …`, known from here on only by its SHA-256.
"""

import hashlib
from dataclasses import dataclass

from starlette.requests import Request

from broker.bootstrap import Services
from broker.domain.callers import identify
from broker.domain.identity import Caller
from broker.errors import InvalidLogin, NotAuthenticated
from broker.usecases.road import Act

_MAX_KEY = 512
_WHITE = " \t"
"""RFC 9110 5.6.3. Not what Python strips: a key with a no-break space behind it is another key."""
_NOTE_SECONDS = 1.0
"""How long a request to the administration waits so that its own answer shows the caller as active already."""


def services_of(request: Request) -> Services:
    """Return the parts that `bootstrap` put together for this process."""
    services: Services = request.app.state.services
    return services


def key_sha256(request: Request) -> str:
    """Return the SHA-256 of the presented key. Raises NotAuthenticated, InvalidLogin."""
    given = request.headers.getlist("authorization")
    scheme, _, rest = (given[0] if given else "").strip(_WHITE).partition(" ")
    if not scheme:
        raise NotAuthenticated("send the header Authorization: Key <API key>; an administrator can make a key")
    key = rest.strip(_WHITE)
    # Two headers: a proxy in front may have looked at the other one.
    if scheme.lower() != "key" or not key or len(key) > _MAX_KEY or len(given) > 1:
        raise InvalidLogin("the Authorization header is not of the form Authorization: Key <API key>")
    return hashlib.sha256(key.encode()).hexdigest()


def correlation_id(request: Request) -> str:
    """Return the id that the edge gave or accepted."""
    found: str = request.scope["correlation_id"]
    return found


@dataclass(frozen=True, slots=True)
class Session:
    """An authenticated request to the administration: the parts, and who acts."""

    services: Services
    act: Act

    @property
    def caller(self) -> Caller:
        """Who acts."""
        return self.act.caller


def authenticated(request: Request) -> Session:
    """
    Identify the caller on the newest policy; blocks, so endpoints that use it are plain functions.

    Raises NotAuthenticated, InvalidLogin, RecordUnavailable.
    """
    presented = key_sha256(request)
    services = services_of(request)
    caller = identify(services.policy.refresh(), presented, services.clock.now())
    services.note_use(presented, patience=_NOTE_SECONDS)
    return Session(services, Act(caller, correlation_id(request)))
