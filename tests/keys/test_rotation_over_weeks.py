"""
Weeks of replicas, restarts, outages and wrong clocks: rotation is never noticed (T42).

A simulation in events. Real time is the heap's; each replica reads it through a clock of its own, up to 30 seconds off,
and looks at the one store whenever its round comes. A verifier holds a copy of the JWKS for as long as it likes, up to
24 hours, does not fetch because of an unknown kid, and may get a copy that a cache between them kept for max-age.
"""

import heapq
import itertools
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from keys import Algorithm, KeyRing
from keys.backends.memory import MemoryKeyStore
from keys.jwks import document
from keys.schedule import ERASED_AFTER, LEEWAY, Rules, Schedule
from tests.fakes.clock import NOON, ManualClock

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
MAX_AGE, TOKEN, LONGEST_ROUND = 5 * MINUTE, MINUTE, 10 * MINUTE
RULES = Rules(key_lifetime=7 * DAY, publish_ahead=26 * HOUR, max_age=MAX_AGE, token_lifetime=TOKEN)
WEEKS = 8


class SkewedClock:
    """
    The machine's time as this replica sees it.
    """

    def __init__(self, clock, skew):
        self.clock, self.skew = clock, skew

    def now(self):
        return self.clock.now() + self.skew


@dataclass
class Replica:
    clock: SkewedClock
    pause: timedelta
    algorithms: frozenset
    ring: KeyRing | None = None
    """None while it is down."""


@dataclass
class Verifier:
    cached_for: timedelta
    kids: frozenset = frozenset()
    fetched: object = NOON - 365 * DAY


@dataclass
class World:
    random: random.Random
    clock: ManualClock = field(default_factory=ManualClock)
    store: MemoryKeyStore = field(default_factory=MemoryKeyStore)
    events: list = field(default_factory=list)
    numbers: itertools.count = field(default_factory=itertools.count)
    seen: Counter = field(default_factory=Counter)
    cache: tuple = (NOON - 365 * DAY, frozenset())

    def __post_init__(self):
        self.replicas = [
            Replica(
                SkewedClock(self.clock, timedelta(seconds=self.random.uniform(-30, 30))),
                self.random.uniform(0.2, 1) * LONGEST_ROUND,
                frozenset({Algorithm.ES256}),
            )
            for _ in range(3)
        ]
        self.verifiers = [Verifier(MAX_AGE), Verifier(HOUR), Verifier(24 * HOUR), Verifier(24 * HOUR)]

    def at(self, delay, event, *arguments):
        heapq.heappush(self.events, (self.clock.now() + delay, next(self.numbers), event, arguments))

    def run(self, until):
        while self.events[0][0] < until:
            time, _, event, arguments = heapq.heappop(self.events)
            self.clock._now = time
            event(*arguments)

    # --- what happens -------------------------------------------------------------------------------------------------
    def look(self, replica):
        """
        What the background task of a replica does.
        """
        now, schedule = replica.clock.now(), Schedule(RULES, replica.algorithms)
        replica.ring = self.store.update(lambda ring: schedule.due(ring, now))
        assert replica.ring.published(now)

    def round(self, replica):
        if replica.ring is not None:
            self.look(replica)
        self.at(replica.pause * self.random.uniform(0.5, 1), self.round, replica)

    def stop(self, replica, downtime):
        replica.ring = None
        self.at(downtime, self.look, replica)

    def restart_some(self):
        self.seen["restart"] += 1
        self.stop(self.random.choice(self.replicas), self.random.uniform(0, 6) * HOUR)
        self.at(self.random.uniform(1, 30) * HOUR, self.restart_some)

    def outage(self):
        """
        Nothing runs for longer than a key signs.
        """
        self.seen["outage"] += 1
        for replica in self.replicas:
            self.stop(replica, self.random.uniform(7, 12) * DAY)

    def roll_out(self, algorithms):
        """
        Restart one replica after the other with another setting.
        """
        for replica in self.replicas:
            replica.algorithms = frozenset(algorithms)
            self.stop(replica, self.random.uniform(0, 2) * HOUR)

    def rotate_by_hand(self):
        self.seen["by hand"] += 1
        schedule = Schedule(RULES, self.replicas[0].algorithms)
        for algorithm in sorted(schedule.algorithms):
            self.store.update(lambda ring, each=algorithm: schedule.rotated(ring, each, self.clock.now()))

    def wrong_clock(self):
        """
        A process with a clock that is an hour wrong does what it thinks is due.
        """
        self.seen["wrong clock"] += 1
        now = self.clock.now() + self.random.choice([-HOUR, HOUR])
        self.store.update(lambda ring: Schedule(RULES, self.replicas[0].algorithms).due(ring, now))
        self.at(self.random.uniform(0.2, 3) * HOUR, self.wrong_clock)

    def mint(self):
        self.at(self.random.uniform(1, 40) * MINUTE, self.mint)
        for replica in self.up():
            now = replica.clock.now()
            for algorithm in sorted(replica.algorithms):
                able = [key for key in replica.ring.keys if key.algorithm is algorithm and key.life.signs(now)]
                key = able[0] if able else replica.ring.stand_in(algorithm, now)
                assert len(able) <= 1
                assert key in replica.ring.published(now)
                self.seen["stand-in" if not able else key.kid] += 1
                self.check(key.kid)
                self.at(TOKEN + LEEWAY - replica.clock.skew, self.check, key.kid)

    # --- what verifiers see -------------------------------------------------------------------------------------------
    def check(self, kid):
        if not self.up():
            return
        for verifier in self.verifiers:
            if self.clock.now() - verifier.fetched >= verifier.cached_for:
                verifier.fetched, verifier.kids = self.clock.now(), self.fetch()
            assert kid in verifier.kids

    def fetch(self):
        kept, kids = self.cache
        if self.clock.now() - kept >= MAX_AGE:
            replica = self.random.choice(self.up())
            kids = frozenset(key.kid for key in replica.ring.published(replica.clock.now()))
            assert kids
            self.cache = (self.clock.now(), kids)
        return kids

    def up(self):
        return [replica for replica in self.replicas if replica.ring is not None]


