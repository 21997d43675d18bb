"""
A build before its first signature: who may have it, what it gets, what is recorded of that.
"""

import json
from datetime import timedelta

import orjson
import pytest

from broker.domain.audit import Action, Outcome
from broker.domain.builds import BuildRequest, Skipped
from broker.domain.decided import MAX_SKIPPED, Deciding, Rules
from broker.domain.identity import Role
from broker.errors import (
    ContentNotOwned,
    InvalidLogin,
    InvalidParameter,
    InvalidScope,
    NotFound,
    OwnerLocked,
    OwnerNotPublisher,
    PermissionDenied,
)
from tests.domain.samples import (
    DEFAULTS,
    NOBODY,
    admits,
    content,
    guid,
    integration,
    key,
    policy,
    the_group,
    the_user,
    user,
)
from tests.fakes.clock import NOON

ROBOT = user(1, "robot", Role.ADMINISTRATOR)
ALICE = user(2, "alice")
BOB = user(3, "bob")
VICTOR = user(4, "victor", Role.VIEWER)
LEO = user(5, "leo", locked=True)
KEYS = [
    key(ROBOT, "r" * 64),
    key(ALICE, "a" * 64),
    key(VICTOR, "v" * 64),
    key(ROBOT, "c" * 64, role=Role.PUBLISHER),
    key(LEO, "l" * 64),
]
RULES = Rules("https://broker.example/", DEFAULTS, "broker", 60, default_duration=3600, max_duration=7200)


@pytest.fixture
def decide(ids):
    """
    Decide with the robot's key, unless said otherwise.
    """

    def decide(*integrations, sha256="r" * 64, memberships=(), contents=(), version=7, **request):
        known = policy(
            *integrations,
            users=[ROBOT, ALICE, BOB, VICTOR, LEO],
            memberships=memberships,
            keys=KEYS,
            contents=contents,
            version=version,
        )
        wanted = {"owner_guid": None, "owner_username": None, **(request or {"owner_username": "alice"})}
        return Deciding(RULES, ids.guid, ids.jti)(known, sha256, BuildRequest(**wanted), NOON)

    return decide


@pytest.mark.parametrize("named", [{"owner_username": "alice"}, {"owner_guid": ALICE.guid}])
def test_a_build_is_for_its_owner_and_by_its_caller(decide, named):
    decided = decide(**named, content_guid=guid(77))

    assert (ALICE.guid, ROBOT.guid, guid(77)) == (
        decided.build.owner_guid,
        decided.build.caller_guid,
        decided.build.content_guid,
    )
    assert (NOON, NOON + timedelta(hours=1), None) == (
        decided.build.created_time,
        decided.build.expires_time,
        decided.build.finished_time,
    )


@pytest.mark.parametrize(
    ("request_and_key", "error"),
    [
        ({"sha256": "x" * 64}, InvalidLogin),
        ({"sha256": "l" * 64}, InvalidLogin),
        ({"owner_username": "nobody"}, NotFound),
        ({"owner_username": "Alice"}, NotFound),
        ({"owner_guid": guid(99)}, NotFound),
        ({"owner_username": "leo"}, OwnerLocked),
        ({"owner_username": "victor"}, OwnerNotPublisher),
        ({"sha256": "a" * 64, "owner_username": "bob"}, PermissionDenied),
        ({"sha256": "c" * 64, "owner_username": "alice"}, PermissionDenied),
        ({"sha256": "v" * 64, "owner_username": "victor"}, PermissionDenied),
        ({"owner_username": "alice", "duration": 59}, InvalidParameter),
        ({"owner_username": "alice", "duration": 7201}, InvalidParameter),
        ({"owner_username": "alice", "duration": 0}, InvalidParameter),
        ({"owner_username": "alice", "duration": -1}, InvalidParameter),
        ({"owner_username": "alice", "duration": 10**30}, InvalidParameter),
        ({"owner_username": "alice", "repositories": frozenset({"a b"})}, InvalidScope),
    ],
    ids=str,
)
def test_who_may_not_have_a_build_gets_none(decide, request_and_key, error):
    with pytest.raises(error):
        decide(integration(), **request_and_key)


@pytest.mark.parametrize("duration", [60, 7200])
def test_the_caller_chooses_the_duration_within_the_operators_bounds(decide, duration):
    build = decide(owner_username="alice", duration=duration).build

    assert timedelta(seconds=duration) == build.expires_time - build.created_time


def test_a_publisher_builds_for_herself(decide):
    decided = decide(integration(), sha256="a" * 64)

    assert ALICE == decided.caller.user
    assert 1 == len(decided.expected)


def test_each_planned_assertion_is_recorded_under_its_jti_before_it_exists(decide):
    decided = decide(integration(201, url="https://a.example"), integration(202, url="https://b.example"))

    assert ["jti-1", "jti-2"] == [each.jti for each in decided.expected]
    assert [
        {
            "machine": f"{host}.example",
            "ppm_url": f"https://{host}.example",
            "audience": "package-manager",
            "scopes": "repos:read:*",
            "jti": jti,
        }
        for host, jti in (("a", "jti-1"), ("b", "jti-2"))
    ] == decided.decision.planned


