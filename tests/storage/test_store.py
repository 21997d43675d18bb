"""
The store on SQLite.
"""

import sqlite3
import threading
import time

import pytest

from broker.errors import RecordUnavailable
from broker.storage.snapshot import Snapshot
from broker.storage.transaction import SqlStore
from tests.contract.store import StoreContract
from tests.domain.samples import guid, user
from tests.fakes.ids import CountingIds
from tests.storage.databases import engine_on, look


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def store(self, engine, policy, ids):
        return SqlStore(engine, policy, ids)

    @pytest.fixture
    def policy(self, engine):
        return Snapshot(engine)


@pytest.fixture
def other_process(file):
    """
    A second broker on the same file.
    """
    with engine_on(file) as engine:
        policy = Snapshot(engine)
        yield SqlStore(engine, policy, CountingIds(series=2)), policy


def add_alice(store):
    with store.transaction() as transaction:
        transaction.people.add_user(user())
        transaction.policy_changed()


def test_a_change_of_another_process_is_seen_after_a_refresh_and_not_before(policy, other_process):
    theirs, _ = other_process
    add_alice(theirs)

    assert None is policy.current().user(guid(1))
    assert user() == policy.refresh().user(guid(1)) == policy.current().user(guid(1))


def test_a_lock_is_waited_for(store, file):
    """
    Two writers at once: the second one waits for the first, it does not fail.
    """
    with engine_on(file) as engine:
        patient = SqlStore(engine, Snapshot(engine), CountingIds())
        with store.transaction():
            thread = threading.Thread(target=add_alice, args=[patient])
            thread.start()
            thread.join(0.05)
            waiting = thread.is_alive()
        thread.join(10)

    assert waiting
    assert [("alice",)] == look(file, "SELECT username FROM users")


def test_a_lock_that_is_held_for_too_long_is_a_reason_to_try_again(store, file):
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    started = time.monotonic()

    with pytest.raises(RecordUnavailable, match="locked") as refused:
        add_alice(store)
    took = time.monotonic() - started
    holder.execute("ROLLBACK")
    holder.close()
    add_alice(store)

    assert 2 > took
    assert 0 < refused.value.retry_after
    assert "INSERT" not in refused.value.message
    assert [("alice",)] == look(file, "SELECT username FROM users")


def test_the_change_stands_when_only_reading_it_back_fails(engine, ids, file):
    """
    After the commit nothing may claim that nothing was changed.
    """

    class Unreadable:
        def refresh(self):
            raise RecordUnavailable("gone")

    add_alice(SqlStore(engine, Unreadable(), ids))

    assert [("alice",)] == look(file, "SELECT username FROM users")


@pytest.mark.parametrize("text", [b"", b"not a database, just text\n" * 100], ids=["empty", "text"])
def test_a_file_that_is_no_database_of_ours_is_refused_in_words(tmp_path, text):
    file = tmp_path / "other.db"
    file.write_bytes(text)

    with engine_on(file) as engine, pytest.raises(RecordUnavailable, match=r"no such table|not a database"):
        Snapshot(engine)


def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path):
    file = tmp_path / "other.db"
    file.write_text("precious\n" * 1000)

    with engine_on(file) as engine, pytest.raises(RecordUnavailable):
        Snapshot(engine)
    assert "precious\n" * 1000 == file.read_text()


def test_a_folder_that_is_not_there_is_refused_in_words(tmp_path):
    with (
        engine_on(tmp_path / "nowhere" / "broker.db") as engine,
        pytest.raises(RecordUnavailable, match="unable to open database file"),
    ):
        Snapshot(engine)


def test_when_every_connection_is_taken_a_reader_is_told_so(file):
    """
    Admin requests that hang must not make the others wait for ever.
    """
    with engine_on(file) as engine:
        engine.pool._timeout = 0.05
        taken = [engine.connect() for _ in range(engine.pool.size() + engine.pool._max_overflow)]
        with pytest.raises(RecordUnavailable, match="TimeoutError"):
            Snapshot(engine)
        for connection in taken:
            connection.close()

        assert Snapshot(engine)
