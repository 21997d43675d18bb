"""
The private directory that holds this user's build directories.

It is made mode 0700 below a place where nobody else can put something in its way, memory-backed where the machine has
one. Everything below it is then done relative to its descriptor, so swapping a path later moves nothing of ours (T47).
"""

import fcntl
import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from broker.errors import BuildFilesFault
from broker.runner.paths import is_directory
from broker.runner.text import plain

NAME = "broker-builds"
SHARED_MEMORY = "/dev/shm"  # noqa: S108  not a temporary file's name: the base, checked before anything is made in it

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""How a directory is opened: never through a symbolic link."""

_OTHERS_MAY_WRITE = 0o022
_ANY_RIGHT_OF_OTHERS = 0o077


@dataclass(frozen=True, slots=True)
class Root:
    """The opened directory: `path` has no symbolic link in it, `fd` is what we work with."""

    path: Path
    fd: int

    @contextmanager
    def locked(self, patience: float = 2.0) -> Iterator[None]:
        """
        Keep out other runners of this user while a build directory is made or looked at for sweeping.

        Raises BuildFilesFault when another one holds the lock for more than `patience` seconds: it hangs.
        """
        deadline = time.monotonic() + patience
        while not take_lock(self.fd):
            if time.monotonic() > deadline:
                raise BuildFilesFault(f"another `broker run` holds {self.path} locked; is it stopped? End it, or wait")
            time.sleep(0.01)
        try:
            yield
        finally:
            fcntl.flock(self.fd, fcntl.LOCK_UN)


@contextmanager
def open_root(explicit: str | None, environ: Mapping[str, str], *, uid: int | None = None) -> Iterator[Root]:
    """
    Open, and make if need be, the private directory; see `_place` for which.

    Raises BuildFilesFault if there is no place for it or what is there is not safe. It is never repaired: a directory
    that others could write to may already hold something of theirs.
    """
    uid = os.geteuid() if uid is None else uid
    base, name = _place(explicit, environ, uid)
    try:
        base = base.resolve(strict=True)
        path = base / name
        _check_path(path)
        _check_ancestors(base, uid)
        fd = _make_and_open(base, name)
    except OSError as fault:
        raise BuildFilesFault(
            f"no build directory can be made in {plain(str(base / name))}: {fault.strerror}; it must be a "
            "directory (not a symbolic link) of the user who builds, or not exist yet. Give another --runtime-dir"
        ) from None
    try:
        _check_private(os.fstat(fd), path, uid)
        yield Root(path, fd)
    finally:
        os.close(fd)


def _place(explicit: str | None, environ: Mapping[str, str], uid: int) -> tuple[Path, str]:
    """Return the base and the name in it: as told, or the first usable of run-time, shared memory and temporary."""
    if explicit is not None:
        path = Path(os.path.abspath(explicit))  # noqa: PTH100  `resolve` would follow a link in the last part
        if not path.name:
            raise BuildFilesFault("the directory given with --runtime-dir cannot be the root of the file system")
        return path.parent, path.name
    for own in (environ.get("XDG_RUNTIME_DIR", ""), f"/run/user/{uid}"):
        # With `sudo -E` the variable still names the directory of the user before: that one is not ours.
        if own.startswith("/") and _is_usable(own) and Path(own).stat().st_uid == uid:
            return Path(own), NAME
    shared = (SHARED_MEMORY, environ.get("TMPDIR", ""), "/tmp")  # noqa: S108  as above: checked before use
    for base in shared:
        if base.startswith("/") and _is_usable(base):
            return Path(base), f"{NAME}-{uid}"
    raise BuildFilesFault(
        f"no place for the build's files: none of $XDG_RUNTIME_DIR, {', '.join(filter(None, shared))} is a directory "
        "that this user can write to. Give one with --runtime-dir"
    )


def _is_usable(base: str) -> bool:
    return is_directory(Path(base)) and os.access(base, os.W_OK | os.X_OK)


def _check_path(path: Path) -> None:
    # The path travels in PATH (where `:` separates), in a curl configuration and in a shell script.
    if ":" in str(path) or not str(path).isprintable():
        raise BuildFilesFault(f"{plain(str(path))} has a colon or control characters in it; give another --runtime-dir")


def _check_ancestors(base: Path, uid: int) -> None:
    """Refuse a place where somebody else could put another directory under our name: clients find files by path."""
    for directory in (base, *base.parents):
        status = directory.stat()
        others_may_swap = status.st_mode & _OTHERS_MAY_WRITE and not status.st_mode & stat.S_ISVTX
        if status.st_uid not in {0, uid} or others_may_swap:
            raise BuildFilesFault(
                f"{directory} belongs to, or can be changed by, other users (owner {status.st_uid}, mode "
                f"{stat.S_IMODE(status.st_mode):04o}), so nothing below it is private. Give another --runtime-dir"
            )


def _make_and_open(base: Path, name: str) -> int:
    base_fd = os.open(base, DIRECTORY)
    try:
        with suppress(FileExistsError), private_umask():
            os.mkdir(name, 0o700, dir_fd=base_fd)
        return os.open(name, DIRECTORY, dir_fd=base_fd)
    finally:
        os.close(base_fd)


def _check_private(status: os.stat_result, path: Path, uid: int) -> None:
    if status.st_uid != uid:
        raise BuildFilesFault(
            f"{path} belongs to user {status.st_uid}, not to {uid} who builds; remove it or give another --runtime-dir"
        )
    if status.st_mode & _ANY_RIGHT_OF_OTHERS:
        raise BuildFilesFault(
            f"{path} is open to other users (mode {stat.S_IMODE(status.st_mode):04o}); look at what is in it, then "
            f"`chmod 700` it or give another --runtime-dir"
        )


@contextmanager
def private_umask() -> Iterator[None]:
    """Make what is created meanwhile exactly as private as it says, whatever the user's umask is."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def opened(name: str, flags: int, dir_fd: int) -> Iterator[int]:
    """Open `name` below a directory's descriptor, for a while."""
    fd = os.open(name, flags, dir_fd=dir_fd)
    try:
        yield fd
    finally:
        os.close(fd)


def take_lock(fd: int) -> bool:
    """Lock what `fd` refers to, until it is closed; False if somebody else has."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
