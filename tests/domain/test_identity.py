"""
Users, groups, roles and names.
"""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.identity import Caller, Role, checked_group_name, checked_username, folded, has_controls
from broker.errors import InvalidGroupName, InvalidUsername, OwnerLocked, OwnerNotPublisher
from tests.domain.samples import key, owner, user
from tests.fakes.clock import NOON

roles = st.sampled_from(Role)


@pytest.mark.parametrize("role", [Role.PUBLISHER, Role.ADMINISTRATOR])
def test_publishers_and_administrators_can_own_a_build(role):
    owner(user(role=role)).must_be_able_to_build()


def test_a_viewer_cannot_own_a_build_and_learns_who_can_help():
    with pytest.raises(OwnerNotPublisher, match=r"alice is a viewer.*administrator"):
        owner(user(role=Role.VIEWER)).must_be_able_to_build()


@pytest.mark.parametrize("role", Role)
def test_a_locked_user_cannot_own_a_build_whatever_the_role(role):
    with pytest.raises(OwnerLocked, match=r"alice is locked.*administrator"):
        owner(user(role=role, locked=True)).must_be_able_to_build()


@given(roles, st.none() | roles)
def test_a_cap_lowers_a_role_and_never_lifts_it(role, ceiling):
    capped = role.capped(ceiling)

    assert capped.rank <= role.rank
    assert ceiling is None or capped.rank <= ceiling.rank
    assert capped in {role, ceiling}


def test_roles_rise_from_viewer_to_administrator():
    assert [Role.VIEWER, Role.PUBLISHER, Role.ADMINISTRATOR] == sorted(Role, key=lambda role: role.rank)


@pytest.mark.parametrize(
    ("expires", "expired"),
    [(None, False), (NOON + timedelta(microseconds=1), False), (NOON, True), (NOON - timedelta(days=1), True)],
    ids=["never", "soon", "now", "long ago"],
)
def test_a_key_ends_at_its_expiry_to_the_instant(expires, expired):
    assert expired == key(user(), expires_time=expires).is_expired(NOON)


def test_a_key_does_not_print_its_hash():
    assert "a" * 64 not in repr(key(user()))


def test_a_caller_has_the_name_of_its_user():
    assert "alice" == Caller(user(), Role.VIEWER, "1").name


@pytest.mark.parametrize("name", ["a", "0", "alice", "Alice.B-c_d@example.com", pytest.param("a" * 64, id="64")])
def test_a_plain_user_name_is_taken(name):
    assert name == checked_username(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        ".alice",
        "-rf",
        "@a",
        "al ice",
        "alice\n",
        "al\x00ice",
        "al/ice",
        "al\\ice",
        "<b>",
        "al\u00efce",
        "\u0430lice",
        "\u0661\u0662",
        pytest.param("a" * 65, id="65"),
        pytest.param("a" * 10_000_000, id="10 MB"),
    ],
)
def test_any_other_user_name_is_refused_in_a_short_message(name):
    with pytest.raises(InvalidUsername) as refused:
        checked_username(name)

    assert 400 > len(refused.value.message)
    assert "\n" not in refused.value.message


@pytest.mark.parametrize("name", ["a", "Data Science", "\u5206\u6790", "R & Python", pytest.param("x" * 255, id="255")])
def test_a_group_may_be_named_in_any_language(name):
    assert name == checked_group_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        " a",
        "a ",
        "a\nb",
        "a\x00",
        "a\u202eb",
        "a\u200b",
        "\ud800",
        "a\u00a0",
        pytest.param("x" * 256, id="256"),
    ],
)
def test_a_group_name_that_hides_something_is_refused(name):
    with pytest.raises(InvalidGroupName):
        checked_group_name(name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", False),
        ("\n", True),
        ("\t", True),
        ("\x7f", True),
        ("\u200b", True),
        ("\ue000", True),
        ("\u0378", True),
    ],
)
def test_controls_and_invisible_characters_are_seen(text, expected):
    assert expected == has_controls(text)


def test_some_controls_may_be_allowed():
    assert not has_controls("a\r\n\tb", allowed="\n\r\t")


@pytest.mark.parametrize(("one", "other"), [("Alice", "alice"), ("STRASSE", "stra\u00dfe"), ("\uff41bc", "ABC")])
def test_names_that_people_take_for_one_are_one(one, other):
    assert folded(one) == folded(other)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"first_name": "Ada", "last_name": "Lovelace"}, "Ada Lovelace"),
        ({"first_name": "Ada"}, "Ada"),
        ({"last_name": "Lovelace"}, "Lovelace"),
        ({}, ""),
    ],
)
def test_a_full_name_has_what_is_known(fields, expected):
    assert expected == user(**fields).full_name
