"""
The settings: one TOML file, BROKER_* variables over it, and every fault told at once.
"""

import difflib
import re
import tomllib
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from broker.errors import NotInitialised, SettingsFault

FILE_NAME = "broker.toml"
"""The settings file, in the data directory unless another one is named."""

PREFIX = "BROKER_"
_NOT_SETTINGS = {"SETTINGS", "SERVER", "API_KEY", "OWNER", "CONTENT", "RUN_DIR", "ORIG_R_PROFILE"}
_HIDDEN = {"database_url"}
_MAX_PORT = 65535
_MAX_FAULT = 500
_DAY = 86400
_CACHED_AT_MOST = 26 * 3600
"""Seconds: a verifier may keep the keys for a day, whatever it is told; our own clocks may be an hour wrong."""

_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*/")
_OWN_PATHS = {"__api__", "openid", "oauth", "healthz", ".well-known"}
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def _fault(text: str) -> PydanticCustomError:
    return PydanticCustomError("setting", "{text}", {"text": text})


def _issuer(text: str) -> str:
    # Looked at as text first: urlsplit drops line breaks and lower-cases the scheme, and verifiers compare bytes.
    if not text.startswith(("https://", "http://")) or not text.endswith("/"):
        raise _fault('must be an https:// URL that ends with a slash, such as "https://broker.example.com/"')
    authority, _, path = text.partition("://")[2].partition("/")
    if any(sign in text for sign in "?#@") or not _is_host_and_port(authority):
        raise _fault("must be a plain URL without user, query or fragment: https://host[:port]/[path/]")
    if authority != authority.lower():
        raise _fault("must have its host in lower case, because it is compared byte for byte")
    if not _PATH.fullmatch(f"/{path}") or {".", ".."} & set(path.split("/")):
        raise _fault("has a path with empty or dot segments or unusual characters")
    if path.partition("/")[0] in _OWN_PATHS:
        raise _fault("has a path that begins like one of the broker's own, which a proxy could not tell apart")
    if text.startswith("http://") and not _is_loopback(urlsplit(text).hostname or ""):
        raise _fault("may start with http:// only on loopback; Package Managers fetch keys from it")
    return text


def _is_host_and_port(authority: str) -> bool:
    match = re.fullmatch(r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?", authority)
    if match is None or (match[1] is not None and not 0 < int(match[1]) <= _MAX_PORT):
        return False
    try:
        return bool(urlsplit(f"//{authority}").hostname)
    except ValueError:
        return False


def _printable(text: str) -> str:
    # These reach `broker federation-config`, and from there a file whose lines have a meaning.
    if _UNPRINTABLE.search(text):
        raise _fault("must not hold line breaks or other control characters")
    return text


def _file(path: Path | None) -> Path | None:
    try:
        found = path is None or path.is_file()
    except OSError as fault:  # a name that is too long, a folder that may not be looked into
        raise _fault(f"cannot be looked up: {fault.strerror}") from None
    if not found:
        raise _fault("is not a file")
    return path


def _folder(path: Path) -> Path:
    # A question mark would end the path in the database's URL.
    if _UNPRINTABLE.search(str(path)) or "?" in str(path):
        raise _fault("must not hold question marks or characters that cannot be printed")
    return path


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _seen_after(values: Mapping[str, Any]) -> int:
    # A copy of the keys may have gone through a cache, and another process may look at the key file a bit later.
    return 2 * int(values.get("jwks_max_age", 0)) + 2 * int(values.get("key_check_interval", 0))


def _publish_ahead(values: Mapping[str, Any]) -> int:
    return int(values.get("key_publish_ahead") or max(_CACHED_AT_MOST, _seen_after(values)))


Issuer = Annotated[str, AfterValidator(_issuer)]
Word = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_printable)]
ExistingFile = Annotated[Path | None, AfterValidator(_file)]
Algorithm = Literal["RS256", "ES256", "EdDSA"]


