"""
The life of the signing keys: what is due, what an operator asks for, and a line in the audit for each change.

The schedule says what is to become of the keys, the store carries it out for one caller at a time, and the record goes
before the act: what could not be recorded is not done. A revocation is the exception, because a leaked key signs for
whoever has it until verifiers no longer find it.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from broker.domain.audit import Action, Event
from broker.domain.signing_keys import KeyFacts, KeyState, Revocation
from broker.errors import InvalidParameter, NotFound, RecordUnavailable
from broker.ports import Clock, KeySchedule, KeyStore, Ring, Store

SYSTEM = "system"
OPERATOR = "operator"
"""The actor of what is done on the command line of the machine, where no account of the broker is asked for."""


@dataclass(frozen=True, slots=True)
class RotateKeys:
    """
    Keep the keys on schedule, or change them out of turn. Everything blocks.

    Any number of processes may do so at once. What the key store raises goes through.
    """

    keys: KeyStore
    schedule: KeySchedule
    store: Store
    clock: Clock
    algorithms: tuple[str, ...]

    def load(self) -> Ring:
        """Return the keys as they are."""
        return self.keys.load()

    def __call__(self) -> Ring:
        """Do what is due, most often nothing, and return the keys. Raises RecordUnavailable; then nothing was done."""
        now = self.clock.now()
        ring = self.keys.load()
        if self.schedule.due(ring, now) == ring:
            return ring
        return self.keys.update(self._recorded(lambda newest: self.schedule.due(newest, now), now, SYSTEM))

    def list(self) -> Sequence[KeyFacts]:
        """Return every key, in the order of creation."""
        return _facts(self.keys.load(), self.clock.now())

    def get(self, kid: str) -> KeyFacts:
        """Return one key. Raises NotFound."""
        found = [key for key in self.list() if key.kid == kid]
        if not found:
            raise _unknown(kid)
        return found[0]

    def rotate(self, algorithm: str | None = None) -> Sequence[KeyFacts]:
        """
        Publish a successor for the key of this algorithm, or of each one, and return what waits to sign now.

        Where one waits already, it is that one. Raises InvalidParameter (not an algorithm of the settings),
        RecordUnavailable; then nothing was done.
        """
        if algorithm is not None and algorithm not in self.algorithms:
            raise InvalidParameter(
                f"{algorithm} is not among the signing_algorithms of the settings: {', '.join(self.algorithms)}"
            )
        now = self.clock.now()

        def rotated(ring: Ring) -> Ring:
            for each in [algorithm] if algorithm else self.algorithms:
                ring = self.schedule.rotated(ring, each, now)
            return ring

        keys = _facts(self.keys.update(self._recorded(rotated, now, OPERATOR)), now)
        return [key for key in keys if key.state is KeyState.WAITING and algorithm in {None, key.algorithm}]

    def revoke(self, kids: Collection[str]) -> Revocation:
        """
        Take these keys out of use and out of the JWKS at once, for good; another one signs in their place.

        It is done even where it cannot be recorded. Raises NotFound, and then nothing was done.
        """
        now = self.clock.now()
        unrecorded: list[RecordUnavailable] = []

        def revoked(ring: Ring) -> Ring:
            for kid in set(kids) - {key.kid for key in ring.keys}:
                raise _unknown(kid)
            changed = self.schedule.revoked(ring, kids, now)
            try:
                self._record(_events(ring, changed, kids, now, OPERATOR))
            except RecordUnavailable as fault:
                unrecorded.append(fault)
            return changed

        return Revocation(now, _facts(self.keys.update(revoked), now), not unrecorded)

    def _recorded(self, change: Callable[[Ring], Ring], now: datetime, actor: str) -> Callable[[Ring], Ring]:
        def recorded(ring: Ring) -> Ring:
            changed = change(ring)
            self._record(_events(ring, changed, (), now, actor))
            return changed

        return recorded

    def _record(self, events: Sequence[Event]) -> None:
        if events:
            with self.store.transaction() as transaction:
                for event in events:
                    transaction.audit(event)


def _events(before: Ring, after: Ring, revoked: Collection[str], now: datetime, actor: str) -> list[Event]:
    old = {key.kid: _instants(key.life.signs_from, key.life.signs_until, key.life.forgotten_at) for key in before.keys}
    new = {key.kid: _instants(key.life.signs_from, key.life.signs_until, key.life.forgotten_at) for key in after.keys}
    events = []
    for key in before.keys:
        if key.kid not in new:
            gone = Action.SIGNING_KEY_REVOKED if key.kid in revoked else Action.SIGNING_KEY_ERASED
            events.append(Event(now, actor, gone, key.kid, detail={"algorithm": key.algorithm.value}))
    for key in after.keys:
        detail: dict[str, object] = {"algorithm": key.algorithm.value}
        if key.kid not in old:
            published = detail | {"signs_from": new[key.kid]["signs_from"]}
            events.append(Event(now, actor, Action.SIGNING_KEY_PUBLISHED, key.kid, detail=published))
        elif old[key.kid] != new[key.kid]:
            moved = detail | {"before": old[key.kid], "after": new[key.kid]}
            events.append(Event(now, actor, Action.SIGNING_KEY_RESCHEDULED, key.kid, detail=moved))
    return events


def _instants(signs_from: datetime, signs_until: datetime | None, forgotten_at: datetime | None) -> dict[str, object]:
    return {
        "signs_from": signs_from.isoformat(),
        "signs_until": signs_until.isoformat() if signs_until else None,
        "forgotten_at": forgotten_at.isoformat() if forgotten_at else None,
    }


def _facts(ring: Ring, now: datetime) -> tuple[KeyFacts, ...]:
    return tuple(
        KeyFacts(
            key.kid,
            key.algorithm.value,
            KeyState(ring.state(key, now)),
            key.life.created,
            key.life.signs_from,
            key.life.signs_until,
            key.life.forgotten_at,
            key.jwk(),
            key.public_pem(),
        )
        for key in ring.keys
    )


def _unknown(kid: str) -> NotFound:
    return NotFound(f"there is no signing key {kid[:64]!r}; `broker keys list` shows those there are")
