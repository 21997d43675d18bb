"""
An R repository in the CRAN layout: `src/contrib` with PACKAGES, PACKAGES.gz, the packages, older ones also in Archive.
"""

import gzip
import re
from collections.abc import Mapping, Sequence

from starlette.responses import FileResponse, Response

from broker.emulator.archives import fields
from broker.emulator.refusals import NotThere
from broker.emulator.shelves import PackageFile, Repository, Shelves

_FIELDS = (
    "Package", "Version", "Priority", "Depends", "Imports", "LinkingTo", "Suggests", "Enhances", "License",
    "License_is_FOSS", "License_restricts_use", "OS_type", "Archs", "MD5sum", "NeedsCompilation",
)  # fmt: skip
"""What R's own index of a repository carries (tools:::write_PACKAGES), in its order."""


class RContrib:
    """Answers for the path below the snapshot."""

    def __init__(self, shelves: Shelves) -> None:
        self._shelves = shelves

    def answer(self, repository: Repository, below: Sequence[str]) -> Response:
        """Return the index or package; raises NotThere (also for PACKAGES.rds: R then reads PACKAGES.gz)."""
        match below:
            case ["src", "contrib", "PACKAGES"]:
                return Response(self._index(repository), media_type="text/plain; charset=utf-8")
            case ["src", "contrib", "PACKAGES.gz"]:
                return Response(gzip.compress(self._index(repository), mtime=0), media_type="application/gzip")
            case ["src", "contrib", name]:
                return _file(repository, name)
            case ["src", "contrib", "Archive", package, name] if name.startswith(f"{package}_"):
                return _file(repository, name)
        raise NotThere("an R repository has src/contrib/PACKAGES[.gz], src/contrib/{file} and src/contrib/Archive")

    def _index(self, repository: Repository) -> bytes:
        newest: dict[str, PackageFile] = {}
        for file in repository.files:
            known = newest.get(file.package.name)
            if known is None or _version(known) < _version(file):
                newest[file.package.name] = file
        records = (self._record(newest[name]) for name in sorted(newest))
        return "".join(f"{record}\n" for record in records).encode()

    def _record(self, file: PackageFile) -> str:
        said = dict(fields(file.package.metadata))
        # The file's name is what R will ask for, whatever the DESCRIPTION says.
        said |= {
            "Package": file.package.name,
            "Version": file.package.version,
            "MD5sum": self._shelves.digests(file).md5,
        }
        return _control({name: said[name] for name in _FIELDS if said.get(name)})


def _control(values: Mapping[str, str]) -> str:
    return "".join(f"{name}: {value}\n" for name, value in values.items())


def _version(file: PackageFile) -> list[int]:
    return [int(part) for part in re.split(r"[.-]", file.package.version)]


def _file(repository: Repository, name: str) -> Response:
    file = next((file for file in repository.files if file.name == name), None)
    if file is None:
        raise NotThere("no such package")
    return FileResponse(file.path, media_type="application/gzip")
