"""
A running process keeps its keys on schedule and follows what other processes do to them.
"""

import asyncio
import logging
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from broker import bootstrap, config
from broker.errors import FileFault
from keys import Algorithm, KeyRing
from keys.backends.file import FileKeyStore
from keys.model import Life
from keys.schedule import make_key


@pytest.fixture
def settings(tmp_path):
    given = {"issuer": "https://broker.example.com/", "data_dir": tmp_path / "data", "key_check_interval": 1}
    settings = config.check(given)
    bootstrap.prepare(settings)
    return settings


@pytest.fixture
def store(settings):
    return FileKeyStore(settings.key_file)


async def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in 20 seconds"
        await asyncio.sleep(0.02)


def shown(services):
    return services.issuer.jwks(datetime.now(UTC)).body.decode()


def outdated(ring):
    """
    The same keys, as if they had been made a year ago.
    """
    then = datetime.now(UTC) - timedelta(days=365)
    return KeyRing.of([make_key(key.algorithm, Life(then, then)) for key in ring.keys])


def published(settings):
    with closing(sqlite3.connect(settings.data_dir / "broker.db")) as database:
        return [kid for (kid,) in database.execute("SELECT target FROM audit WHERE action = 'signing_key.published'")]


async def test_what_another_process_changes_is_published_and_signed_with(settings, store):
    async with bootstrap.open_services(settings) as services:
        (old,) = store.load().keys
        with bootstrap.open_signing_keys(settings) as by_hand:
            by_hand.revoke([old.kid])
        (new,) = store.load().keys

        await until(lambda: new.kid in shown(services))

        assert old.kid not in shown(services)


async def test_two_processes_publish_the_same_bytes(settings):
    async with bootstrap.open_services(settings) as one, bootstrap.open_services(settings) as other:
        with bootstrap.open_signing_keys(settings) as by_hand:
            (heir,) = by_hand.rotate()

        await until(lambda: heir.kid in shown(one) and heir.kid in shown(other))

        assert shown(one) == shown(other)


async def test_a_key_that_is_due_while_serving_gets_one_successor(settings, store):
    async with bootstrap.open_services(settings) as one, bootstrap.open_services(settings) as other:
        store.update(outdated)
        await until(lambda: len(store.load().keys) == 2)
        await until(lambda: shown(one) == shown(other) and shown(one).count('"kid"') == 2)

    assert [store.load().keys[1].kid] == published(settings)


async def test_a_key_that_became_due_while_nothing_ran_has_its_successor_at_the_start(settings, store):
    store.update(outdated)

    async with bootstrap.open_services(settings) as services:
        assert 2 == shown(services).count('"kid"')


async def test_a_file_that_cannot_be_read_any_more_leaves_the_keys_that_were_known(settings, store, caplog):
    async with bootstrap.open_services(settings) as services:
        before = shown(services)
        settings.key_file.chmod(0o644)

        await until(lambda: "chmod 600" in caplog.text)

        assert before == shown(services)
        assert "Traceback" not in caplog.text
        settings.key_file.chmod(0o600)
        with bootstrap.open_signing_keys(settings) as by_hand:
            (heir,) = by_hand.rotate()
        await until(lambda: heir.kid in shown(services))


async def test_a_key_file_that_is_gone_is_no_reason_for_new_keys(settings, caplog):
    """
    Verifiers do not know them, and the old ones may come back with the disk.
    """
    async with bootstrap.open_services(settings) as services:
        before = shown(services)
        settings.key_file.unlink()

        await until(lambda: "is gone; restore it" in caplog.text)

        assert before == shown(services)
        assert not settings.key_file.exists()


async def test_a_revocation_is_followed_although_nothing_can_be_recorded(settings, store, caplog):
    """
    And although something of our own is due, which has to wait for the record.
    """
    caplog.set_level(logging.ERROR)
    async with bootstrap.open_services(settings) as services:
        (old,) = store.load().keys
        with closing(sqlite3.connect(settings.data_dir / "broker.db")) as database:
            database.execute("ALTER TABLE audit RENAME TO lost")
        with bootstrap.open_signing_keys(settings) as by_hand:
            assert not by_hand.revoke([old.kid]).recorded
        store.update(outdated)
        (new,) = store.load().keys

        await until(lambda: new.kid in shown(services))
        await until(lambda: "the rotation of the signing keys failed and is tried again" in caplog.text)

        assert old.kid not in shown(services)
        assert [new.kid] == [key.kid for key in store.load().keys]


async def test_a_key_file_that_is_damaged_at_the_start_stops_it(settings):
    settings.key_file.write_text("{")

    with pytest.raises(FileFault, match="damaged"):
        async with bootstrap.open_services(settings):
            pass


async def test_an_algorithm_that_was_added_is_published_before_it_signs(settings, store):
    """
    (T42)
    """
    added = settings.model_copy(update={"signing_algorithms": ["ES256", "RS256"]})

    async with bootstrap.open_services(added) as services:
        ring, now = store.load(), datetime.now(UTC)
        (new,) = [key for key in ring.keys if key.algorithm is Algorithm.ES256]

        assert new.kid in shown(services)
        assert new.life.signs_from - now > timedelta(hours=25)
        assert Algorithm.RS256 is ring.stand_in(Algorithm.ES256, now).algorithm
