"""
Try an integration out: a real assertion, a real exchange, and a token that nobody gets.

As on the main road, no assertion is minted before it is recorded, and not on an outdated policy.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from broker.domain.audit import Action, Event, Outcome
from broker.domain.callers import Right, authorise, identify
from broker.domain.decided import Expected, Rules
from broker.domain.identity import Caller, Owner
from broker.domain.integrations import Integration
from broker.domain.plan import Planned
from broker.domain.policy import Policy
from broker.errors import (
    AskAnAdministrator,
    BrokerError,
    ExchangeFailed,
    NotFound,
    PolicyChanged,
    PolicyKeepsChanging,
    TokenNotRetrieved,
)
from broker.issuer import Assertion, Issuer, Order
from broker.ports import Clock, Ids, PackageManager, PolicySource, Recorder

ATTEMPTS = 5
"""How often the rights are looked at again because the policy changed meanwhile."""


@dataclass(frozen=True, slots=True)
class _Trial:
    """One attempt that is on record: the guid stands in the assertion where a build has its own."""

    guid: str
    caller: Caller
    integration: Integration
    expected: Expected


@dataclass(frozen=True, slots=True)
class VerifyIntegration:
    """Find out whether the Package Manager of an integration gives tokens for our assertions."""

    policy: PolicySource
    recorder: Recorder
    issuer: Issuer
    package_manager: PackageManager
    clock: Clock
    ids: Ids
    rules: Rules

    async def __call__(self, key_sha256: str, guid: str, correlation_id: str) -> None:
        """
        Exchange one assertion with all scopes of the integration, the caller as owner, and forget the token.

        The access list does not matter: the question is whether the two servers understand each other.
        Raises InvalidLogin, PermissionDenied, NotFound, TokenNotRetrieved, RecordUnavailable, PolicyKeepsChanging and
        SigningUnavailable.
        """
        trial = await self._record(key_sha256, guid, correlation_id)
        assertion = await self._mint(trial)
        try:
            given = await self.package_manager.exchange(trial.expected.planned.target.url, assertion.token)
        except ExchangeFailed as fault:
            await self._record_end(trial, assertion, {"problem": fault.code}, correlation_id)
            raise _not_retrieved(trial.integration, fault) from None
        await self._record_end(trial, assertion, {"token_sha256": given.token.sha256()}, correlation_id)

    async def _record(self, key_sha256: str, guid: str, correlation_id: str) -> _Trial:
        for _ in range(ATTEMPTS):
            policy = await asyncio.to_thread(self.policy.refresh)
            caller = identify(policy, key_sha256, self.clock.now())
            try:
                trial = self._trial(policy, caller, guid)
            except (AskAnAdministrator, NotFound) as refusal:
                await self._record_refusal(caller, guid, refusal, correlation_id)
                raise
            event = self._event(trial, Action.VERIFICATION_BEGUN, correlation_id, _planned(trial))
            try:
                await self.recorder.record([event], policy_version=policy.version)
            except PolicyChanged:
                continue
            return trial
        raise PolicyKeepsChanging("the access rules keep changing while this is looked at; ask again")

    def _trial(self, policy: Policy, caller: Caller, guid: str) -> _Trial:
        authorise(caller, Right.MANAGE_INTEGRATIONS)
        integration = policy.integration(guid)
        if integration is None:
            raise NotFound(f"there is no integration {guid}")
        config = integration.config
        planned = Planned(self.rules.defaults.target(config), config.scopes, (integration,))
        return _Trial(self.ids.guid(), caller, integration, Expected(planned, self.ids.jti()))

    async def _mint(self, trial: _Trial) -> Assertion:
        now, expected = self.clock.now(), trial.expected
        claims = expected.claims(
            self.rules,
            now,
            owner=Owner(trial.caller.user, frozenset()),
            caller=trial.caller,
            build_guid=trial.guid,
            content_guid=None,
            transaction=trial.guid,
        )
        order = Order(claims, expected.planned.target.algorithm, expected.planned.scopes)
        return (await self.issuer.mint_all([order], now))[0]

    async def _record_end(
        self, trial: _Trial, assertion: Assertion, result: Mapping[str, object], correlation_id: str
    ) -> None:
        detail = {"verification_guid": trial.guid, "kid": assertion.kid, "assertion_sha256": assertion.sha256, **result}
        outcome = Outcome.FAILED if "problem" in result else Outcome.ALLOWED
        await self.recorder.record(
            [self._event(trial, Action.INTEGRATION_VERIFIED, correlation_id, detail, outcome=outcome)]
        )

    async def _record_refusal(self, caller: Caller, guid: str, refusal: BrokerError, correlation_id: str) -> None:
        event = Event(
            self.clock.now(),
            caller.user.guid,
            Action.INTEGRATION_VERIFIED,
            guid,
            Outcome.REFUSED,
            correlation_id,
            {"reason": refusal.code},
        )
        await self.recorder.record([event])

    def _event(
        self,
        trial: _Trial,
        action: Action,
        correlation_id: str,
        detail: Mapping[str, object],
        *,
        outcome: Outcome = Outcome.ALLOWED,
    ) -> Event:
        actor, target = trial.caller.user.guid, trial.integration.guid
        return Event(self.clock.now(), actor, action, target, outcome, correlation_id, detail)


def _planned(trial: _Trial) -> dict[str, object]:
    planned = trial.expected.planned
    return {
        "verification_guid": trial.guid,
        "ppm_url": str(planned.target.url),
        "audience": planned.target.audience,
        "scopes": str(planned.scopes),
        "jti": trial.expected.jti,
    }


def _not_retrieved(integration: Integration, fault: ExchangeFailed) -> TokenNotRetrieved:
    return TokenNotRetrieved(
        f"unable to retrieve token: {integration.config.ppm_url}: {fault.message}",
        payload={
            "integration_guid": integration.guid,
            "ppm_url": str(integration.config.ppm_url),
            "code": fault.code,
            "retryable": fault.retryable,
        },
    )
