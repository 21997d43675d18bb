"""
The road of repository URLs before a build: each is settled, asked about, or left alone, and the build log says why.
"""

import platform
from collections.abc import Iterable
from pathlib import Path

from broker.domain.hosts import Host, recognise
from broker.domain.repositories import Mode, Rewrite, rewrite, settle, shown
from broker.runner.package_manager_status import NotAPackageManager, Statuses
from broker.runner.text import plain

OS_RELEASE = (Path("/etc/os-release"), Path("/usr/lib/os-release"))
"""Where a host says what it is; the first that is there counts (os-release(5))."""

_MAX_OS_RELEASE = 64 * 1024


def this_host(files: Iterable[Path] = OS_RELEASE, machine: str | None = None) -> Host:
    """Return the host with the first of these os-release files; `machine` is as `uname -m` says, None for this one."""
    text = next((found for found in map(_text, files) if found is not None), "")
    return recognise(text, platform.machine() if machine is None else machine)


def rewritten(urls: Iterable[str], mode: Mode, host: Host, statuses: Statuses) -> list[Rewrite]:
    """
    Return what becomes of each URL, in their order.

    Never raises for a URL or a server: what is not understood stays as it is, and its `reason` says why.
    """
    return [_rewritten(url, mode, host, statuses) for url in urls]


def line(done: Rewrite) -> str:
    """Return the line of the build log for one URL, on one line and without user names, passwords and queries."""
    before = plain(shown(done.before))
    what = f"{before} becomes {plain(shown(done.after))}" if done.is_changed else f"{before} stays"
    return f"{what}: {plain(done.reason)}"


def _rewritten(text: str, mode: Mode, host: Host, statuses: Statuses) -> Rewrite:
    settled = settle(text, mode)
    if isinstance(settled, Rewrite):
        return settled
    answer = statuses.of(settled.manager)
    if isinstance(answer, NotAPackageManager):
        return Rewrite(text, text, f"{settled.manager} is not treated as a Package Manager: {answer.reason}")
    return rewrite(settled, mode, host, answer)


def _text(file: Path) -> str | None:
    try:
        with file.open("rb") as stream:
            return stream.read(_MAX_OS_RELEASE).decode(errors="replace")
    except OSError:
        return None
