"""
When a key is made, takes over and is forgotten: one pure question about a ring and an instant.

    created ········ signs_from ════════ signs_until ········ forgotten_at
      │ publish_ahead │     key_lifetime      │    keep            │
      └───────────────── in the JWKS ─────────────────────────────┘

In each line of keys (all of one algorithm) the youngest has no end. Its end is set when its successor is made, and is
the instant at which that one begins: a broker that was down over every date comes back with a key that signs. Any
number of processes may ask; once an answer has been carried out, the next one is the ring itself.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from keys.model import Algorithm, KeyFault, Life, SigningKey, generate
from keys.ring import KeyRing

LEEWAY = timedelta(minutes=5)
"""How far a verifier's clock and the clocks of our replicas may be apart, and a token still be verified at its end."""

ERASED_AFTER = timedelta(days=1)
"""
How long a forgotten key stays in the store, unpublished: a replica whose clock is an hour ahead must not take away what
the others sign with.
"""

Make = Callable[[Algorithm, Life], SigningKey]
"""Makes a key of this algorithm for this life."""


def make_key(algorithm: Algorithm, life: Life) -> SigningKey:
    """Make a key in memory."""
    return SigningKey(algorithm, life, generate(algorithm))


@dataclass(frozen=True, slots=True)
class Rules:
    """
    How long everything lasts. Raises KeyFault where a verifier could meet a key that it has not seen.

    `publish_ahead` is counted from the creation of a key to its first use, `key_lifetime` from there to its last.
    """

    key_lifetime: timedelta
    publish_ahead: timedelta
    max_age: timedelta
    token_lifetime: timedelta
    leeway: timedelta = LEEWAY

    def __post_init__(self) -> None:
        # Once max_age for the verifier's copy, once for that of a cache between it and us (RFC 9111 4.2.3 adds ages,
        # and not every cache does).
        if self.publish_ahead < 2 * self.max_age:
            raise KeyFault("a key must be published at least twice the max-age of the JWKS before it signs")
        if self.key_lifetime <= self.publish_ahead:
            raise KeyFault("a key must sign for longer than its successor is published before it signs")

    @property
    def keep(self) -> timedelta:
        """How long a key is published after its last signature."""
        return self.token_lifetime + self.leeway + self.max_age


@dataclass(frozen=True, slots=True)
class Schedule:
    """Answers for the algorithms of the settings. Every answer is a ring, the same one where nothing is to be done."""

    rules: Rules
    algorithms: frozenset[Algorithm]
    make: Make = make_key

    def due(self, ring: KeyRing, now: datetime) -> KeyRing:
        """
        Return the ring as it should be now.

        Makes first keys and successors, ends the keys of algorithms that are no longer wanted, drops what has been
        forgotten for long.
        """
        kept = [key for key in ring.keys if not _is_erased(key, now)]
        keys: list[SigningKey] = []
        for algorithm in sorted(self.algorithms | ring.algorithms()):
            line = _line(kept, algorithm)
            if algorithm in self.algorithms:
                # Verifiers know the keys of another algorithm already; with those signing, a new one can wait its time.
                can_wait = any(key.life.signs(now) for key in kept if key.algorithm is not algorithm)
                keys += self._continued(algorithm, line, now, can_wait=can_wait)
            else:
                keys += [self._ended(key, now + self.rules.publish_ahead) for key in line]
        changed = KeyRing.of(keys)
        return ring if changed == ring else changed

    def rotated(self, ring: KeyRing, algorithm: str, now: datetime) -> KeyRing:
        """Return the ring with a successor on its way, whatever the age of the key that signs; one that waits is it."""
        ring, wanted = self.due(ring, now), Algorithm(algorithm)
        if any(now < key.life.signs_from for key in _line(ring.keys, wanted)):
            return ring
        return self.due(KeyRing.of([*ring.keys, self._successor(wanted, now)]), now)

    def revoked(self, ring: KeyRing, kids: Collection[str], now: datetime) -> KeyRing:
        """
        Return the ring without these keys, as if they had never been: neither signing nor published by any clock.

        Where one of them signed, the next in line takes over at once, or a new key where nobody waits.
        """
        gone = [key for key in ring.keys if key.kid in kids]
        left = [key for key in ring.keys if key.kid not in kids]
        for algorithm in sorted({key.algorithm for key in gone if key.life.signs(now)} & self.algorithms):
            line = _line(left, algorithm)
            left = [key for key in left if key.algorithm is not algorithm]
            left += _hurried(line, now) or [*line, self.make(algorithm, Life(now, now))]
        return self.due(KeyRing.of(left), now)

    def _successor(self, algorithm: Algorithm, now: datetime) -> SigningKey:
        return self.make(algorithm, Life(now, now + self.rules.publish_ahead))

    def _continued(
        self, algorithm: Algorithm, line: Sequence[SigningKey], now: datetime, *, can_wait: bool
    ) -> list[SigningKey]:
        if all(key.life.signs_until is not None for key in line):
            new = Life(now, now + self.rules.publish_ahead if can_wait else now)
            line = _reopened(line, now) or [*line, self.make(algorithm, new)]
        if not can_wait:
            # The clock was set back behind the beginning of every key: better early than not at all.
            line = _hurried(line, now) or line
        head = _head(line)
        if now >= head.life.signs_from + self.rules.key_lifetime - self.rules.publish_ahead:
            head = self._successor(algorithm, now)
            line = [*line, head]
        return [key if key is head else self._ended(key, max(now, head.life.signs_from)) for key in line]

    def _ended(self, key: SigningKey, at: datetime) -> SigningKey:
        if key.life.signs_until is not None:
            return key
        return _ending(key, at, at + self.rules.keep)


def _line(keys: Iterable[SigningKey], algorithm: Algorithm) -> list[SigningKey]:
    return [key for key in keys if key.algorithm is algorithm]


def _head(line: Iterable[SigningKey]) -> SigningKey:
    return max((key for key in line if key.life.signs_until is None), key=lambda key: key.life.signs_from)


def _hurried(line: Sequence[SigningKey], now: datetime) -> list[SigningKey] | None:
    """Let the next key of the line sign now; None where none waits. A line in which one signs stays as it is."""
    if any(key.life.signs(now) for key in line):
        return list(line)
    waiting = [key for key in line if now < key.life.signs_from]
    if not waiting:
        return None
    first = min(waiting, key=lambda key: key.life.signs_from)
    return [_starting(key, now) if key is first else key for key in line]


def _reopened(line: Sequence[SigningKey], now: datetime) -> list[SigningKey] | None:
    """Take back the end of the last key of the line, None where it has come already."""
    last = max(line, key=lambda key: key.life.signs_until or now, default=None)
    if last is None or last.life.signs_until is None or last.life.signs_until <= now:
        return None
    return [_ending(key, None, None) if key is last else key for key in line]


def _is_erased(key: SigningKey, now: datetime) -> bool:
    return key.life.forgotten_at is not None and now >= key.life.forgotten_at + ERASED_AFTER


def _starting(key: SigningKey, at: datetime) -> SigningKey:
    return replace(key, life=replace(key.life, signs_from=at))


def _ending(key: SigningKey, signs_until: datetime | None, forgotten_at: datetime | None) -> SigningKey:
    return replace(key, life=replace(key.life, signs_until=signs_until, forgotten_at=forgotten_at))
