"""
One database for each test, opened as the broker opens it.
"""

import pytest

from broker.storage.snapshot import Snapshot
from broker.storage.transaction import SqlStore
from tests.storage.databases import engine_on, new_database


@pytest.fixture
def file(tmp_path):
    return new_database(tmp_path)


@pytest.fixture
def engine(file):
    with engine_on(file, busy_ms=100) as engine:
        yield engine


@pytest.fixture
def policy(engine):
    return Snapshot(engine)


@pytest.fixture
def store(engine, policy, ids):
    return SqlStore(engine, policy, ids)
