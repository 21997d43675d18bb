"""
When a key and its user were last active: coarse, and in nobody's way.
"""

import logging
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from broker.usecases.note_use import EVERY, NoteUse
from tests.fakes.clock import NOON
from tests.usecases.world import ALICE, BOB, sha256

SECONDS = 10


class Notes:
    """A Recorder that remembers what it was to note."""

    def __init__(self):
        self.rows = []

    def note(self, rows, *, patience=0):
        self.rows += rows


@pytest.fixture
def note(broker):
    return lambda person=ALICE: broker.note_use(sha256(person), patience=SECONDS)


def active(broker, person=ALICE):
    (key,) = broker.read("SELECT active_time FROM api_keys WHERE user_guid = ?", person.guid)
    (user,) = broker.read("SELECT active_time FROM users WHERE guid = ?", person.guid)
    assert key == user
    return key[0] and key[0] / 1_000_000


def test_a_use_shows_at_the_key_and_its_user_and_nowhere_else(broker, note):
    note()

    assert NOON.timestamp() == active(broker)
    assert None is active(broker, BOB)


def test_a_use_is_no_change_of_the_policy_and_no_event(broker, note):
    before = broker.read("SELECT version FROM policy")
    note()

    assert before == broker.read("SELECT version FROM policy")
    assert [] == broker.audit()


@pytest.mark.parametrize(("later", "moved"), [(timedelta(0), False), (EVERY / 2, False), (EVERY, True)])
def test_uses_within_minutes_are_one(broker, note, clock, later, moved):
    note()
    clock.advance(seconds=later.total_seconds())
    note()

    assert (NOON + (later if moved else timedelta(0))).timestamp() == active(broker)


def test_a_restart_does_not_note_again_what_was_noted_just_now(broker, note, clock):
    note()
    broker.policy._policy = broker.policy._read()
    restarted = Notes()
    clock.advance(minutes=1)
    NoteUse(broker.policy, restarted, clock)(sha256(ALICE))

    assert [] == restarted.rows


def test_another_process_with_an_older_time_does_not_move_it_back(broker, replica, note, clock):
    clock.advance(hours=1)
    note()
    clock.advance(hours=-1)
    replica.note_use(sha256(ALICE), patience=SECONDS)

    assert (NOON + timedelta(hours=1)).timestamp() == active(broker)


def test_an_unknown_key_is_neither_noted_nor_remembered(broker, clock):
    notes = Notes()
    use = NoteUse(broker.policy, notes, clock)
    use("f" * 64)

    assert ([], {}) == (notes.rows, use._noted)


def test_what_is_remembered_is_bounded(broker, clock):
    use = NoteUse(broker.policy, Notes(), clock, at_most=1)
    for person in (ALICE, BOB, ALICE):
        use(sha256(person))

    assert [sha256(ALICE)] == list(use._noted)


def test_a_storage_that_does_not_work_hurts_nobody(broker, note, file, caplog):
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("ALTER TABLE users RENAME TO elsewhere")

    with caplog.at_level(logging.WARNING):
        note()

    assert "a note was not written" in caplog.text
