"""
The policy of one instant: what its indexes answer.
"""

from hypothesis import given
from hypothesis import strategies as st

from broker.domain.access import Denied, Granted, decide
from tests.domain.samples import (
    EVERYONE,
    NOBODY,
    admits,
    content,
    guid,
    integration,
    key,
    owner,
    policy,
    the_group,
    the_user,
    user,
)

ALICE, BOB = user(1, "alice"), user(2, "bob")


def test_an_owner_is_found_by_guid_or_exact_name_with_the_groups_of_the_instant():
    some = policy(users=[ALICE, BOB], memberships=[(ALICE.guid, guid(101)), (ALICE.guid, guid(102))])

    assert owner(ALICE, guid(101), guid(102)) == some.owner(guid=ALICE.guid)
    assert owner(ALICE, guid(101), guid(102)) == some.owner(username="alice")
    assert owner(BOB) == some.owner(username="bob")


def test_nobody_is_found_by_another_spelling_or_by_nothing():
    some = policy(users=[ALICE])

    assert [None] * 5 == [
        some.owner(username="Alice"),
        some.owner(username="alice "),
        some.owner(username=""),
        some.owner(guid="alice"),
        some.owner(),
    ]


def test_a_guid_goes_before_a_name():
    assert owner(ALICE) == policy(users=[ALICE, BOB]).owner(guid=ALICE.guid, username="bob")


def test_keys_and_users_are_found_or_not():
    alices = key(ALICE)
    some = policy(users=[ALICE], keys=[alices])

    assert (alices, None) == (some.key(alices.sha256), some.key("b" * 64))
    assert (ALICE, None) == (some.user(ALICE.guid), some.user(BOB.guid))


access_lists = st.one_of(
    st.just(EVERYONE),
    st.just(NOBODY),
    st.lists(
        st.sampled_from([the_user(ALICE), the_user(BOB), the_group(101), the_group(102), the_group(103)]), unique=True
    ).map(lambda entries: admits(*entries)),
)


@given(st.lists(access_lists, max_size=8), st.frozensets(st.sampled_from([guid(101), guid(102)])))
def test_the_indexes_say_what_deciding_one_by_one_says(lists, groups):
    some = [integration(201 + n, access=access) for n, access in enumerate(lists)]
    known = policy(*some, users=[ALICE, BOB], memberships=[(ALICE.guid, g) for g in groups])
    alice = known.owner(username="alice")

    verdicts = [decide(alice, each, None) for each in some]

    assert [v.integration for v in verdicts if isinstance(v, Granted)] == known.candidates(alice)
    assert [v.integration for v in verdicts if isinstance(v, Denied)] == list(known.closed_to(alice))
    assert len(list(known.closed_to(alice))) == known.count_closed_to(alice)


def test_an_integration_is_found_by_its_guid_whoever_may_use_it():
    first, second = integration(202, access=NOBODY), integration(201)
    some = policy(first, second)

    assert [first, second, None] == [some.integration(guid(number)) for number in (202, 201, 203)]


def test_content_that_is_registered_has_an_owner_and_other_content_has_none():
    some = policy(contents=[content(77, ALICE)])

    assert [ALICE.guid, None] == [some.content_owner(guid(number)) for number in (77, 78)]
