"""
Makes tiny packages for a first repository: a pure-Python wheel, a pure-R source package. No network, no tools, and the
same bytes each time.
"""

import base64
import gzip
import hashlib
import io
import re
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from broker.errors import InvalidParameter

_PYTHON_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_PYTHON_VERSION = re.compile(r"[0-9]+(\.[0-9]+)*")
_R_NAME = re.compile(r"[A-Za-z][A-Za-z0-9.]*[A-Za-z0-9]")
_R_VERSION = re.compile(r"[0-9]+([.-][0-9]+)+")
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The first instant that a ZIP archive can name."""

_FILE_MODE = 0o644


def make_wheel(folder: Path, name: str, version: str, *, requires: Sequence[str] = ()) -> Path:
    """
    Write a wheel with one module and return its path.

    The module is `name` with underscores; it has `__version__` and `hello()`. `requires` are PEP 508 requirements.
    Raises InvalidParameter for a name or version that a wheel cannot have.
    """
    _check(name, _PYTHON_NAME, "a project name has letters, digits, dots, hyphens and underscores")
    _check(version, _PYTHON_VERSION, "a version is numbers with dots, such as 1.0.0")
    module = re.sub(r"[-_.]+", "_", name).lower()
    info = f"{module}-{version}.dist-info"
    files = {
        f"{module}/__init__.py": _PYTHON_MODULE.format(name=name, version=version),
        f"{info}/METADATA": _metadata(name, version, requires),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: broker-emulator\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = _record(files, f"{info}/RECORD")
    path = folder / f"{module}-{version}-py3-none-any.whl"
    return _put(path, _zipped(files))


def make_r_package(folder: Path, name: str, version: str, *, imports: Sequence[str] = ()) -> Path:
    """
    Write a source package that exports `hello()` and return its path; `imports` are names of R packages.

    Raises InvalidParameter for a name or version that R does not accept.
    """
    _check(name, _R_NAME, "an R package name has letters, digits and dots, starts with a letter, two at least")
    _check(version, _R_VERSION, "an R version has at least two numbers, such as 1.0")
    description = _DESCRIPTION.format(name=name, version=version)
    if imports:
        description += f"Imports: {', '.join(imports)}\n"
    files = {
        f"{name}/DESCRIPTION": description,
        f"{name}/NAMESPACE": "export(hello)\n" + "".join(f"import({other})\n" for other in imports),
        f"{name}/R/hello.R": f'hello <- function() "hello from {name} {version}"\n',
    }
    return _put(folder / f"{name}_{version}.tar.gz", _tarred(files))


_PYTHON_MODULE = '''"""
A sample package for a first repository.
"""

__version__ = "{version}"


def hello():
    """
    Say where this comes from.
    """
    return "hello from {name} {version}"
'''

_DESCRIPTION = """Package: {name}
Version: {version}
Title: Sample Package for a First Repository
Description: Says hello, so that a build has something to install.
Authors@R: person("Sample", "Author", email = "sample@example.com", role = c("aut", "cre"))
Author: Sample Author [aut, cre]
Maintainer: Sample Author <sample@example.com>
License: MIT
Encoding: UTF-8
NeedsCompilation: no
"""


def _metadata(name: str, version: str, requires: Sequence[str]) -> str:
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", "Requires-Python: >=3.8"]
    return "\n".join([*lines, "Summary: A sample package", *(f"Requires-Dist: {one}" for one in requires), ""])


def _record(files: Mapping[str, str], own: str) -> str:
    def row(path: str, text: str) -> str:
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        return f"{path},sha256={digest},{len(text.encode())}\n"

    return "".join(row(path, text) for path, text in files.items()) + f"{own},,\n"


def _zipped(files: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, text in files.items():
            member = zipfile.ZipInfo(name, _EPOCH)
            member.external_attr = _FILE_MODE << 16
            archive.writestr(member, text)
    return buffer.getvalue()


def _tarred(files: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(text.encode()), _FILE_MODE
            archive.addfile(member, io.BytesIO(text.encode()))
    return gzip.compress(buffer.getvalue(), mtime=0)


def _check(text: str, form: re.Pattern[str], rule: str) -> None:
    if not form.fullmatch(text):
        raise InvalidParameter(f"{text!r}: {rule}")


def _put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
