"""
The group-commit writer on SQLite, and what it says when the disk has enough.
"""

import asyncio
import logging
import sqlite3
import threading
import time
from contextlib import closing

import pytest
from sqlalchemy import event as sqlalchemy_event

from broker.errors import RecordUnavailable
from broker.storage.writer import MAX_BATCH, MAX_WAITING, GroupCommitWriter
from tests.contract.recorder import RecorderContract, build, credential, decision, event
from tests.domain.samples import key
from tests.storage.databases import engine_on, look, new_database


@pytest.fixture
def recorder(engine):
    with closing(GroupCommitWriter(engine)) as recorder:
        yield recorder


class TestGroupCommitWriter(RecorderContract):
    @pytest.fixture
    def recorder(self, engine):
        with closing(GroupCommitWriter(engine)) as recorder:
            yield recorder

    @pytest.fixture
    def read(self, file):
        return lambda sql: look(file, sql)

    @pytest.fixture
    def move_policy(self, store, policy):
        def move():
            with store.transaction() as transaction:
                transaction.policy_changed()
            return policy.refresh().version

        return move

    @pytest.fixture
    def people(self, store):
        def add(person, sha256):
            with store.transaction() as transaction:
                transaction.people.add_user(person)
                transaction.people.add_key(key(person, sha256))

        return add


def count(file, table="builds"):
    return look(file, f"SELECT count(*) FROM {table}")[0][0]


async def test_what_waits_together_is_committed_together(recorder, engine, file):
    """
    One fsync for all of it: that is what the writer is for.
    """
    commits = []
    sqlalchemy_event.listen(engine, "commit", commits.append)
    holder = sqlite3.connect(file, isolation_level=None)
    with closing(holder):
        holder.execute("BEGIN IMMEDIATE")
        waiters = [asyncio.ensure_future(recorder.record([build(n)])) for n in range(100)]
        await asyncio.sleep(0.02)
        holder.execute("ROLLBACK")
        await asyncio.gather(*waiters)

    assert 100 == count(file)
    assert 5 > len(commits)


