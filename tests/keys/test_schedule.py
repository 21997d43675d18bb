"""
When keys are made, take over and are forgotten (T42).
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from keys import Algorithm, KeyFault, KeyRing
from keys.model import Life
from keys.schedule import ERASED_AFTER, Rules, Schedule
from tests.fakes.clock import NOON
from tests.keys.samples import signing_key

ES256, EDDSA = Algorithm.ES256, Algorithm.EDDSA
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RULES = Rules(
    key_lifetime=90 * DAY,
    publish_ahead=26 * HOUR,
    max_age=timedelta(minutes=5),
    token_lifetime=timedelta(minutes=1),
    leeway=timedelta(minutes=4),
)
KEPT = timedelta(minutes=10)
"""Life of a token, leeway and max-age."""

NOTHING = KeyRing(())


def schedule(*algorithms, **changes):
    return Schedule(replace(RULES, **changes), frozenset(algorithms or [ES256]))


def lives(ring):
    return [key.life for key in ring.keys]


def kids(keys):
    return [key.kid for key in keys]


@pytest.fixture
def first():
    """
    A ring with the key of the first start at noon.
    """
    return schedule().due(NOTHING, NOON)


@pytest.fixture
def rotated(first):
    """
    The same ring once the successor has been made, 26 hours before its time; it signs from 90 days after noon.
    """
    return schedule().due(first, NOON + 90 * DAY - 26 * HOUR)


# --- a rotation -------------------------------------------------------------------------------------------------------
def test_the_first_key_signs_at_once_and_has_no_end(first):
    assert [Life(NOON, NOON)] == lives(first)


@pytest.mark.parametrize("after", [timedelta(0), DAY, 90 * DAY - 26 * HOUR - timedelta(microseconds=1)])
def test_where_nothing_is_due_the_answer_is_the_ring_itself(first, after):
    assert first is schedule().due(first, NOON + after)


def test_a_successor_is_published_ahead_and_takes_over_when_the_other_one_ends(rotated):
    made, turn = NOON + 90 * DAY - 26 * HOUR, NOON + 90 * DAY

    assert [Life(NOON, NOON, turn, turn + KEPT), Life(made, turn)] == lives(rotated)


def test_once_it_was_carried_out_the_question_has_no_other_answer(rotated):
    for hours in range(0, 26 * 24, 7):
        now = NOON + 90 * DAY - 26 * HOUR + hours * HOUR / 24

        assert rotated is schedule().due(rotated, now)


@pytest.mark.parametrize(
    ("at", "signs", "shown"),
    [
        (-26 * HOUR, 0, [0, 1]),
        (-timedelta(microseconds=1), 0, [0, 1]),
        (timedelta(0), 1, [0, 1]),
        (KEPT - timedelta(microseconds=1), 1, [0, 1]),
        (KEPT, 1, [1]),
        (30 * DAY, 1, [1]),
    ],
)
def test_who_signs_and_who_is_shown_around_the_turn(rotated, at, signs, shown):
    now = NOON + 90 * DAY + at

    assert rotated.keys[signs] is rotated.signing(ES256, now)
    assert [rotated.keys[number] for number in shown] == list(rotated.published(now))


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (-HOUR, ["signing", "waiting"]),
        (timedelta(0), ["retired", "signing"]),
        (KEPT, ["forgotten", "signing"]),
    ],
)
def test_the_state_of_a_key_follows_from_the_time(rotated, at, expected):
    assert expected == [rotated.state(key, NOON + 90 * DAY + at) for key in rotated.keys]


def test_a_forgotten_key_is_erased_a_day_later(rotated):
    end = NOON + 90 * DAY + KEPT + ERASED_AFTER
    before = schedule().due(rotated, end - timedelta(microseconds=1))

    assert kids(rotated.keys) == kids(before.keys)
    assert kids(rotated.keys[1:]) == kids(schedule().due(rotated, end).keys)


@pytest.mark.parametrize(
    "changes",
    [{"publish_ahead": timedelta(minutes=10, microseconds=-1)}, {"max_age": 14 * HOUR}, {"key_lifetime": 26 * HOUR}],
)
def test_rules_under_which_a_verifier_could_meet_an_unknown_key_are_refused(changes):
    with pytest.raises(KeyFault):
        replace(RULES, **changes)


# --- what does not go by the plan -------------------------------------------------------------------------------------
@pytest.mark.parametrize("days", [90, 91, 365, 3650])
def test_after_a_long_outage_the_old_key_signs_until_verifiers_know_the_new_one(first, days):
    back = NOON + days * DAY
    ring = schedule().due(first, back)

    assert [Life(NOON, NOON, back + 26 * HOUR, back + 26 * HOUR + KEPT), Life(back, back + 26 * HOUR)] == lives(ring)
    assert kids(first.keys) == [ring.signing(ES256, back).kid]


def test_an_outage_over_the_turn_ends_with_the_key_that_was_announced(rotated):
    back = NOON + 100 * DAY

    assert kids(rotated.keys[1:]) == kids(schedule().due(rotated, back).keys)
    assert rotated.keys[1] is schedule().due(rotated, back).signing(ES256, back)


def test_a_clock_set_back_behind_the_first_key_lets_it_sign_all_the_same():
    both = schedule(ES256, EDDSA)
    ring = both.due(NOTHING, NOON)
    with pytest.raises(KeyFault):
        ring.signing(ES256, NOON - HOUR)

    mended = both.due(ring, NOON - HOUR)

    assert kids(ring.keys) == kids(mended.keys)
    for algorithm in (ES256, EDDSA):
        assert ring.signing(algorithm, NOON).kid == mended.signing(algorithm, NOON - HOUR).kid
        assert ring.signing(algorithm, NOON).kid == mended.signing(algorithm, NOON).kid


@pytest.mark.parametrize("hours", [-1, 1])
@pytest.mark.parametrize("at", [0, 45, 88.9, 88.95, 89.5, 89.99, 90, 90.01, 91, 91.03])
def test_a_replica_with_a_clock_an_hour_off_takes_nothing_away_from_the_others(first, rotated, at, hours):
    now = NOON + at * DAY
    ring = schedule().due(first if now < rotated.keys[1].life.created else rotated, now)
    changed = schedule().due(ring, now + hours * HOUR)

    assert ring.signing(ES256, now).kid == changed.signing(ES256, now).kid
    assert set(kids(ring.published(now))) <= set(kids(changed.published(now)))


def test_two_open_ends_in_one_line_become_one():
    """
    As they would be after two key files were put together by hand.
    """
    ring = KeyRing.of([signing_key(number=0, created=0), signing_key(number=1, created=1)])
    old, new = schedule().due(ring, NOON + 2 * HOUR).keys

    assert (NOON + 2 * HOUR, None) == (old.life.signs_until, new.life.signs_until)


# --- another algorithm ------------------------------------------------------------------------------------------------
def test_a_new_algorithm_waits_until_verifiers_know_it_and_the_known_one_signs_meanwhile(first):
    now = NOON + 10 * DAY
    ring = schedule(ES256, EDDSA).due(first, now)

    assert [Life(NOON, NOON), Life(now, now + 26 * HOUR)] == lives(ring)
    assert first.keys[0] is ring.stand_in(EDDSA, now)
    assert None is ring.stand_in(EDDSA, now + 26 * HOUR)
    assert EDDSA is ring.signing(EDDSA, now + 26 * HOUR).algorithm


def test_nobody_stands_in_for_an_algorithm_without_a_key(first):
    assert None is first.stand_in(EDDSA, NOON)
    assert None is NOTHING.stand_in(EDDSA, NOON)


def test_rs256_stands_in_before_others():
    waiting = signing_key(EDDSA, created=0, signs_from=26)
    ring = KeyRing.of([signing_key(Algorithm.RS256, created=-9), signing_key(created=-1), waiting])

    assert Algorithm.RS256 is ring.stand_in(EDDSA, NOON).algorithm


def test_an_algorithm_that_is_no_longer_wanted_signs_for_a_while_and_goes():
    """
    For as long as replicas with the old settings may run beside those with the new ones.
    """
    ring = schedule(ES256, EDDSA).due(NOTHING, NOON)
    end = NOON + DAY + 26 * HOUR
    changed = schedule(ES256).due(ring, NOON + DAY)

    assert {Life(NOON, NOON), Life(NOON, NOON, end, end + KEPT)} == set(lives(changed))
    assert {ES256} == schedule(ES256).due(changed, end + KEPT + ERASED_AFTER).algorithms()


def test_an_algorithm_that_is_wanted_again_keeps_its_key():
    both = schedule(ES256, EDDSA)
    ring = both.due(NOTHING, NOON)
    changed = schedule(ES256).due(ring, NOON + DAY)

    assert lives(ring) == lives(both.due(changed, NOON + 2 * DAY))
    assert kids(ring.keys) == kids(both.due(changed, NOON + 2 * DAY).keys)


def test_an_algorithm_that_is_wanted_again_after_its_end_begins_anew():
    both = schedule(ES256, EDDSA)
    gone = schedule(ES256).due(both.due(NOTHING, NOON), NOON)
    back = NOON + 27 * HOUR

    ring = both.due(gone, back)

    assert Life(back, back + 26 * HOUR) in lives(ring)
    assert 3 == len(ring.keys)


def test_replicas_with_different_settings_make_no_heap_of_keys(first):
    """
    While a new setting is rolled out, one replica wants what the other does not.
    """
    ring = first
    for minute in range(120):
        ring = schedule(*([ES256, EDDSA] if minute % 2 else [ES256])).due(ring, NOON + timedelta(minutes=minute))

    assert 2 == len(ring.keys)


def test_one_algorithm_replaced_by_another_is_a_rotation(first):
    """
    ES256 first, both, then EdDSA alone: at each instant something signs that verifiers have seen for 26 hours.
    """
    added = schedule(ES256, EDDSA).due(first, NOON + DAY)
    alone = schedule(EDDSA).due(added, NOON + 3 * DAY)

    assert ES256 is (added.stand_in(EDDSA, NOON + 2 * DAY)).algorithm
    assert EDDSA is alone.signing(EDDSA, NOON + 3 * DAY).algorithm
    assert {EDDSA} == schedule(EDDSA).due(alone, NOON + 9 * DAY).algorithms()


# --- out of turn ------------------------------------------------------------------------------------------------------
def test_a_rotation_out_of_turn_publishes_a_successor_now(first):
    now = NOON + DAY
    ring = schedule().rotated(first, "ES256", now)

    assert [Life(NOON, NOON, now + 26 * HOUR, now + 26 * HOUR + KEPT), Life(now, now + 26 * HOUR)] == lives(ring)


def test_a_successor_that_waits_is_the_answer_to_every_further_request(rotated):
    ring = schedule().rotated(rotated, "ES256", NOON + 90 * DAY - HOUR)

    assert rotated is ring


def test_other_lines_are_not_touched_by_a_rotation():
    both = schedule(ES256, EDDSA)
    ring = both.due(NOTHING, NOON)

    assert ring.signing(EDDSA, NOON) in both.rotated(ring, "ES256", NOON + DAY).keys


def test_a_revoked_key_is_gone_for_every_clock_and_another_one_signs_at_once(first):
    now = NOON + DAY
    ring = schedule().revoked(first, kids(first.keys), now)

    assert [Life(now, now)] == lives(ring)
    assert kids(first.keys) != kids(ring.keys)


def test_the_successor_that_verifiers_know_already_takes_over_from_a_revoked_key(rotated):
    now = NOON + 90 * DAY - HOUR
    ring = schedule().revoked(rotated, kids(rotated.keys[:1]), now)

    assert kids(rotated.keys[1:]) == kids(ring.keys)
    assert [Life(NOON + 90 * DAY - 26 * HOUR, now)] == lives(ring)


def test_where_the_whole_file_leaked_every_key_goes(rotated):
    now = NOON + 90 * DAY - HOUR
    ring = schedule().revoked(rotated, kids(rotated.keys), now)

    assert [Life(now, now)] == lives(ring)
    assert set() == set(kids(ring.keys)) & set(kids(rotated.keys))


def test_a_successor_that_is_revoked_is_replaced_in_good_time(rotated):
    now = NOON + 90 * DAY - HOUR
    ring = schedule().revoked(rotated, kids(rotated.keys[1:]), now)

    assert rotated.keys[0].kid == ring.signing(ES256, now).kid
    assert [Life(NOON, NOON, now + 26 * HOUR, now + 26 * HOUR + KEPT), Life(now, now + 26 * HOUR)] == lives(ring)


def test_a_retired_key_is_revoked_without_changing_the_others(rotated):
    now = NOON + 90 * DAY + KEPT / 2
    ring = schedule().revoked(rotated, kids(rotated.keys[:1]), now)

    assert rotated.keys[1:] == ring.keys


def test_the_key_of_an_algorithm_that_is_no_longer_wanted_is_revoked_without_a_replacement():
    ring = schedule(ES256, EDDSA).due(NOTHING, NOON)
    unwanted = ring.signing(EDDSA, NOON)

    assert {ES256} == schedule(ES256).revoked(ring, [unwanted.kid], NOON).algorithms()
