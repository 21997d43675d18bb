"""
The composition root: settings in, working parts out. Nothing else in the project constructs an adapter.
"""

import asyncio
import gc
import os
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass
from datetime import timedelta
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
from broker.ports import Clock, Ids, PackageManager, PolicySource, Store, Transaction
from broker.storage import schema
from broker.storage.engine import open_engine
from broker.storage.snapshot import Snapshot
from broker.storage.transaction import SqlStore
from broker.storage.writer import GroupCommitWriter
from broker.system.clock import SystemClock
from broker.system.ids import CorrelationIds, SystemIds
from broker.system.rounds import rounds
from broker.usecases.finish_build import FinishBuild
from broker.usecases.initialise import Initialise
from broker.usecases.manage_content import ManageContent
from broker.usecases.manage_integrations import ManageIntegrations
from broker.usecases.manage_keys import ManageKeys
from broker.usecases.manage_people import ManagePeople
from broker.usecases.note_use import NoteUse
from broker.usecases.open_build import OpenBuild
from broker.usecases.road import Road
from broker.usecases.rotate_keys import RotateKeys
from broker.usecases.verify_integration import VerifyIntegration
from keys import Algorithm, KeyFault, KeyRing
from keys import schedule as keys_schedule
from keys.backends.file import FileKeyStore, must_be_outside_git
from keys.ring import CurrentRing, KeyRingSource

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
    signing_keys: RotateKeys
    content: ManageContent
    verify_integration: VerifyIntegration
    note_use: NoteUse


def prepare(settings: Settings) -> None:
    """
    Make what must be there before the first request: the private data directory, the signing keys, the schema.

    Any number of processes may do so at once. Raises SettingsFault, FileFault, RecordUnavailable.
    """
    engine = _open_engine(settings)
    _private_folder(settings.data_dir)
    clock = SystemClock()
    try:
        _first_ring(settings, clock)
        schema.upgrade(engine)
        with _key_faults():
            _rotate_keys(settings, _StoreOnDemand(engine), clock)()
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


@contextmanager
def open_signing_keys(settings: Settings) -> Iterator[RotateKeys]:
    """Open what an operator's command changes keys with. Raises SettingsFault, and in the block FileFault for keys."""
    engine = _open_engine(settings)
    try:
        with _key_faults():
            yield _rotate_keys(settings, _StoreOnDemand(engine), SystemClock())
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
        ring = CurrentRing(await asyncio.to_thread(_first_ring, settings, clock))
        services = assemble(settings, engine, writer, ring, package_manager, clock, ids)
        await stack.enter_async_context(_keys_kept(services, ring))
        # What is there now stays: the collector need not walk through it again and again under load.
        gc.freeze()
        yield services


def assemble(
    settings: Settings,
    engine: Engine,
    writer: GroupCommitWriter,
    ring: KeyRingSource,
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
        signing_keys=_rotate_keys(settings, store, clock),
        content=ManageContent(road, ids, clock),
        verify_integration=VerifyIntegration(snapshot, writer, issuer, package_manager, clock, ids, rules),
        note_use=NoteUse(snapshot, writer, clock),
    )


def correlation_ids() -> Callable[[], str]:
    """Return where ids come from for requests that have none."""
    return CorrelationIds()


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


def _first_ring(settings: Settings, clock: Clock) -> KeyRing:
    store = FileKeyStore(settings.key_file)
    with _key_faults():
        # Before there is a key, nobody can have signed anything: the first ones need not wait, nor be recorded.
        ring = store.load()
        return ring if ring.keys else store.ensure(_algorithms(settings), clock.now())


def _rotate_keys(settings: Settings, store: Store, clock: Clock) -> RotateKeys:
    rules = keys_schedule.Rules(
        key_lifetime=timedelta(days=settings.key_lifetime_days),
        publish_ahead=timedelta(seconds=settings.publish_ahead),
        max_age=timedelta(seconds=settings.jwks_max_age),
        token_lifetime=timedelta(seconds=settings.assertion_lifetime),
    )
    schedule = keys_schedule.Schedule(rules, frozenset(_algorithms(settings)))
    return RotateKeys(FileKeyStore(settings.key_file), schedule, store, clock, tuple(settings.signing_algorithms))


def _keys_kept(services: Services, ring: CurrentRing) -> AbstractAsyncContextManager[None]:
    settings, spread = services.settings, random.SystemRandom()

    def keep() -> None:
        with _key_faults():
            newest = services.signing_keys.load()
            if not newest.keys:  # a disk that is not mounted is no reason for new keys, which verifiers do not know
                raise FileFault(f"the key file {settings.key_file} is gone; restore it, the known keys go on meanwhile")
            # First what other processes changed: it counts even where our own change cannot be made.
            ring.replace(newest)
            ring.replace(services.signing_keys())

    def pause() -> float:
        # Apart from each other, so that not all workers ask in the same instant; never later than the setting says.
        return settings.key_check_interval * spread.uniform(0.5, 1)

    return rounds("the rotation of the signing keys", keep, pause)


def _algorithms(settings: Settings) -> list[Algorithm]:
    return [Algorithm(name) for name in settings.signing_algorithms]


@contextmanager
def _key_faults() -> Iterator[None]:
    try:
        yield
    except KeyFault as fault:
        raise FileFault(str(fault)) from None


@dataclass(frozen=True, slots=True)
class _StoreOnDemand:
    """A Store that asks the database nothing before it is used: a leaked key can be revoked while that is down."""

    engine: Engine

    def transaction(self) -> AbstractContextManager[Transaction]:
        return SqlStore(self.engine, Snapshot(self.engine), SystemIds()).transaction()

    def reading(self) -> AbstractContextManager[Transaction]:
        return SqlStore(self.engine, Snapshot(self.engine), SystemIds()).reading()


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
