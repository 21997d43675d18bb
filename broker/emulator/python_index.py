"""
A Python repository: the simple index as HTML (PEP 503) and JSON (PEP 691, PEP 700), wheel metadata (PEP 658, PEP 714).
"""

import hashlib
import html
import json
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response

from broker.emulator.archives import fields
from broker.emulator.refusals import NotThere
from broker.emulator.shelves import PackageFile, Repository, Shelves

JSON = "application/vnd.pypi.simple.v1+json"
HTML = "application/vnd.pypi.simple.v1+html"
TEXT_HTML = "text/html"
_FORMATS = {
    JSON: JSON,
    "application/vnd.pypi.simple.latest+json": JSON,
    HTML: HTML,
    "application/vnd.pypi.simple.latest+html": HTML,
    TEXT_HTML: TEXT_HTML,
    "text/*": TEXT_HTML,
    "application/*": HTML,
    "*/*": TEXT_HTML,
}
_API = "1.1"
_METADATA = ".metadata"


class _Entry(NamedTuple):
    file: PackageFile
    url: str
    sha256: str
    metadata_sha256: str | None
    requires_python: str | None


def normalised(name: str) -> str:
    """Return the project name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


class PythonIndex:
    """Answers for the path below `/{repository}/{snapshot}`; `base` is that prefix."""

    def __init__(self, shelves: Shelves) -> None:
        self._shelves = shelves

    def answer(self, repository: Repository, base: str, below: Sequence[str], headers: Headers) -> Response:
        """Return the page or file; raises NotThere."""
        # With or without the trailing slash: a redirect would cost each client a round trip and some their credential.
        match list(below[:-1] if below[-1:] == ("",) else below):
            case ["simple"]:
                return self._projects(repository, base, headers)
            case ["simple", project]:
                return self._project(repository, base, normalised(project), headers)
            case ["packages", name]:
                return self._file(repository, name)
        raise NotThere("a Python repository has simple/, simple/{project}/ and packages/{file}")

    def _projects(self, repository: Repository, base: str, headers: Headers) -> Response:
        names = sorted({normalised(file.package.name) for file in repository.files})
        if (form := negotiate(headers.get("accept", ""))) == JSON:
            return _json({"meta": {"api-version": _API}, "projects": [{"name": name} for name in names]})
        return _page("Simple index", [f'<a href="{base}/simple/{name}/">{name}</a>' for name in names], form)

    def _project(self, repository: Repository, base: str, project: str, headers: Headers) -> Response:
        found = [file for file in repository.files if normalised(file.package.name) == project]
        if not found:
            raise NotThere("no such project")
        entries = [self._entry(file, base) for file in found]
        if (form := negotiate(headers.get("accept", ""))) == JSON:
            return _json(_project_document(project, entries))
        return _page(f"Links for {project}", [_link(entry) for entry in entries], form)

    def _entry(self, file: PackageFile, base: str) -> _Entry:
        metadata = file.package.metadata
        return _Entry(
            file,
            f"{base}/packages/{file.name}",
            self._shelves.digests(file).sha256,
            hashlib.sha256(metadata).hexdigest() if metadata else None,
            fields(metadata).get("Requires-Python"),
        )

    def _file(self, repository: Repository, name: str) -> Response:
        wanted = name.removesuffix(_METADATA)
        file = next((file for file in repository.files if file.name == wanted), None)
        if file is None or (wanted != name and not file.package.metadata):
            raise NotThere("no such file")
        if wanted != name:
            return Response(file.package.metadata, media_type="text/plain; charset=utf-8")
        return FileResponse(file.path, media_type="application/octet-stream")


def negotiate(accept: str) -> str | None:
    """
    Return the content type to answer with: the acceptable one of the highest quality, None for none.

    No Accept at all gets HTML, as every old client expects (PEP 691, "Version + Format Selection").
    """
    best, quality = (TEXT_HTML, 0.001) if not accept.strip() else (None, 0.0)
    for part in accept.split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if kind in _FORMATS and (weight := _quality(parameters)) > quality:
            best, quality = _FORMATS[kind], weight
    return best


def _quality(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return float(value) if re.fullmatch(r"\s*[01](\.[0-9]{0,3})?", value) else 0.0
    return 1.0


def _project_document(project: str, entries: Sequence[_Entry]) -> Mapping[str, object]:
    return {
        "meta": {"api-version": _API},
        "name": project,
        "versions": sorted({entry.file.package.version for entry in entries}),
        "files": [_file_document(entry) for entry in entries],
    }


def _file_document(entry: _Entry) -> Mapping[str, object]:
    known = {} if entry.metadata_sha256 is None else {"core-metadata": {"sha256": entry.metadata_sha256}}
    python = {} if entry.requires_python is None else {"requires-python": entry.requires_python}
    size = entry.file.path.stat().st_size
    return {
        "filename": entry.file.name,
        "url": entry.url,
        "hashes": {"sha256": entry.sha256},
        "size": size,
        "yanked": False,
        **known,
        **python,
    }


def _link(entry: _Entry) -> str:
    attributes = [f'href="{html.escape(entry.url)}#sha256={entry.sha256}"']
    if entry.metadata_sha256 is not None:
        # Both names: PEP 714 renamed the attribute because old pips stumble over the first one's other form.
        digest = f'"sha256={entry.metadata_sha256}"'
        attributes += [f"data-core-metadata={digest}", f"data-dist-info-metadata={digest}"]
    if entry.requires_python is not None:
        attributes.append(f'data-requires-python="{html.escape(entry.requires_python)}"')
    return f"<a {' '.join(attributes)}>{html.escape(entry.file.name)}</a>"


def _json(document: Mapping[str, object]) -> Response:
    return Response(json.dumps(document), media_type=JSON, headers={"Vary": "Accept"})


def _page(title: str, links: Sequence[str], form: str | None) -> Response:
    if form is None:
        return Response(f"choose one of {JSON}, {HTML}, {TEXT_HTML}\n", 406, media_type="text/plain")
    head = f'<meta name="pypi:repository-version" content="{_API}"><title>{html.escape(title)}</title>'
    body = "".join(f"{link}<br>\n" for link in links)
    text = f"<!DOCTYPE html>\n<html><head>{head}</head>\n<body>\n{body}</body></html>\n"
    return Response(text, media_type=form, headers={"Vary": "Accept"})
