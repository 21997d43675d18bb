"""
A populated broker, its replica, and the Package Managers of the tests.
"""

import pytest

from keys import Algorithm
from keys.backends.memory import MemoryKeyStore
from tests.fakes.clock import NOON
from tests.fakes.package_manager import FakePackageManager
from tests.storage.databases import new_database
from tests.usecases.world import populate, running


@pytest.fixture(scope="session")
def ring():
    return MemoryKeyStore().ensure([Algorithm.RS256, Algorithm.ES256], NOON)


@pytest.fixture
def package_manager(clock):
    return FakePackageManager(now=clock.now)


@pytest.fixture
def file(tmp_path):
    return new_database(tmp_path)


@pytest.fixture
def broker(file, ring, clock, package_manager):
    with running(file, ring=ring, clock=clock, package_manager=package_manager) as broker:
        populate(broker)
        yield broker


@pytest.fixture
def replica(broker, file, ring, clock, package_manager):
    """
    Another process on the same database, which has read the policy at its start.
    """
    with running(file, ring=ring, clock=clock, package_manager=package_manager, series=2) as replica:
        yield replica
