"""
Trying an integration out: a real exchange, on record before it is made, and nobody gets the token.
"""

import asyncio
import json
from dataclasses import replace

import pytest

from broker.domain.identity import Role
from broker.errors import (
    AssertionRefused,
    InvalidLogin,
    NotFound,
    PackageManagerTimeout,
    PermissionDenied,
    PolicyKeepsChanging,
    RecordUnavailable,
    SigningUnavailable,
    TokenNotRetrieved,
)
from broker.issuer import Issuer
from broker.usecases.verify_integration import ATTEMPTS
from keys import KeyRing
from tests.domain.samples import NOBODY, guid
from tests.fakes.clock import NOON
from tests.usecases.world import ALICE, LEO, ROBOT, VICTOR, act, claims_of, sha256

A = "https://a.example"


class Troubled:
    """A Recorder that lets something happen before its nth call."""

    def __init__(self, recorder, before):
        self.calls = 0
        self._recorder, self._before = recorder, before

    async def record(self, rows, *, policy_version=None):
        self.calls += 1
        self._before(self.calls)
        await self._recorder.record(rows, policy_version=policy_version)


@pytest.fixture
def verify(broker):
    async def verify(number=201, person=ROBOT):
        return await broker.verify_integration(sha256(person), guid(number), "c-1")

    return verify


async def test_an_integration_that_works_is_tried_with_all_its_scopes_and_nothing_comes_back(
    broker, verify, package_manager
):
    broker.admit(201, NOBODY, url=A, scopes="repos:read:cran,pypi", audience="aud", subject="sub")
    answer = await verify()
    claims = claims_of(package_manager.received[0])

    assert None is answer
    assert [A] == [exchange.url for exchange in package_manager.received]
    assert ("aud", "sub", ["repos:read:cran,pypi"]) == (claims["aud"], claims["sub"], claims["roles"])
    assert ("robot", ROBOT.guid, {"sub": "robot"}) == (
        claims["preferred_username"],
        claims["owner_guid"],
        claims["act"],
    )
    assert claims["build_guid"] == claims["txn"]
    assert "content_guid" not in claims


async def test_it_leaves_two_lines_what_is_about_to_be_minted_and_what_came_of_it(broker, verify, package_manager):
    broker.admit(201, url=A, scopes="repos:read:cran")
    await verify()
    begun, ended = broker.audit()
    claims = claims_of(package_manager.received[0])

    assert (
        "integration.verification_begun",
        "allowed",
        {
            "verification_guid": claims["build_guid"],
            "ppm_url": A,
            "audience": "package-manager",
            "scopes": "repos:read:cran",
            "jti": claims["jti"],
        },
    ) == begun
    assert ("integration.verified", "allowed") == ended[:2]
    assert {"assertion_sha256", "kid", "token_sha256", "verification_guid"} == set(ended[2])
    assert package_manager.received[0].assertion.sha256() == ended[2]["assertion_sha256"]
    assert [(ROBOT.guid, guid(201), "c-1")] * 2 == broker.read("SELECT actor, target, correlation_id FROM audit")


async def test_at_the_moment_of_the_exchange_the_attempt_is_on_disk(broker, verify, package_manager):
    broker.admit(201, url=A)
    gate = package_manager.hold(A)
    trying = asyncio.ensure_future(verify())
    deadline = asyncio.get_running_loop().time() + 10
    while not package_manager.received:
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.001)
    ((detail,),) = broker.read("SELECT detail FROM audit")
    gate.set()
    await trying

    assert claims_of(package_manager.received[0])["jti"] == json.loads(detail)["jti"]


@pytest.mark.parametrize("failure", [AssertionRefused("no such issuer"), PackageManagerTimeout("too slow")])
async def test_one_that_does_not_work_tells_the_problem_and_records_it(broker, verify, package_manager, failure):
    broker.admit(201, url=A)
    package_manager.fail(A, failure)

    with pytest.raises(TokenNotRetrieved, match=f"unable to retrieve token: {A}: {failure.message}") as refused:
        await verify()

    expected = {
        "integration_guid": guid(201),
        "ppm_url": A,
        "code": failure.code,
        "retryable": failure.retryable,
    }
    assert expected == refused.value.payload
    action, outcome, detail = broker.audit()[-1]
    assert ("integration.verified", "failed", failure.code) == (action, outcome, detail["problem"])


