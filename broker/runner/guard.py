"""
Two switches of the Linux kernel that this process sets on itself while a build runs.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

_PR_GET_DUMPABLE = 3
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36


@contextmanager
def guarded() -> Iterator[None]:
    """
    Close /proc/PID/environ and memory of this process to the build, and adopt what the build leaves behind.

    The build's code runs as the same user, so without the first it could read the API key from our environment
    (root's builds still can). With the second an orphan of the build becomes our child instead of init's, so that it
    can be found and ended. Where the kernel has neither, nothing happens: both come on top of what is done anyway.
    """
    was_readable = _prctl(_PR_GET_DUMPABLE, 0) == 1
    _prctl(_PR_SET_DUMPABLE, 0)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        yield
    finally:
        _prctl(_PR_SET_CHILD_SUBREAPER, 0)
        if was_readable:
            _prctl(_PR_SET_DUMPABLE, 1)


def _prctl(option: int, value: int) -> int:
    try:
        # prctl(2): the unused arguments must be zero, as wide as the kernel reads them.
        return int(ctypes.CDLL(None).prctl(option, *map(ctypes.c_ulong, (value, 0, 0, 0))))
    except (OSError, AttributeError):
        return -1
