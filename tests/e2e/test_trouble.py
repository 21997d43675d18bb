"""
One Package Manager in trouble: the other is not affected, the reason is told, and the assertion goes nowhere else.
"""

import socket
import threading
import time

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("site"), pytest.mark.usefixtures("calm")]


@pytest.mark.parametrize(("fault", "code", "retryable"), [
    ("slow:20", "package_manager_timeout", True),
    ("error-500", "package_manager_fault", True),
    ("html", "package_manager_fault", True),
    ("html-200", "answer_not_understood", False),
    ("endless", "answer_too_large", False),
    ("rate-limit:7", "package_manager_busy", True),
    ("huge-token:8000", "token_unusable", False),
    ("bad-token", "token_unusable", False),
    ("lifetime:0", "token_unusable", False),
    ("skew:86400", "assertion_refused", False),
    ("skew:-86400", "assertion_refused", False),
])  # fmt: skip
def test_one_in_trouble_does_not_take_the_other_with_it(site, people, fault, code, retryable):
    site.faults("main", fault)
    began = time.monotonic()

    opened = site.api("POST", "/builds", {"owner_username": "alice"})

    assert ["127.0.0.2"] == [c["machine"] for c in opened["credentials"]]
    assert [(code, retryable)] == [(p["code"], p["retryable"]) for p in opened["problems"]]
    assert time.monotonic() - began < 10, "the settings say exchange_timeout = 2"


def test_one_that_is_down_does_not_take_the_other_with_it(site, people):
    gone = site.api("POST", "/oauth/integrations", {
        "template": "ppm", "name": "Down", "config": {"ppm_url": "https://localhost:1", "scopes": "repos:read:*"},
    })  # fmt: skip

    opened = site.api("POST", "/builds", {"owner_username": "alice"})
    site.api("DELETE", f"/oauth/integrations/{gone['guid']}")

    assert ["127.0.0.1", "127.0.0.2"] == [c["machine"] for c in opened["credentials"]]
    assert ["package_manager_unreachable"] == [p["code"] for p in opened["problems"]]


def test_a_redirect_is_not_followed_and_the_second_address_hears_nothing(site, people):
    """
    An assertion is a bearer secret for the registered address (T14).
    """
    with Listener() as elsewhere:
        site.faults("main", f"redirect:http://127.0.0.1:{elsewhere.port}/__api__/token")

        opened = site.api("POST", "/builds", {"owner_username": "alice"})

    assert ["redirect_refused"] == [p["code"] for p in opened["problems"]]
    assert [] == elsewhere.heard


def test_asking_for_all_or_nothing_gets_nothing(site, people, tmp_path):
    site.faults("main", "error-500")

    reply = site.call("POST", "/__api__/v1/builds", {"owner_username": "alice", "on_problem": "fail"})
    done = site.run(tmp_path, "alice", "touch", tmp_path / "started", options=["--require-all"])

    assert (502, 9020) == (reply.status, reply.json()["code"])
    assert 125 == done.returncode
    assert not (tmp_path / "started").exists()


def test_the_true_expiry_is_told_when_the_answer_lies(site, people):
    site.faults("main", "expires-in:60")

    opened = site.api("POST", "/builds", {"owner_username": "alice"})

    lying, honest = (c["expires_time"] for c in opened["credentials"])
    assert lying[:13] == honest[:13], "the token itself says an hour"


@pytest.mark.needs("curl")
def test_a_host_without_an_integration_gets_no_token(site, people, tmp_path):
    """
    The netrc names granted hosts only, and has no default entry (T44).
    """
    with Listener("127.0.0.3") as foreign:
        done = site.run(tmp_path, "alice", "curl", "--silent", f"http://127.0.0.3:{foreign.port}/x")

    assert 0 == done.returncode
    assert 1 == len(foreign.heard)
    assert b"authorization" not in foreign.heard[0].lower()


class Listener:
    """A server that answers nothing and remembers everything."""

    def __init__(self, host="127.0.0.1"):
        self.heard = []
        self._socket = socket.create_server((host, 0))

    def __enter__(self):
        self._socket.settimeout(0.1)
        self.port = self._socket.getsockname()[1]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()
        self._socket.close()

    def _listen(self):
        while not self._over.is_set():
            try:
                connection, _ = self._socket.accept()
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(1)
                self.heard.append(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
