"""
The composition root: settings in, working parts out. Nothing else in the project constructs an adapter.
"""

import asyncio
import gc
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import ArgumentError

from broker.clients.addresses import AddressPolicy
from broker.clients.http import open_http_client
from broker.clients.package_manager import HttpPackageManager, Limits
from broker.config import Settings
from broker.domain.decided import Deciding, Rules
from broker.domain.plan import Defaults
from broker.domain.secrets import Secret
from broker.domain.templates import OutboundRules, Template
from broker.errors import FileFault, NotInitialised, SettingsFault
from broker.issuer import Issuer
from broker.ports import Clock, Ids, PackageManager, PolicySource
from broker.storage import schema
from broker.storage.engine import open_engine
from broker.storage.snapshot import Snapshot
from broker.storage.transaction import SqlStore
from broker.storage.writer import GroupCommitWriter
from broker.system.clock import SystemClock
from broker.system.ids import SystemIds
from broker.usecases.finish_build import FinishBuild
from broker.usecases.initialise import Initialise
from broker.usecases.manage_integrations import ManageIntegrations
from broker.usecases.manage_keys import ManageKeys
from broker.usecases.manage_people import ManagePeople
from broker.usecases.open_build import OpenBuild
from broker.usecases.road import Road
from keys import Algorithm, KeyFault, KeyRing
from keys.backends.file import FileKeyStore, must_be_outside_git

DISTRIBUTION = "package-credential-broker"
_PRIVATE_FOLDER = 0o700


@dataclass(frozen=True, slots=True)
class Services:
    """What the outside of the broker may use."""

    settings: Settings
    policy: PolicySource
    issuer: Issuer
    clock: Clock
    ids: Ids
    open_build: OpenBuild
    finish_build: FinishBuild
    integrations: ManageIntegrations
    people: ManagePeople
    keys: ManageKeys


def prepare(settings: Settings) -> None:
    """
    Make what must be there before the first request: the private data directory, the signing keys, the schema.

    Any number of processes may do so at once. Raises SettingsFault, FileFault, RecordUnavailable.
    """
    engine = _open_engine(settings)
    _private_folder(settings.data_dir)
    _load_ring(settings, SystemClock())
    try:
        schema.upgrade(engine)
    finally:
        engine.dispose()


def initialise(settings: Settings, administrator: str) -> Secret:
    """Make the first administrator of a prepared broker and return the key. Raises AlreadyInitialised."""
    ids = SystemIds()
    engine = _open_engine(settings)
    try:
        return Initialise(SqlStore(engine, Snapshot(engine), ids), SystemClock(), ids)(administrator)
    finally:
        engine.dispose()


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Open everything inside a running event loop, and close it again in the reverse order."""
    async with AsyncExitStack() as stack:
        clock, ids = SystemClock(), SystemIds()
        client = open_http_client(
            timeout=settings.exchange_timeout,
            ca_file=settings.ca_file,
            addresses=AddressPolicy(allow_loopback=settings.allow_loopback),
        )
        stack.push_async_callback(client.aclose)
        package_manager = HttpPackageManager(client, clock=clock, limits=Limits(deadline=settings.exchange_timeout))
        engine = _open_engine(settings)
        stack.callback(engine.dispose)
        writer = GroupCommitWriter(engine)
        stack.callback(writer.close)
        ring = await asyncio.to_thread(_load_ring, settings, clock)
        services = assemble(settings, engine, writer, ring, package_manager, clock, ids)
        # What is there now stays: the collector need not walk through it again and again under load.
        gc.freeze()
        yield services


def assemble(
    settings: Settings,
    engine: Engine,
    writer: GroupCommitWriter,
    ring: KeyRing,
    package_manager: PackageManager,
    clock: Clock,
    ids: Ids,
) -> Services:
    """Put the parts together; tests and benchmarks pass other parts."""
    snapshot = Snapshot(engine)
    store = SqlStore(engine, snapshot, ids)
    road = Road(store, clock)
    issuer = Issuer(ring)
    defaults = Defaults(settings.audience, settings.subject, settings.signing_algorithms[0])
    rules = Rules(
        settings.issuer,
        defaults,
        settings.authorized_party,
        settings.assertion_lifetime,
        settings.build_duration,
        settings.max_build_duration,
    )
    template = Template(
        OutboundRules(allow_cleartext=settings.allow_cleartext, allow_loopback=settings.allow_loopback),
        frozenset(settings.signing_algorithms),
    )
    return Services(
        settings=settings,
        policy=snapshot,
        issuer=issuer,
        clock=clock,
        ids=ids,
        open_build=OpenBuild(snapshot, writer, issuer, package_manager, clock, ids, Deciding(rules, ids.guid, ids.jti)),
        finish_build=FinishBuild(snapshot, store, writer, clock),
        integrations=ManageIntegrations(road, ids, clock, template, defaults),
        people=ManagePeople(road, ids, clock),
        keys=ManageKeys(road, ids, clock),
    )


def new_correlation_id() -> str:
    """Return an id for a request that came without one."""
    return SystemIds().guid()


def must_be_initialised(settings: Settings) -> None:
    """Raise NotInitialised where `broker init` has not run: serving an empty broker would help nobody."""
    try:
        found = settings.key_file.exists()
    except OSError as fault:
        raise _unusable(settings.data_dir, fault) from None
    if not found:
        raise NotInitialised(
            f"{settings.data_dir} holds no broker; run: broker init --data-dir {settings.data_dir} --issuer …"
        )


def version() -> str:
    """Return the version of the installed distribution (PEP 440); a checkout that is not installed has none."""
    try:
        return installed_version(DISTRIBUTION)
    except PackageNotFoundError:
        return "0+unknown"


def _open_engine(settings: Settings) -> Engine:
    try:
        return open_engine(settings.storage_url)
    except (ArgumentError, ImportError, ValueError):
        # Not the library's own words: they quote the URL, which may hold a password.
        raise SettingsFault(
            ["database_url: not a database that this broker can use; leave it out for SQLite in the data directory"]
        ) from None


def _load_ring(settings: Settings, clock: Clock) -> KeyRing:
    algorithms = [Algorithm(name) for name in settings.signing_algorithms]
    try:
        return FileKeyStore(settings.key_file).ensure(algorithms, clock.now())
    except KeyFault as fault:
        raise FileFault(str(fault)) from None


def _private_folder(folder: Path) -> None:
    try:
        must_be_outside_git(folder / "x")
        folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
        if folder.stat().st_mode & 0o077:
            raise FileFault(f"the data directory {folder} is open to others; run: chmod 700 {folder}")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise FileFault(f"the data directory {folder} is not writable for this user")
    except KeyFault as fault:
        raise FileFault(str(fault)) from None
    except OSError as fault:
        raise _unusable(folder, fault) from None


def _unusable(folder: Path, fault: OSError) -> FileFault:
    return FileFault(f"the data directory {folder} cannot be used: {fault.strerror}")
