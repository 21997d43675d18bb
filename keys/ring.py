"""
The keys that exist at one time, and the answer to "which one signs now?".
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, Self

from keys.model import Algorithm, KeyFault, Life, SigningKey, generate


@dataclass(frozen=True, slots=True)
class KeyRing:
    """An immutable set of keys; a change makes a new ring."""

    keys: tuple[SigningKey, ...]

    @classmethod
    def of(cls, keys: Iterable[SigningKey]) -> Self:
        """Put keys in the order of their creation; the order makes every replica's JWKS the same bytes."""
        return cls(tuple(sorted(keys, key=lambda key: (key.life.created, key.kid))))

    def signing(self, algorithm: Algorithm, now: datetime) -> SigningKey:
        """Return the youngest key that may sign now. Raises KeyFault where there is none."""
        able = [key for key in self.keys if key.algorithm is algorithm and key.life.signs(now)]
        if not able:
            raise KeyFault(f"no {algorithm} key may sign at {now.isoformat()}; check this machine's clock and the keys")
        return max(able, key=lambda key: key.life.signs_from)

    def state(self, key: SigningKey, now: datetime) -> str:
        """Return what a key of this ring does now: `waiting`, `signing`, `retired` (still published) or `forgotten`."""
        if not key.life.is_published(now):
            return "forgotten"
        if now < key.life.signs_from:
            return "waiting"
        return "signing" if key.life.signs(now) and key is self.signing(key.algorithm, now) else "retired"

    def stand_in(self, algorithm: Algorithm, now: datetime) -> SigningKey | None:
        """
        Return a key of another algorithm while the first one of this algorithm waits for verifiers to learn of it.

        RS256 before others, because every verifier may be relied on to know it (OIDC Discovery 3).
        """
        if not any(key.algorithm is algorithm and now < key.life.signs_from for key in self.keys):
            return None
        able = [key for key in self.keys if key.life.signs(now)]
        return max(able, key=lambda key: (key.algorithm is Algorithm.RS256, key.life.signs_from), default=None)

    def published(self, now: datetime) -> tuple[SigningKey, ...]:
        """Return the keys that verifiers must be able to find now."""
        return tuple(key for key in self.keys if key.life.is_published(now))

    def algorithms(self) -> frozenset[Algorithm]:
        """Return the algorithms for which there is a key."""
        return frozenset(key.algorithm for key in self.keys)

    def completed(self, algorithms: Iterable[Algorithm], now: datetime) -> "KeyRing":
        """Return this ring with a key that signs at once for each algorithm that has none."""
        missing = sorted(frozenset(algorithms) - self.algorithms())
        made = [SigningKey(algorithm, Life(now, now), generate(algorithm)) for algorithm in missing]
        return KeyRing.of([*self.keys, *made]) if made else self

    def current(self) -> "KeyRing":
        """Return itself: a ring is the simplest source of rings, one that never changes."""
        return self


class KeyRingSource(Protocol):
    """Where those who sign and publish find the keys of now."""

    def current(self) -> KeyRing:
        """Return the newest ring that this process knows, from memory."""
        ...


class CurrentRing:
    """The newest ring of a process; it is replaced as a whole, so that every reader sees one ring or the other."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    def current(self) -> KeyRing:
        """Return the newest ring."""
        return self._ring

    def replace(self, ring: KeyRing) -> None:
        """Let all readers see this ring from now on."""
        self._ring = ring
