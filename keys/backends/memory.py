"""
Keys that live as long as the process: for tests, benchmarks and trying things out.
"""

from collections.abc import Iterable
from datetime import datetime

from keys.model import Algorithm, Life, SigningKey, generate
from keys.ring import KeyRing


class MemoryKeyStore:
    """A KeyStore without a disk."""

    def __init__(self) -> None:
        self._ring = KeyRing(())

    def load(self) -> KeyRing:
        """Return the keys there are; an empty ring before the first `ensure`."""
        return self._ring

    def ensure(self, algorithms: Iterable[Algorithm], now: datetime) -> KeyRing:
        """Make a key that signs at once for each algorithm that has none, and return all keys."""
        missing = [algorithm for algorithm in algorithms if algorithm not in self._ring.algorithms()]
        made = [SigningKey(algorithm, Life(now, now), generate(algorithm)) for algorithm in missing]
        self._ring = KeyRing.of([*self._ring.keys, *made])
        return self._ring
