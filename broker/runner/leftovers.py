"""
What a command leaves running when it ends: found by descent, so that it cannot hide in another process group.
"""

import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

GRACE_SECONDS = 2.0
"""How long leftover processes have between SIGTERM and SIGKILL."""

_PAUSE_SECONDS = 0.02
_STAT_BYTES = 1024


@dataclass(frozen=True, slots=True)
class _Process:
    pid: int
    parent: int
    group: int
    is_zombie: bool


@dataclass(frozen=True, slots=True)
class Family:
    """
    The descendants of this process (which adopts orphans: `guard`), without `strangers`: its children from before.
    """

    strangers: frozenset[int]

    @classmethod
    def to_come(cls) -> Self:
        """Return the family of whatever is started from now on."""
        return cls(frozenset(each.pid for each in _processes() if each.parent == os.getpid()))

    def alive(self, group: int | None = None) -> list[int]:
        """Return who lives, the members of process group `group` included; reap those who died."""
        everybody = _processes()
        members = self._descendants(everybody)
        known = {each.pid for each in members} | {os.getpid()}
        members += [each for each in everybody if each.group == group and each.pid not in known]
        _reap(members)
        return [each.pid for each in members if not each.is_zombie]

    def bury(self, command: int) -> None:
        """Reap the orphans that died while `command`, whose exit status is somebody's to read, still runs."""
        _reap([each for each in self._descendants(_processes()) if each.pid != command])

    def end(self, group: int | None) -> int:
        """Send SIGTERM, and SIGKILL after GRACE_SECONDS; return how many could not be ended."""
        left = self.alive(group)
        for number in (signal.SIGTERM, signal.SIGKILL):
            if not left:
                break
            for pid in left:
                # Gone already, or of another user (sudo): nothing that could be done about it here.
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)
            left = self._wait_for_end(group)
        return len(left)

    def _wait_for_end(self, group: int | None) -> list[int]:
        deadline = time.monotonic() + GRACE_SECONDS
        while (left := self.alive(group)) and time.monotonic() < deadline:
            time.sleep(_PAUSE_SECONDS)
        return left

    def _descendants(self, everybody: Sequence[_Process]) -> list[_Process]:
        found: list[_Process] = []
        parents = {os.getpid()}
        while parents:
            children = [each for each in everybody if each.parent in parents and each.pid not in self.strangers]
            found += children
            parents = {each.pid for each in children}
        return found


def _reap(found: Sequence[_Process]) -> None:
    for process in found:
        if process.is_zombie and process.parent == os.getpid():
            with suppress(ChildProcessError):
                os.waitpid(process.pid, os.WNOHANG)


def _processes() -> list[_Process]:
    names = (entry.name for entry in Path("/proc").iterdir())
    return [found for name in names if name.isdigit() and (found := _process(name))]


def _process(name: str) -> _Process | None:
    try:
        fd = os.open(f"/proc/{name}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    # Bare calls: there may be thousands of processes, and Path.read_text takes four times as long.
    try:
        text = os.read(fd, _STAT_BYTES)
    except OSError:
        return None
    finally:
        os.close(fd)
    # proc(5): pid (comm) state ppid pgrp …; comm may hold anything, so count from its last parenthesis.
    state, parent, group = text.rpartition(b")")[2].split()[:3]
    return _Process(int(name), int(parent), int(group), state in {b"Z", b"X"})
