"""
What the operator of a broker runs: init, serve, federation-config.
"""

import errno
import os
import socket
import ssl
import tomllib
from collections.abc import Mapping
from pathlib import Path

from broker import bootstrap, config
from broker.config import Settings
from broker.domain.identity import checked_username, has_controls
from broker.errors import FileFault, InvalidParameter, PortInUse, SettingsFault


def init(*, issuer: str, data_dir: Path | None, administrator: str, values: Mapping[str, object]) -> None:
    """
    Set up a broker and print the first API key.

    The key comes last: whatever can fail has failed before it exists. Raises SettingsFault, InvalidUsername, FileFault,
    AlreadyInitialised.
    """
    folder = (data_dir or config.default_data_dir(os.environ)).absolute()
    settings = config.check({"issuer": issuer, "data_dir": folder, **values})
    checked_username(administrator)
    bootstrap.prepare(settings)
    file = folder / config.FILE_NAME
    kept = file.exists()
    if not kept:
        _write_settings(file, {"issuer": issuer, **values})
    key = bootstrap.initialise(settings, administrator)
    print(f"The broker is set up in {folder}.")
    if kept:
        print(f"The settings in {file} were there before and stay as they are; this command's options are not in them.")
    print(f"API key of {administrator} (shown once, keep it safe): {key.reveal()}")
    print(f"Next: broker serve --data-dir {folder}")
    print(f"Then: broker federation-config --data-dir {folder}   prints what the Package Manager needs")


def serve(data_dir: Path | None, file: Path | None) -> None:
    """Serve until stopped. Raises SettingsFault, NotInitialised, FileFault, PortInUse, RecordUnavailable."""
    import uvicorn

    settings = config.load(os.environ, data_dir=data_dir, file=file)
    bootstrap.must_be_initialised(settings)
    _tls_must_load(settings)
    bootstrap.prepare(settings)
    _port_must_be_free(settings)
    # The workers load the same settings by themselves; the file may name another data directory than its own.
    read = config.file_of(os.environ, data_dir=data_dir, file=file)
    if read is not None:
        os.environ["BROKER_SETTINGS"] = str(read)
    os.environ["BROKER_DATA_DIR"] = str(settings.data_dir)
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
        f"Issuer = {_quoted(settings.issuer)}\n"
        f"Audience = {_quoted(settings.audience)}\n"
        f"Subject = {_quoted(settings.subject)}\n"
        f"AuthorizedParty = {_quoted(settings.authorized_party)}\n"
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
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as fault:
        draft.unlink(missing_ok=True)
        raise FileFault(f"the settings file {path} cannot be written: {fault.strerror}") from None


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return _quoted(str(value))


def _quoted(text: str) -> str:
    # The same in TOML and in gcfg; line breaks and other control characters do not pass the check of the settings.
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _tls_must_load(settings: Settings) -> None:
    faults = []
    try:
        if settings.tls_certificate is not None and settings.tls_key is not None:
            # An empty password: without one, an encrypted key would make the server wait for somebody to type.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(settings.tls_certificate, settings.tls_key, password="")
    except (OSError, ValueError) as fault:
        faults.append(f"tls_certificate, tls_key: not a certificate with its unencrypted key in PEM ({_reason(fault)})")
    try:
        if settings.ca_file is not None:
            ssl.create_default_context(cafile=str(settings.ca_file))
    except (OSError, ValueError) as fault:
        faults.append(f"ca_file = '{settings.ca_file}': not a file with certificates in PEM ({_reason(fault)})")
    if faults:
        raise SettingsFault(faults)


def _reason(fault: Exception) -> str:
    return str((fault.reason if isinstance(fault, ssl.SSLError) else getattr(fault, "strerror", None)) or fault)


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
        # These would log URLs, and every statement with its values.
        "loggers": {
            "uvicorn.error": {"level": level},
            **{name: {"level": "WARNING"} for name in ("httpx", "aiohttp", "alembic", "sqlalchemy")},
        },
    }
