"""
The main road: decide, record, mint, exchange, record, answer.
"""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from broker.domain.audit import Action
from broker.domain.builds import BuildRequest
from broker.domain.package_manager import RepositoryToken
from broker.domain.secrets import Secret
from broker.errors import (
    CredentialsFailed,
    ExchangeFailed,
    InvalidLogin,
    InvalidParameter,
    NotFound,
    OwnerLocked,
    OwnerNotPublisher,
    PackageManagerFault,
    PermissionDenied,
    PolicyKeepsChanging,
    RecordUnavailable,
    SigningUnavailable,
    leaves,
)
from broker.issuer import Issuer
from broker.usecases.open_build import ATTEMPTS
from keys import KeyRing
from tests.domain.samples import NOBODY, admits, guid, the_group, the_user
from tests.fakes.clock import NOON
from tests.usecases.world import ALICE, ANALYSTS, BOB, LEO, ROBOT, VICTOR, claims_of, key_text, sha256

A, B, C = "https://a.example", "https://b.example", "https://c.example"


def ask(owner=ALICE, **fields):
    return BuildRequest(None, owner.username, **fields)


@pytest.fixture
def open_build(broker):
    def open_build(request=None, caller=ROBOT):
        return broker.open_build(sha256(caller), request or ask(), "c-1")

    return open_build


# --- what a build gets ------------------------------------------------------------------------------------------------
async def test_an_owner_who_is_admitted_gets_one_netrc_for_every_host(broker, open_build, package_manager):
    broker.admit(201, url=A)
    broker.admit(202, admits(the_user(ALICE)), url=B)
    built = await open_build()
    first, second = built.credentials

    assert (
        f"machine a.example login __token__ password {first.token.reveal()}\n"
        f"machine b.example login __token__ password {second.token.reveal()}\n"
    ) == built.netrc.reveal()
    assert [A, B] == [exchange.url for exchange in package_manager.received]
    assert ((), (), 0) == (built.problems, built.skipped, built.skipped_total)
    assert ("alice", ALICE.guid, ROBOT.guid) == (
        built.owner_username,
        built.build.owner_guid,
        built.build.caller_guid,
    )


async def test_the_assertion_says_who_for_whom_what_and_for_how_long(broker, open_build, package_manager):
    broker.admit(201, url=A, scopes="repos:read:cran", audience="aud", subject="sub")
    built = await open_build(ask(content_guid=guid(77)))
    (received,) = package_manager.received
    issued = int(NOON.timestamp())

    assert {
        "iss": "https://broker.example/",
        "aud": "aud",
        "sub": "sub",
        "roles": ["repos:read:cran"],
        "iat": issued,
        "nbf": issued,
        "exp": issued + 60,
        "jti": "jti-1-1",
        "azp": "broker",
        "owner_guid": ALICE.guid,
        "preferred_username": "alice",
        "email": "alice@example.com",
        "name": "Alice Liddell",
        "build_guid": built.build.guid,
        "content_guid": guid(77),
        "txn": built.decision_guid,
        "act": {"sub": "robot"},
    } == claims_of(received)


async def test_integrations_on_one_host_share_one_exchange_with_the_union_of_their_scopes(
    broker, open_build, package_manager
):
    broker.admit(201, url=A, scopes="repos:read:cran")
    broker.admit(202, url=A, scopes="repos:read:pypi")
    broker.admit(203, NOBODY, url=A, scopes="repos:read:secret")
    built = await open_build()

    assert [["repos:read:cran,pypi"]] == [claims_of(each)["roles"] for each in package_manager.received]
    assert [(guid(201), guid(202))] == [each.integration_guids for each in built.credentials]


async def test_a_build_that_names_repositories_gets_no_more_than_those(broker, open_build, package_manager):
    broker.admit(201, url=A)
    broker.admit(202, url=B, scopes="repos:read:pypi")
    built = await open_build(ask(repositories=frozenset({"cran"})))

    assert [["repos:read:cran"]] == [claims_of(each)["roles"] for each in package_manager.received]
    assert ["no_requested_repository"] == [each.reason for each in built.skipped]


async def test_an_owner_without_integrations_gets_an_empty_netrc_and_the_reasons(broker, open_build, package_manager):
    broker.admit(201, NOBODY, name="Internal", url=A)
    built = await open_build()

    assert ("", (), 1) == (built.netrc.reveal(), built.credentials, built.skipped_total)
    assert [("Internal", "not_in_access_list")] == [(each.name, each.reason) for each in built.skipped]
    assert [] == package_manager.received
    assert [(built.build.guid,)] == broker.read("SELECT guid FROM builds")


