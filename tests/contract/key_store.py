"""
What every KeyStore promises.
"""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from keys import Algorithm, KeyRing
from keys.model import Life
from keys.schedule import make_key
from tests.fakes.clock import NOON

BOTH = (Algorithm.ES256, Algorithm.EDDSA)


def kids(ring):
    return [key.kid for key in ring.keys]


class KeyStoreContract:
    """
    Inherit, and give the fixture `open_store`: a function that opens the same place each time.
    """

    @pytest.fixture
    def open_store(self):
        raise NotImplementedError

    @pytest.fixture
    def store(self, open_store):
        return open_store()

    def test_before_the_first_start_there_is_no_key(self, store):
        assert KeyRing(()) == store.load()

    def test_a_first_start_makes_one_key_for_each_algorithm_that_signs_at_once(self, store):
        ring = store.ensure(BOTH, NOON)

        assert set(BOTH) == {ring.signing(algorithm, NOON).algorithm for algorithm in BOTH}
        assert 2 == len(ring.keys)

    def test_a_second_start_makes_no_other_key(self, store, open_store):
        first = store.ensure(BOTH, NOON)
        second = open_store().ensure(reversed(BOTH), NOON + timedelta(days=1))

        assert kids(first) == kids(second) == kids(open_store().load())

    def test_a_key_that_is_loaded_signs_what_the_one_that_was_made_verifies(self, store, open_store):
        made = store.ensure(BOTH, NOON)
        loaded = open_store().load()

        for algorithm in BOTH:
            signature = loaded.signing(algorithm, NOON).sign(b"message")
            assert made.signing(algorithm, NOON).verifies(signature, b"message")

    def test_a_new_algorithm_adds_a_key_and_keeps_the_others(self, store, open_store):
        (first,) = store.ensure([Algorithm.ES256], NOON).keys
        ring = open_store().ensure(BOTH, NOON + timedelta(hours=1))

        assert 2 == len(ring.keys)
        assert first.kid == ring.signing(Algorithm.ES256, NOON).kid

    def test_an_algorithm_that_is_no_longer_asked_for_keeps_its_key(self, store, open_store):
        store.ensure(BOTH, NOON)

        assert set(BOTH) == open_store().ensure([Algorithm.ES256], NOON).algorithms()

    def test_the_life_of_a_key_is_kept_to_the_microsecond(self, store, open_store):
        now = NOON + timedelta(microseconds=123456)
        (made,) = store.ensure([Algorithm.ES256], now).keys
        (loaded,) = open_store().load().keys

        assert made.life == loaded.life
        assert now == loaded.life.created == loaded.life.signs_from

    def test_asking_for_no_algorithm_makes_no_key(self, store):
        assert () == store.ensure([], NOON).keys

    # --- update -------------------------------------------------------------------------------------------------------
    def test_a_change_is_asked_about_the_newest_ring_and_kept(self, store, open_store):
        (first,) = open_store().ensure([Algorithm.ES256], NOON).keys
        asked = []

        def change(ring):
            asked.append(kids(ring))
            return KeyRing.of([*ring.keys, new])

        new = make_key(Algorithm.ES256, Life(NOON + timedelta(hours=1), NOON + timedelta(hours=27)))
        changed = store.update(change)

        assert [[first.kid]] == asked
        assert [first.kid, new.kid] == kids(changed) == kids(store.load()) == kids(open_store().load())

    def test_a_whole_life_is_kept(self, store, open_store):
        store.ensure([Algorithm.ES256], NOON)
        life = Life(NOON, *(NOON + timedelta(days=days, microseconds=1) for days in (1, 2, 3)))

        store.update(lambda ring: KeyRing.of(replace(key, life=life) for key in ring.keys))

        assert [life] == [key.life for key in open_store().load().keys]

    def test_a_key_that_is_left_out_is_gone(self, store, open_store):
        store.ensure(BOTH, NOON)

        store.update(lambda ring: KeyRing.of(key for key in ring.keys if key.algorithm is Algorithm.ES256))

        assert {Algorithm.ES256} == open_store().load().algorithms()

    def test_the_first_change_may_make_the_first_key(self, store, open_store):
        key = make_key(Algorithm.ES256, Life(NOON, NOON))

        store.update(lambda ring: KeyRing.of([*ring.keys, key]))

        assert [key.kid] == kids(open_store().load())

    def test_a_change_that_fails_changes_nothing(self, store, open_store):
        before = kids(store.ensure(BOTH, NOON))

        def change(ring):
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            store.update(change)
        assert before == kids(store.load()) == kids(open_store().load())
        assert before == kids(store.update(lambda ring: ring))

    def test_of_many_changes_at_once_none_is_lost(self, open_store):
        keys = [make_key(Algorithm.ES256, Life(NOON, NOON)) for _ in range(8)]
        together = threading.Barrier(len(keys), timeout=20)

        def add(key):
            together.wait()
            open_store().update(lambda ring: KeyRing.of([*ring.keys, key]))

        threads = [threading.Thread(target=add, args=[key]) for key in keys]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

        assert kids(KeyRing.of(keys)) == kids(open_store().load())
