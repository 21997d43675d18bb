"""
Reading what a Package Manager answered (RFC 6749 section 5, RFC 8693 section 2.2), with the suspicion it deserves.

Pure: an answer and the time go in, a repository token or a leaf of ExchangeFailed comes out.
"""

import binascii
import json
from base64 import urlsafe_b64decode
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NoReturn

import orjson

from broker.clients.strangers import quoted
from broker.domain.netrc import Entry
from broker.domain.package_manager import LOGIN, PackageManagerUrl, RepositoryToken
from broker.domain.secrets import Secret
from broker.errors import (
    AnswerNotUnderstood,
    AnswerTooLarge,
    AssertionRefused,
    NetrcRefused,
    PackageManagerBusy,
    PackageManagerFault,
    RedirectRefused,
    TokenUnusable,
)

_OK = 200
_REDIRECTS = range(300, 400)
_NO_ENDPOINT = frozenset({404, 405, 410})
_BUSY = 429
_REFUSED = range(400, 500)
_FAULTS = range(500, 1000)
_JWT_PARTS = 3
_MAX_EXPIRES_IN = 366 * 24 * 3600
_MAX_RETRY_AFTER = 24 * 3600


@dataclass(frozen=True, slots=True)
class Answer:
    """
    One answer, read to its end or to the limit.

    `body` is None where it is too large or compressed (nobody asked for that); `retry_after` is the header as it came.
    """

    status: int
    body: bytes | None = field(repr=False)
    compressed: bool = False
    retry_after: str = field(default="", repr=False)


def worth_reading(status: int) -> bool:
    """Whether anything in the body of such an answer could matter to us."""
    return status == _OK or (status in _REFUSED and status != _BUSY)


def read(answer: Answer, url: PackageManagerUrl, *, assertion: Secret, now: datetime) -> RepositoryToken:
    """
    Return the token of an answer, with its true expiry.

    The expiry is the token's own `exp` where it is a JWT with an integer one, else `now` + `expires_in`, else None.
    Raises a leaf of ExchangeFailed for any other answer; `assertion` is needed to keep it out of the message.
    """
    if answer.status != _OK:
        _refuse(answer, url, assertion)
    document = _token_response(answer, url)
    token = _token(document, url)
    expires_time = _expiry(token) or _promised_expiry(document.get("expires_in"), now)
    if expires_time is not None and expires_time <= now:
        raise TokenUnusable(f"{url} gave a token that has already expired; compare the clocks of both machines")
    return RepositoryToken(token, expires_time)


# --- answers without a token ----------------------------------------------------------------------------------------
def _refuse(answer: Answer, url: PackageManagerUrl, assertion: Secret) -> NoReturn:
    status = answer.status
    if status in _REDIRECTS:
        raise RedirectRefused(
            f"{url} redirects ({status}) and the broker does not follow with an assertion; "
            "if the new address is the Package Manager, enter that one as ppm_url"
        )
    if status == _BUSY:
        raise _busy(answer, url)
    if status in _NO_ENDPOINT:
        raise AssertionRefused(
            f"{url} has no token endpoint ({status}); is ppm_url the address before the repository name, and is an "
            "identity federation set up there?"
        )
    if status in _REFUSED:
        raise AssertionRefused(f"{url} refused the assertion ({status}){_detail(answer, assertion)}")
    if status in _FAULTS:
        raise PackageManagerFault(f"{url} answered {status}, a fault on its side; its log says more")
    raise AnswerNotUnderstood(f"{url} answered {status}, which is not a token response")


def _busy(answer: Answer, url: PackageManagerUrl) -> PackageManagerBusy:
    text = answer.retry_after.strip()
    # The length first: int() of a long text is slow. A date (RFC 9110 section 10.2.3) is left alone, clocks differ.
    seconds = int(text) if len(text) <= len(str(_MAX_RETRY_AFTER)) and text.isascii() and text.isdecimal() else None
    if seconds is None or seconds > _MAX_RETRY_AFTER:
        return PackageManagerBusy(f"{url} is busy (429); try again later")
    return PackageManagerBusy(f"{url} is busy (429); try again in {seconds} s", payload={"retry_after": seconds})


def _detail(answer: Answer, assertion: Secret) -> str:
    document = _json_object(answer.body) or {}
    said = [text for key in ("error", "error_description") if isinstance(text := document.get(key), str) and text]
    if not said:
        return "; compare Issuer, Audience and Subject of its IdentityFederation with the broker's, and its log"
    return f": {quoted(': '.join(said), secret=assertion)}"


# --- a token response -----------------------------------------------------------------------------------------------
def _token_response(answer: Answer, url: PackageManagerUrl) -> dict[str, object]:
    if answer.compressed:
        raise AnswerNotUnderstood(f"{url} compressed its answer although the broker does not accept that")
    if answer.body is None:
        raise AnswerTooLarge(f"{url} answered with more than any token response has; it was not read to its end")
    document = _json_object(answer.body)
    if document is None:
        what = "a web page" if answer.body.lstrip().startswith(b"<") else "something that is not a JSON object"
        raise AnswerNotUnderstood(
            f"{url} answered with {what}; is ppm_url a Package Manager, with no login page before?"
        )
    return document


def _token(document: dict[str, object], url: PackageManagerUrl) -> Secret:
    kind = document.get("token_type", "Bearer")
    if not isinstance(kind, str) or kind.casefold() != "bearer":
        raise AnswerNotUnderstood(f"{url} gave a token of a type other than Bearer")
    text = document.get("access_token")
    if not isinstance(text, str) or not text:
        raise AnswerNotUnderstood(f"{url} answered without an access_token")
    token = Secret(text)
    try:
        Entry(machine=url.host, login=LOGIN, password=token)
    except NetrcRefused as error:
        raise TokenUnusable(error.message) from None
    return token


def _json_object(body: bytes | None) -> dict[str, object] | None:
    """Return the object, or None for anything else; never an error, since those of `json` hold the whole text."""
    try:
        document = _STRICT_JSON.decode((body or b"").decode())
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _unambiguous(pairs: list[tuple[str, object]] | str) -> dict[str, object]:
    # Two readers of one answer must not see two tokens: a repeated key is no answer. Neither are NaN and Infinity.
    document = {} if isinstance(pairs, str) else dict(pairs)
    if len(document) != len(pairs):
        raise ValueError
    return document


_STRICT_JSON = json.JSONDecoder(object_pairs_hook=_unambiguous, parse_constant=_unambiguous)


# --- expiry ---------------------------------------------------------------------------------------------------------
def _expiry(token: Secret) -> datetime | None:
    """Read `exp` from somebody else's JWT, unverified: it is theirs to keep, we only want to know when to renew."""
    parts = token.reveal().split(".")
    if len(parts) != _JWT_PARTS:
        return None
    try:
        claims = orjson.loads(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error):
        return None
    exp = claims.get("exp") if isinstance(claims, dict) else None
    return _instant(exp) if type(exp) is int else None


def _instant(seconds: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _promised_expiry(expires_in: object, now: datetime) -> datetime | None:
    if type(expires_in) is not int or not 0 < expires_in <= _MAX_EXPIRES_IN:
        return None
    return now + timedelta(seconds=expires_in)