async def test_neighbours_that_clash_are_told_for_both_and_the_rest_is_obtained(broker, open_build, package_manager):
    broker.admit(201, url=A, name="One")
    broker.admit(202, url=A, name="Other", audience="other")
    broker.admit(203, url=B)
    built = await open_build()
    (problem,) = built.problems

    assert ("host_conflict", (guid(201), guid(202))) == (problem.code, problem.integration_guids)
    assert "One and Other" in problem.detail
    assert [B] == [exchange.url for exchange in package_manager.received]
    assert ["b.example"] == [credential.machine for credential in built.credentials]


@pytest.mark.parametrize(
    ("given", "expected"), [(None, 3600), (timedelta(minutes=5), 300), (timedelta(hours=9), 32400)]
)
async def test_the_expiry_is_that_of_the_token_or_where_nobody_knows_that_of_the_build(
    broker, open_build, package_manager, given, expected
):
    broker.admit(201, url=A)
    package_manager.give(A, RepositoryToken(Secret("token"), given and NOON + given))
    built = await open_build()

    assert NOON + timedelta(seconds=expected) == built.credentials[0].expires_time


async def test_a_publisher_opens_builds_for_herself(broker, open_build):
    broker.admit(201, admits(the_user(ALICE)), url=A)

    assert 1 == len((await open_build(caller=ALICE)).credentials)


async def test_many_builds_at_once_do_not_mix(broker, open_build, package_manager):
    for number, url in ((201, A), (202, B), (203, C)):
        broker.admit(number, url=url)
    built = await asyncio.gather(*(open_build(ask(owner)) for owner in (ALICE, BOB) * 20))

    assert ["alice", "bob"] * 20 == [each.owner_username for each in built]
    assert 120 == len({credential.token.reveal() for each in built for credential in each.credentials})
    assert 120 == len({claims_of(each)["jti"] for each in package_manager.received})
    assert [(40, 40, 120)] == broker.read(
        "SELECT (SELECT count(*) FROM builds), (SELECT count(*) FROM decisions), (SELECT count(*) FROM credentials)"
    )


# --- the order: nothing is minted before it is recorded ---------------------------------------------------------------
class Troubled:
    """
    The real recorder with trouble at chosen calls; counts them all.
    """

    def __init__(self, recorder, trouble):
        self._recorder, self._trouble = recorder, trouble
        self.calls = 0

    async def record(self, rows, *, policy_version=None):
        self.calls += 1
        self._trouble(self.calls)
        await self._recorder.record(rows, policy_version=policy_version)


def fails_at(call):
    def trouble(number):
        if number == call:
            raise RecordUnavailable("the disk is full")

    return trouble


async def test_nothing_is_minted_when_the_decision_cannot_be_recorded(broker, package_manager):
    broker.admit(201, url=A)
    troubled = replace(broker.open_build, recorder=Troubled(broker.recorder, fails_at(1)))

    with pytest.raises(RecordUnavailable):
        await troubled(sha256(ROBOT), ask(), "c-1")

    assert [] == package_manager.received
    assert [] == broker.read("SELECT guid FROM builds")


async def test_at_the_moment_of_the_exchange_the_decision_is_on_disk(broker, open_build, package_manager):
    """
    Under the very jti of the assertion: one that turns up somewhere is always accounted for.
    """
    broker.admit(201, url=A)
    gate = package_manager.hold(A)
    build = asyncio.ensure_future(open_build())
    await until(lambda: package_manager.received)
    ((planned,),) = broker.read("SELECT planned FROM decisions")
    gate.set()
    await build

    assert [claims_of(package_manager.received[0])["jti"]] == [each["jti"] for each in json.loads(planned)]


async def until(condition):
    deadline = asyncio.get_running_loop().time() + 10
    while not condition():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.001)


async def test_no_credential_is_handed_out_when_its_outcome_cannot_be_recorded(broker, package_manager):
    broker.admit(201, url=A)
    troubled = replace(broker.open_build, recorder=Troubled(broker.recorder, fails_at(2)))

    with pytest.raises(RecordUnavailable):
        await troubled(sha256(ROBOT), ask(), "c-1")

    assert 1 == len(package_manager.received)
    assert ["build.opened"] == broker.actions()