@pytest.mark.parametrize("seed", range(6))
def test_every_token_verifies_for_its_whole_life_and_one_key_signs_at_any_instant(seed):
    world = World(random.Random(seed))
    for replica in world.replicas:
        world.at(world.random.uniform(0, 1) * MINUTE, world.round, replica)
        world.at(timedelta(0), world.look, replica)
    world.at(MINUTE, world.mint)
    world.at(2 * HOUR, world.restart_some)
    world.at(3 * HOUR, world.wrong_clock)
    world.at(12 * DAY, world.roll_out, [Algorithm.ES256, Algorithm.EDDSA])
    world.at(world.random.uniform(14, 20) * DAY, world.outage)
    world.at(world.random.uniform(33, 36) * DAY, world.rotate_by_hand)
    world.at(40 * DAY, world.roll_out, [Algorithm.EDDSA])

    world.run(NOON + WEEKS * 7 * DAY)

    keys = {name for name in world.seen if name not in {"restart", "outage", "by hand", "wrong clock", "stand-in"}}
    assert len(keys) > 6
    assert world.seen["stand-in"] > 10
    assert world.seen["wrong clock"] > 10
    assert 1 == world.seen["outage"] == world.seen["by hand"]
    ring = world.store.load()
    assert {Algorithm.EDDSA} == ring.algorithms()
    assert [] == [
        key
        for key in ring.keys
        if (key.life.forgotten_at or world.clock.now()) + ERASED_AFTER + HOUR < world.clock.now()
    ]
    assert len(ring.keys) <= 3


@pytest.mark.parametrize("seed", range(20))
def test_after_a_round_of_each_all_replicas_publish_the_same_bytes(seed):
    """
    Whatever happened before, and although their clocks differ.
    """
    world = World(random.Random(seed))
    for replica in world.replicas:
        world.at(timedelta(0), world.look, replica)
    for day in range(1, 40):
        world.at(day * DAY, world.rotate_by_hand)
    world.run(NOON + world.random.uniform(1, 30) * DAY)
    for replica in world.replicas * 2:
        world.look(replica)

    documents = {document(replica.ring.published(replica.clock.now())) for replica in world.replicas}

    assert 1 == len(documents)
