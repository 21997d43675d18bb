"""
What the operator of a broker runs: init, serve, federation-config.
"""

import errno
import os
import socket
import tomllib
from collections.abc import Mapping
from pathlib import Path

from broker import bootstrap, config
from broker.config import Settings
from broker.domain.identity import has_controls
from broker.errors import FileFault, InvalidParameter, PortInUse


def init(*, issuer: str, data_dir: Path | None, administrator: str, values: Mapping[str, object]) -> None:
    """
    Set up a broker and print the first API key.

    The key comes last: whatever can fail has failed before it exists. Raises SettingsFault, FileFault,
    AlreadyInitialised.
    """
    folder = (data_dir or config.default_data_dir(os.environ)).absolute()
    settings = config.check({"issuer": issuer, "data_dir": folder, **values})
    bootstrap.prepare(settings)
    if not (folder / config.FILE_NAME).exists():
        _write_settings(folder / config.FILE_NAME, {"issuer": issuer, **values})
    key = bootstrap.initialise(settings, administrator)
    print(f"The broker is set up in {folder}.")
    print(f"API key of {administrator} (shown once, keep it safe): {key.reveal()}")
    print(f"Next: broker serve --data-dir {folder}")
    print(f"Then: broker federation-config --data-dir {folder}   prints what the Package Manager needs")


def serve(data_dir: Path | None, file: Path | None) -> None:
    """Serve until stopped. Raises SettingsFault, NotInitialised, FileFault, PortInUse, RecordUnavailable."""
    import uvicorn

    settings = config.load(os.environ, data_dir=data_dir, file=file)
    bootstrap.must_be_initialised(settings)
    bootstrap.prepare(settings)
    _port_must_be_free(settings)
    # The workers load the same settings by themselves.
    os.environ["BROKER_DATA_DIR"] = str(settings.data_dir)
    if file is not None:
        os.environ["BROKER_SETTINGS"] = str(file.absolute())
    uvicorn.run(
        "broker.asgi:create",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers if settings.workers > 1 else None,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
        log_config=_logging(settings),
        access_log=False,
        server_header=False,
        date_header=True,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=20,
    )


def federation_config(data_dir: Path | None, file: Path | None, name: str) -> None:
    """Print the section for rstudio-pm.gcfg. Raises SettingsFault, NotInitialised, InvalidParameter."""
    settings = config.load(os.environ, data_dir=data_dir, file=file)
    print(federation_section(settings, name), end="")


def federation_section(settings: Settings, name: str) -> str:
    """
    Return the `[IdentityFederation]` section that trusts this broker (vendor guide).

    `UniqueIdClaim` and `UsernameClaim` make the owner appear in Package Manager's own log, where `sub` could not.
    """
    if not name or has_controls(name) or set(name) & set('"]\\'):
        raise InvalidParameter('the name of a section cannot be empty or hold ", ], \\ or a line break')
    return (
        f'[IdentityFederation "{name}"]\n'
        f'Issuer = "{settings.issuer}"\n'
        f'Audience = "{settings.audience}"\n'
        f'Subject = "{settings.subject}"\n'
        f'AuthorizedParty = "{settings.authorized_party}"\n'
        'RoleClaim = "roles"\n'
        'UniqueIdClaim = "owner_guid"\n'
        'UsernameClaim = "preferred_username"\n'
    )


def _write_settings(path: Path, values: Mapping[str, object]) -> None:
    lines = [f"{name} = {_toml(value)}" for name, value in values.items()]
    text = "# Settings of the broker; docs/settings.md describes each.\n" + "\n".join(lines) + "\n"
    tomllib.loads(text)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(text)
        draft.replace(path)
    except OSError as fault:
        raise FileFault(f"the settings file {path} cannot be written: {fault.strerror}") from None


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _port_must_be_free(settings: Settings) -> None:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as fault:
            if fault.errno == errno.EADDRINUSE:
                raise PortInUse(
                    f"{settings.host}:{settings.port} is in use by another process; stop it or set another port"
                ) from None
            raise PortInUse(f"cannot listen on {settings.host}:{settings.port}: {fault.strerror}") from None


def _logging(settings: Settings) -> dict[str, object]:
    level = settings.log_level.upper()
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {"uvicorn.error": {"level": level}, "httpx": {"level": "WARNING"}, "alembic": {"level": "WARNING"}},
    }
