"""
Identifiers that can be told in advance.
"""

import itertools

from broker.domain.secrets import Secret


class CountingIds:
    """
    The Ids port, counting from 1: the third guid is `CountingIds.nth_guid(3)`, the first jti `jti-1`.

    Two of them on one database need different `series`, as two machines have different randomness.
    """

    def __init__(self, series: int = 0) -> None:
        self._series = series
        self._prefix = f"jti-{series}-" if series else "jti-"
        self._guids, self._jtis, self._keys = itertools.count(1), itertools.count(1), itertools.count(1)

    def guid(self) -> str:
        return self.nth_guid(next(self._guids), self._series)

    def jti(self) -> str:
        return f"{self._prefix}{next(self._jtis)}"

    def api_key(self) -> Secret:
        return Secret(f"pcb_{self._series:03}{next(self._keys):046}")

    @staticmethod
    def nth_guid(number: int, series: int = 0) -> str:
        """Return a valid UUID (version 4) with a number that is easy to see."""
        return f"{series:08x}-0000-4000-8000-{number:012x}"