@pytest.mark.parametrize("ring", [KeyRing(())], ids=["no key"])
async def test_without_a_key_nothing_is_sent(broker, package_manager, ring):
    broker.admit(201, url=A)
    keyless = replace(broker.open_build, issuer=Issuer(ring))

    with pytest.raises(SigningUnavailable):
        await keyless(sha256(ROBOT), ask(), "c-1")

    assert [] == package_manager.received


# --- the policy moves -------------------------------------------------------------------------------------------------
async def test_whoever_is_removed_on_one_replica_gets_nothing_from_the_next_build_on_another(
    broker, replica, package_manager
):
    """
    The replica still holds the old policy in memory; the record finds that out (T25).
    """
    broker.change(lambda t: t.people.add_member(ANALYSTS.guid, ALICE.guid))
    broker.admit(201, admits(the_group(ANALYSTS)), url=A)
    before = await replica.open_build(sha256(ROBOT), ask(), "c-1")
    broker.change(lambda t: t.people.remove_member(ANALYSTS.guid, ALICE.guid))
    assert replica.policy.current().owner(username="alice").group_guids

    after = await replica.open_build(sha256(ROBOT), ask(), "c-2")

    assert (1, 0) == (len(before.credentials), len(after.credentials))
    assert ["not_in_access_list"] == [each.reason for each in after.skipped]
    assert 1 == len(package_manager.received)


async def test_whoever_is_added_on_one_replica_gets_it_from_the_next_build_on_another(broker, replica):
    broker.admit(201, admits(the_group(ANALYSTS)), url=A)
    replica.policy.refresh()
    broker.change(lambda t: t.people.add_member(ANALYSTS.guid, ALICE.guid))

    assert 1 == len((await replica.open_build(sha256(ROBOT), ask(), "c-1")).credentials)


async def test_an_api_key_that_is_deleted_on_one_replica_opens_nothing_on_another(broker, replica, package_manager):
    broker.admit(201, url=A)
    replica.policy.refresh()
    ((number,),) = broker.read("SELECT id FROM api_keys WHERE user_guid = ?", ROBOT.guid)
    broker.change(lambda t: t.people.delete_key(ROBOT.guid, str(number)))
    assert replica.policy.current().key(sha256(ROBOT))

    with pytest.raises(InvalidLogin):
        await replica.open_build(sha256(ROBOT), ask(), "c-1")

    assert [] == package_manager.received
    assert [] == broker.read("SELECT guid FROM builds")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda t: t.people.change_user(replace(ALICE, locked=True)), OwnerLocked),
        (lambda t: t.people.change_user(replace(ALICE, role=VICTOR.role)), OwnerNotPublisher),
        (lambda t: t.people.change_user(replace(ROBOT, role=ALICE.role)), PermissionDenied),
        (lambda t: t.people.change_user(replace(ALICE, username="alina")), NotFound),
    ],
    ids=["locked", "demoted", "caller demoted", "renamed"],
)
async def test_roles_and_locks_are_those_of_now_on_every_replica(broker, replica, package_manager, change, error):
    """
    (T25)
    """
    broker.admit(201, url=A)
    replica.policy.refresh()
    broker.change(change)

    with pytest.raises(error):
        await replica.open_build(sha256(ROBOT), ask(), "c-1")

    assert [] == package_manager.received


async def test_a_user_who_was_created_elsewhere_a_moment_ago_can_own_a_build(broker, replica):
    dora = replace(ALICE, guid=guid(50), username="dora")
    broker.change(lambda t: t.people.add_user(dora))

    assert "dora" == (await replica.open_build(sha256(ROBOT), ask(dora), "c-1")).owner_username


async def test_a_decision_that_is_overtaken_is_taken_again(broker, replica, package_manager):
    """
    An administrator gets in between the decision and its record.
    """
    broker.admit(201, admits(the_user(ALICE)), url=A)

    def overtaken(call):
        if call == 1:
            replica.change(lambda t: t.integrations.delete(guid(201)))

    troubled = Troubled(broker.recorder, overtaken)
    built = await replace(broker.open_build, recorder=troubled)(sha256(ROBOT), ask(), "c-1")

    assert (2, ()) == (troubled.calls, built.credentials)
    assert [] == package_manager.received
    assert [(built.decision_guid,)] == broker.read("SELECT guid FROM decisions")


