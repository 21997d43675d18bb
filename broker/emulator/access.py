"""
Who may see which repository: the credential of a request, and whether it covers what is asked for.
"""

import base64
import binascii

from starlette.datastructures import Headers

from broker.domain.secrets import Secret
from broker.emulator.faults import Switchboard
from broker.emulator.log import Record
from broker.emulator.printable import differs
from broker.emulator.refusals import AccessRefused
from broker.emulator.repository_tokens import Bearer, RepositoryTokens
from broker.emulator.scopes import may_read
from broker.emulator.shelves import Repository

LOGIN = "__token__"
_UNAUTHORIZED = 401
_FORBIDDEN = 403


class Gate:
    """Lets requests through to repositories."""

    def __init__(self, tokens: RepositoryTokens, faults: Switchboard) -> None:
        self._tokens = tokens
        self._faults = faults

    def admit(self, headers: Headers, repository: Repository, record: Record) -> None:
        """Raise AccessRefused unless the repository is open or the credential covers it; name the user in `record`."""
        if not repository.auth:
            record.note = "open repository"
            return
        bearer = self.bearer(headers)
        if bearer is None:
            hidden = self._faults.number("hide")
            raise AccessRefused("no credential was sent", status=_UNAUTHORIZED if hidden is None else int(hidden))
        record.user = bearer.user
        if not may_read(bearer.scopes, repository.name):
            has = " ".join(bearer.scopes) or "no scope"
            raise AccessRefused(
                differs("scope", f"repos:read:{repository.name} or repos:read:*", has), status=_FORBIDDEN
            )

    def bearer(self, headers: Headers) -> Bearer | None:
        """Return who presents a credential, None where there is none; raises AccessRefused for an unusable one."""
        sent = headers.getlist("authorization")
        if not sent:
            return None
        if len(sent) > 1:
            raise AccessRefused("two Authorization headers were sent")
        bearer = self._tokens.read(_token(sent[0]))
        if self._faults.has("refuse-tokens"):
            raise AccessRefused(f"the token of {bearer.user} counts as revoked: fault refuse-tokens is on")
        return bearer


def _token(header: str) -> Secret:
    scheme, _, value = header.partition(" ")
    match scheme.lower():
        case "bearer":
            return Secret(value.strip())
        case "basic":
            return _password(value.strip())
    raise AccessRefused("the Authorization header is neither Basic nor Bearer")


def _password(encoded: str) -> Secret:
    try:
        login, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (ValueError, binascii.Error):
        raise AccessRefused("the Basic credential is not base64 of login:password") from None
    if login != LOGIN or not colon:
        raise AccessRefused(differs("login", LOGIN, login))
    if not password:
        # curl beyond its line limit and pip <= 25.1 with a login in the URL do this; the log should say so.
        raise AccessRefused("the password is empty")
    return Secret(password)
