"""
Everything that is fetched with a repository token: the packages, the list of repositories, the server's root.
"""

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from broker.emulator.access import Gate
from broker.emulator.addresses import Address
from broker.emulator.archives import Kind
from broker.emulator.faults import Switchboard, Where
from broker.emulator.log import Record, record_of
from broker.emulator.printable import sentence
from broker.emulator.python_index import PythonIndex
from broker.emulator.r_contrib import RContrib
from broker.emulator.refusals import AccessRefused, NotThere
from broker.emulator.shelves import Repository, Shelves
from broker.emulator.troubles import Sleep, trouble

CHALLENGE = 'Basic realm="Package Manager emulator", charset="UTF-8"'
"""wget and git send nothing before they are challenged."""

_UNAUTHORIZED = 401
# Answers depend on the credential: a cache that is shared by two users must not answer the second one.
_PRIVATE = {"Cache-Control": "private, no-cache"}


class Repositories:
    """The endpoints."""

    def __init__(self, shelves: Shelves, gate: Gate, faults: Switchboard, sleep: Sleep) -> None:
        self._shelves = shelves
        self._gate = gate
        self._faults = faults
        self._sleep = sleep
        self._python = PythonIndex(shelves)
        self._r = RContrib(shelves)

    async def answer(self, request: Request) -> Response:
        """Answer for a path in a repository."""
        record = record_of(request)
        instead = await trouble(self._faults, Where.REPOSITORIES, self._sleep)
        if instead is not None:
            record.note = f"faults: {' '.join(map(str, self._faults))}"
            return instead
        try:
            return await to_thread.run_sync(self._found, request, record)
        except AccessRefused as refusal:
            return _refused(refusal, record)
        except (NotThere, FileNotFoundError) as missing:
            record.note = missing.reason if isinstance(missing, NotThere) else "the file has just gone"
            return JSONResponse({"error": record.note}, 404)

    async def root(self, request: Request) -> Response:
        """Answer the probe: fine without a credential and with a valid one."""
        record = record_of(request)
        try:
            bearer = self._gate.bearer(request.headers)
        except AccessRefused as refusal:
            return _refused(refusal, record)
        record.user = bearer.user if bearer else "-"
        return PlainTextResponse("Package Manager emulator\n")

    async def names(self, _: Request) -> Response:
        """List the repositories, as `/__api__/repos` of the real product does."""
        found = await to_thread.run_sync(lambda: [self._shelves.find(name) for name in self._shelves.names()])
        listed = (one for one in found if one is not None and one.kind is not None)
        return JSONResponse(
            [
                {"id": number, "name": one.name, "type": str(one.kind), "auth": one.auth}
                for number, one in enumerate(listed, start=1)
            ]
        )

    def _found(self, request: Request, record: Record) -> Response:
        address = Address.parse(request.scope["path"])
        repository = self._shelves.find(address.repository)
        if repository is None:
            raise NotThere("no such repository")
        self._gate.admit(request.headers, repository, record)
        response = self._below(repository, address, request)
        response.headers.update(_PRIVATE)
        return response

    def _below(self, repository: Repository, address: Address, request: Request) -> Response:
        below = address.below_snapshot(binaries=repository.kind is Kind.R)
        if repository.kind is Kind.R:
            return self._r.answer(repository, below)
        if repository.kind is Kind.PYTHON:
            base = f"/{repository.name}/{address.segments[0]}"
            return self._python.answer(repository, base, below, request.headers)
        raise NotThere("the repository is empty, so it has no kind yet")


def _refused(refusal: AccessRefused, record: Record) -> Response:
    record.note = f"refused: {sentence(refusal.reason)}"
    headers = {"WWW-Authenticate": CHALLENGE} if refusal.status == _UNAUTHORIZED else {}
    return JSONResponse({"error": sentence(refusal.reason)}, refusal.status, headers=headers)