async def test_a_policy_that_never_stands_still_ends_in_a_clear_word(broker, replica, package_manager):
    broker.admit(201, url=A)
    troubled = Troubled(broker.recorder, lambda _: replica.change(lambda _: None))

    with pytest.raises(PolicyKeepsChanging):
        await replace(broker.open_build, recorder=troubled)(sha256(ROBOT), ask(), "c-1")

    assert ATTEMPTS == troubled.calls
    assert [] == package_manager.received
    assert [] == broker.read("SELECT guid FROM builds") + broker.read("SELECT seq FROM audit")


# --- Package Managers that fail ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", leaves(ExchangeFailed), ids=lambda kind: kind.code)
async def test_one_that_fails_does_not_take_the_others_with_it(broker, open_build, package_manager, kind):
    for number, url in ((201, A), (202, B), (203, C)):
        broker.admit(number, url=url)
    package_manager.fail(B, kind(f"{B} does not work"))
    built = await open_build()
    (problem,) = built.problems

    assert ["a.example", "c.example"] == [each.machine for each in built.credentials]
    assert "b.example" not in built.netrc.reveal()
    assert ((guid(202),), B, kind.code, f"{B} does not work", kind.retryable) == (
        problem.integration_guids,
        problem.ppm_url,
        problem.code,
        problem.detail,
        problem.retryable,
    )


async def test_all_are_asked_at_once(broker, open_build, package_manager):
    """
    A slow one is waited for while the others have long answered.
    """
    for number, url in ((201, A), (202, B), (203, C)):
        broker.admit(number, url=url)
    gate = package_manager.hold(A)
    build = asyncio.ensure_future(open_build())
    await until(lambda: len(package_manager.received) == 3)
    gate.set()

    assert 3 == len((await build).credentials)


async def test_every_one_may_fail_and_the_build_still_learns_why(broker, open_build, package_manager):
    broker.admit(201, url=A)
    package_manager.fail(A, PackageManagerFault("a is broken"))
    built = await open_build()

    assert ("", ["package_manager_fault"]) == (built.netrc.reveal(), [each.code for each in built.problems])


async def test_a_caller_who_wants_all_or_nothing_gets_nothing_and_the_build_ends(broker, open_build, package_manager):
    broker.admit(201, url=A)
    broker.admit(202, url=B)
    package_manager.fail(B, PackageManagerFault("b is broken"))

    with pytest.raises(CredentialsFailed, match="b is broken") as failed:
        await open_build(ask(fail_on_problem=True))

    assert {"problems": [{"ppm_url": B, "code": "package_manager_fault"}]} == failed.value.payload
    assert [(int(NOON.timestamp()) * 1_000_000,)] == broker.read("SELECT finished_time FROM builds")
    assert [("credential.obtained", "allowed"), ("credential.failed", "failed")] == [
        (action, outcome) for action, outcome, _ in broker.audit()[1:]
    ]


async def test_a_caller_who_wants_all_or_nothing_has_nothing_minted_for_a_clash(broker, open_build, package_manager):
    broker.admit(201, url=A)
    broker.admit(202, url=A, audience="other")
    broker.admit(203, url=B)

    with pytest.raises(CredentialsFailed):
        await open_build(ask(fail_on_problem=True))

    assert [] == package_manager.received


async def test_a_caller_who_wants_all_or_nothing_and_can_have_all_gets_it(broker, open_build):
    broker.admit(201, url=A)
    broker.admit(202, NOBODY, url=B)

    assert 1 == len((await open_build(ask(fail_on_problem=True))).credentials)


# --- who may not ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("request_", "caller", "error", "owner"),
    [
        (ask(replace(ALICE, username="nobody")), ROBOT, NotFound, None),
        (ask(LEO), ROBOT, OwnerLocked, LEO.guid),
        (ask(VICTOR), ROBOT, OwnerNotPublisher, VICTOR.guid),
        (ask(VICTOR), VICTOR, PermissionDenied, VICTOR.guid),
        (ask(BOB), ALICE, PermissionDenied, BOB.guid),
    ],
    ids=["unknown owner", "locked owner", "viewer as owner", "viewer as caller", "for another"],
)
async def test_a_refusal_is_recorded_with_its_reason_and_nothing_is_sent(
    broker, open_build, package_manager, request_, caller, error, owner
):
    """
    The owner is recorded by guid, not as typed: a key pasted into the wrong field would stay there (T35).
    """
    broker.admit(201, url=A)

    with pytest.raises(error):
        await open_build(request_, caller)

    assert [("build.refused", "refused", {"owner_guid": owner, "reason": error.code})] == broker.audit()
    assert [(caller.guid, "c-1")] == broker.read("SELECT actor, correlation_id FROM audit")
    assert [] == package_manager.received


