"""
Signals: held back while files are made and removed, heard while the broker is asked, passed on while the command runs.

They are blocked rather than handled, because a handler may run between any two steps: after a directory was made and
before anybody knows that it must be removed.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Never

_STOPPING = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2})
"""All that would end this process; the last two, because they would end it without a clean-up."""


class Stopped(BaseException):
    """
    A signal said to stop before the command was started; `code` is the exit code that tells so.

    Like KeyboardInterrupt it is no Exception: nobody on the way means it when he says `except Exception`.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.code = 128 + number
        self.name = signal.Signals(number).name


class HeldSignals:
    """The signals that this process now looks at itself. `mask` is what was blocked before."""

    def __init__(self, stopping: frozenset[signal.Signals], mask: set[signal.Signals | int]) -> None:
        self.stopping = stopping
        self.mask = mask

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Let a signal raise Stopped at once: for a wait that holds nothing which must be removed."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self.stopping)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, self.stopping)

    def check(self) -> None:
        """Raise Stopped if a signal came while it was held back."""
        came = self.stopping & {number for number in signal.sigpending() if isinstance(number, signal.Signals)}
        if came:
            raise Stopped(min(came))

    def next(self, seconds: float) -> signal.struct_siginfo | None:
        """Wait for a signal, a child's end among them, for at most `seconds`."""
        return signal.sigtimedwait(self.stopping | {signal.SIGCHLD}, seconds)


@contextmanager
def held() -> Iterator[HeldSignals]:
    """
    Hold back what would stop this process; must be entered in the main thread.

    A signal that was ignored from the start stays ignored, here and in the command: that is what nohup asks for.
    What came late, while the clean-up ran, has got what it wanted and is dropped.
    """
    stopping = frozenset(number for number in _STOPPING if signal.getsignal(number) is not signal.SIG_IGN)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, stopping | {signal.SIGCHLD})
    handlers = {number: signal.signal(number, _stop) for number in stopping}
    # If a parent left SIGCHLD ignored, the kernel would throw the command's exit status away.
    handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        yield HeldSignals(stopping, mask)
    finally:
        while signal.sigtimedwait(stopping | {signal.SIGCHLD}, 0):
            pass
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _stop(number: int, frame: FrameType | None) -> Never:  # noqa: ARG001  the signature is the signal module's
    raise Stopped(number)
