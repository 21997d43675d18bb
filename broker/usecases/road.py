"""
The road that every administrative change travels: authorise, change, record, all or nothing.

What is shared stands here once, so that no change can forget its right or its line in the audit. A refusal is recorded
too. This is the one module that use cases share.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from broker.domain.audit import Action, Event, Outcome
from broker.domain.callers import Right, authorise
from broker.domain.identity import Caller
from broker.errors import AskAnAdministrator, BrokerError, FixTheRequest
from broker.ports import Clock, Store, Transaction

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Act:
    """Who asks, and the id that ties the request's traces together."""

    caller: Caller
    correlation_id: str


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """What a change made: the result for the caller, and for the audit the target's guid and a few details."""

    result: T
    target: str
    detail: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Road:
    """Carries out changes; see the module."""

    store: Store
    clock: Clock

    def change(
        self,
        act: Act,
        right: Right,
        action: Action,
        work: Callable[[Transaction], Change[T]],
        *,
        target: str | None = None,
    ) -> T:
        """
        Do `work` in one transaction with its audit event, and let the next decision see it.

        Raises PermissionDenied, whatever `work` raises, and RecordUnavailable; then nothing has changed.
        """
        try:
            authorise(act.caller, right)
            with self.store.transaction() as transaction:
                change = work(transaction)
                transaction.policy_changed()
                transaction.audit(self._event(act, action, change.target, change.detail))
        except (AskAnAdministrator, FixTheRequest) as refusal:
            self._record_refusal(act, action, target, refusal)
            raise
        return change.result

    def read(self, act: Act, right: Right, work: Callable[[Transaction], T]) -> T:
        """Do `work` in a transaction that only reads. Raises PermissionDenied, and whatever `work` raises."""
        authorise(act.caller, right)
        with self.store.reading() as transaction:
            return work(transaction)

    def _record_refusal(self, act: Act, action: Action, target: str | None, refusal: BrokerError) -> None:
        with self.store.transaction() as transaction:
            transaction.audit(self._event(act, action, target, {"reason": refusal.code}, Outcome.REFUSED))

    def _event(
        self,
        act: Act,
        action: Action,
        target: str | None,
        detail: Mapping[str, object],
        outcome: Outcome = Outcome.ALLOWED,
    ) -> Event:
        return Event(self.clock.now(), act.caller.user.guid, action, target, outcome, act.correlation_id, detail)