@pytest.mark.parametrize("caller", [LEO, replace(ALICE, username="stranger")], ids=["locked", "unknown"])
async def test_a_stranger_is_refused_and_does_not_fill_the_audit(broker, open_build, caller):
    with pytest.raises(InvalidLogin):
        await open_build(ask(), caller)

    assert [] == broker.audit()


async def test_a_refusal_that_cannot_be_recorded_is_still_no_build(broker):
    troubled = replace(broker.open_build, recorder=Troubled(broker.recorder, fails_at(1)))

    with pytest.raises(RecordUnavailable):
        await troubled(sha256(ROBOT), ask(LEO), "c-1")


async def test_a_wrong_parameter_is_the_callers_to_fix(broker, open_build):
    with pytest.raises(InvalidParameter, match="duration"):
        await open_build(ask(duration=1))

    assert [] == broker.read("SELECT guid FROM builds")


# --- the record -------------------------------------------------------------------------------------------------------
async def test_the_audit_has_one_line_for_the_decision_and_one_for_each_credential(
    broker, open_build, package_manager, ring
):
    broker.admit(201, url=A)
    broker.admit(202, url=B)
    broker.admit(203, NOBODY, url=C)
    package_manager.fail(B, PackageManagerFault("b is broken"))
    built = await open_build()
    opened, obtained, failed = broker.audit()
    kid = ring.keys[-1].kid if ring.keys[-1].algorithm == "ES256" else ring.keys[0].kid

    assert [
        (action.value, built.build.guid, ROBOT.guid, "c-1")
        for action in (Action.BUILD_OPENED, Action.CREDENTIAL_OBTAINED, Action.CREDENTIAL_FAILED)
    ] == broker.read("SELECT action, target, actor, correlation_id FROM audit ORDER BY seq")
    assert {
        "owner_guid": ALICE.guid,
        "decision_guid": built.decision_guid,
        "granted": 2,
        "skipped": 1,
        "role": "administrator",
    } == opened[2]
    assert {
        "owner_guid": ALICE.guid,
        "machine": "a.example",
        "scopes": "repos:read:*",
        "kid": kid,
        "assertion_sha256": package_manager.received[0].assertion.sha256(),
        "token_sha256": built.credentials[0].token.sha256(),
        "problem": None,
    } == {name: value for name, value in obtained[2].items() if name != "credential_guid"}
    assert (None, "package_manager_fault", "failed") == (failed[2]["token_sha256"], failed[2]["problem"], failed[1])


async def test_each_credential_is_kept_with_hashes_only(broker, open_build, package_manager):
    broker.admit(201, url=A, scopes="repos:read:cran")
    built = await open_build()

    assert [
        (
            built.build.guid,
            built.decision_guid,
            "a.example",
            A,
            "repos:read:cran",
            "jti-1-1",
            package_manager.received[0].assertion.sha256(),
            built.credentials[0].token.sha256(),
            None,
        )
    ] == broker.read(
        "SELECT build_guid, decision_guid, machine, ppm_url, scopes, assertion_jti, assertion_sha256, token_sha256,"
        " problem FROM credentials"
    )


async def test_no_token_and_no_key_is_anywhere_on_the_disk(broker, open_build, package_manager, tmp_path, caplog):
    """
    Every path is taken, then every file is searched, the write-ahead log included (T35).
    """
    broker.admit(201, url=A)
    broker.admit(202, url=B)
    package_manager.fail(B, PackageManagerFault("b is broken"))
    built = await open_build()
    with pytest.raises(CredentialsFailed) as failed:
        await open_build(ask(fail_on_problem=True))
    with pytest.raises(OwnerLocked):
        await open_build(ask(LEO))

    secrets = [each.assertion.reveal() for each in package_manager.received]
    secrets += [credential.token.reveal() for credential in built.credentials]
    ends = [secret[-12:].encode() for secret in secrets] + [key_text(ROBOT).encode(), b"canary"]
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    told = f"{built!r} {failed.value!r} {failed.value.payload} {caplog.text}".encode()

    assert 5 == len(secrets)
    assert built.build.guid.encode() in kept
    assert [] == [end for end in ends if end in kept or end in told]
