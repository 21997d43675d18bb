"""
Everything about a build that is settled before the first signature, and what is recorded of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, islice

from broker.domain.access import Denied, Granted, decide, wanted_scopes
from broker.domain.audit import Action, Event
from broker.domain.builds import MIN_DURATION, Build, BuildRequest, Decision, Problem, Skipped
from broker.domain.callers import Right, authorise_build, identify, is_allowed
from broker.domain.claims import Claims, Person
from broker.domain.identity import Caller, Owner
from broker.domain.plan import Clash, Defaults, Planned, plan
from broker.domain.policy import Policy
from broker.errors import ContentNotOwned, HostConflict, InvalidParameter, NotFound

MAX_SKIPPED = 50
"""How many integrations that gave nothing are named one by one; the answer also has their number."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings that builds depend on; durations in seconds."""

    issuer: str
    defaults: Defaults
    authorized_party: str
    assertion_lifetime: int
    default_duration: int
    max_duration: int


@dataclass(frozen=True, slots=True)
class Expected:
    """An assertion to come: what was planned, and the `jti` under which it is recorded beforehand."""

    planned: Planned
    jti: str

    def claims(
        self,
        rules: Rules,
        now: datetime,
        *,
        owner: Owner,
        caller: Caller,
        build_guid: str,
        content_guid: str | None,
        transaction: str,
    ) -> Claims:
        """Return what the assertion says; `transaction` is the guid under which the decision is recorded."""
        user, target = owner.user, self.planned.target
        return Claims(
            issuer=rules.issuer,
            audience=target.audience,
            subject=target.subject,
            roles=self.planned.scopes.render(),
            issued_at=int(now.timestamp()),
            lifetime=rules.assertion_lifetime,
            jti=self.jti,
            authorized_party=rules.authorized_party,
            owner=Person(user.guid, user.username, user.email, user.full_name),
            build_guid=build_guid,
            content_guid=content_guid,
            transaction=transaction,
            actor=caller.name,
        )


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision with all that follows from it."""

    caller: Caller
    owner: Owner
    build: Build
    decision: Decision
    expected: tuple[Expected, ...]
    problems: tuple[Problem, ...]
    skipped: tuple[Skipped, ...]
    skipped_total: int

    def opened(self, correlation_id: str) -> Event:
        """Return the audit's line about the decision."""
        detail = {
            "owner_guid": self.owner.user.guid,
            "decision_guid": self.decision.guid,
            "granted": len(self.decision.granted),
            "skipped": self.skipped_total,
            "role": self.caller.role,
        }
        return Event(
            self.build.created_time,
            self.caller.user.guid,
            Action.BUILD_OPENED,
            self.build.guid,
            correlation_id=correlation_id,
            detail=detail,
        )


@dataclass(frozen=True, slots=True)
class Deciding:
    """Decides builds under fixed rules; `new_guid` and `new_jti` are where chance comes in."""

    rules: Rules
    new_guid: Callable[[], str]
    new_jti: Callable[[], str]

    def __call__(self, policy: Policy, key_sha256: str, request: BuildRequest, now: datetime) -> Decided:
        """
        Decide on one state of the policy.

        Raises InvalidLogin, PermissionDenied, NotFound (no such owner), OwnerLocked, OwnerNotPublisher,
        ContentNotOwned and InvalidParameter.
        """
        caller = identify(policy, key_sha256, now)
        owner = policy.owner(guid=request.owner_guid, username=request.owner_username)
        if owner is None:
            raise _no_owner(request)
        authorise_build(caller, owner.user.guid)
        owner.must_be_able_to_build()
        _must_own(policy, caller, owner, request.content_guid)
        build = self._build(caller, owner, request, now)
        wanted = wanted_scopes(request.repositories)
        verdicts = [decide(owner, integration, wanted) for integration in policy.candidates(owner)]
        granted = [verdict for verdict in verdicts if isinstance(verdict, Granted)]
        denied = [verdict for verdict in verdicts if isinstance(verdict, Denied)]
        outside = (decide(owner, integration, wanted) for integration in policy.closed_to(owner))
        skipped = tuple(_skipped(v) for v in islice(chain(denied, outside), MAX_SKIPPED) if isinstance(v, Denied))
        made = plan(granted, self.rules.defaults)
        expected = tuple(Expected(planned, self.new_jti()) for planned in made.credentials)
        decision = Decision(
            guid=self.new_guid(),
            build_guid=build.guid,
            policy_version=policy.version,
            created_time=now,
            owner_guid=owner.user.guid,
            wanted=None if wanted is None else wanted.render(),
            granted=[_grant_record(grant) for grant in granted],
            planned=[_plan_record(each) for each in expected],
            skipped=[{"integration_guid": each.integration_guid, "reason": each.reason} for each in skipped],
        )
        total = len(denied) + policy.count_closed_to(owner)
        problems = tuple(_problem(clash) for clash in made.clashes)
        return Decided(caller, owner, build, decision, expected, problems, skipped, total)

    def _build(self, caller: Caller, owner: Owner, request: BuildRequest, now: datetime) -> Build:
        duration = request.duration if request.duration is not None else self.rules.default_duration
        if not MIN_DURATION <= duration <= self.rules.max_duration:
            raise InvalidParameter(
                f"duration must be {MIN_DURATION} to {self.rules.max_duration} seconds, which is what this broker "
                f"allows, not {duration}"
            )
        expires = now + timedelta(seconds=duration)
        return Build(self.new_guid(), owner.user.guid, request.content_guid, caller.user.guid, now, expires)


def _must_own(policy: Policy, caller: Caller, owner: Owner, content_guid: str | None) -> None:
    # Whoever may put code into the content of another could otherwise have it built with the rights of a third.
    owned_by = None if content_guid is None else policy.content_owner(content_guid)
    if owned_by is None or owned_by == owner.user.guid:
        return
    payload = {"content_guid": content_guid}
    if is_allowed(caller, Right.MANAGE_CONTENT):
        payload["owner_guid"] = owned_by
    raise ContentNotOwned(
        f"the content {content_guid} does not belong to {owner.user.username}; ask for a build for its owner, "
        "or have an administrator transfer it (PATCH /__api__/v1/content/{guid})",
        payload=payload,
    )


def _skipped(denied: Denied) -> Skipped:
    integration = denied.integration
    return Skipped(integration.guid, integration.name, denied.reason.value, denied.detail)


def _problem(clash: Clash) -> Problem:
    guids = tuple(integration.guid for integration in clash.integrations)
    url = str(clash.integrations[0].config.ppm_url)
    return Problem(guids, url, HostConflict.code, clash.detail, HostConflict.retryable)


def _grant_record(grant: Granted) -> dict[str, object]:
    via = "everyone" if grant.via is None else f"{grant.via.kind}:{grant.via.guid}"
    integration = grant.integration
    return {"integration_guid": integration.guid, "name": integration.name, "scopes": str(grant.scopes), "via": via}


def _plan_record(expected: Expected) -> dict[str, object]:
    planned, target = expected.planned, expected.planned.target
    return {
        "machine": planned.machine,
        "ppm_url": str(target.url),
        "audience": target.audience,
        "scopes": str(planned.scopes),
        "jti": expected.jti,
    }


def _no_owner(request: BuildRequest) -> NotFound:
    named = request.owner_guid or request.owner_username
    return NotFound(f"there is no user {named!r}; user names are compared exactly, upper and lower case included")
