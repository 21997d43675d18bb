"""
The build API's answer, parsed once into values.

Nothing of the answer is used that was not looked at here. Tokens become a Secret as they are read, and no error
repeats a value: it names the field only.
"""

import re
from dataclasses import dataclass
from datetime import datetime

from broker.domain.netrc import Entry, render
from broker.domain.package_manager import PackageManagerUrl
from broker.domain.secrets import Secret
from broker.errors import BrokerUnreachable, InvalidTemplateConfig, NetrcRefused

_GUID = re.compile(r"[0-9a-fA-F-]{8,64}")


@dataclass(frozen=True, slots=True)
class Credential:
    """The repository token for one Package Manager host, already in the form in which a netrc can carry it (T45)."""

    entry: Entry
    ppm_url: PackageManagerUrl
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Skipped:
    """An integration that the decision left out, and why."""

    name: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Problem:
    """One Package Manager that gave no credential although the owner has access."""

    ppm_url: str
    code: str
    detail: str
    retryable: bool


@dataclass(frozen=True, slots=True)
class Build:
    """
    An opened build. Times are UTC; `skipped_total` counts also what the answer does not list.

    `netrc` is rendered here from the credentials: the answer's own text is not used, since it was not looked at.
    """

    guid: str
    owner_username: str
    created_time: datetime
    expires_time: datetime
    credentials: tuple[Credential, ...]
    netrc: Secret
    skipped: tuple[Skipped, ...]
    skipped_total: int
    problems: tuple[Problem, ...]


def guid_of(answer: object) -> str | None:
    """Return the build's guid if the answer has a usable one: enough to finish a build that is otherwise refused."""
    guid = answer.get("guid") if isinstance(answer, dict) else None
    return guid if isinstance(guid, str) and _GUID.fullmatch(guid) else None


def parse_build(answer: object) -> Build:
    """
    Read the JSON value of a 200 answer.

    Raises BrokerUnreachable when it has not the shape of the build API, or holds a credential that we do not write.
    """
    fields = _Fields(answer, "the answer")
    guid = guid_of(answer)
    if guid is None:
        raise _wrong("the answer has no usable `guid`")
    credentials = tuple(_credential(item) for item in fields.objects("credentials"))
    skipped = tuple(_skipped(item) for item in fields.objects("skipped"))
    return Build(
        guid=guid,
        owner_username=fields.text("owner_username"),
        created_time=fields.time("created_time"),
        expires_time=fields.time("expires_time"),
        credentials=credentials,
        netrc=_netrc(credentials),
        skipped=skipped,
        skipped_total=max(fields.number("skipped_total", len(skipped)), len(skipped)),
        problems=tuple(_problem(item) for item in fields.objects("problems")),
    )


def _credential(fields: "_Fields") -> Credential:
    machine = fields.text("machine")
    try:
        entry = Entry(machine, fields.text("login"), Secret(fields.text("password")))
        url = PackageManagerUrl.parse(fields.text("ppm_url"))
    except (NetrcRefused, InvalidTemplateConfig) as fault:
        raise _wrong(f"{fields.where} cannot be used: {fault.message}") from None
    if url.host != machine:
        # A token is sent to whatever `machine` says; one that belongs to another host must not be written (T43).
        raise _wrong(f"{fields.where} is for {machine}, but its Package Manager is {url}")
    return Credential(entry, url, fields.texts("scopes"))


def _netrc(credentials: tuple[Credential, ...]) -> Secret:
    try:
        return render(credential.entry for credential in credentials)
    except NetrcRefused as fault:
        raise _wrong(fault.message) from None


def _skipped(fields: "_Fields") -> Skipped:
    return Skipped(fields.text("name", ""), fields.text("reason", ""), fields.text("detail", ""))


def _problem(fields: "_Fields") -> Problem:
    return Problem(
        fields.text("ppm_url", ""), fields.text("code", ""), fields.text("detail", ""), fields.flag("retryable")
    )


class _Fields:
    """One JSON object of the answer; `where` is how an error calls it."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise _wrong(f"{where} is not an object")
        self._value = value
        self.where = where

    def text(self, name: str, default: str | None = None) -> str:
        value = self._value.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str):
            raise _wrong(f"`{name}` of {self.where} is not text")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._value.get(name)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise _wrong(f"`{name}` of {self.where} is not a list of texts")
        return tuple(value)

    def objects(self, name: str) -> list["_Fields"]:
        value = self._value.get(name)
        if not isinstance(value, list):
            raise _wrong(f"`{name}` of {self.where} is not a list")
        return [_Fields(item, f"{name}[{number}]") for number, item in enumerate(value)]

    def number(self, name: str, default: int) -> int:
        value = self._value.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool):
            raise _wrong(f"`{name}` of {self.where} is not a number")
        return value

    def flag(self, name: str) -> bool:
        return self._value.get(name) is True

    def time(self, name: str) -> datetime:
        try:
            moment = datetime.fromisoformat(self.text(name))
        except ValueError:
            raise _wrong(f"`{name}` of {self.where} is not a time") from None
        if moment.utcoffset() is None:
            raise _wrong(f"`{name}` of {self.where} has no time zone")
        return moment


def _wrong(what: str) -> BrokerUnreachable:
    return BrokerUnreachable(
        f"the broker's answer is refused: {what}. Nothing was written; broker and runner may be of different versions"
    )