@pytest.mark.parametrize("person", [ALICE, VICTOR], ids=lambda person: person.role)
async def test_whoever_may_not_has_nothing_minted_and_the_attempt_is_recorded(broker, verify, package_manager, person):
    """
    (T27, T26)
    """
    broker.admit(201, url=A)

    with pytest.raises(PermissionDenied):
        await verify(person=person)

    assert [] == package_manager.received
    assert [("integration.verified", "refused", {"reason": "permission_denied"})] == broker.audit()


async def test_a_capped_key_of_an_administrator_is_not_enough(broker, verify, package_manager):
    broker.admit(201, url=A)
    made = broker.keys.create(act(), ROBOT.guid, name="capped", role=Role.PUBLISHER, expires_time=None)

    with pytest.raises(PermissionDenied):
        await broker.verify_integration(made.key.sha256(), guid(201), "c-1")

    assert [] == package_manager.received


async def test_an_integration_that_is_not_there_is_not_found(broker, verify):
    with pytest.raises(NotFound):
        await verify(999)

    assert [("integration.verified", "refused", {"reason": "not_found"})] == broker.audit()


async def test_a_stranger_does_not_fill_the_audit(broker, verify):
    broker.admit(201, url=A)

    with pytest.raises(InvalidLogin):
        await verify(person=LEO)

    assert [] == broker.audit()


async def test_nothing_is_minted_when_the_attempt_cannot_be_recorded(broker, package_manager):
    broker.admit(201, url=A)

    def full(_):
        raise RecordUnavailable("the disk is full")

    troubled = replace(broker.verify_integration, recorder=Troubled(broker.recorder, full))

    with pytest.raises(RecordUnavailable):
        await troubled(sha256(ROBOT), guid(201), "c-1")

    assert [] == package_manager.received


async def test_an_administrator_who_is_demoted_meanwhile_has_nothing_minted(broker, replica, package_manager):
    """
    Between the look at the policy and the record of the attempt (T25).
    """
    broker.admit(201, url=A)

    def demoted(call):
        if call == 1:
            replica.change(lambda t: t.people.change_user(replace(ROBOT, role=Role.PUBLISHER, updated_time=NOON)))

    troubled = replace(broker.verify_integration, recorder=Troubled(broker.recorder, demoted))

    with pytest.raises(PermissionDenied):
        await troubled(sha256(ROBOT), guid(201), "c-1")

    assert [] == package_manager.received
    assert ["integration.verified"] == broker.actions()


async def test_a_policy_that_never_stands_still_ends_in_a_clear_word(broker, replica, package_manager):
    broker.admit(201, url=A)
    troubled = Troubled(broker.recorder, lambda _: replica.change(lambda _: None))

    with pytest.raises(PolicyKeepsChanging):
        await replace(broker.verify_integration, recorder=troubled)(sha256(ROBOT), guid(201), "c-1")

    assert ATTEMPTS == troubled.calls
    assert [] == package_manager.received


async def test_without_a_key_nothing_is_sent(broker, package_manager):
    broker.admit(201, url=A)

    with pytest.raises(SigningUnavailable):
        await replace(broker.verify_integration, issuer=Issuer(KeyRing(())))(sha256(ROBOT), guid(201), "c-1")

    assert [] == package_manager.received


async def test_no_token_is_anywhere_on_the_disk(broker, verify, package_manager, tmp_path, caplog):
    """
    Neither the assertion nor what it was exchanged for (T35).
    """
    broker.admit(201, url=A)
    await verify()
    assertion = package_manager.received[0].assertion.reveal()

    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    assert assertion.encode() not in kept
    assert assertion.rsplit(".", 1)[1].encode() not in kept
    assert assertion not in caplog.text
