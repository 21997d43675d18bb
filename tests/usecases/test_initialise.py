"""
The first administrator.
"""

from dataclasses import replace

import pytest

from broker.domain.callers import identify
from broker.domain.identity import Role
from broker.errors import AlreadyInitialised, InvalidUsername
from broker.storage.snapshot import Snapshot
from broker.storage.transaction import SqlStore
from broker.usecases.initialise import Initialise
from tests.domain.samples import guid
from tests.storage.databases import engine_on, look
from tests.usecases.world import ROBOT


@pytest.fixture
def store(file, ids):
    with engine_on(file) as engine:
        store = SqlStore(engine, Snapshot(engine), ids)
        yield store


@pytest.fixture
def initialise(store, clock, ids):
    return Initialise(store, clock, ids)


def test_the_first_key_is_that_of_an_administrator(initialise, store, file, clock):
    key = initialise("admin")
    caller = identify(store._snapshot.current(), key.sha256(), clock.now())

    assert ("admin", Role.ADMINISTRATOR) == (caller.name, caller.role)
    assert [("broker.initialised", "system", caller.user.guid)] == look(file, "SELECT action, actor, target FROM audit")
    assert key.reveal().encode() not in b"".join(each.read_bytes() for each in file.parent.iterdir())


def test_the_second_time_nothing_is_made(initialise, file):
    initialise("admin")

    with pytest.raises(AlreadyInitialised, match="sign in"):
        initialise("another")
    assert [("admin",)] == look(file, "SELECT username FROM users")
    assert [(1,)] == look(file, "SELECT count(*) FROM api_keys")


def test_a_bad_name_makes_nothing(initialise, file):
    with pytest.raises(InvalidUsername):
        initialise("not a name")
    assert [] == look(file, "SELECT username FROM users")


def test_where_every_administrator_is_locked_another_one_can_be_made(initialise, store):
    with store.transaction() as transaction:
        transaction.people.add_user(replace(ROBOT, guid=guid(999), locked=True))

    assert initialise("rescue")
