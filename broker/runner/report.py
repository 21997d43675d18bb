"""
What `broker run` says, on standard error: standard output belongs to the command.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import TextIO

from broker.runner.answers import Build, Credential, Problem, Skipped
from broker.runner.text import plain


class Report:
    """Plain lines that start with `broker:`. `quiet` keeps what went wrong and leaves out what went right."""

    def __init__(self, stream: TextIO, *, quiet: bool = False) -> None:
        self._stream = stream
        self._quiet = quiet

    def say(self, sentence: str) -> None:
        """Say something that is as it should be."""
        if not self._quiet:
            self.warn(sentence)

    def warn(self, sentence: str) -> None:
        """Say something that is not."""
        # A closed standard error must not keep the build from running, nor its files from being removed.
        with suppress(OSError, ValueError):
            self._stream.write(f"broker: {sentence}\n")
            self._stream.flush()

    def build(self, build: Build) -> None:
        """Say what was granted, what was skipped and why, then each problem on a line of its own."""
        # A build without any credential goes on, but never without being told why.
        (self.say if build.credentials else self.warn)(_summary(build))
        for problem in build.problems:
            self.warn(_problem(problem))


def _summary(build: Build) -> str:
    head = f"build {build.guid} for {plain(build.owner_username)}: "
    granted = "; ".join(_granted(each) for each in build.credentials)
    body = (
        f"{granted} until {_until(build)}"
        if granted
        else "no credentials, so authenticated repositories will refuse it"
    )
    return head + body + _skipped(build.skipped, build.skipped_total)


def _granted(credential: Credential) -> str:
    return f"{credential.entry.machine} ({plain(' '.join(credential.scopes))})"


def _until(build: Build) -> str:
    same_day = build.created_time.date() == build.expires_time.date()
    return _clock(build.expires_time) if same_day else f"{build.expires_time:%Y-%m-%d} {_clock(build.expires_time)}"


def _clock(moment: datetime) -> str:
    return f"{moment:%H:%M}Z"


def _skipped(skipped: Sequence[Skipped], total: int) -> str:
    shown = ", ".join(f'"{plain(each.name)}" ({plain(each.reason)}: {plain(each.detail)})' for each in skipped)
    more = f" and {total - len(skipped)} more" if total > len(skipped) else ""
    return f"; skipped {shown}{more}" if shown or more else ""


def _problem(problem: Problem) -> str:
    where = plain(problem.ppm_url) or "a Package Manager"
    again = " (the same may succeed later)" if problem.retryable else ""
    return f"problem: no credential for {where}: {plain(problem.code)}: {plain(problem.detail)}{again}"
