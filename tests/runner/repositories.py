"""
Tiny authenticated repositories on loopback: a PEP 503 index and a CRAN, each with one package made here.

They demand `Basic __token__:<token>` and challenge with 401, as Package Manager does; every request is noted.
"""

import base64
import contextlib
import gzip
import http.server
import io
import signal
import tarfile
import threading
import zipfile

from tests.fakes.build_api import TOKEN

BASIC = "Basic " + base64.b64encode(f"__token__:{TOKEN}".encode()).decode()


def wheel():
    """Tinypkg 1.0: a module and the metadata that pip asks for."""
    info = "tinypkg-1.0.dist-info"
    files = {
        "tinypkg.py": "ANSWER = 42\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: tinypkg\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(name, text)
    return stream.getvalue()


def r_source():
    """Tinyr 1.0: an R source package without code that needs a compiler."""
    files = {
        "DESCRIPTION": "Package: tinyr\nVersion: 1.0\nTitle: Tiny\nDescription: Tiny.\nAuthor: T\n"
        "Maintainer: T <t@x.org>\nLicense: MIT\n",
        "NAMESPACE": "export(answer)\n",
        "R/answer.R": "answer <- function() 42\n",
    }
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"tinyr/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return stream.getvalue()


PACKAGES = b"Package: tinyr\nVersion: 1.0\nLicense: MIT\nNeedsCompilation: no\n\n"
FILES = {
    "/hello": b"hello",
    "/simple/tinypkg/": b'<a href="/files/tinypkg-1.0-py3-none-any.whl">tinypkg-1.0-py3-none-any.whl</a>',
    "/files/tinypkg-1.0-py3-none-any.whl": wheel(),
    "/cran/src/contrib/PACKAGES": PACKAGES,
    "/cran/src/contrib/PACKAGES.gz": gzip.compress(PACKAGES),
    "/cran/src/contrib/tinyr_1.0.tar.gz": r_source(),
}


class Repositories:
    def __init__(self, host="127.0.0.1", context=None):
        self.asked = []
        self._server = http.server.ThreadingHTTPServer((host, 0), self._handler())
        self._server.daemon_threads = False
        if context:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.host, self.port = host, self._server.server_port
        self.url = f"{'https' if context else 'http'}://{host}:{self.port}"

    @property
    def with_token(self):
        return [path for path, given in self.asked if given == BASIC]

    @property
    def with_anything(self):
        return [path for path, given in self.asked if given]

    def serve(self):
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        self._server.serve_forever(poll_interval=0.02)

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def _handler(repositories):  # noqa: N805  `self` is the request's inside
        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *arguments):
                pass

            def do_HEAD(self):
                self.do_GET()

            def do_GET(self):
                given = self.headers.get("Authorization", "")
                repositories.asked.append((self.path, given))
                if given != BASIC:
                    self._send(401, b'{"error":"unauthorized"}', {"WWW-Authenticate": "Basic"})
                elif self.path.startswith("/away/"):
                    self._send(302, b"", {"Location": repositories.elsewhere})
                else:
                    self._send(200 if self.path in FILES else 404, FILES.get(self.path, b""), {})

            def _send(self, status, body, headers):
                self.send_response(status)
                usual = {"Content-Length": str(len(body)), "Content-Type": "text/html"}
                for name, value in {**usual, **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

        return Handler


@contextlib.contextmanager
def repositories(host="127.0.0.1", context=None):
    served = Repositories(host, context)
    thread = threading.Thread(target=served.serve)
    thread.start()
    try:
        yield served
    finally:
        served.close()
        thread.join()
