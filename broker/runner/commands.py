"""
Which program a command's name means.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from broker.errors import CommandNotStarted
from broker.runner.paths import is_directory, is_file
from broker.runner.text import plain

NOT_EXECUTABLE = 126
NOT_FOUND = 127
"""The exit codes that shells, env and timeout use for the two."""

_USUAL_PATH = "/usr/local/bin:/usr/bin:/bin"


def find(name: str, environ: Mapping[str, str]) -> Path:
    """
    Return the program that `name` means with PATH as in `environ`; a name with a slash is a path.

    Raises CommandNotStarted; its payload's `exit_code` is 127 (not found) or 126 (found, but cannot be executed).
    """
    candidates = [Path(name)] if "/" in name else list(_named(name, environ))
    for candidate in candidates:
        if _is_program(candidate):
            return candidate
    if any(is_file(candidate) or is_directory(candidate) for candidate in candidates):
        raise CommandNotStarted(
            f"{plain(name)} is there, but cannot be executed; is it a program, and does its mode (chmod +x) say so?",
            payload={"exit_code": NOT_EXECUTABLE},
        )
    where = "at this path" if "/" in name else "in PATH"
    raise CommandNotStarted(f"no program {plain(name)} {where}; check its spelling", payload={"exit_code": NOT_FOUND})


def search(name: str, environ: Mapping[str, str]) -> Iterator[Path]:
    """Give every program of this name in PATH, in its order."""
    return (candidate for candidate in _named(name, environ) if _is_program(candidate))


def _named(name: str, environ: Mapping[str, str]) -> Iterator[Path]:
    # An empty part of PATH means the current directory (POSIX 8.3), which Path("") happens to be.
    return (Path(directory) / name for directory in environ.get("PATH", _USUAL_PATH).split(":"))


def _is_program(candidate: Path) -> bool:
    return is_file(candidate) and os.access(candidate, os.X_OK)
