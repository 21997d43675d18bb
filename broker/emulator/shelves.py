"""
The repositories below one folder: which there are, of which kind, and which files they hold right now.

Names from a URL are only ever compared with names from a directory listing, so no request can leave the folder.
"""

import re
import threading
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from broker.emulator.archives import Digests, Kind, Package, digest, look_into

OPTIONS = "repositories.toml"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_KINDS = {"python": Kind.PYTHON, "r": Kind.R}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PackageFile:
    """One package that a repository serves; `path` has no symbolic links in it."""

    name: str
    path: Path
    package: Package


@dataclass(frozen=True, slots=True)
class Options:
    """What repositories.toml says about one repository."""

    kind: Kind | None = None
    auth: bool = True


class _Remembered(Generic[T]):
    """The last answer for each file, until the file changes."""

    def __init__(self, ask: Callable[[Path], T]) -> None:
        self._ask = ask
        self._known: dict[Path, tuple[tuple[int, int], T]] = {}

    def of(self, path: Path) -> T:
        state = path.stat()
        stamp = (state.st_mtime_ns, state.st_size)
        known = self._known.get(path)
        if known is None or known[0] != stamp:
            known = self._known[path] = (stamp, self._ask(path))
        return known[1]


@dataclass(frozen=True, slots=True)
class Repository:
    """One subfolder; `kind` is None while nothing in it says which."""

    name: str
    folder: Path
    kind: Kind | None
    auth: bool
    files: tuple[PackageFile, ...]
    left_out: tuple[str, ...]
    """Files that look like packages and are not served, each with the reason."""


class Shelves:
    """
    The folder with the repositories, read afresh for every request; files are looked into once.

    Raises nothing at construction; `faults()` tells what is wrong with the folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.absolute() if not root.is_dir() else root.resolve()
        self._look: _Remembered[Package | None] = _Remembered(look_into)
        self._digest: _Remembered[Digests] = _Remembered(digest)
        self._lock = threading.Lock()
        self._options: dict[str, Options] = {}

    def faults(self) -> list[str]:
        """Return everything that must be put right before the folder can be served."""
        if not self._root.is_dir():
            return [f"--packages {self._root} is not a folder: make one with a subfolder for each repository"]
        faults: list[str] = []
        self._read_options(faults)
        if not faults:
            faults.extend(self._mixed())
        return faults

    def names(self) -> list[str]:
        """Return the names of all repositories."""
        try:
            found = [entry.name for entry in self._root.iterdir() if self._is_repository(entry)]
        except OSError:
            return []
        return sorted(found)

    def find(self, name: str) -> Repository | None:
        """Return the repository as it is now."""
        if name not in self.names():
            return None
        self._read_options([])
        options = self._options.get(name, Options())
        folder = self._root / name
        with self._lock:
            files = self._files(folder)
        kind = options.kind or next((file.package.kind for file in files if file.package), None)
        served = tuple(PackageFile(f.name, f.path, f.package) for f in files if f.package and f.package.kind is kind)
        left_out = tuple(_why_left_out(file, kind) for file in files if not file.package or file.package.kind != kind)
        return Repository(name, folder, kind, options.auth, served, left_out)

    def digests(self, file: PackageFile) -> Digests:
        """Return the digests of the file; raises OSError when it has just gone."""
        return self._digest.of(file.path)

    def _is_repository(self, entry: Path) -> bool:
        path = self._real(entry) if _NAME.fullmatch(entry.name) else None
        return path is not None and path.is_dir()

    def _real(self, entry: Path) -> Path | None:
        # A link may point elsewhere below the folder, never outside of it: not to the machine's own files.
        try:
            path = entry.resolve(strict=True)
        except (OSError, RuntimeError):
            return None
        return path if path.is_relative_to(self._root) else None

    def _files(self, folder: Path) -> "list[_Found]":
        found = []
        try:
            entries = sorted(folder.iterdir())
        except OSError:
            return []
        for entry in entries:
            path = self._real(entry) if entry.name.endswith((".whl", ".tar.gz")) else None
            if path is not None and path.is_file():
                found.append(_Found(entry.name, path, self._package(entry.name, path)))
        return found

    def _package(self, name: str, path: Path) -> Package | None:
        # The content is that of the link's target; its name, which says name and version, must be the same.
        try:
            return self._look.of(path) if path.name == name else None
        except OSError:
            return None

    def _mixed(self) -> list[str]:
        found = [self.find(name) for name in self.names()]
        return [
            f"{one.folder} holds Python and R packages; a repository has one kind, so make two folders"
            for one in found
            if one
            and self._options.get(one.name, Options()).kind is None
            and any("another kind" in reason for reason in one.left_out)
        ]

    def _read_options(self, faults: list[str]) -> None:
        path = self._root / OPTIONS
        try:
            text = path.read_text()
        except FileNotFoundError:
            self._options = {}
            return
        except (OSError, UnicodeDecodeError) as fault:
            faults.append(f"{path} cannot be read: {type(fault).__name__}")
            return
        found: list[str] = []
        options = _options(text, path.name, self.names(), found)
        faults.extend(found)
        # While somebody edits the file wrongly, the last good one counts.
        if not found:
            self._options = options


@dataclass(frozen=True, slots=True)
class _Found:
    name: str
    path: Path
    package: Package | None


def _why_left_out(file: _Found, kind: Kind | None) -> str:
    if file.package is None:
        return f"{file.name}: not a readable wheel, sdist or R source package"
    return f"{file.name}: of another kind than the repository ({kind})"


def _options(text: str, source: str, names: list[str], faults: list[str]) -> dict[str, Options]:
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        faults.append(f"{source}: {fault}")
        return {}
    options: dict[str, Options] = {}
    for name, table in tables.items():
        if name not in names:
            faults.append(f"{source}: there is no folder {name!r}; there are {', '.join(names) or 'none'}")
        elif not isinstance(table, dict) or (unknown := set(table) - {"kind", "auth"}):
            what = f"unknown {', '.join(sorted(unknown))}" if isinstance(table, dict) else "not a table"
            faults.append(f"{source}: [{name}]: {what}; a repository has kind and auth")
        else:
            options[name] = _one(table, f"{source}: [{name}]", faults)
    return options


def _one(table: dict[str, object], where: str, faults: list[str]) -> Options:
    kind, auth = table.get("kind"), table.get("auth", True)
    if kind is not None and kind not in _KINDS:
        faults.append(f'{where}: kind = {kind!r} must be "python" or "r"')
    if not isinstance(auth, bool):
        faults.append(f"{where}: auth = {auth!r} must be true or false")
    return Options(_KINDS.get(str(kind)), auth is not False)