async def test_a_lock_held_by_others_ends_in_a_clear_word_and_later_records_are_written(recorder, file):
    with closing(sqlite3.connect(file, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        outcomes = await asyncio.gather(*(recorder.record([build(n)]) for n in range(10)), return_exceptions=True)
        took = time.monotonic() - started
        holder.execute("ROLLBACK")
    await recorder.record([build(99)])

    assert {RecordUnavailable} == {type(each) for each in outcomes}
    assert {"the storage cannot be used now: database is locked; nothing was changed"} == {
        each.message for each in outcomes
    }
    assert 3 > took
    assert 1 == count(file)


async def test_a_full_disk_is_told_and_later_records_are_written(file):
    room = [10_000]
    with engine_on(file) as engine:
        sqlalchemy_event.listen(
            engine, "checkout", lambda raw, *_: raw.execute(f"PRAGMA max_page_count={room[0]}").close()
        )
        with closing(GroupCommitWriter(engine)) as recorder:
            await recorder.record([build(1)])
            room[0] = 1  # SQLite takes the present size instead: no page more than there are
            records = [recorder.record([build(n), event(text="x" * 1000)]) for n in range(2, 300)]
            outcomes = await asyncio.gather(*records, return_exceptions=True)
            written = count(file)
            room[0] = 10_000
            await recorder.record([build(1000)])

    refused = [each for each in outcomes if each is not None]
    assert {"the storage cannot be used now: database or disk is full; nothing was changed"} == {
        each.message for each in refused
    }
    assert 1 + len(outcomes) - len(refused) == written
    assert written + 1 == count(file)
    assert count(file, "audit") == count(file) - 2


async def test_a_database_that_may_only_be_read_is_told(tmp_path):
    file = new_database(tmp_path)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")

    with (
        engine_on(f"file:{file}", options="?mode=ro&uri=true") as engine,
        closing(GroupCommitWriter(engine)) as recorder,
        pytest.raises(RecordUnavailable, match="readonly"),
    ):
        await recorder.record([build()])

    assert 0 == count(file)


async def test_a_database_without_its_tables_is_told_and_the_writer_lives_on(recorder, file):
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("ALTER TABLE policy RENAME TO elsewhere")
    with pytest.raises(RecordUnavailable, match="no such table"):
        await recorder.record([build()])
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("ALTER TABLE elsewhere RENAME TO policy")
    await recorder.record([build()])

    assert 1 == count(file)


async def test_a_policy_without_a_version_is_told(recorder, file):
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("DELETE FROM policy")

    with pytest.raises(RecordUnavailable):
        await recorder.record([build()])


async def test_closing_writes_what_waits(engine, file):
    recorder = GroupCommitWriter(engine)
    waiters = [asyncio.ensure_future(recorder.record([build(n)])) for n in range(300)]
    await asyncio.sleep(0)
    await asyncio.to_thread(recorder.close)
    await asyncio.gather(*waiters)

    assert 300 == count(file)


async def test_after_closing_nobody_waits_for_ever(engine, file):
    recorder = GroupCommitWriter(engine)
    await recorder.record([build(1)])
    recorder.close()
    recorder.close()

    with pytest.raises(RecordUnavailable, match="stopping"):
        await asyncio.wait_for(recorder.record([build(2)]), 5)
    assert 1 == count(file)


async def test_a_loop_that_is_gone_does_not_stop_the_writer(recorder, file):
    """
    Somebody asked, and its loop was closed before the answer.
    """
    with closing(sqlite3.connect(file, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")

        async def ask_and_go():
            asyncio.ensure_future(recorder.record([build(1)]))  # noqa: RUF006 - that nobody waits is the point
            await asyncio.sleep(0)

        gone = threading.Thread(target=lambda: asyncio.run(ask_and_go()))
        gone.start()
        await asyncio.to_thread(gone.join)
        holder.execute("ROLLBACK")
    await recorder.record([build(2)])

    assert 2 == count(file)


async def test_when_too_many_wait_the_next_one_is_sent_away_at_once(file):
    """
    The first batch waits patiently for the lock, so nothing leaves the queue meanwhile.
    """
    number = MAX_WAITING + 2 * MAX_BATCH
    with engine_on(file) as engine, closing(GroupCommitWriter(engine)) as recorder:
        with closing(sqlite3.connect(file, isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            waiters = [asyncio.ensure_future(recorder.record([event()])) for _ in range(number)]
            await asyncio.sleep(0)
            sent_away = [waiter.exception().message for waiter in waiters if waiter.done()]
            holder.execute("ROLLBACK")
        outcomes = await asyncio.gather(*waiters, return_exceptions=True)

    assert {"too many requests wait for the storage; nothing was minted"} == set(sent_away)
    assert number - len(sent_away) == outcomes.count(None) == count(file, "audit")


async def test_no_complaint_of_the_database_quotes_what_was_to_be_written(recorder, caplog):
    """
    Hashes of tokens are no secrets, but a statement with all its values has no place in an answer (T35).
    """
    caplog.set_level(logging.DEBUG)
    await recorder.record([build(), decision(), credential()])
    with pytest.raises(RecordUnavailable) as refused:
        await recorder.record([credential(build_guid="canary")])
    with pytest.raises(RecordUnavailable):
        await recorder.record([build(99), event(canary=object())])

    assert "canary" not in refused.value.message
    assert "INSERT" not in refused.value.message
    assert None is refused.value.__cause__


async def test_a_note_after_the_end_is_only_a_line_in_the_log(engine, caplog):
    recorder = GroupCommitWriter(engine)
    recorder.close()

    recorder.note([event()], patience=10)

    assert "a note was not written: the broker is stopping" in caplog.text
