"""
The main road: decide, record, mint, exchange, record, answer.

No assertion is minted before the decision to mint it is on disk, and a decision that was made on an outdated policy is
made again. So whoever was removed from an access list gets nothing from the next build on, on every replica.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from broker.domain.audit import Action, Event, Outcome
from broker.domain.builds import BuildEnd, BuildRequest, Credential, CredentialRecord, OpenedBuild, Problem
from broker.domain.callers import identify
from broker.domain.decided import Decided, Deciding, Expected
from broker.domain.netrc import Entry, render
from broker.domain.package_manager import LOGIN
from broker.domain.policy import Policy
from broker.errors import (
    AskAnAdministrator,
    BrokerError,
    CredentialsFailed,
    ExchangeFailed,
    NotFound,
    PolicyChanged,
    PolicyKeepsChanging,
)
from broker.issuer import Assertion, Issuer, Order
from broker.ports import Clock, Ids, PackageManager, PolicySource, Recorder, Row

ATTEMPTS = 5
"""How often a build is decided again because the policy changed meanwhile; each retry means that an admin got ahead."""


@dataclass(frozen=True, slots=True)
class OpenBuild:
    """Open a build for an owner and obtain its credentials."""

    policy: PolicySource
    recorder: Recorder
    issuer: Issuer
    package_manager: PackageManager
    clock: Clock
    ids: Ids
    deciding: Deciding

    async def __call__(self, key_sha256: str, request: BuildRequest, correlation_id: str) -> OpenedBuild:
        """
        Return the netrc and the reasons for what is not in it.

        Raises what `Deciding` raises, RecordUnavailable, PolicyKeepsChanging, SigningUnavailable, and with
        `fail_on_problem` CredentialsFailed.
        """
        decided = await self._decide_and_record(key_sha256, request, correlation_id)
        if decided.problems and request.fail_on_problem:  # before anything is minted that nobody would get
            await self._give_up(decided, decided.problems)
        outcomes = await self._obtain(decided, correlation_id)
        credentials = tuple(outcome for outcome in outcomes if isinstance(outcome, Credential))
        problems = decided.problems + tuple(outcome for outcome in outcomes if isinstance(outcome, Problem))
        if problems and request.fail_on_problem:
            await self._give_up(decided, problems)
        return OpenedBuild(
            decided.build,
            decided.owner.user.username,
            decided.decision.guid,
            render(Entry(credential.machine, credential.login, credential.token) for credential in credentials),
            credentials,
            decided.skipped,
            decided.skipped_total,
            problems,
        )

    async def _decide_and_record(self, key_sha256: str, request: BuildRequest, correlation_id: str) -> Decided:
        for _ in range(ATTEMPTS):
            decided = await self._decide(key_sha256, request, correlation_id)
            rows = (decided.build, decided.decision, decided.opened(correlation_id))
            try:
                await self.recorder.record(rows, policy_version=decided.decision.policy_version)
            except PolicyChanged:
                await asyncio.to_thread(self.policy.refresh)
            else:
                return decided
        raise PolicyKeepsChanging("the access rules keep changing while this build is decided; ask again")

    async def _decide(self, key_sha256: str, request: BuildRequest, correlation_id: str) -> Decided:
        now = self.clock.now()
        try:
            return self.deciding(self.policy.current(), key_sha256, request, now)
        except (AskAnAdministrator, NotFound):
            # A yes is checked when it is recorded; a no may come from a policy that another replica has changed since.
            newest = await asyncio.to_thread(self.policy.refresh)
        try:
            return self.deciding(newest, key_sha256, request, now)
        except (AskAnAdministrator, NotFound) as refusal:
            await self._record_refusal(newest, key_sha256, request, refusal, correlation_id)
            raise

    async def _obtain(self, decided: Decided, correlation_id: str) -> Sequence[Credential | Problem]:
        if not decided.expected:
            return ()
        now = self.clock.now()
        assertions = await self.issuer.mint_all([self._order(decided, each, now) for each in decided.expected], now)
        pairs = list(zip(decided.expected, assertions, strict=True))
        outcomes = await asyncio.gather(*(self._exchange(decided, *pair) for pair in pairs))
        rows: list[Row] = []
        for (expected, assertion), outcome in zip(pairs, outcomes, strict=True):
            record = self._credential_record(decided, expected, assertion, outcome)
            rows += [record, _outcome_event(decided, assertion, record, correlation_id)]
        await self.recorder.record(rows)
        return outcomes

    def _order(self, decided: Decided, expected: Expected, now: datetime) -> Order:
        claims = expected.claims(
            self.deciding.rules,
            now,
            owner=decided.owner,
            caller=decided.caller,
            build_guid=decided.build.guid,
            content_guid=decided.build.content_guid,
            transaction=decided.decision.guid,
        )
        return Order(claims, expected.planned.target.algorithm, expected.planned.scopes)

    async def _exchange(self, decided: Decided, expected: Expected, assertion: Assertion) -> Credential | Problem:
        planned = expected.planned
        guids = tuple(integration.guid for integration in planned.integrations)
        url = planned.target.url
        try:
            given = await self.package_manager.exchange(url, assertion.token)
        except ExchangeFailed as fault:
            return Problem(guids, str(url), fault.code, fault.message, fault.retryable)
        expires = given.expires_time or decided.build.expires_time
        return Credential(planned.machine, LOGIN, given.token, url, planned.scopes, guids, expires)

    def _credential_record(
        self, decided: Decided, expected: Expected, assertion: Assertion, outcome: Credential | Problem
    ) -> CredentialRecord:
        obtained = outcome if isinstance(outcome, Credential) else None
        return CredentialRecord(
            guid=self.ids.guid(),
            build_guid=decided.build.guid,
            decision_guid=decided.decision.guid,
            machine=expected.planned.machine,
            ppm_url=str(expected.planned.target.url),
            scopes=str(expected.planned.scopes),
            integration_guids=outcome.integration_guids,
            assertion_jti=assertion.jti,
            assertion_sha256=assertion.sha256,
            token_sha256=obtained.token.sha256() if obtained else None,
            created_time=self.clock.now(),
            expires_time=obtained.expires_time if obtained else None,
            problem=outcome.code if isinstance(outcome, Problem) else None,
        )

    async def _give_up(self, decided: Decided, problems: Sequence[Problem]) -> None:
        await self.recorder.record([BuildEnd(decided.build.guid, self.clock.now())])
        first = problems[0]
        raise CredentialsFailed(
            f"{len(problems)} of the build's Package Managers gave no token, and all were asked for; "
            f"the first: {first.ppm_url}: {first.detail}",
            payload={"problems": [{"ppm_url": problem.ppm_url, "code": problem.code} for problem in problems]},
        )

    async def _record_refusal(
        self, policy: Policy, key_sha256: str, request: BuildRequest, refusal: BrokerError, correlation_id: str
    ) -> None:
        now = self.clock.now()
        try:
            caller = identify(policy, key_sha256, now)
        except AskAnAdministrator:
            return  # A stranger's attempts go to the access log; the audit is not theirs to fill.
        # Not the name as it was typed: whoever mixes up two fields may have put a key into it.
        owner = policy.owner(guid=request.owner_guid, username=request.owner_username)
        detail = {"owner_guid": owner.user.guid if owner else None, "reason": refusal.code}
        event = Event(now, caller.user.guid, Action.BUILD_REFUSED, None, Outcome.REFUSED, correlation_id, detail)
        await self.recorder.record([event])


def _outcome_event(decided: Decided, assertion: Assertion, record: CredentialRecord, correlation_id: str) -> Event:
    failed = record.problem is not None
    detail = {
        "credential_guid": record.guid,
        "owner_guid": decided.owner.user.guid,
        "machine": record.machine,
        "scopes": record.scopes,
        "kid": assertion.kid,
        "assertion_sha256": record.assertion_sha256,
        "token_sha256": record.token_sha256,
        "problem": record.problem,
    }
    return Event(
        record.created_time,
        decided.caller.user.guid,
        Action.CREDENTIAL_FAILED if failed else Action.CREDENTIAL_OBTAINED,
        decided.build.guid,
        Outcome.FAILED if failed else Outcome.ALLOWED,
        correlation_id,
        detail,
    )
