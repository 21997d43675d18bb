"""
Brokers in process: `broker` is a new one for each test, `shared` one for a module whose tests change nothing.
"""

import pytest

from broker import bootstrap
from keys import Algorithm
from keys.backends.memory import MemoryKeyStore
from tests.fakes.clock import ManualClock
from tests.web.site import Apps, Broker, copy_of, populate, settings_of


@pytest.fixture(scope="session")
def ring():
    return MemoryKeyStore().ensure([Algorithm.RS256], ManualClock().now())


@pytest.fixture(scope="session")
def apps():
    return Apps()


@pytest.fixture(scope="session")
def populated(ring, tmp_path_factory):
    """
    A database with people, groups and integrations, made once; tests work on copies.
    """
    folder = tmp_path_factory.mktemp("populated") / "data"
    settings = settings_of(folder)
    bootstrap.prepare(settings)
    world = populate(settings, ring, ManualClock())
    return folder / "broker.db", world


@pytest.fixture
def make_broker(apps, ring, populated, tmp_path):
    """
    Put a broker together with other settings; it serves inside `async with` of its method `running`.
    """
    database, world = populated

    def make(**changes):
        return Broker(apps, copy_of(database, tmp_path / "data"), ring, world, **changes)

    return make


@pytest.fixture
async def broker(make_broker):
    async with make_broker().running() as running:
        yield running


@pytest.fixture(scope="module")
async def shared(apps, ring, populated, tmp_path_factory):
    database, world = populated
    folder = copy_of(database, tmp_path_factory.mktemp("shared") / "data")
    async with Broker(apps, folder, ring, world).running() as running:
        yield running
