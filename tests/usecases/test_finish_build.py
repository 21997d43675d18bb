"""
Finishing a build: by whoever opened it or an administrator, once.
"""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from broker.domain.builds import BuildRequest
from broker.domain.identity import Role
from broker.errors import InvalidLogin, NotFound, RecordUnavailable
from tests.domain.samples import guid
from tests.usecases.world import ALICE, BOB, LEO, ROBOT, VICTOR, sha256


@pytest.fixture
async def build(broker):
    """
    Alice's own build.
    """
    return (await broker.open_build(sha256(ALICE), BuildRequest(ALICE.guid, None), "c-1")).build


def finished(broker):
    return broker.read("SELECT finished_time FROM builds")[0][0]


@pytest.mark.parametrize("caller", [ALICE, ROBOT], ids=["who opened it", "an administrator"])
async def test_a_build_is_finished_at_this_moment(broker, build, clock, caller):
    clock.advance(minutes=5)
    await broker.finish_build(sha256(caller), build.guid, "c-2")

    assert int(clock.now().timestamp()) * 1_000_000 == finished(broker)
    assert [("build.finished", build.guid, caller.guid, "c-2")] == broker.read(
        "SELECT action, target, actor, correlation_id FROM audit"
    )[1:]


async def test_finishing_twice_changes_nothing(broker, build, clock):
    await broker.finish_build(sha256(ALICE), build.guid, "c-2")
    first = finished(broker)
    clock.advance(minutes=5)
    await broker.finish_build(sha256(ALICE), build.guid, "c-3")

    assert first == finished(broker)
    assert ["build.opened", "build.finished"] == broker.actions()


async def test_two_who_finish_at_once_both_succeed_and_the_first_time_stays(broker, replica, build, clock):
    await asyncio.gather(
        broker.finish_build(sha256(ALICE), build.guid, "c-2"), replica.finish_build(sha256(ROBOT), build.guid, "c-3")
    )

    assert int(clock.now().timestamp()) * 1_000_000 == finished(broker)


@pytest.mark.parametrize("caller", [BOB, VICTOR], ids=["publisher", "viewer"])
async def test_the_build_of_somebody_else_looks_like_none(broker, build, caller):
    """
    (T28)
    """
    with pytest.raises(NotFound) as foreign:
        await broker.finish_build(sha256(caller), build.guid, "c-2")
    with pytest.raises(NotFound) as missing:
        await broker.finish_build(sha256(caller), guid(99), "c-2")

    assert missing.value.message.replace(guid(99), build.guid) == foreign.value.message
    assert None is finished(broker)


@pytest.mark.parametrize("build_guid", ["", "x", "' OR 1=1 --", "\x00", "%"], ids=ascii)
async def test_what_is_no_build_is_not_found(broker, build, build_guid):
    with pytest.raises(NotFound):
        await broker.finish_build(sha256(ROBOT), build_guid, "c-2")
    assert None is finished(broker)


async def test_a_key_that_was_revoked_elsewhere_finishes_nothing(broker, replica, build):
    broker.change(lambda t: t.people.change_user(replace(ALICE, locked=True)))

    with pytest.raises(InvalidLogin):
        await replica.finish_build(sha256(ALICE), build.guid, "c-2")
    with pytest.raises(InvalidLogin):
        await broker.finish_build(sha256(LEO), build.guid, "c-2")
    assert None is finished(broker)


async def test_an_administrator_who_was_demoted_elsewhere_finishes_only_the_own(broker, replica, build):
    broker.change(lambda t: t.people.change_user(replace(ROBOT, role=Role.PUBLISHER)))

    with pytest.raises(NotFound):
        await replica.finish_build(sha256(ROBOT), build.guid, "c-2")


async def test_when_it_cannot_be_recorded_the_build_goes_on(broker, build, file):
    with closing(sqlite3.connect(file, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(RecordUnavailable):
            await broker.finish_build(sha256(ALICE), build.guid, "c-2")
        holder.execute("ROLLBACK")

    assert None is finished(broker)
