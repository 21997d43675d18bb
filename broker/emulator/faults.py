"""
Trouble on demand: what a Package Manager, its network or its clock may do to a build, switched on by name.

A fault is written `name`, `name:value` or, where it can also hit repositories, `name:value@exchange`, `@repositories`
or `@all`. The table KINDS is the list; docs/emulator.md describes each (a test compares them).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Where(StrEnum):
    """What a fault hits."""

    EXCHANGE = "exchange"
    REPOSITORIES = "repositories"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Kind:
    """
    One fault by name.

    `reads` checks the text after the colon (raising ValueError), `default` stands for a missing text, None where it
    must be given; a fault without `reads` takes no value.
    """

    name: str
    summary: str
    reads: Callable[[str], object] | None = None
    default: str | None = None
    anywhere: bool = False
    """Whether `@repositories` and `@all` are possible."""


def _whole(least: int, most: int) -> Callable[[str], object]:
    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise ValueError("needs a whole number") from None
        if not least <= number <= most:
            raise ValueError(f"needs a number from {least} to {most}")
        return number

    return read


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError("needs a number of seconds") from None
    if not 0 <= number <= _HOUR:
        raise ValueError(f"needs 0 to {_HOUR} seconds")
    return number


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")) or any(character <= " " for character in text):
        raise ValueError("needs an http(s) URL")
    return text


def _hiding(text: str) -> int:
    if text not in {"403", "404"}:
        raise ValueError("needs 403 or 404")
    return int(text)


_HOUR = 3600
_DECADE = 10 * 366 * 24 * _HOUR

_ALL_KINDS = (
    Kind("skew", "the clock is off by so many seconds (negative: behind)", _whole(-_DECADE, _DECADE)),
    Kind("slow", "every answer takes so many seconds longer", _seconds, "5", anywhere=True),
    Kind("rate-limit", "429 with Retry-After of so many seconds", _whole(0, _HOUR), "30", anywhere=True),
    Kind("error-500", "500 with a JSON error", anywhere=True),
    Kind("html", "502 with a HTML page, as a proxy in front would send"),
    Kind("html-200", "200 with a HTML page, as a login page would be"),
    Kind("redirect", "307 to this URL", _url),
    Kind("endless", "200 and a body that never ends"),
    Kind("huge-token", "a token of so many characters", _whole(1, 10_000_000), "8000"),
    Kind("bad-token", "a token with a blank, a quote and a #, which no netrc can carry"),
    Kind("no-expires-in", "the answer does not say expires_in"),
    Kind("expires-in", "the answer says this expires_in, whatever the token says", _whole(-_DECADE, _DECADE)),
    Kind("lifetime", "tokens live so many seconds (0: expired at once)", _whole(0, _DECADE)),
    Kind("long-jwks-cache", "keys are kept so many seconds, also for an unknown kid", _whole(1, _DECADE), "86400"),
    Kind("refuse-tokens", "repositories take every token for revoked"),
    Kind("hide", "a repository answers this status instead of 401 when no credential is sent", _hiding, "404"),
)
KINDS: dict[str, Kind] = {kind.name: kind for kind in _ALL_KINDS}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault that is switched on."""

    kind: Kind
    value: str | None
    where: Where

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `name[:value][@where]`; raises ValueError with a sentence that names the fault."""
        name, colon, value = text.partition(":")
        where = Where.EXCHANGE
        if "@" in name or ("@" in value and KINDS.get(name) and KINDS[name].anywhere):
            head, _, place = text.rpartition("@")
            name, colon, value = head.partition(":")
            where = _where(text, name, place)
        kind = KINDS.get(name)
        if kind is None:
            raise ValueError(f"{text!r} is not a fault; there are {', '.join(KINDS)}")
        return cls(kind, _checked(kind, value if colon else None), where)

    def hits(self, where: Where) -> bool:
        """Whether the fault concerns `where`."""
        return self.where in {where, Where.ALL}

    def __str__(self) -> str:
        value = "" if self.value is None else f":{self.value}"
        place = f"@{self.where}" if self.kind.anywhere else ""
        return f"{self.kind.name}{value}{place}"


def _where(text: str, name: str, place: str) -> Where:
    if name in KINDS and not KINDS[name].anywhere:
        raise ValueError(f"{text!r}: {name} has no @{place}")
    try:
        return Where(place)
    except ValueError:
        raise ValueError(f"{text!r}: after the @ comes one of {', '.join(Where)}") from None


def _checked(kind: Kind, value: str | None) -> str | None:
    if kind.reads is None:
        if value is not None:
            raise ValueError(f"{kind.name} takes no value")
        return None
    text = value if value is not None else kind.default
    if text is None:
        raise ValueError(f"{kind.name} needs a value: {kind.name}:…")
    try:
        kind.reads(text)
    except ValueError as fault:
        raise ValueError(f"{kind.name} {fault}, not {text!r}") from None
    return text


class Switchboard:
    """The faults that are on right now; at most one of each name."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._on: dict[str, Fault] = {}
        self.replace(faults)

    def replace(self, faults: Iterable[Fault]) -> None:
        """Switch exactly these on."""
        self._on = {fault.kind.name: fault for fault in faults}

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._on.values())

    def has(self, name: str, where: Where = Where.EXCHANGE) -> bool:
        """Whether the fault is on for `where`."""
        return name in self._on and self._on[name].hits(where)

    def text(self, name: str, where: Where = Where.EXCHANGE) -> str | None:
        """Return the value of the fault, None where it is off."""
        return self._on[name].value if self.has(name, where) else None

    def number(self, name: str, where: Where = Where.EXCHANGE) -> float | None:
        """Return the value of the fault as a number, None where it is off."""
        text = self.text(name, where)
        return None if text is None else float(text)
