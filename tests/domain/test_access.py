"""
The one decision: may this owner use this integration, and for what.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.access import Denied, Granted, Reason, decide, wanted_scopes
from broker.domain.scopes import ScopeSet
from tests.domain.samples import (
    EVERYONE,
    NOBODY,
    admits,
    guid,
    integration,
    owner,
    read_sets,
    the_group,
    the_user,
    user,
)

ALICE, BOB = user(1, "alice"), user(2, "bob")
ANALYSTS, STRANGERS = 101, 102


@pytest.mark.parametrize(
    ("access", "via"),
    [
        (EVERYONE, None),
        (admits(the_user(ALICE)), the_user(ALICE)),
        (admits(the_group(ANALYSTS)), the_group(ANALYSTS)),
        (admits(the_group(STRANGERS), the_group(ANALYSTS)), the_group(ANALYSTS)),
        # named twice over: the entry that needs no group is the one that is told
        (admits(the_group(ANALYSTS), the_user(ALICE)), the_user(ALICE)),
        (admits(the_user(BOB), the_user(ALICE)), the_user(ALICE)),
    ],
    ids=["everyone", "user", "group", "one of two groups", "user before group", "second user"],
)
def test_an_owner_who_is_admitted_gets_the_scopes_and_the_entry_that_admits(access, via):
    some = integration(access=access, scopes="repos:read:cran")

    assert Granted(some, ScopeSet.parse("repos:read:cran"), via) == decide(owner(ALICE, guid(ANALYSTS)), some, None)


@pytest.mark.parametrize(
    ("access", "words"),
    [
        (NOBODY, "admits nobody"),
        (admits(the_user(BOB)), "only others"),
        (admits(the_group(STRANGERS)), "only others"),
        (admits(the_user(BOB), the_group(STRANGERS)), "only others"),
    ],
    ids=["nobody", "another user", "another group", "both"],
)
def test_an_owner_who_is_not_admitted_gets_nothing_and_learns_why(access, words):
    denied = decide(owner(ALICE, guid(ANALYSTS)), integration(name="Internal", access=access), None)

    assert Reason.NOT_IN_ACCESS_LIST is denied.reason
    assert "alice is not in the access list of Internal" in denied.detail
    assert words in denied.detail


def test_a_group_counts_by_its_guid_and_not_by_its_kind_of_number():
    """
    The guid of a user never admits a group that happens to have the same one (T24, T25).
    """
    one = integration(access=admits(the_group(1)))
    other = integration(access=admits(the_user(user(ANALYSTS, "analysts"))))

    assert isinstance(decide(owner(ALICE), one, None), Denied)
    assert isinstance(decide(owner(ALICE, guid(ANALYSTS)), other, None), Denied)


def test_a_user_recreated_under_an_old_name_does_not_inherit_the_old_grants():
    """
    (T25)
    """
    namesake = user(99, ALICE.username)

    assert isinstance(decide(owner(namesake), integration(access=admits(the_user(ALICE))), None), Denied)


@pytest.mark.parametrize(
    ("carried", "wanted", "expected"),
    [
        ("repos:read:*", ["cran"], "repos:read:cran"),
        ("repos:read:cran,pypi", ["cran", "bioc"], "repos:read:cran"),
        ("repos:read:cran", ["*"], "repos:read:cran"),
        ("repos:read:cran", None, "repos:read:cran"),
    ],
)
def test_a_build_gets_no_more_than_it_asked_for(carried, wanted, expected):
    some = integration(scopes=carried)
    granted = decide(owner(), some, wanted_scopes(None if wanted is None else frozenset(wanted)))

    assert expected == str(granted.scopes)


def test_an_integration_without_a_requested_repository_gives_nothing_and_says_what_it_has():
    some = integration(name="CRAN only", scopes="repos:read:cran")
    denied = decide(owner(), some, wanted_scopes(frozenset({"pypi"})))

    assert Reason.NO_REQUESTED_REPOSITORY is denied.reason
    assert "CRAN only carries repos:read:cran" in denied.detail


def test_narrowing_to_repositories_drops_every_other_right():
    some = integration(scopes="repos:read:* global:admin", allow_other_scopes=True)
    granted = decide(owner(), some, wanted_scopes(frozenset({"cran"})))

    assert "repos:read:cran" == str(granted.scopes)


def test_an_owner_who_is_not_admitted_learns_that_before_what_the_integration_carries():
    some = integration(access=NOBODY, scopes="repos:read:secret-name")
    denied = decide(owner(), some, wanted_scopes(frozenset({"pypi"})))

    assert Reason.NOT_IN_ACCESS_LIST is denied.reason
    assert "secret-name" not in denied.detail


principals = st.one_of(
    st.integers(1, 4).map(lambda number: the_user(user(number))), st.integers(101, 104).map(the_group)
)
access_lists = st.one_of(st.just(EVERYONE), st.lists(principals, unique=True, max_size=5).map(lambda p: admits(*p)))
owners = st.builds(
    lambda number, groups: owner(user(number), *map(guid, groups)),
    st.integers(1, 4),
    st.frozensets(st.integers(101, 104)),
)


@given(owners, access_lists, read_sets, st.none() | read_sets)
def test_what_is_granted_is_within_what_is_carried_and_wanted(someone, access, carried, wanted):
    verdict = decide(someone, integration(access=access, scopes=str(carried)), wanted)

    if isinstance(verdict, Granted):
        assert verdict.scopes
        assert carried.covers(verdict.scopes)
        assert wanted is None or wanted.covers(verdict.scopes)


@given(owners, access_lists, principals)
def test_taking_an_entry_away_never_admits_anybody(someone, access, gone):
    before = access.admitting(someone) is not None or access == EVERYONE
    after = isinstance(decide(someone, integration(access=access.without(gone)), None), Granted)

    assert before or not after


@given(owners, access_lists)
def test_an_owner_is_admitted_only_by_an_entry_that_names_them(someone, access):
    verdict = decide(someone, integration(access=access), None)

    named = {the_user(someone.user), *(the_group(int(g[-4:], 16)) for g in someone.group_guids)}
    assert isinstance(verdict, Granted) == (access == EVERYONE or bool(named & set(access.principals)))
