"""
Which key signs now, and which ones are shown.
"""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys import Algorithm, KeyFault, KeyRing
from tests.fakes.clock import NOON
from tests.keys.samples import signing_key

OLD = signing_key(number=0, created=0, signs_until=10, forgotten_at=12)
NEXT = signing_key(number=1, created=5, signs_from=8)
OTHER = signing_key(Algorithm.EDDSA, created=1)
RING = KeyRing.of([NEXT, OTHER, OLD])


@pytest.mark.parametrize(
    ("hours", "expected"),
    [(0, OLD), (7.9, OLD), (8, NEXT), (9, NEXT), (10, NEXT), (1000, NEXT)],
)
def test_the_youngest_key_that_may_sign_does(hours, expected):
    assert expected is RING.signing(Algorithm.ES256, NOON + timedelta(hours=hours))


@pytest.mark.parametrize(
    ("hours", "expected"),
    [(-100, [OLD, OTHER, NEXT]), (0, [OLD, OTHER, NEXT]), (11, [OLD, OTHER, NEXT]), (12, [OTHER, NEXT])],
)
def test_every_key_that_a_verifier_may_need_is_shown_in_the_order_of_creation(hours, expected):
    """
    (T42)
    """
    assert expected == list(RING.published(NOON + timedelta(hours=hours)))


@pytest.mark.parametrize(("algorithm", "hours"), [(Algorithm.RS256, 1), (Algorithm.ES256, -1), (Algorithm.EDDSA, 0.5)])
def test_where_no_key_may_sign_the_message_names_what_to_check(algorithm, hours):
    with pytest.raises(KeyFault, match=f"no {algorithm} key.*clock"):
        RING.signing(algorithm, NOON + timedelta(hours=hours))


def test_a_clock_set_back_while_running_goes_on_with_the_key_of_that_time():
    assert NEXT is RING.signing(Algorithm.ES256, NOON + timedelta(hours=9))
    assert OLD is RING.signing(Algorithm.ES256, NOON + timedelta(hours=3))


def test_the_algorithms_of_a_ring():
    assert {Algorithm.ES256, Algorithm.EDDSA} == RING.algorithms()
    assert frozenset() == KeyRing(()).algorithms()


@given(st.permutations([signing_key(number=n, created=n // 2) for n in range(5)]))
def test_every_replica_has_the_same_order(keys):
    expected = KeyRing.of(sorted(keys, key=lambda key: key.kid))

    assert expected == KeyRing.of(keys)
