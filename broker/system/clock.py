"""
The machine's clocks.
"""

import time
from datetime import UTC, datetime


class SystemClock:
    """The Clock port on the machine's own clocks."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds since some fixed moment; never goes back, whatever happens to the date."""
        return time.monotonic()
