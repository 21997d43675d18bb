"""
A server on loopback that answers a GET with whatever it was told: a Package Manager's status, or nothing of the kind.
"""

import contextlib
import http.server
import itertools
import json
import ssl
import threading
from collections.abc import Iterable, Iterator

DISTRIBUTIONS = [
    ("focal", ["x86_64"]),
    ("jammy", ["x86_64"]),
    ("noble", ["x86_64", "arm64"]),
    ("manylinux_2_28", ["x86_64", "arm64"]),
]


def distribution(code="jammy", **changes):
    return {"name": code, "os": "linux", "binaryURL": code, "binaries": True, "arch": ["x86_64"], **changes}


STATUS = {"version": "2026.10.0", "distros": [distribution(code, arch=arch) for code, arch in DISTRIBUTIONS]}


def answer(body=STATUS, status="200 OK", **headers):
    """One whole answer; `body` is JSON to be, or bytes."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers.items()), "Connection: close"]
    return "\r\n".join([*lines, "", ""]).encode() + content


def endless():
    """An answer of which there is always more."""
    return itertools.chain([answer(b"")], itertools.repeat(b" " * 65_536))


class StatusServer:
    """Set `chunks` (an answer, or its parts one after the other); read `asked`. `drip` is the time between parts."""

    def __init__(self, context: ssl.SSLContext | None = None):
        self.chunks: bytes | Iterable[bytes] = answer()
        self.drip = 0.0
        self.asked = []
        self.let_go = threading.Event()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = False
        if context:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def start(self):
        self._thread.start()

    def close(self):
        self.let_go.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(stub):  # noqa: N805  `self` is the request's inside
        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *arguments):
                pass

            def do_GET(self):
                stub.asked.append((self.path, dict(self.headers)))
                with contextlib.suppress(OSError):
                    for chunk in [stub.chunks] if isinstance(stub.chunks, bytes) else stub.chunks:
                        self.wfile.write(chunk)
                        if stub.drip and stub.let_go.wait(stub.drip):
                            break
                self.close_connection = True

        return Handler


@contextlib.contextmanager
def status_server(context: ssl.SSLContext | None = None) -> Iterator[StatusServer]:
    server = StatusServer(context)
    server.start()
    try:
        yield server
    finally:
        server.close()
