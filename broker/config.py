"""
The settings: one TOML file, BROKER_* variables over it, and every fault told at once.
"""

import difflib
import tomllib
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from broker.errors import NotInitialised, SettingsFault

FILE_NAME = "broker.toml"
"""The settings file, in the data directory unless another one is named."""

PREFIX = "BROKER_"
_NOT_SETTINGS = {"SETTINGS", "SERVER", "API_KEY", "OWNER", "CONTENT", "RUN_DIR", "ORIG_R_PROFILE"}
_HIDDEN = {"database_url"}


def _fault(text: str) -> PydanticCustomError:
    return PydanticCustomError("setting", "{text}", {"text": text})


def _issuer(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"https", "http"} or not parts.hostname or not text.endswith("/"):
        raise _fault('must be an https:// URL that ends with a slash, such as "https://broker.example.com/"')
    if parts.query or parts.fragment or "@" in parts.netloc or not text.isascii() or " " in text:
        raise _fault("must be a plain URL without user, query or fragment")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise _fault("may start with http:// only on loopback; Package Managers fetch keys from it")
    if text != text.replace(parts.netloc, parts.netloc.lower(), 1):
        raise _fault("must have its host in lower case, because it is compared byte for byte")
    return text


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


Issuer = Annotated[str, AfterValidator(_issuer)]
Seconds = Annotated[int, Field(ge=1)]
Algorithm = Literal["RS256", "ES256", "EdDSA"]


class Settings(BaseModel):
    """Every setting with its default; docs/settings.md describes each. Durations are in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    issuer: Issuer
    data_dir: Path
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8080
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    database_url: str | None = None
    audience: Annotated[str, Field(min_length=1, max_length=255)] = "package-manager"
    subject: Annotated[str, Field(min_length=1, max_length=255)] = "connect"
    authorized_party: Annotated[str, Field(min_length=1, max_length=255)] = "broker"
    signing_algorithms: Annotated[list[Algorithm], Field(min_length=1)] = ["RS256"]
    assertion_lifetime: Annotated[int, Field(ge=10, le=300)] = 60
    build_duration: Annotated[int, Field(ge=60)] = 3600
    max_build_duration: Annotated[int, Field(ge=60, le=7 * 86400)] = 86400
    jwks_max_age: Annotated[int, Field(ge=0, le=86400)] = 300
    exchange_timeout: Annotated[float, Field(gt=0, le=120)] = 10.0
    ca_file: Path | None = None
    allow_cleartext: bool = False
    allow_loopback: bool = False
    max_body_bytes: Annotated[int, Field(ge=1024, le=64 * 1024 * 1024)] = 1024 * 1024
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @model_validator(mode="after")
    def _belong_together(self) -> "Settings":
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise _fault("tls_certificate and tls_key belong together: set both or neither")
        if "RS256" not in self.signing_algorithms:
            raise _fault("signing_algorithms must include RS256: every OIDC verifier may rely on it (Discovery 3)")
        if self.build_duration > self.max_build_duration:
            raise _fault("build_duration is longer than max_build_duration")
        for name in ("tls_certificate", "tls_key", "ca_file"):
            path = getattr(self, name)
            if path is not None and not path.is_file():
                raise _fault(f"{name}: there is no file {path}")
        return self

    @property
    def path_prefix(self) -> str:
        """The issuer's path without its last slash: empty, or such as `/broker`."""
        return urlsplit(self.issuer).path.rstrip("/")

    @property
    def storage_url(self) -> str:
        """The database: the configured one, or SQLite in the data directory."""
        return self.database_url or f"sqlite:///{self.data_dir / 'broker.db'}"

    @property
    def key_file(self) -> Path:
        """Where the signing keys are."""
        return self.data_dir / "signing-keys.json"


def load(environ: Mapping[str, str], *, data_dir: Path | None = None, file: Path | None = None) -> Settings:
    """
    Read the settings: the file, then variables, then what the command line says.

    Raises SettingsFault with every fault, NotInitialised where there is no file and no issuer either.
    """
    folder = data_dir or Path(environ.get(f"{PREFIX}DATA_DIR") or default_data_dir(environ))
    path = file or Path(environ.get(f"{PREFIX}SETTINGS") or folder / FILE_NAME)
    from_file, faults = _read(path)
    from_environ, more = _from_environ(environ)
    values = {**from_file, **from_environ}
    values["data_dir"] = data_dir or values.get("data_dir") or folder
    if "issuer" not in values and not path.exists():
        raise NotInitialised(
            f"there are no settings: {path} does not exist; run `broker init --issuer https://…/`, or name the place "
            "with --data-dir or BROKER_DATA_DIR"
        )
    return _checked(values, faults + more)


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
    return f"{name}{shown}: {error['msg']}"


def _suggestion(name: str) -> str:
    near = difflib.get_close_matches(name, Settings.model_fields, n=1, cutoff=0.75)
    return f"; did you mean {near[0]}?" if near else " (docs/settings.md lists them)"


def _read(path: Path) -> tuple[dict[str, Any], list[str]]:
    try:
        return tomllib.loads(path.read_text()), []
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
            values[name.lower()] = text.split(",") if name == "SIGNING_ALGORITHMS" else text
        elif _suggestion(name.lower()).startswith("; did"):
            faults.append(f"{variable} is not a setting{_suggestion(name.lower())}")
    return values, faults
