"""
Note when a key and its user were last active: coarsely, and never in anybody's way.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from broker.domain.identity import KeyUsed, UserActive
from broker.ports import Clock, PolicySource, Recorder

EVERY = timedelta(minutes=10)
"""How far apart two noted uses of a key are at least; the vendor's `active_time` is approximate too."""


@dataclass(frozen=True, slots=True)
class NoteUse:
    """Remembers for each key when its use was noted last; only the first use in a while costs anything."""

    policy: PolicySource
    recorder: Recorder
    clock: Clock
    at_most: int = 100_000
    """Keys that are remembered; there are hardly that many, and forgetting them costs one more row for each."""
    _noted: dict[str, datetime] = field(default_factory=dict, init=False, repr=False)

    def __call__(self, key_sha256: str, *, patience: float = 0) -> None:
        """Note that a key was accepted just now; wait at most `patience` seconds until others can see it."""
        now = self.clock.now()
        before = self._noted.get(key_sha256)
        if before is not None and now - before < EVERY:
            return
        key = self.policy.current().key(key_sha256)
        if key is None:
            return
        if len(self._noted) >= self.at_most:
            self._noted.clear()
        self._noted[key_sha256] = now
        if key.active_time is None or now - key.active_time >= EVERY:
            self.recorder.note([KeyUsed(key_sha256, now), UserActive(key.user_guid, now)], patience=patience)
