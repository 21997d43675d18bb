"""
Keys that live as long as the process: for tests, benchmarks and trying things out.
"""

import threading
from collections.abc import Callable, Iterable
from datetime import datetime

from keys.model import Algorithm
from keys.ring import KeyRing


class MemoryKeyStore:
    """A KeyStore without a disk."""

    def __init__(self) -> None:
        self._ring = KeyRing(())
        self._lock = threading.Lock()

    def load(self) -> KeyRing:
        """Return the keys there are; an empty ring before the first `ensure`."""
        return self._ring

    def ensure(self, algorithms: Iterable[Algorithm], now: datetime) -> KeyRing:
        """Make a key that signs at once for each algorithm that has none, and return all keys."""
        return self.update(lambda ring: ring.completed(algorithms, now))

    def update(self, change: Callable[[KeyRing], KeyRing]) -> KeyRing:
        """Put the answer of `change` in the place of the ring it was asked about; nobody else writes meanwhile."""
        with self._lock:
            self._ring = change(self._ring)
            return self._ring