class Settings(BaseModel):
    """Every setting with its default; docs/settings.md describes each. Durations are in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    issuer: Issuer
    data_dir: Annotated[Path, AfterValidator(_folder)]
    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9:.%_-]{1,255}$")] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=_MAX_PORT)] = 8080
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    tls_certificate: ExistingFile = None
    tls_key: Annotated[ExistingFile, Field(validate_default=True)] = None
    database_url: Annotated[str | None, Field(repr=False)] = None
    audience: Word = "package-manager"
    subject: Word = "connect"
    authorized_party: Word = "broker"
    signing_algorithms: Annotated[list[Algorithm], Field(min_length=1)] = ["RS256"]
    assertion_lifetime: Annotated[int, Field(ge=10, le=300)] = 60
    build_duration: Annotated[int, Field(ge=60)] = 3600
    max_build_duration: Annotated[int, Field(ge=60, le=7 * 86400, validate_default=True)] = 86400
    jwks_max_age: Annotated[int, Field(ge=0, le=86400)] = 300
    key_check_interval: Annotated[int, Field(ge=1, le=3600)] = 60
    key_publish_ahead: Annotated[int | None, Field(ge=1, le=30 * _DAY)] = None
    key_lifetime_days: Annotated[int, Field(ge=1, le=3650, validate_default=True)] = 90
    exchange_timeout: Annotated[float, Field(gt=0, le=120)] = 10.0
    ca_file: ExistingFile = None
    allow_cleartext: bool = False
    allow_loopback: bool = False
    max_body_bytes: Annotated[int, Field(ge=1024, le=64 * 1024 * 1024)] = 1024 * 1024
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    # Faults that concern two settings are found at the second of them, so that they are told with all the others.
    @field_validator("tls_key")
    @classmethod
    def _both_or_neither(cls, key: Path | None, info: ValidationInfo) -> Path | None:
        if "tls_certificate" in info.data and (info.data["tls_certificate"] is None) != (key is None):
            raise _fault("tls_certificate and tls_key belong together: set both or neither")
        return key

    @field_validator("signing_algorithms")
    @classmethod
    def _include_the_common_one(cls, algorithms: list[str]) -> list[str]:
        if "RS256" not in algorithms:
            raise _fault("must include RS256: every OIDC verifier may rely on it (Discovery 3)")
        return algorithms

    @field_validator("key_publish_ahead")
    @classmethod
    def _is_seen_before_it_signs(cls, ahead: int | None, info: ValidationInfo) -> int | None:
        least = _seen_after(info.data)
        if ahead is not None and ahead < least:
            raise _fault(f"must be at least {least}: twice jwks_max_age and twice key_check_interval")
        return ahead

    @field_validator("key_lifetime_days")
    @classmethod
    def _outlasts_the_publication(cls, days: int, info: ValidationInfo) -> int:
        ahead = _publish_ahead(info.data)
        if days * _DAY <= ahead:
            raise _fault(f"is too short: each key is published {ahead} seconds before it signs")
        return days

    @field_validator("max_build_duration")
    @classmethod
    def _is_a_maximum(cls, longest: int, info: ValidationInfo) -> int:
        if info.data.get("build_duration", 0) > longest:
            raise _fault("is shorter than build_duration")
        return longest

    @property
    def path_prefix(self) -> str:
        """The issuer's path without its last slash: empty, or such as `/broker`."""
        return urlsplit(self.issuer).path.rstrip("/")

    @property
    def storage_url(self) -> str:
        """The database: the configured one, or SQLite in the data directory."""
        return self.database_url or f"sqlite:///{self.data_dir / 'broker.db'}"

    @property
    def publish_ahead(self) -> int:
        """How long a signing key is published before it signs, in seconds."""
        return _publish_ahead(self.model_dump(include={"key_publish_ahead", "jwks_max_age", "key_check_interval"}))

    @property
    def key_file(self) -> Path:
        """Where the signing keys are."""
        return self.data_dir / "signing-keys.json"


