"""
The command: started, sent the signals that were meant for it, and ended with all that it leaves behind.
"""

import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from broker.errors import CommandNotStarted
from broker.runner import commands
from broker.runner.leftovers import Family
from broker.runner.signals import HeldSignals
from broker.runner.text import plain

_LOOK_AGAIN_SECONDS = 1.0
_SIGNAL_BASE = 128


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    How it ended: the exit code in a shell's terms (128 + n for signal n), and how many processes could not be ended.
    """

    code: int
    survivors: int


def run(argv: Sequence[str], program: Path, environ: Mapping[str, str], signals: HeldSignals) -> Outcome:
    """
    Run the command to its end.

    With a terminal it shares our process group: then Ctrl-C, Ctrl-Z, `| less` and programs that ask questions work as
    if we were not there, since the kernel deals with the whole group. Without one (CI, cron, services) it gets a group
    of its own, and every signal that reaches us is passed on to that group.

    Raises CommandNotStarted.
    """
    own_group = not _has_terminal()
    family = Family.to_come()
    pid = _start(argv, program, environ, signals, group=0 if own_group else os.getpgrp())
    try:
        code = _wait(pid, family, signals, own_group=own_group)
    finally:
        survivors = family.end(pid if own_group else None)
    return Outcome(code if code >= 0 else _SIGNAL_BASE - code, survivors)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _start(argv: Sequence[str], program: Path, environ: Mapping[str, str], signals: HeldSignals, *, group: int) -> int:
    try:
        return os.posix_spawn(
            program,
            list(argv),
            environ,
            setpgroup=group,
            setsigmask=signals.mask,
            # Python ignores these for itself; handled signals fall back to their default by themselves.
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
        )
    except OSError as fault:
        raise CommandNotStarted(
            f"{plain(argv[0])} cannot be executed: {fault.strerror}; a script needs a first line such as #!/bin/sh",
            payload={"exit_code": commands.NOT_EXECUTABLE},
        ) from None


def _wait(pid: int, family: Family, signals: HeldSignals, *, own_group: bool) -> int:
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        # A child's end wakes this up; the time limit only covers a thread that takes the signal away.
        came = signals.next(_LOOK_AGAIN_SECONDS)
        if came is None:
            continue
        if came.si_signo == signal.SIGCHLD:
            family.bury(pid)
        # From the kernel (si_code > 0) it is the terminal's, which has told the whole group already.
        elif own_group or came.si_code <= 0:
            with suppress(ProcessLookupError, PermissionError):
                (os.killpg if own_group else os.kill)(pid, came.si_signo)
