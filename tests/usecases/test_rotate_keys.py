"""
The signing keys kept on schedule, changed out of turn, and each change recorded.
"""

import json
from contextlib import contextmanager
from datetime import timedelta

import pytest

from broker.errors import InvalidParameter, NotFound, RecordUnavailable
from broker.storage.snapshot import Snapshot
from broker.storage.transaction import SqlStore
from broker.usecases.rotate_keys import RotateKeys
from keys import Algorithm, KeyFault
from keys.backends.memory import MemoryKeyStore
from keys.schedule import Rules, Schedule
from tests.fakes.clock import NOON
from tests.storage.databases import engine_on, look

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RULES = Rules(90 * DAY, 26 * HOUR, timedelta(minutes=5), timedelta(minutes=1), timedelta(minutes=4))
ALGORITHMS = (Algorithm.ES256, Algorithm.EDDSA)
ALREADY = "2026-11-21T12:00:00+00:00"


class NoRecord:
    """
    A Store whose disk is full.
    """

    @contextmanager
    def transaction(self):
        raise RecordUnavailable("the disk is full")
        yield

    reading = transaction


@pytest.fixture
def make(file, ids, clock):
    """
    Put the use case together on one key store and one database; replicas differ in nothing.
    """
    store = MemoryKeyStore()
    with engine_on(file) as engine:
        records = SqlStore(engine, Snapshot(engine), ids)

        def make(records=records, keys=store, algorithms=ALGORITHMS):
            names = tuple(each.value for each in algorithms)
            return RotateKeys(keys, Schedule(RULES, frozenset(algorithms)), records, clock, names)

        yield make


@pytest.fixture
def rotate_keys(make):
    """
    With a key for each algorithm, made at noon.
    """
    made = make()
    made.keys.ensure(ALGORITHMS, NOON)
    return made


@pytest.fixture
def audit(file):
    def read():
        found = look(file, "SELECT actor, action, target, detail FROM audit ORDER BY seq")
        return [(actor, action, target, json.loads(detail)) for actor, action, target, detail in found]

    return read


def kid_of(rotate_keys, algorithm, state="signing"):
    (found,) = [key.kid for key in rotate_keys.list() if (algorithm, state) == (key.algorithm, key.state)]
    return found


def states(rotate_keys):
    return sorted((key.algorithm, key.state) for key in rotate_keys.list())


# --- what is due ------------------------------------------------------------------------------------------------------
def test_most_often_nothing_is_due_and_nothing_is_recorded(rotate_keys, clock, audit):
    before = rotate_keys.load()
    clock.advance(days=30)

    assert before is rotate_keys()
    assert [] == audit()


def test_a_rotation_is_recorded_with_both_keys_and_their_instants(make, clock, audit):
    rotate_keys = make(algorithms=ALGORITHMS[:1])
    rotate_keys.keys.ensure(ALGORITHMS[:1], NOON)
    (old,) = [key.kid for key in rotate_keys.list()]
    clock.advance(days=90, hours=-26)

    rotate_keys()

    new, turn = kid_of(rotate_keys, "ES256", "waiting"), "2027-02-19T12:00:00+00:00"
    before = {"signs_from": ALREADY, "signs_until": None, "forgotten_at": None}
    after = {"signs_from": ALREADY, "signs_until": turn, "forgotten_at": "2027-02-19T12:10:00+00:00"}
    assert [
        ("system", "signing_key.rescheduled", old, {"algorithm": "ES256", "before": before, "after": after}),
        ("system", "signing_key.published", new, {"algorithm": "ES256", "signs_from": turn}),
    ] == audit()


def test_a_key_that_is_erased_is_recorded(rotate_keys, clock, audit):
    old = kid_of(rotate_keys, "ES256")
    rotate_keys.rotate()
    clock.advance(days=3)

    rotate_keys()

    assert ("system", "signing_key.erased", old, {"algorithm": "ES256"}) in audit()
    assert old not in [key.kid for key in rotate_keys.list()]


def test_several_replicas_make_and_record_one_successor_for_each_algorithm(make, rotate_keys, clock, audit):
    clock.advance(days=89)

    rings = [make()() for _ in range(3)]

    assert 1 == len({tuple(key.kid for key in ring.keys) for ring in rings})
    assert 2 == sum(action == "signing_key.published" for _, action, _, _ in audit())