def load(environ: Mapping[str, str], *, data_dir: Path | None = None, file: Path | None = None) -> Settings:
    """
    Read the settings: the file, then variables, then what the command line says.

    Raises SettingsFault with every fault, NotInitialised where there is no file and no issuer either.
    """
    path = _place(environ, data_dir, file)
    named = file is not None or bool(environ.get(f"{PREFIX}SETTINGS"))
    from_file, faults = _read(path)
    from_environ, more = _from_environ(environ)
    values = {**from_file, **from_environ}
    if faults:
        # The file's other settings are unknown; to call them missing would mislead.
        raise SettingsFault(faults + more)
    values["data_dir"] = data_dir or values.get("data_dir") or default_data_dir(environ)
    # A file that was named and is not there never counts as an empty one: its restrictions would be gone unnoticed.
    if not path.exists() and (named or "issuer" not in values):
        raise NotInitialised(
            f"there are no settings: {path} does not exist; run `broker init --issuer https://…/`, or name the place "
            "with --data-dir or BROKER_DATA_DIR"
        )
    return _checked(values, more)


def file_of(environ: Mapping[str, str], *, data_dir: Path | None = None, file: Path | None = None) -> Path | None:
    """Return the settings file that `load` reads, None where there is none."""
    path = _place(environ, data_dir, file)
    return path.absolute() if path.exists() else None


def _place(environ: Mapping[str, str], data_dir: Path | None, file: Path | None) -> Path:
    folder = data_dir or Path(environ.get(f"{PREFIX}DATA_DIR") or default_data_dir(environ))
    return Path(file or environ.get(f"{PREFIX}SETTINGS") or folder / FILE_NAME)


def check(values: Mapping[str, Any]) -> Settings:
    """Check settings that come from elsewhere. Raises SettingsFault with every fault."""
    return _checked(values, [])


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """Return where a broker of this user keeps its data, following the XDG base directories."""
    base = environ.get("XDG_DATA_HOME") or Path(environ.get("HOME", "/root")) / ".local" / "share"
    return Path(base) / "broker"


def _checked(values: Mapping[str, Any], faults: list[str]) -> Settings:
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        # Not the validator's own text: it would quote values, and a database URL may hold a password.
        raise SettingsFault(faults + [_told(each, values) for each in error.errors(include_url=False)]) from None
    if faults:
        raise SettingsFault(faults)
    return settings


def _told(error: Any, values: Mapping[str, Any]) -> str:  # noqa: ANN401 - pydantic's TypedDict
    place = error["loc"]
    if not place:
        return str(error["msg"])
    name = str(place[0])
    if error["type"] == "extra_forbidden":
        return f"{name} is not a setting{_suggestion(name)}"
    if error["type"] == "missing":
        return f"{name} is required"
    shown = "" if name in _HIDDEN else f" = {values.get(name)!r}"
    return f"{name}{shown}: {error['msg']}"[:_MAX_FAULT]


def _suggestion(name: str) -> str:
    near = _nearest(name)
    return f"; did you mean {near}?" if near else " (docs/settings.md lists them)"


def _nearest(name: str) -> str | None:
    return next(iter(difflib.get_close_matches(name, Settings.model_fields, n=1, cutoff=0.75)), None)


def _read(path: Path) -> tuple[dict[str, Any], list[str]]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")), []
    except FileNotFoundError:
        return {}, []
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        return {}, [f"{path} is not TOML: {fault}"]
    except OSError as fault:
        return {}, [f"{path} cannot be read: {fault.strerror}"]


def _from_environ(environ: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    values: dict[str, Any] = {}
    faults: list[str] = []
    for variable, text in environ.items():
        name = variable.removeprefix(PREFIX)
        if name == variable or name in _NOT_SETTINGS:
            continue
        if name.lower() in Settings.model_fields:
            is_list = name == "SIGNING_ALGORITHMS"
            values[name.lower()] = [each.strip() for each in text.split(",")] if is_list else text
        elif near := _nearest(name.lower()):
            faults.append(f"{variable} is not a setting; did you mean {PREFIX}{near.upper()}?")
    return values, faults
