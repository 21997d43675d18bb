"""
Looks into package files: which kind they are, what they say about themselves, their digests.

Files are read as data, with bounds; nothing of them is executed or unpacked.
"""

import hashlib
import re
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

MAX_METADATA = 1024 * 1024
"""Largest METADATA, PKG-INFO or DESCRIPTION that is read, in bytes."""

MAX_MEMBERS = 20_000
"""How many members of an archive are looked at before giving up."""

_WHEEL = re.compile(
    r"(?P<name>[A-Za-z0-9._]+)-(?P<version>[A-Za-z0-9._+!]+)(-\d[A-Za-z0-9._]*)?(-[A-Za-z0-9._]+){3}\.whl"
)
_SDIST = re.compile(r"(?P<name>[A-Za-z0-9._-]+)-(?P<version>[A-Za-z0-9._+!]+)\.tar\.gz")
_R_SOURCE = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9.]*)_(?P<version>[0-9]+([.-][0-9]+)+)\.tar\.gz")
_BROKEN = (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError)


class Kind(StrEnum):
    """What a repository holds; Python and R sources never mix in one (vendor guide)."""

    PYTHON = "Python"
    R = "R"


@dataclass(frozen=True, slots=True)
class Package:
    """
    A package file by its name and content.

    `metadata` is the METADATA of a wheel or the DESCRIPTION of an R package; empty for a Python sdist.
    """

    kind: Kind
    name: str
    version: str
    metadata: bytes


@dataclass(frozen=True, slots=True)
class Digests:
    """Lower-case hex digests of a file."""

    sha256: str
    md5: str


def look_into(path: Path) -> Package | None:
    """Return what the file is, None where it is not a package or cannot be read."""
    try:
        if match := _WHEEL.fullmatch(path.name):
            return Package(Kind.PYTHON, match["name"], match["version"], _wheel_metadata(path))
        if path.name.endswith(".tar.gz"):
            return _source(path)
    except _BROKEN:
        return None
    return None


def digest(path: Path) -> Digests:
    """Return the digests of the file; raises OSError."""
    # MD5 is what R's PACKAGES carries, against broken downloads only.
    with path.open("rb") as file:
        md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        file.seek(0)
        return Digests(hashlib.file_digest(file, "sha256").hexdigest(), md5)


def fields(control: bytes) -> Mapping[str, str]:
    """Read the `Field: value` lines of a Debian control file or mail header, each value on one line."""
    found: dict[str, str] = {}
    name = ""
    for line in control.decode(errors="replace").replace("\r\n", "\n").split("\n"):
        if not line.strip():
            break
        if line[0] in " \t":
            found[name] = f"{found.get(name, '')} {line.strip()}".strip()
        else:
            name, _, value = line.partition(":")
            found.setdefault(name, value.strip())
    return found


def _wheel_metadata(path: Path) -> bytes:
    with zipfile.ZipFile(path) as wheel:
        for member in wheel.infolist()[:MAX_MEMBERS]:
            folder, _, name = member.filename.partition("/")
            if name == "METADATA" and folder.endswith(".dist-info") and member.file_size <= MAX_METADATA:
                return wheel.read(member)
    raise zipfile.BadZipFile("no METADATA")


def _source(path: Path) -> Package | None:
    # `a_1.0-2.tar.gz` may be either kind by its name: the content decides.
    wanted = {}
    if match := _R_SOURCE.fullmatch(path.name):
        wanted[f"{match['name']}/DESCRIPTION"] = (Kind.R, match)
    if match := _SDIST.fullmatch(path.name):
        wanted[f"{path.name.removesuffix('.tar.gz')}/PKG-INFO"] = (Kind.PYTHON, match)
    with tarfile.open(path, "r:gz") as archive:
        for _, member in zip(range(MAX_MEMBERS), archive, strict=False):
            if member.name.removeprefix("./") in wanted and member.isfile() and member.size <= MAX_METADATA:
                kind, match = wanted[member.name.removeprefix("./")]
                content = archive.extractfile(member)
                metadata = content.read() if content and kind is Kind.R else b""
                return Package(kind, match["name"], match["version"], metadata)
    return None
