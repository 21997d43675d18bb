"""
What every KeyStore promises.
"""

from datetime import timedelta

import pytest

from keys import Algorithm, KeyRing
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
