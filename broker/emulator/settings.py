"""
What the emulator is told: the `[IdentityFederation "name"]` sections of rstudio-pm.gcfg and its own options.

A wrong line is a fault with file, line and remedy; all of them are collected and raised as one SettingsFault.
"""

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from broker.emulator import gcfg
from broker.emulator.faults import Fault
from broker.errors import SettingsFault

SECTION = "IdentityFederation"
MAX_CONFIG = 1024 * 1024
"""Largest configuration file, in bytes."""

DEFAULT_LIFETIME = 3600
"""Life of a repository token in seconds, where TokenLifetime is not set (observed: exp = iat + 3600)."""

MAX_LIFETIME = 365 * 24 * 3600
MAX_ASSERTION_LIFE = 300
"""Longest accepted exp - iat of an assertion, in seconds: it is a bearer secret, meant for one request."""


@dataclass(frozen=True, slots=True)
class IdentityFederation:
    """
    One trusted issuer and how its assertions are read; all keys of the section, by the names of the real file.

    `token_lifetime` is in seconds. The keys below `token_lifetime` are accepted because real files have them; they
    change nothing here (docs/emulator.md).
    """

    name: str
    issuer: str
    audience: str
    subject: str
    authorized_party: str | None = None
    role_claim: str | None = None
    roles_separator: str | None = None
    unique_id_claim: str | None = None
    username_claim: str | None = None
    token_lifetime: int = DEFAULT_LIFETIME
    logging: str | None = None
    scope: str | None = None
    custom_scope: str | None = None
    no_auto_groups_scope: str | None = None
    groups_claim: str | None = None
    groups_separator: str | None = None


@dataclass(frozen=True, slots=True)
class EmulatorSettings:
    """
    Everything that `create_app` needs to know.

    `control` opens the endpoints below /__control__ to callers on this machine; `one_use` refuses an assertion that
    was exchanged before; `max_assertion_life` is in seconds.
    """

    federations: tuple[IdentityFederation, ...]
    packages: Path
    faults: tuple[Fault, ...] = ()
    control: bool = False
    one_use: bool = False
    max_assertion_life: int = MAX_ASSERTION_LIFE


def load_federations(config: Path) -> tuple[IdentityFederation, ...]:
    """
    Read every identity federation of the file; other sections are ignored.

    Raises SettingsFault with everything that is wrong with the file.
    """
    faults: list[str] = []
    federations: tuple[IdentityFederation, ...] = ()
    text = _text(config, faults)
    if text is not None:
        federations = read_federations(text, config.name, faults)
    if faults:
        raise SettingsFault(faults)
    return federations


def read_federations(text: str, source: str, faults: list[str]) -> tuple[IdentityFederation, ...]:
    """Return the federations of `text` that are in order; what is wrong goes to `faults`, named with `source`."""
    found = [section for section in gcfg.read(text, source, faults) if section.is_named(SECTION)]
    if not found and not faults:
        faults.append(
            f'{source} has no [{SECTION} "name"] section, so no issuer is trusted: paste the one that '
            "`broker federation-config` prints"
        )
    federations = [one for section in found if (one := _federation(section, source, faults)) is not None]
    _refuse_twins(federations, source, faults)
    return tuple(federations)


def _text(config: Path, faults: list[str]) -> str | None:
    try:
        with config.open("rb") as file:
            content = file.read(MAX_CONFIG + 1)
        if len(content) > MAX_CONFIG:
            faults.append(f"{config} is larger than {MAX_CONFIG} bytes; this is not a rstudio-pm.gcfg")
            return None
        return content.decode()
    except OSError as fault:
        faults.append(f"{config} cannot be read: {fault.strerror or type(fault).__name__}")
    except UnicodeDecodeError:
        faults.append(f"{config} is not UTF-8 text")
    return None


# --- one key at a time ----------------------------------------------------------------------------------------------
def _issuer(text: str) -> str:
    try:
        parts = urlsplit(_word(text))
        _ = parts.port
    except ValueError as fault:
        raise ValueError(f"is not a URL ({fault})") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be an http(s) URL such as https://broker.example.com/")
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("must not have a query, a fragment or a user name")
    if not text.endswith("/"):
        raise ValueError(f"must end with a slash, exactly as the issuer names itself: write {text + '/'!r}")
    return text


