"""
Who calls, and what that caller may do.
"""

from datetime import timedelta

import pytest

from broker.domain.callers import NEEDED, Right, authorise, authorise_build, identify, is_allowed
from broker.domain.identity import Caller, Role
from broker.errors import InvalidLogin, PermissionDenied
from tests.domain.samples import key, policy, user
from tests.fakes.clock import NOON

ADMIN = user(1, "admin", Role.ADMINISTRATOR)
KEY = "a" * 64


def caller(role, number=1):
    return Caller(user(number, "someone", role), role, "1")


@pytest.mark.parametrize(
    ("role", "cap", "expected"),
    [
        (Role.ADMINISTRATOR, None, Role.ADMINISTRATOR),
        (Role.ADMINISTRATOR, Role.PUBLISHER, Role.PUBLISHER),
        (Role.ADMINISTRATOR, Role.VIEWER, Role.VIEWER),
        (Role.PUBLISHER, Role.ADMINISTRATOR, Role.PUBLISHER),
        (Role.VIEWER, Role.ADMINISTRATOR, Role.VIEWER),
    ],
)
def test_a_key_never_lifts_the_role_of_its_user(role, cap, expected):
    someone = user(role=role)

    assert Caller(someone, expected, "1") == identify(policy(users=[someone], keys=[key(someone, role=cap)]), KEY, NOON)


@pytest.mark.parametrize(
    "known",
    [
        policy(),
        policy(users=[ADMIN]),
        policy(keys=[key(ADMIN)]),
        policy(users=[user(locked=True)], keys=[key(user())]),
        policy(users=[ADMIN], keys=[key(ADMIN, expires_time=NOON)]),
        policy(users=[ADMIN], keys=[key(ADMIN, expires_time=NOON - timedelta(days=1))]),
        policy(users=[ADMIN], keys=[key(ADMIN, sha256="b" * 64)]),
        policy(users=[ADMIN], keys=[key(ADMIN, sha256="A" * 64)]),
    ],
    ids=["nothing", "no key", "no user", "locked", "just expired", "expired", "another key", "another case"],
)
def test_a_key_that_does_not_work_fails_in_the_same_words_whatever_is_wrong(known):
    with pytest.raises(InvalidLogin) as refused:
        identify(known, KEY, NOON)
    with pytest.raises(InvalidLogin) as unknown:
        identify(policy(), "", NOON)

    assert unknown.value.message == refused.value.message
    assert KEY not in refused.value.message


@pytest.mark.parametrize("right", Right)
@pytest.mark.parametrize("role", Role)
def test_a_right_takes_its_role_or_a_higher_one(role, right):
    """
    Every right has a line in the table: silence would mean no (T27).
    """
    allowed = role.rank >= NEEDED[right].rank

    assert allowed == is_allowed(caller(role), right)
    if not allowed:
        with pytest.raises(PermissionDenied) as refused:
            authorise(caller(role), right)
        assert {"needed_role": NEEDED[right]} == refused.value.payload


@pytest.mark.parametrize(
    ("role", "rights"),
    [
        (Role.VIEWER, {Right.READ_PEOPLE, Right.MANAGE_OWN_KEYS}),
        (
            Role.PUBLISHER,
            {
                Right.READ_PEOPLE,
                Right.MANAGE_OWN_KEYS,
                Right.READ_INTEGRATIONS,
                Right.OWN_CONTENT,
                Right.BUILD_FOR_SELF,
            },
        ),
        (Role.ADMINISTRATOR, set(Right)),
    ],
)
def test_the_table_of_rights(role, rights):
    assert rights == {right for right in Right if is_allowed(caller(role), right)}


@pytest.mark.parametrize(
    ("role", "owner", "allowed"),
    [
        (Role.VIEWER, 1, False),
        (Role.VIEWER, 2, False),
        (Role.PUBLISHER, 1, True),
        (Role.PUBLISHER, 2, False),
        (Role.ADMINISTRATOR, 1, True),
        (Role.ADMINISTRATOR, 2, True),
    ],
)
def test_only_an_administrator_builds_for_somebody_else(role, owner, allowed):
    """
    (T21)
    """
    if allowed:
        authorise_build(caller(role), user(owner).guid)
    else:
        with pytest.raises(PermissionDenied):
            authorise_build(caller(role), user(owner).guid)


def test_the_cap_of_a_key_counts_for_builds_too():
    capped = Caller(ADMIN, Role.VIEWER, "1")

    with pytest.raises(PermissionDenied, match="admin calls as viewer"):
        authorise_build(capped, ADMIN.guid)
