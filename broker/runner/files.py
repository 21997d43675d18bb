"""
The directory of one build and how files get into it.

Each file is created exclusively, private under any umask, and moved into place complete (T47).
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from broker.domain.secrets import Secret
from broker.errors import BuildFilesFault
from broker.runner import removal
from broker.runner.root import DIRECTORY, Root, opened, private_umask

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class File:
    """One file to write: `folder` is "" or one of FOLDERS."""

    folder: str
    name: str
    text: Secret
    mode: int = 0o600


@dataclass(frozen=True, slots=True)
class Link:
    """One symbolic link to make."""

    folder: str
    name: str
    target: str


class BuildDirectory:
    """A build's directory while its runner lives."""

    def __init__(self, root: Root, name: str, fd: int, owner_fd: int) -> None:
        self.path: Path = root.path / name
        self._root = root
        self._name = name
        self._fd = fd
        self._owner_fd = owner_fd
        self._is_removed = False

    def write(self, items: list[File | Link]) -> None:
        """Write every item. Raises BuildFilesFault naming the one that could not be (a full disk)."""
        for item in items:
            try:
                self._write(item)
            except OSError as fault:
                where = self.path / item.folder / item.name
                raise BuildFilesFault(f"{where} cannot be written: {fault.strerror}") from None

    def _write(self, item: File | Link) -> None:
        with private_umask(), _folder(self._fd, item.folder) as folder_fd:
            if isinstance(item, Link):
                os.symlink(item.target, item.name, dir_fd=folder_fd)
            else:
                _write_file(folder_fd, item.name, item.text, item.mode)

    def remove(self) -> list[str]:
        """
        Remove everything and return what could not be, as sentences.

        First an empty netrc takes the place of the real one: a process that should still run finds no credentials,
        where a missing file would be an error for every URL in curl 8.14. A second call does nothing.
        """
        if self._is_removed:
            return []
        self._is_removed = True
        with suppress(OSError):
            _write_file(self._fd, "netrc", Secret(""), 0o600)
        try:
            return removal.remove(self._root, self._name, self._fd)
        finally:
            os.close(self._owner_fd)
            os.close(self._fd)


def create(root: Root, unguessable: str) -> BuildDirectory:
    """
    Make the directory of a new build and lock it as alive; `unguessable` is 32 hex digits.

    Raises BuildFilesFault.
    """
    name = f"build-{unguessable}"
    try:
        with private_umask(), root.locked():
            os.mkdir(name, 0o700, dir_fd=root.fd)
            fd = os.open(name, DIRECTORY, dir_fd=root.fd)
            try:
                return BuildDirectory(root, name, fd, _sign(fd))
            except OSError:
                removal.remove(root, name, fd)
                os.close(fd)
                raise
    except OSError as fault:
        raise BuildFilesFault(f"no build directory can be made in {root.path}: {fault.strerror}") from None


def _sign(fd: int) -> int:
    """Write the owner file and return its descriptor, which holds the lock; children do not inherit it."""
    owner_fd = os.open(removal.OWNER, _NEW, 0o600, dir_fd=fd)
    fcntl.flock(owner_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.write(owner_fd, f"process {os.getpid()}\n".encode())
    return owner_fd


def _write_file(fd: int, name: str, text: Secret, mode: int) -> None:
    """Write under another name and rename: whoever opens `name` sees all of it or the one before."""
    new = removal.temporary_name(name)
    file_fd = os.open(new, _NEW, mode, dir_fd=fd)
    try:
        with open(file_fd, "wb") as file:  # noqa: PTH123  a descriptor has no Path
            file.write(os.fsencode(text.reveal()))
            file.flush()
            os.fsync(file.fileno())
        os.rename(new, name, src_dir_fd=fd, dst_dir_fd=fd)
    except OSError:
        with suppress(OSError):
            os.unlink(new, dir_fd=fd)
        raise


@contextmanager
def _folder(fd: int, folder: str) -> Iterator[int]:
    if not folder:
        yield fd
        return
    with suppress(FileExistsError):
        os.mkdir(folder, 0o700, dir_fd=fd)
    with opened(folder, DIRECTORY, fd) as folder_fd:
        yield folder_fd
