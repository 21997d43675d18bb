"""
A broker's build API on loopback with canned answers: records what it was asked, gives what it was told to give.

The real broker is met in the e2e tests; here it is about the runner, and about answers that a real broker never gives.
"""

import contextlib
import http.server
import json
import signal
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

GUID = "1f2e0000-0000-4000-8000-00000000cafe"
TOKEN = "eyJhbGciOiJSUzI1NiJ9.canary-token.c2lnbmF0dXJl"
API_KEY = "brk_canary-api-key-0123456789"


def credential(machine="packages.example.com", **changes):
    given = {
        "machine": machine,
        "login": "__token__",
        "password": TOKEN,
        "ppm_url": f"https://{machine}",
        "scopes": ["repos:read:pypi"],
        "integrations": ["2c0e0000-0000-4000-8000-000000000001"],
        "expires_time": "2026-11-21T14:05:00Z",
    }
    return {**given, **changes}


def build(*credentials, **changes):
    given = {
        "guid": GUID,
        "owner_guid": "0aaa0000-0000-4000-8000-000000000001",
        "owner_username": "alice",
        "content_guid": None,
        "created_time": "2026-11-21T13:05:00Z",
        "expires_time": "2026-11-21T14:05:00Z",
        "decision_guid": "dec10000-0000-4000-8000-000000000001",
        "netrc": "this text is not what the runner writes\n",
        "credentials": list(credentials),
        "skipped": [],
        "skipped_total": 0,
        "problems": [],
    }
    return {**given, **changes}


SKIPPED = {
    "integration_guid": "2c0e0000-0000-4000-8000-000000000002",
    "name": "Restricted R",
    "reason": "not_in_access_list",
    "detail": "alice is in no group of the access list",
}
PROBLEM = {
    "integrations": ["2c0e0000-0000-4000-8000-000000000003"],
    "integration_guid": "2c0e0000-0000-4000-8000-000000000003",
    "ppm_url": "https://slow.example.com",
    "code": "package_manager_timeout",
    "detail": "no answer within 10 s",
    "retryable": True,
}


@dataclass
class Reply:
    """What to answer: `body` may be JSON to be, or bytes as they are; `raw` replaces the whole HTTP answer."""

    body: object = None
    status: int = 200
    headers: dict = field(default_factory=lambda: {"Content-Type": "application/json"})
    raw: bytes | None = None
    hang: bool = False


@dataclass
class Asked:
    method: str
    path: str
    headers: dict
    body: bytes


class BuildApiStub:
    """Set `opening` and `finishing` to Replies; read `asked`."""

    def __init__(self, context: ssl.SSLContext | None = None):
        self.opening = Reply(build(credential()))
        self.finishing = Reply(None, status=204)
        self.asked = []
        self.let_go = threading.Event()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = False
        if context:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.port}"

    @property
    def methods(self):
        return [asked.method for asked in self.asked]

    def serve(self):
        # A thread that does not block signals could take SIGCHLD away from the runner under test.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        self._server.serve_forever(poll_interval=0.02)

    def close(self):
        self.let_go.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(stub):  # noqa: N805  `self` is the request's inside
        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *arguments):
                pass

            def do_POST(self):
                self._answer(stub.opening)

            def do_DELETE(self):
                self._answer(stub.finishing)

            def _answer(self, reply):
                length = int(self.headers.get("Content-Length", 0))
                stub.asked.append(Asked(self.command, self.path, dict(self.headers), self.rfile.read(length)))
                with contextlib.suppress(OSError):
                    if reply.hang:
                        stub.let_go.wait(30)
                    elif reply.raw is not None:
                        self.wfile.write(reply.raw)
                    else:
                        self._send(reply)
                self.close_connection = True

            def _send(self, reply):
                body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if reply.status != 204:
                    self.wfile.write(body)

        return Handler


@contextlib.contextmanager
def build_api(context: ssl.SSLContext | None = None) -> Iterator[BuildApiStub]:
    stub = BuildApiStub(context)
    thread = threading.Thread(target=stub.serve)
    thread.start()
    try:
        yield stub
    finally:
        stub.close()
        thread.join()


def closed_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