def _word(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty; give a value or remove the line")
    if text != text.strip() or any(character < " " or character == "\x7f" for character in text):
        raise ValueError("starts or ends with white space or holds control characters")
    return text


def _separator(text: str) -> str:
    if not text:
        raise ValueError('is empty; give the characters between two values, such as ","')
    return text


_DURATION = re.compile(r"(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s?)?")
_UNITS = (24 * 3600, 3600, 60, 1)


def _duration(text: str) -> int:
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        raise ValueError("is not a duration: write 1h, 30m, 90s or 1h30m")
    seconds = sum(int(amount or 0) * unit for amount, unit in zip(match.groups(), _UNITS, strict=True))
    if not 1 <= seconds <= MAX_LIFETIME:
        raise ValueError(f"is out of range: from 1s to {MAX_LIFETIME // _UNITS[0]}d")
    return seconds


def _anything(text: str) -> str:
    return text


_KEYS: dict[str, tuple[str, Callable[[str], str | int]]] = {
    "Issuer": ("issuer", _issuer),
    "Audience": ("audience", _word),
    "Subject": ("subject", _word),
    "AuthorizedParty": ("authorized_party", _word),
    "RoleClaim": ("role_claim", _word),
    "RolesSeparator": ("roles_separator", _separator),
    "UniqueIdClaim": ("unique_id_claim", _word),
    "UsernameClaim": ("username_claim", _word),
    "TokenLifetime": ("token_lifetime", _duration),
    "Logging": ("logging", _anything),
    "Scope": ("scope", _anything),
    "CustomScope": ("custom_scope", _anything),
    "NoAutoGroupsScope": ("no_auto_groups_scope", _anything),
    "GroupsClaim": ("groups_claim", _word),
    "GroupsSeparator": ("groups_separator", _separator),
}
_BY_LOWER = {name.lower(): name for name in _KEYS}
_REQUIRED = {
    "Issuer": "it says whose assertions are trusted",
    "Audience": "without it an assertion made for somebody else would be accepted",
    "Subject": "without it everything that the issuer vouches for would be accepted",
}


def _federation(section: gcfg.Section, source: str, faults: list[str]) -> IdentityFederation | None:
    title = f'[{SECTION} "{section.sub}"]'
    before = len(faults)
    if not section.sub:
        faults.append(f'{source}, line {section.line}: [{SECTION}] needs a name: write [{SECTION} "connect"]')
    values: dict[str, str | int] = {}
    for lower, setting in section.settings.items():
        try:
            key, reader = _KEYS[_known(lower)]
            values[key] = reader(setting.value)
        except ValueError as fault:
            faults.append(f"{source}, line {setting.line}: {setting.key} = {setting.value!r} {fault}")
        except LookupError as unknown:
            faults.append(f"{source}, line {setting.line}: {title} has no key {setting.key}; {unknown.args[0]}")
    faults.extend(
        f"{source}, line {section.line}: {title} has no {name}: {why}"
        for name, why in _REQUIRED.items()
        if name.lower() not in section.settings
    )
    # The table above fills each field with the type that the dataclass declares for it.
    return IdentityFederation(name=str(section.sub), **values) if len(faults) == before else None  # type: ignore[arg-type]


def _known(lower: str) -> str:
    if lower in _BY_LOWER:
        return _BY_LOWER[lower]
    nearest = difflib.get_close_matches(lower, _BY_LOWER, n=1)
    hint = f"did you mean {_BY_LOWER[nearest[0]]}?" if nearest else f"there are {', '.join(_KEYS)}"
    raise LookupError(hint)


def _refuse_twins(federations: Sequence[IdentityFederation], source: str, faults: list[str]) -> None:
    names: dict[str, str] = {}
    for federation in federations:
        first = names.setdefault(federation.issuer, federation.name)
        if first != federation.name:
            faults.append(
                f'{source}: "{first}" and "{federation.name}" have the same Issuer, so it is not clear which of them '
                "reads an assertion; keep one"
            )
