"""
A clock that stands until it is moved.
"""

from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class ManualClock:
    """
    The Clock port, moved by hand, forwards and (as real clocks are) backwards.

    >>> clock.advance(hours=23)
    """

    def __init__(self, now: datetime = NOON) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def advance(self, **by: float) -> None:
        """Move by what `timedelta` takes; negative values set the clock back."""
        self._now += timedelta(**by)
