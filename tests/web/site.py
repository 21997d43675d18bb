"""
A broker in process: the real application on a real SQLite file, with a clock and Package Managers of the test.
"""

import asyncio
import shutil
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace

import httpx
from fastapi.routing import iter_route_contexts
from starlette.routing import Route

from broker import bootstrap, config
from broker.domain.callers import identify
from broker.domain.identity import Role
from broker.domain.integrations import Kind, Principal
from broker.domain.secrets import Secret
from broker.storage.engine import open_engine
from broker.storage.writer import GroupCommitWriter
from broker.system.ids import SystemIds
from broker.usecases.manage_integrations import NewIntegration
from broker.usecases.manage_people import UserFields
from broker.usecases.road import Act
from broker.web.app import create_app
from tests.fakes.clock import ManualClock
from tests.fakes.package_manager import FakePackageManager

V1 = "/__api__/v1"
ISSUER = "https://broker.example.com/"
PREFIXED = "https://broker.example.com/connect/"
PPM = "https://packages.example.com"
NOBODY = "11111111-1111-4111-8111-111111111111"
"""A guid that names nothing."""

USERS = {
    "admin": Role.ADMINISTRATOR,
    "pam": Role.PUBLISHER,
    "paul": Role.PUBLISHER,
    "vic": Role.VIEWER,
    "lucy": Role.PUBLISHER,
}
"""lucy is locked; pam is the only member of the group analysts."""


@dataclass(frozen=True)
class World:
    """What is in the database of every test: the guids by name, and one API key of each user."""

    guids: dict[str, str]
    keys: dict[str, str]


def settings_of(folder, **changes):
    return config.check({"issuer": ISSUER, "data_dir": folder, **changes})


def populate(settings, ring, clock):
    """
    Fill a prepared database and return what is in it.
    """
    engine = open_engine(settings.storage_url)
    writer = GroupCommitWriter(engine)
    first = bootstrap.initialise(settings, "admin")
    services = bootstrap.assemble(
        settings, engine, writer, ring, FakePackageManager(now=clock.now), clock, SystemIds()
    )  # fmt: skip
    caller = identify(services.policy.current(), first.sha256(), clock.now())
    act = Act(caller, "set-up")
    guids, keys = {"admin": caller.user.guid}, {"admin": first.reveal()}
    for name, role in list(USERS.items())[1:]:
        guids[name] = services.people.create_user(act, UserFields(name, role=role)).guid
    for name in list(USERS)[1:]:
        made = services.keys.create(act, guids[name], name="laptop", role=None, expires_time=None)
        keys[name] = made.key.reveal()
    services.people.lock_user(act, guids["lucy"], locked=True)
    guids["analysts"] = services.people.create_group(act, "analysts").guid
    services.people.add_member(act, guids["analysts"], guids["pam"])
    for name, admitted in (("open", None), ("closed", [Principal(Kind.GROUP, guids["analysts"])])):
        new = NewIntegration(name, "", {"ppm_url": PPM, "scopes": f"repos:read:{name}"}, None, admitted)
        guids[name] = services.integrations.create(act, new).integration.guid
    guids["report"] = services.content.create(act, "report", owner_guid=guids["paul"]).guid
    writer.close()
    engine.dispose()
    return World(guids, keys)


@asynccontextmanager
async def lifespan(app):
    """
    Start the application as a server does, and stop it.
    """
    to_app, from_app = asyncio.Queue(), asyncio.Queue()
    running = asyncio.create_task(app({"type": "lifespan", "state": {}}, to_app.get, from_app.put))
    await to_app.put({"type": "lifespan.startup"})
    assert "lifespan.startup.complete" == (await from_app.get())["type"]
    try:
        yield
    finally:
        await to_app.put({"type": "lifespan.shutdown"})
        assert "lifespan.shutdown.complete" == (await from_app.get())["type"]
        await running


class Apps:
    """
    Applications to be used one after the other: putting one together takes longer than most tests.

    What differs between two brokers with the same settings are the services, which open when the application starts.
    """

    def __init__(self):
        self._free = defaultdict(list)

    @contextmanager
    def one(self, settings, open_services):
        free = self._free[settings.model_dump_json(exclude={"data_dir"})]
        slot = free.pop() if free else _Slot(settings)
        slot.open_services = open_services
        yield slot.app
        free.append(slot)


class _Slot:
    def __init__(self, settings):
        self.open_services = None
        self.app = create_app(settings, self._open, lambda: "made-up-by-the-broker")

    def _open(self, settings):
        return self.open_services(settings)


class Broker:
    """The application with everything that a test may want to look at or turn."""

    def __init__(self, apps, folder, ring, world, **changes):
        self.settings = settings_of(folder, **changes)
        self.world = world
        self.clock = ManualClock()
        self.package_manager = FakePackageManager(now=self.clock.now)
        self.engine = open_engine(self.settings.storage_url)
        self.services = None
        self.ring = ring
        self.app = None
        self.http = None
        self._apps = apps

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Broker"]:
        with self._apps.one(self.settings, self._open_services) as self.app:
            transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
            self.http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")
            async with self.http, lifespan(self.app):
                yield self

    @asynccontextmanager
    async def _open_services(self, settings):
        writer = GroupCommitWriter(self.engine)
        self.services = bootstrap.assemble(
            settings, self.engine, writer, self.ring, self.package_manager, self.clock, SystemIds()
        )
        try:
            yield self.services
        finally:
            writer.close()
            self.engine.dispose()

    def replace(self, **parts):
        """
        Put other parts in, as another composition root would.
        """
        self.app._app._app.state.services = replace(self.services, **parts)

    def headers(self, by):
        """
        The header by which a user authenticates: a name of USERS, an API key as Secret, or None for a stranger.
        """
        key = by.reveal() if isinstance(by, Secret) else self.world.keys[by] if by else None
        return {"Authorization": f"Key {key}"} if key else {}

    async def send(self, method, path, body=None, *, by="admin", headers=None, **more):
        """
        Send a request below /__api__/v1, with a JSON body where there is one.
        """
        headers = {**self.headers(by), **(headers or {})}
        more |= {} if body is None else {"json": body}
        return await self.http.request(method, V1 + path, headers=headers, **more)

    async def build(self, body=None, *, by="admin", **more):
        return await self.send("POST", "/builds", body or {"owner_username": "pam"}, by=by, **more)


def copy_of(database, folder):
    folder.mkdir(mode=0o700, exist_ok=True)
    shutil.copyfile(database, folder / "broker.db")
    return folder


def refusal(response):
    """
    Check that an answer has the form of every error, and return its status and code.
    """
    body = response.json()
    assert ["code", "error", "payload"] == sorted(body)
    assert isinstance(body["code"], int)
    assert isinstance(body["error"], str)
    assert body["error"]
    assert body["payload"] is None or isinstance(body["payload"], dict)
    assert "application/json" == response.headers["content-type"]
    assert response.headers["x-correlation-id"]
    assert "no-store" == response.headers["cache-control"]
    return response.status_code, body["code"]


def routes_of(app):
    """
    List (method, path) of everything that the router of the application would serve.
    """
    return sorted(
        (method, context.path)
        for context in iter_route_contexts(app._app._app.routes)
        for method in context.methods - ({"HEAD"} if isinstance(context.original_route, Route) else set())
    )


def all_routes(folder="/nonexistent", **changes):
    return routes_of(create_app(settings_of(folder, **changes), None, str))
