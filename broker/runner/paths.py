"""
Questions about paths of the user's, which may lead anywhere.
"""

import stat
from pathlib import Path


def is_file(path: Path) -> bool:
    """Whether there is a file that we can see. `Path.is_file` raises where a directory on the way is closed to us."""
    return stat.S_ISREG(_mode(path))


def is_directory(path: Path) -> bool:
    """Whether there is a directory that we can see."""
    return stat.S_ISDIR(_mode(path))


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except (OSError, ValueError):
        return 0