def test_the_record_says_what_was_granted_and_through_which_entry(decide):
    decided = decide(
        integration(201, name="Open"),
        integration(202, name="Hers", access=admits(the_user(ALICE)), scopes="repos:read:a"),
        integration(203, name="Theirs", access=admits(the_group(101)), scopes="repos:read:b"),
        memberships=[(ALICE.guid, guid(101))],
    )

    assert [
        ("Open", "repos:read:*", "everyone"),
        ("Hers", "repos:read:a", f"user:{ALICE.guid}"),
        ("Theirs", "repos:read:b", f"group:{guid(101)}"),
    ] == [(grant["name"], grant["scopes"], grant["via"]) for grant in decided.decision.granted]
    assert (7, None, ALICE.guid, NOON) == (
        decided.decision.policy_version,
        decided.decision.wanted,
        decided.decision.owner_guid,
        decided.decision.created_time,
    )


def test_the_record_is_plain_json(decide):
    decision = decide(
        integration(access=NOBODY), integration(202), integration(203, url="https://packages.example.com/x")
    )
    parts = [decision.decision.granted, decision.decision.planned, decision.decision.skipped]

    assert parts == json.loads(orjson.dumps(parts))


def test_an_owner_without_any_integration_gets_an_empty_build_and_the_reasons(decide):
    decided = decide(integration(name="Internal", access=NOBODY))

    assert () == decided.expected
    assert 1 == decided.skipped_total
    assert [("Internal", "not_in_access_list")] == [(each.name, each.reason) for each in decided.skipped]
    assert [{"integration_guid": guid(201), "reason": "not_in_access_list"}] == decided.decision.skipped


def test_skipped_integrations_are_named_up_to_a_limit_and_counted_beyond(decide):
    closed = [integration(300 + n, name=f"Closed {n}", access=NOBODY) for n in range(MAX_SKIPPED + 30)]
    open_without = [integration(600 + n, name=f"Other {n}", scopes="repos:read:other") for n in range(3)]

    decided = decide(*closed, *open_without, owner_username="alice", repositories=frozenset({"cran"}))

    assert MAX_SKIPPED == len(decided.skipped)
    assert MAX_SKIPPED + 33 == decided.skipped_total
    # What the owner may use, but did not ask for, comes first: it is the likelier mistake.
    assert ["no_requested_repository"] * 3 == [each.reason for each in decided.skipped[:3]]
    assert {"not_in_access_list"} == {each.reason for each in decided.skipped[3:]}


def test_repositories_narrow_every_credential_and_are_recorded(decide):
    decided = decide(
        integration(201, url="https://a.example"),
        integration(202, url="https://b.example", scopes="repos:read:pypi"),
        owner_username="alice",
        repositories=frozenset({"cran", "bioc"}),
    )

    assert ["repos:read:bioc,cran"] == [str(each.planned.scopes) for each in decided.expected]
    assert ("repos:read:bioc,cran",) == decided.decision.wanted
    assert (Skipped(guid(202), "Packages", "no_requested_repository", decided.skipped[0].detail),) == decided.skipped


def test_neighbours_that_clash_are_a_problem_of_both_and_planned_for_neither(decide):
    one, other = integration(201, name="A"), integration(202, name="B", audience="other")

    decided = decide(one, other)

    assert () == decided.expected
    (problem,) = decided.problems
    assert ((one.guid, other.guid), "https://packages.example.com", "host_conflict") == (
        problem.integration_guids,
        problem.ppm_url,
        problem.code,
    )
    assert not problem.retryable
    assert 2 == len(decided.decision.granted)


def test_the_audit_line_says_who_built_for_whom_and_ties_the_decision(decide):
    decided = decide(integration(), integration(202, access=NOBODY), sha256="r" * 64, owner_username="alice")
    event = decided.opened("c-1")

    assert (ROBOT.guid, Action.BUILD_OPENED, decided.build.guid, Outcome.ALLOWED, "c-1", NOON) == (
        event.actor,
        event.action,
        event.target,
        event.outcome,
        event.correlation_id,
        event.time,
    )
    assert {
        "owner_guid": ALICE.guid,
        "decision_guid": decided.decision.guid,
        "granted": 1,
        "skipped": 1,
        "role": Role.ADMINISTRATOR,
    } == event.detail


@pytest.mark.parametrize(
    ("asked", "registered"),
    [(77, [content(77, ALICE)]), (78, [content(77, BOB)]), (77, []), (None, [content(77, BOB)])],
)
def test_content_is_built_for_its_owner_and_for_anybody_where_it_is_not_registered(decide, asked, registered):
    content_guid = asked and guid(asked)

    assert (
        content_guid
        == decide(contents=registered, owner_username="alice", content_guid=content_guid).build.content_guid
    )


@pytest.mark.parametrize(("sha256", "told"), [("r" * 64, {"owner_guid": BOB.guid}), ("a" * 64, {})])
def test_content_of_somebody_else_is_not_built_and_only_administrators_hear_whose_it_is(decide, sha256, told):
    with pytest.raises(ContentNotOwned, match="does not belong to alice") as refused:
        decide(contents=[content(77, BOB)], sha256=sha256, owner_username="alice", content_guid=guid(77))

    assert {"content_guid": guid(77), **told} == refused.value.payload
    assert BOB.guid not in refused.value.message


def test_whoever_may_not_build_for_the_owner_hears_nothing_about_content(decide):
    with pytest.raises(PermissionDenied):
        decide(contents=[content(77, ALICE)], sha256="a" * 64, owner_username="bob", content_guid=guid(77))
