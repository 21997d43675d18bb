"""
Runs the emulator as a process of its own: reads its files, takes the port, serves until it is told to stop.
"""

import contextlib
import errno
import secrets
import socket
import ssl
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import uvicorn

from broker.emulator.app import create_app
from broker.emulator.faults import Fault
from broker.emulator.fetching import HttpFetch
from broker.emulator.log import CONTROL, Line
from broker.emulator.settings import EmulatorSettings, IdentityFederation, load_federations
from broker.emulator.shelves import Shelves
from broker.errors import PortInUse, SettingsFault

_MAX_PORT = 65535
_BACKLOG = 2048
_GRACE = 2
"""Seconds that open answers get when the emulator stops; an endless one would wait for ever."""


def run_emulator(
    config: Path,
    packages: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 4242,
    tls_certificate: Path | None = None,
    tls_key: Path | None = None,
    faults: Sequence[str] = (),
    issuer_ca: Path | None = None,
    control: bool = False,
    one_use: bool = False,
    write: Line | None = None,
    ready: Callable[[str], None] | None = None,
) -> None:
    """
    Serve until SIGINT or SIGTERM.

    `port` 0 takes a free one; `ready` gets the URL once the port is taken. `issuer_ca` is a PEM file with the
    certificates that the issuer's TLS is verified with, besides those of the system. `write` takes each line of the
    log, standard error by default.
    Raises SettingsFault with everything that is wrong, PortInUse.
    """
    out = _to_stderr if write is None else write
    tls = _tls_faults(tls_certificate, tls_key, issuer_ca)
    settings = load_settings(config, packages, faults=faults, control=control, one_use=one_use, also_wrong=tls)
    app = create_app(
        settings, clock=time.time, fetch=HttpFetch(issuer_ca), ids=lambda: secrets.token_hex(16), write=out
    )
    with listen(host, port) as listener:
        url = _url(listener, host, secure=tls_certificate is not None)
        for line in introduction(settings, url):
            out(line)
        if ready is not None:
            ready(url)
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,
                lifespan="off",
                server_header=False,
                timeout_graceful_shutdown=_GRACE,
                ssl_certfile=tls_certificate,
                ssl_keyfile=tls_key,
            )
        )
        # Stopping it by hand is its normal end; uvicorn has shut down by the time it says so.
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listener])


def load_settings(
    config: Path,
    packages: Path,
    *,
    faults: Sequence[str] = (),
    control: bool = False,
    one_use: bool = False,
    also_wrong: Sequence[str] = (),
) -> EmulatorSettings:
    """
    Read and check everything that the emulator is told.

    Raises SettingsFault with all that is wrong, and with what the caller found wrong (`also_wrong`).
    """
    wrong: list[str] = []
    switched: list[Fault] = []
    federations: tuple[IdentityFederation, ...] = ()
    try:
        federations = load_federations(config)
    except SettingsFault as fault:
        wrong.extend(fault.faults)
    for text in faults:
        try:
            switched.append(Fault.parse(text))
        except ValueError as fault:
            wrong.append(f"--fault {fault}")
    wrong.extend(Shelves(packages).faults())
    wrong.extend(also_wrong)
    if wrong:
        raise SettingsFault(wrong)
    return EmulatorSettings(federations, packages, tuple(switched), control=control, one_use=one_use)


def introduction(settings: EmulatorSettings, url: str) -> list[str]:
    """Return what an administrator wants to see first: the address, who is trusted, what is served."""
    lines = [f"Package Manager emulator at {url}"]
    lines += [
        f'trusts "{one.name}": issuer {one.issuer} audience {one.audience} subject {one.subject}'
        + ("" if one.role_claim else " (no RoleClaim: its tokens open nothing)")
        for one in settings.federations
    ]
    shelves = Shelves(settings.packages)
    shelves.faults()
    for repository in map(shelves.find, shelves.names()):
        if repository is not None:
            access = "needs a token" if repository.auth else "open to everybody"
            kind = repository.kind or "empty, kind unknown"
            lines.append(f"serves {repository.name}: {kind}, {len(repository.files)} files, {access}")
            lines += [f"leaves out {repository.name}/{reason}" for reason in repository.left_out]
    lines += [f"fault on: {fault}" for fault in settings.faults]
    lines += [f"control endpoints below {url}{CONTROL[1:]} for callers on this machine"] if settings.control else []
    return lines


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; raises PortInUse, or SettingsFault for an address that cannot be listened on."""
    if not 0 <= port <= _MAX_PORT:
        raise SettingsFault([f"--port {port}: give 0 to {_MAX_PORT}"])
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError):
        raise SettingsFault([f"--host {host!r} is not an address of this machine"]) from None
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as fault:
        listener.close()
        if fault.errno == errno.EADDRINUSE:
            raise PortInUse(f"port {port} on {host} is taken by another process; choose another --port") from None
        raise SettingsFault([f"--host {host} --port {port} cannot be listened on: {fault.strerror}"]) from None
    return listener


def _url(listener: socket.socket, host: str, *, secure: bool) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"{'https' if secure else 'http'}://{name}:{listener.getsockname()[1]}/"


def _tls_faults(certificate: Path | None, key: Path | None, authorities: Path | None) -> list[str]:
    faults: list[str] = []
    if (certificate is None) != (key is None):
        faults.append("--tls-certificate and --tls-key go together: give both or neither")
    elif certificate is not None and key is not None:
        _try(lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key), "--tls-…", faults)
    if authorities is not None:
        _try(lambda: ssl.create_default_context(cafile=authorities), f"--issuer-ca {authorities}", faults)
    return faults


def _try(load: Callable[[], object], what: str, faults: list[str]) -> None:
    try:
        load()
    except ssl.SSLError as fault:
        faults.append(f"{what} cannot be used: {fault.reason or 'not PEM'}; give PEM files that belong together")
    except OSError as fault:
        faults.append(f"{what} cannot be read: {fault.strerror}")


def _to_stderr(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
