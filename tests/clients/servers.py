"""
Servers on loopback that do what no well-behaved server does.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from aiohttp.abc import AbstractResolver

from broker.domain.package_manager import PackageManagerUrl
from tests.fakes.package_manager import jwt

Respond = Callable[[asyncio.StreamWriter], Awaitable[None]]

FAR_AWAY = 4_000_000_000
"""An `exp` beyond every clock in these tests."""


@dataclass
class Listener:
    """A server and what reached it: connections, and requests as raw head and parsed form."""

    port: int = 0
    connections: int = 0
    heads: list[bytes] = field(default_factory=list)
    forms: list[dict[str, list[str]]] = field(default_factory=list)
    arrivals: asyncio.Queue[None] = field(default_factory=asyncio.Queue)

    @property
    def url(self) -> PackageManagerUrl:
        return PackageManagerUrl.parse(f"http://127.0.0.1:{self.port}/rspm")

    async def reached(self, times: int = 1) -> None:
        """Return when so many requests more have come."""
        for _ in range(times):
            await self.arrivals.get()

    def headers(self) -> dict[str, str]:
        """The headers of the last request, names in lower case."""
        lines = self.heads[-1].decode().splitlines()[1:]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}


@asynccontextmanager
async def listening(respond: Respond, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Listener]:
    """Serve on 127.0.0.1: read a request, note it, let `respond` write whatever it likes, repeat until the end."""
    listener = Listener()
    connections: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections[writer] = asyncio.current_task()
        listener.connections += 1
        try:
            with suppress(asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
                while not writer.is_closing():
                    await _note_request(reader, listener)
                    await respond(writer)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    listener.port = server.sockets[0].getsockname()[1]
    try:
        yield listener
    finally:
        server.close()
        for writer, connection in connections.items():
            connection.cancel()
            writer.transport.abort()  # what an endless answer has left in the buffer is not waited for
        await asyncio.gather(*connections.values(), return_exceptions=True)
        await server.wait_closed()
        await asyncio.sleep(0)  # aborted transports close their sockets in the next round of the loop


async def _note_request(reader: asyncio.StreamReader, listener: Listener) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    listener.heads.append(head)
    listener.forms.append(parse_qs((await reader.readexactly(length)).decode(), strict_parsing=True))
    listener.arrivals.put_nowait(None)


def answering(body: bytes, *, status: str = "200 OK", headers: str = "") -> Respond:
    """A well-formed answer."""

    async def respond(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()

    return respond


def saying(raw: bytes) -> Respond:
    """Exactly these bytes, then the end of the connection."""

    async def respond(writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()
        writer.close()

    return respond


def token_response(**changes: object) -> bytes:
    """The body of a good answer, with changes."""
    return json.dumps({"access_token": jwt({"exp": FAR_AWAY}), "token_type": "Bearer", **changes}).encode()


class StaticResolver(AbstractResolver):
    """Every name has these addresses; `asked` lists the names."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked: list[str] = []
        self.closed = False

    async def resolve(self, host, port=0, family=0):
        self.asked.append(host)
        return [
            {
                "hostname": host,
                "host": address,
                "port": port,
                "family": 10 if ":" in address else 2,
                "proto": 0,
                "flags": 0,
            }
            for address in self.addresses
        ]

    async def close(self):
        self.closed = True
