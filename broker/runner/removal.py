"""
How build directories go away: the own one at the end of a build, and those that a killed runner left.

Three rules hold against whoever plays with the names (T47): everything is done relative to a descriptor, nothing is
opened through a link, and only what a runner made is removed.

Whether a runner is alive is not asked of process ids, which are reused and mean something else in another container:
it holds a lock on its `owner` file, and the kernel drops that lock when it dies, however it dies.
"""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from broker.errors import BuildFilesFault
from broker.runner.root import DIRECTORY, Root, opened, take_lock

OWNER = "owner"
FOLDERS = ("home", "bin")
"""Clients may put files of their own there (curl saves its HSTS file), so all files in them are removed."""

_FILES = ("netrc", "Rprofile")
_DIRECTORY_NAME = re.compile(r"build-[0-9a-f]{32}")
_LOOK = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PRIVATE_DIRECTORY = 0o700


def temporary_name(name: str) -> str:
    """Return the name under which a file is written before it is moved to `name`."""
    return f"{name}.new"


def sweep(root: Root) -> list[str]:
    """
    Remove the directories whose runner is gone; return what was removed or left alone, as sentences.

    What does not bear our kind of name is somebody else's affair and not even mentioned.
    """
    with root.locked():
        names = sorted(name for name in _names(root.fd) if _DIRECTORY_NAME.fullmatch(name))
        return [sentence for name in names for sentence in _sweep_one(root, name)]


def _sweep_one(root: Root, name: str) -> list[str]:
    try:
        with opened(name, DIRECTORY, root.fd) as fd:
            _check_ours(root, fd)
            with _owner_if_dead(fd) as dead:
                if not dead:
                    return []
                return [f"{root.path / name} of a killed `broker run` was removed", *remove(root, name, fd)]
    except OSError as fault:
        return [f"{root.path / name} is left alone: {fault.strerror}"]
    except BuildFilesFault as fault:
        return [f"{root.path / name} is left alone: {fault.message}"]


def _check_ours(root: Root, fd: int) -> None:
    """Raise BuildFilesFault if this cannot be a directory that a runner of this user made here."""
    status = os.fstat(fd)
    if status.st_uid != os.geteuid():
        raise BuildFilesFault(f"it belongs to user {status.st_uid}")
    if status.st_mode & 0o777 != _PRIVATE_DIRECTORY:  # a set-group-id bit may be inherited
        raise BuildFilesFault(f"its mode is {stat.S_IMODE(status.st_mode):04o}, and ours is 0700")
    if status.st_dev != os.fstat(root.fd).st_dev:
        raise BuildFilesFault("something is mounted there")


@contextmanager
def _owner_if_dead(fd: int) -> Iterator[bool]:
    """
    Hold the lock of a dead runner, or find it alive.

    Without an `owner` file it died while it made the directory: that happens under the root's lock, which we hold.
    """
    try:
        owner_fd = os.open(OWNER, _LOOK, dir_fd=fd)
    except FileNotFoundError:
        yield True
        return
    try:
        status = os.fstat(owner_fd)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_nlink != 1:
            raise BuildFilesFault("its `owner` is not a file that a runner made")
        yield take_lock(owner_fd)
    finally:
        os.close(owner_fd)


def remove(root: Root, name: str, fd: int) -> list[str]:
    """Remove what a runner makes, the owner file last, so that a sweep can take over at any moment."""
    faults = [fault for file in (*_FILES, *map(temporary_name, _FILES)) for fault in _unlink(fd, file)]
    for folder in FOLDERS:
        faults += _remove_folder(fd, folder)
    others = sorted(set(_names(fd)) - {OWNER})
    if others:
        faults.append(f"{root.path / name} is not removed: it still holds {', '.join(map(repr, others))}")
        return faults
    return [*faults, *_unlink(fd, OWNER), *_remove_directory(root, name, fd)]


def _remove_folder(fd: int, folder: str) -> list[str]:
    try:
        with opened(folder, DIRECTORY, fd) as folder_fd:
            faults = [fault for file in _names(folder_fd) for fault in _unlink(folder_fd, file)]
        os.rmdir(folder, dir_fd=fd)
    except FileNotFoundError:
        return []
    except OSError as fault:
        return [f"{folder}/ is not removed: {fault.strerror}"]
    return faults


def _unlink(fd: int, name: str) -> list[str]:
    # unlink takes away a name and follows nothing: a link that was put here loses the link, never its target.
    try:
        os.unlink(name, dir_fd=fd)
    except FileNotFoundError:
        return []
    except OSError as fault:
        return [f"{name} is not removed: {fault.strerror}"]
    return []


def _remove_directory(root: Root, name: str, fd: int) -> list[str]:
    try:
        there = os.stat(name, dir_fd=root.fd, follow_symlinks=False)
        if not os.path.samestat(there, os.fstat(fd)):
            return [f"{root.path / name} is not removed: it is no longer the directory that was made"]
        os.rmdir(name, dir_fd=root.fd)
    except FileNotFoundError:
        return [] if os.fstat(fd).st_nlink == 0 else [f"{root.path / name} was moved away while the build ran"]
    except OSError as fault:
        return [f"{root.path / name} is not removed: {fault.strerror}"]
    return []


def _names(fd: int) -> list[str]:
    return os.listdir(fd)
