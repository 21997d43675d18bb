"""
The keys that exist at one time, and the answer to "which one signs now?".
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from keys.model import Algorithm, KeyFault, SigningKey


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

    def published(self, now: datetime) -> tuple[SigningKey, ...]:
        """Return the keys that verifiers must be able to find now."""
        return tuple(key for key in self.keys if key.life.is_published(now))

    def algorithms(self) -> frozenset[Algorithm]:
        """Return the algorithms for which there is a key."""
        return frozenset(key.algorithm for key in self.keys)