def test_a_replica_that_comes_second_records_nothing(make, rotate_keys, clock, audit):
    """
    It asked when something was due, and when its turn came another one had done it.
    """

    class Overtaken(MemoryKeyStore):
        def update(self, change):
            make()()
            return rotate_keys.keys.update(change)

        def load(self):
            return rotate_keys.keys.load()

    clock.advance(days=89)
    ring = make(keys=Overtaken())()

    assert ring is rotate_keys.load()
    assert 2 == sum(action == "signing_key.published" for _, action, _, _ in audit())


def test_what_cannot_be_recorded_is_not_done(make, rotate_keys, clock):
    """
    (T26)
    """
    before = rotate_keys.load()
    clock.advance(days=89)

    with pytest.raises(RecordUnavailable):
        make(NoRecord())()
    with pytest.raises(RecordUnavailable):
        make(NoRecord()).rotate()
    assert before is rotate_keys.load()


# --- out of turn ------------------------------------------------------------------------------------------------------
def test_what_a_key_shows_is_public(rotate_keys):
    (key, other) = rotate_keys.list()

    assert (NOON, NOON, None, None) == (key.created, key.signs_from, key.signs_until, key.forgotten_at)
    assert key == rotate_keys.get(key.kid) != other
    assert key.pem.startswith("-----BEGIN PUBLIC KEY-----\n")
    assert {"kty", "crv", "x", "alg", "use", "kid"} == set(key.jwk) - {"y"}


@pytest.mark.parametrize(("asked", "expected"), [("ES256", ["ES256"]), (None, ["ES256", "EdDSA"])])
def test_a_rotation_by_hand_says_what_waits_and_from_when_it_signs(rotate_keys, audit, asked, expected):
    waiting = rotate_keys.rotate(asked)

    assert sorted(expected) == sorted(key.algorithm for key in waiting)
    assert {NOON + 26 * HOUR} == {key.signs_from for key in waiting}
    assert {"operator"} == {actor for actor, *_ in audit()}
    assert [key.kid for key in waiting] == [key.kid for key in rotate_keys.rotate(asked)]


@pytest.mark.parametrize("algorithm", ["RS256", "HS256", "none", ""])
def test_only_algorithms_of_the_settings_are_rotated(rotate_keys, algorithm, audit):
    with pytest.raises(InvalidParameter, match="ES256, EdDSA"):
        rotate_keys.rotate(algorithm)
    assert [] == audit()


def test_a_revoked_key_stops_at_once_and_its_replacement_signs(rotate_keys, audit):
    """
    Neither signing, nor published, nor kept.
    """
    leaked = kid_of(rotate_keys, "ES256")

    revocation = rotate_keys.revoke([leaked])

    assert (NOON, True) == (revocation.time, revocation.recorded)
    assert [("ES256", "signing"), ("EdDSA", "signing")] == states(rotate_keys)
    assert leaked not in [key.kid for key in rotate_keys.load().published(NOON)]
    assert [
        ("operator", "signing_key.revoked", leaked, {"algorithm": "ES256"}),
        ("operator", "signing_key.published", kid_of(rotate_keys, "ES256"),
         {"algorithm": "ES256", "signs_from": ALREADY}),
    ] == audit()  # fmt: skip


def test_a_leaked_key_is_revoked_even_where_that_cannot_be_recorded(make, rotate_keys):
    leaked = kid_of(rotate_keys, "ES256")

    revocation = make(NoRecord()).revoke([leaked])

    assert not revocation.recorded
    assert leaked not in [key.kid for key in rotate_keys.list()]


@pytest.mark.parametrize(
    "kids", [["nonsense"], [""], ["x" * 10_000], ["{known}", "nonsense"]], ids=["a", "b", "c", "d"]
)
def test_a_key_that_does_not_exist_is_told_and_no_other_one_is_revoked(rotate_keys, audit, kids):
    known = kid_of(rotate_keys, "ES256")

    with pytest.raises(NotFound, match="there is no signing key") as refused:
        rotate_keys.revoke([kid.format(known=known) for kid in kids])

    assert len(refused.value.message) < 200
    assert known == kid_of(rotate_keys, "ES256")
    assert [] == audit()


def test_a_key_store_that_cannot_be_written_leaves_everything_as_it_is(make, rotate_keys, clock):
    class ReadOnly(MemoryKeyStore):
        def load(self):
            return rotate_keys.load()

        def update(self, change):
            raise KeyFault("the key file cannot be written")

    clock.advance(days=89)
    before = rotate_keys.load()

    with pytest.raises(KeyFault):
        make(keys=ReadOnly())()
    assert before is rotate_keys.load()
