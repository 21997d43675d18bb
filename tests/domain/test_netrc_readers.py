"""
What is rendered, read back by the readers themselves (T45).
"""

import base64
import contextlib
import http.server
import netrc
import os
import string
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.netrc import MAX_PASSWORD, Entry, render
from broker.domain.secrets import Secret
from broker.errors import NetrcRefused

LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
HOST = st.lists(LABEL, min_size=1, max_size=3).map(".".join)
LOGIN = st.text(string.ascii_letters + string.digits + "._@+-", min_size=1, max_size=20)
PASSWORD = st.text(string.ascii_letters + string.digits + "._~+/=-", min_size=1, max_size=60)
EVERY_CHARACTER = string.ascii_letters + string.digits + "._~+/=-"
TOKENS = ["a", "=", EVERY_CHARACTER, EVERY_CHARACTER[::-1], "__token__", "a" * 127, "b" * 129, "c" * 3000]
LONGEST = (EVERY_CHARACTER * 100)[:MAX_PASSWORD]


@st.composite
def credentials(draw):
    """
    Host to login and password, without the few words that are refused for being keywords.
    """
    found = draw(st.dictionaries(HOST, st.tuples(LOGIN, PASSWORD), max_size=5))
    return {host: pair for host, pair in found.items() if _is_carried(host, *pair)}


def _is_carried(host, login, password):
    try:
        Entry(host, login, Secret(password))
    except NetrcRefused:
        return False
    return True


def written(file, found):
    """
    Render and write as the runner does.
    """
    text = render(Entry(host, login, Secret(password)) for host, (login, password) in found.items())
    file.touch(0o600)
    file.write_text(text.reveal(), newline="")
    return file


@given(credentials())
def test_the_standard_library_reads_back_what_was_rendered(tmp_path_factory, found):
    file = written(tmp_path_factory.getbasetemp() / "stdlib-netrc", found)

    read = netrc.netrc(str(file)).hosts

    assert {host: (login, password) for host, (login, _, password) in read.items()} == found


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_whatever_is_not_refused_is_read_back(tmp_path_factory, machine, login, password):
    """
    From the other side: any text at all; few pass, and those must be carried.
    """
    if not _is_carried(machine, login, password):
        return
    file = written(tmp_path_factory.getbasetemp() / "any-netrc", {machine: (login, password)})

    assert (login, "", password) == netrc.netrc(str(file)).authenticators(machine)


class _Recorder(http.server.BaseHTTPRequestHandler):
    """Asks for a login like a Package Manager, and remembers which one came for which path."""

    def do_GET(self):
        sent = self.headers.get("Authorization")
        if sent is not None:
            self.server.seen[self.headers["Host"].rsplit(":", 1)[0]] = _decoded(sent)
        self.send_response(401 if sent is None else 404)
        self.send_header("WWW-Authenticate", 'Basic realm="packages"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


def _decoded(authorization):
    login, _, password = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
    return login, password


@contextlib.contextmanager
def recording(host="127.0.0.1"):
    server = http.server.ThreadingHTTPServer((host, 0), _Recorder)
    server.seen = {}
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.needs("curl")
def test_curl_reads_back_what_was_rendered(tmp_path, program):
    found = {f"host-{n}.example": ("__token__", token) for n, token in enumerate([*TOKENS, LONGEST])}
    found["127.0.0.1"] = ("a.b+c@d_e-f", "by-address")
    file = written(tmp_path / "netrc", found)

    with recording() as server:
        urls = [f"http://{host}:{server.server_port}/" for host in found]
        command = [program("curl"), "-q", "-s", "-S", "--noproxy", "*", "--netrc-file", str(file)]
        to_here = ["--connect-to", f"::127.0.0.1:{server.server_port}"]
        subprocess.run([*command, *to_here, *urls], check=True, timeout=30, stdout=subprocess.DEVNULL)

    assert found == server.seen


@pytest.mark.needs("curl")
def test_curl_finds_nothing_for_a_host_that_is_not_in_the_file(tmp_path, program):
    """
    Neither a part of a name nor another port is taken for the host (T44, T46).
    """
    file = written(tmp_path / "netrc", {"packages.example": ("__token__", "canary")})

    with recording() as server:
        hosts = ["evil-packages.example", "packages.example.evil", "example", "ackages.example"]
        urls = [f"http://{host}:{server.server_port}/" for host in hosts]
        command = [program("curl"), "-q", "-s", "-S", "--noproxy", "*", "--netrc-file", str(file)]
        to_here = ["--connect-to", f"::127.0.0.1:{server.server_port}"]
        subprocess.run([*command, *to_here, *urls], check=True, timeout=30, stdout=subprocess.DEVNULL)

    assert {} == server.seen


@pytest.mark.e2e
@pytest.mark.needs("uv")
@pytest.mark.parametrize("token", ["a", EVERY_CHARACTER, LONGEST], ids=["shortest", "every character", "longest"])
def test_uv_reads_back_what_was_rendered(tmp_path, program, token):
    found = {
        "127.0.0.1": ("__token__", token),
        "127.0.0.2": ("__token__", token[::-1] + "2"[: MAX_PASSWORD - len(token)]),
    }
    file = written(tmp_path / "netrc", found)

    with recording() as one, recording("127.0.0.2") as other:
        indexes = [f"http://127.0.0.1:{one.server_port}/simple", f"http://127.0.0.2:{other.server_port}/simple"]
        command = [program("uv"), "pip", "compile", "--no-config", "--no-cache", "--no-python-downloads", "-q"]
        subprocess.run(
            [*command, "--python", sys.executable, "--index-url", indexes[0], "--extra-index-url", indexes[1], "-"],
            input="no-such-package\n",
            text=True,
            env={"NETRC": str(file), "PATH": os.environ["PATH"], "HOME": str(tmp_path), "NO_PROXY": "*"},
            timeout=60,
            check=False,  # there is no such package; what was sent on the way is what counts
            stderr=subprocess.DEVNULL,
        )

    assert found == {**one.seen, **other.seen}
