"""
Keys in one file, mode 0600, outside every git work tree: the embedded default.

The file is JSON: `{"format": 1, "keys": [{"algorithm", "created", "signs_from", "signs_until", "forgotten_at",
"private_key"}]}` with PKCS#8 PEM and RFC 3339 times. It is replaced as a whole, by a rename, under a lock: any
number of processes may start at once, and a power cut leaves the old or the new file.
"""

import errno
import fcntl
import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from keys.model import Algorithm, KeyFault, Life, PrivateKey, SigningKey
from keys.ring import KeyRing

FORMAT = 1
_PRIVATE = 0o600
_OTHERS = 0o077

_Version = tuple[int, int, int, int]
"""What tells one state of the file from another without reading it; each state is another inode, by the rename."""


class FileKeyStore:
    """The key file of one machine."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[_Version, KeyRing] | None = None

    def load(self) -> KeyRing:
        """
        Return the keys of the file; an empty ring where there is no file.

        An unchanged file is not parsed again: an RSA key costs a hundred signatures, and servers ask every minute.
        Raises KeyFault when the file is readable by others, is no regular file, or does not parse.
        """
        try:
            return self._read()
        except FileNotFoundError:
            return KeyRing(())
        except OSError as fault:
            why = "it is a symbolic link" if fault.errno == errno.ELOOP else fault.strerror
            raise KeyFault(f"the key file {self._path} cannot be read: {why}") from None

    def ensure(self, algorithms: Iterable[Algorithm], now: datetime) -> KeyRing:
        """
        Make a key that signs at once for each algorithm that has none, and return all keys.

        Several processes may ask at the same time; one of them makes the key. Raises KeyFault when the file would lie
        in a git work tree, or cannot be written.
        """
        wanted = frozenset(algorithms)
        ring = self.load()
        if wanted <= ring.algorithms():
            return ring
        return self.update(lambda found: found.completed(wanted, now))

    def update(self, change: Callable[[KeyRing], KeyRing]) -> KeyRing:
        """
        Put the answer of `change` in the place of the ring it was asked about, and return it.

        Nobody else writes meanwhile; the same ring as an answer writes nothing. Raises KeyFault as `load` and `ensure`
        do, and whatever `change` raises; then nothing was written.
        """
        must_be_outside_git(self._path)
        with self._locked():
            ring = self.load()
            changed = change(ring)
            if changed != ring:
                self._write(changed)
        return changed

    def _read(self) -> KeyRing:
        # Opening a FIFO in the place of the file would wait for ever without O_NONBLOCK.
        handle = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            status = os.fstat(handle)
            self._must_be_private(status)
            version = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            if self._seen is None or self._seen[0] != version:
                with os.fdopen(handle, "rb", closefd=False) as file:
                    self._seen = (version, KeyRing.of(self._parse(file.read())))
            return self._seen[1]
        finally:
            os.close(handle)

    def _must_be_private(self, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            raise KeyFault(f"the key file {self._path} is not a regular file")
        if status.st_mode & _OTHERS:
            raise KeyFault(
                f"the key file {self._path} has mode {stat.S_IMODE(status.st_mode):04o}, so others can read it; "
                f"run: chmod 600 {self._path}. If others may have read it, make a new key"
            )

    def _parse(self, text: bytes) -> Iterator[SigningKey]:
        try:
            document = json.loads(text)
            if document["format"] != FORMAT:
                raise KeyFault(
                    f"the key file {self._path} has format {str(document['format'])[:9]}; this version reads {FORMAT}"
                )
            for entry in document["keys"]:
                yield _from_json(entry)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, UnsupportedAlgorithm):
            # The parser's own words could quote the file, which holds private keys.
            raise KeyFault(
                f"the key file {self._path} is damaged; restore it from a backup, or move it away for a new one"
            ) from None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            lock = os.open(f"{self._path}.lock", os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, _PRIVATE)
        except OSError as fault:
            raise KeyFault(f"the key file {self._path} cannot be written: {fault.strerror}") from None
        try:
            self._give_to_owner(lock)
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _give_to_owner(self, handle: int) -> None:
        # What root changes by `broker keys` must stay readable for the broker, which runs as the folder's owner.
        if os.geteuid() == 0:
            folder = self._path.parent.stat()
            os.fchown(handle, folder.st_uid, folder.st_gid)

    def _write(self, ring: KeyRing) -> None:
        text = json.dumps({"format": FORMAT, "keys": [_to_json(key) for key in ring.keys]}, indent=1).encode()
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            draft.unlink(missing_ok=True)
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW
            with os.fdopen(os.open(draft, flags, _PRIVATE), "wb") as file:
                os.fchmod(file.fileno(), _PRIVATE)
                self._give_to_owner(file.fileno())
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
            _sync_folder(self._path.parent)
        except OSError as fault:
            with suppress(OSError):
                draft.unlink()
            raise KeyFault(f"the key file {self._path} cannot be written: {fault.strerror}") from None


def must_be_outside_git(path: Path) -> None:
    """Raise KeyFault when a file at this path could be committed: a folder above it is a git work tree."""
    for folder in path.resolve().parents:  # resolved: a data directory may be a symbolic link into a checkout
        if (folder / ".git").exists():
            raise KeyFault(
                f"{path} lies in the git work tree {folder}; a key that can be committed will be. "
                "Choose a data directory outside it"
            )


def _to_json(key: SigningKey) -> dict[str, str | None]:
    pem = key.private_key().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    life = key.life
    return {
        "algorithm": key.algorithm.value,
        "created": life.created.isoformat(),
        "signs_from": life.signs_from.isoformat(),
        "signs_until": life.signs_until.isoformat() if life.signs_until else None,
        "forgotten_at": life.forgotten_at.isoformat() if life.forgotten_at else None,
        "private_key": pem.decode(),
    }


def _from_json(entry: dict[str, str]) -> SigningKey:
    private = serialization.load_pem_private_key(entry["private_key"].encode(), password=None)
    if not isinstance(private, PrivateKey):
        raise TypeError
    life = Life(
        _instant(entry["created"]),
        _instant(entry["signs_from"]),
        _instant(entry["signs_until"]) if entry["signs_until"] else None,
        _instant(entry["forgotten_at"]) if entry["forgotten_at"] else None,
    )
    return SigningKey(Algorithm(entry["algorithm"]), life, private)


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError
    return instant


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
