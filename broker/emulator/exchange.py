"""
`POST /__api__/token`: an assertion in, a repository token out (RFC 8693), in numbered steps.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from broker.emulator.assertion import UnverifiedToken
from broker.emulator.faults import Switchboard, Where
from broker.emulator.federation import LEEWAY, Federations, VerifiedClaims
from broker.emulator.issuer_keys import Clock
from broker.emulator.log import Record, record_of
from broker.emulator.printable import differs, plain, sentence, shown
from broker.emulator.refusals import ExchangeRefused
from broker.emulator.repository_tokens import Issued, RepositoryTokens
from broker.emulator.scopes import scopes_of
from broker.emulator.troubles import Sleep, spoilt_token, trouble

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105 - a type URI of RFC 8693, 3
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - as above
MAX_BODY = 64 * 1024
"""Largest request body, in bytes; more is not read."""

_FORM = "application/x-www-form-urlencoded"
_MAX_FIELDS = 20
_LOGINS = ("client_secret", "client_assertion", "client_assertion_type")
_READ = {"grant_type", "subject_token", "subject_token_type", "requested_token_type"}


@dataclass(frozen=True, slots=True)
class ExchangeRequest:
    """The form, read once. `ignored` are the parameters that nobody here knows (RFC 6749, 3.2)."""

    token: UnverifiedToken
    ignored: tuple[str, ...]

    @classmethod
    def parse(cls, form: Mapping[str, str]) -> Self:
        """Check the parameters of RFC 8693, 2.1; raises ExchangeRefused."""
        if not form.get("grant_type"):
            raise ExchangeRefused("grant_type is missing")
        if form["grant_type"] != GRANT:
            raise ExchangeRefused(differs("grant_type", GRANT, form["grant_type"]), error="unsupported_grant_type")
        for name in _LOGINS:
            if name in form:
                raise ExchangeRefused(f"{name}: this endpoint knows no client authentication")
        for name, expected in (("subject_token_type", ID_TOKEN), ("requested_token_type", ACCESS_TOKEN)):
            if form.get(name, expected) != expected or (name == "subject_token_type" and name not in form):
                raise ExchangeRefused(differs(name, expected, form.get(name)))
        if not form.get("subject_token"):
            raise ExchangeRefused("subject_token is missing")
        return cls(UnverifiedToken.parse(form["subject_token"]), tuple(sorted(set(form) - _READ)))


class UsedAssertions:
    """Remembers what was exchanged until it could not be exchanged anyway."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: dict[tuple[str, str], float] = {}

    def claim(self, claims: VerifiedClaims) -> None:
        """Take note of the assertion; raises ExchangeRefused the second time."""
        if claims.jti is None:
            raise ExchangeRefused("jti is missing, and this server takes each assertion once")
        now = self._clock()
        # Forgotten only after the leeway, or the last seconds of an assertion would be open to a replay.
        self._until = {key: end for key, end in self._until.items() if end > now}
        key = (claims.federation.issuer, claims.jti)
        if key in self._until:
            raise ExchangeRefused(f"the assertion {shown(claims.jti)} was exchanged before")
        self._until[key] = claims.expires + LEEWAY


class Exchange:
    """The endpoint. `used` is None where an assertion may be exchanged again (the real product's way is not public)."""

    def __init__(
        self,
        federations: Federations,
        tokens: RepositoryTokens,
        faults: Switchboard,
        used: UsedAssertions | None,
        sleep: Sleep,
    ) -> None:
        self._federations = federations
        self._tokens = tokens
        self._faults = faults
        self._used = used
        self._sleep = sleep

    async def answer(self, request: Request) -> Response:
        """Answer a request of any method."""
        record = record_of(request)
        instead = await trouble(self._faults, Where.EXCHANGE, self._sleep)
        if instead is not None:
            record.note = f"faults: {' '.join(map(str, self._faults))}"
            return instead
        try:
            asked = ExchangeRequest.parse(await _form(request))  # 1: what is asked
            claims = await self._federations.verify(asked.token)  # 2: who asks
            scopes = scopes_of(claims)  # 3: what it gets
            if self._used is not None:
                self._used.claim(claims)
        except ExchangeRefused as refusal:
            record.note = f"refused: {sentence(refusal.reason)}"
            return _refused(refusal)
        issued = self._issue(claims, scopes)
        _note(record, claims, scopes, issued, asked.ignored)
        return self._granted(issued, scopes)

    def _issue(self, claims: VerifiedClaims, scopes: tuple[str, ...]) -> Issued:
        lifetime = self._faults.number("lifetime")
        return self._tokens.issue(
            claims.user, scopes, claims.federation.token_lifetime if lifetime is None else int(lifetime)
        )

    def _granted(self, issued: Issued, scopes: tuple[str, ...]) -> Response:
        document: dict[str, object] = {
            "access_token": spoilt_token(self._faults, issued.token.reveal()),
            "token_type": "Bearer",
            "issued_token_type": ACCESS_TOKEN,
        }
        if not self._faults.has("no-expires-in"):
            lie = self._faults.number("expires-in")
            document["expires_in"] = issued.lifetime if lie is None else int(lie)
        if scopes:
            document["scope"] = " ".join(scopes)
        return _json(document, 200)


async def _form(request: Request) -> Mapping[str, str]:
    if request.method != "POST":
        raise ExchangeRefused(f"{request.method} is not possible here: POST the form", status=405)
    if request.url.query:
        # A token in a URL ends up in the logs of every proxy on the way (RFC 9700).
        raise ExchangeRefused("the parameters belong into the body, the query string must be empty")
    if "authorization" in request.headers:
        raise ExchangeRefused("an Authorization header was sent; this endpoint knows no client authentication")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _FORM:
        raise ExchangeRefused(differs("Content-Type", _FORM, kind))
    return _parameters(await _body(request))


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise ExchangeRefused(f"the body is larger than {MAX_BODY} bytes", status=413)
    return bytes(body)


def _parameters(body: bytes) -> Mapping[str, str]:
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=_MAX_FIELDS,
        )
    except ValueError:
        raise ExchangeRefused("the body is not a form") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise ExchangeRefused("a parameter is there twice")
    return form


def _refused(refusal: ExchangeRefused) -> Response:
    document = {"error": refusal.error, "error_description": sentence(refusal.reason)}
    return _json(document, refusal.status)


def _json(document: Mapping[str, object], status: int) -> Response:
    return JSONResponse(document, status, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})


def _note(
    record: Record, claims: VerifiedClaims, scopes: tuple[str, ...], issued: Issued, ignored: tuple[str, ...]
) -> None:
    record.user = claims.user
    record.claims = dict(claims.claims)
    parts = [
        f"federation={plain(claims.federation.name)}",
        f"unique_id={plain(claims.unique_id or '-')}",
        f"scopes={plain(' '.join(scopes)) or '-'}",
        f"assertion={plain(claims.jti or '-')}",
        f"token={issued.jti} for {issued.lifetime}s",
    ]
    name = claims.federation.username_claim
    if name is not None and name not in claims.claims:
        parts.append(f"UsernameClaim {plain(name)} is not in the assertion")
    if ignored:
        parts.append(f"ignored: {plain(' '.join(ignored))}")
    record.note = " ".join(parts)
