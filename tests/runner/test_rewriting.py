"""
Asking a server what it serves, and the road of URLs before a build.
"""

import itertools
import ssl
import time
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.hosts import Host
from broker.domain.package_manager import PackageManagerUrl
from broker.domain.repositories import Mode, PackageManagerStatus, Rewrite
from broker.runner.package_manager_status import (
    MAX_ANSWER,
    MAX_SERVERS,
    NotAPackageManager,
    Statuses,
    parse_status,
)
from broker.runner.rewriting import OS_RELEASE, line, rewritten, this_host
from tests.fakes.build_api import closed_port
from tests.fakes.status_server import STATUS, answer, distribution, endless, status_server

JAMMY = Host("jammy", "x86_64", "Ubuntu 22.04.5 LTS")


@pytest.fixture
def server():
    with status_server() as started:
        yield started


def status_of(url, **changes):
    return Statuses(**{"seconds": 5.0, **changes}).of(PackageManagerUrl.parse(url))


# --- what a Package Manager tells -----------------------------------------------------------------------------------
def test_a_package_manager_is_known_by_its_status(server):
    told = status_of(server.url)

    assert "2026.10.0" == told.version
    assert (True, False) == (told.serves("jammy", "x86_64"), told.serves("jammy", "arm64"))
    assert (True, False) == (told.serves("noble", "arm64"), told.serves("bookworm", "x86_64"))


def test_the_question_is_below_the_prefix_and_carries_nothing_of_ours(server, monkeypatch):
    """No credential goes to a server that the content named (T43)."""
    monkeypatch.setenv("http_proxy", f"http://canary:canary@127.0.0.1:{closed_port()}")

    status_of(f"{server.url}/tools/rspm")

    path, headers = server.asked[0]
    assert "/tools/rspm/__api__/status" == path
    assert {"Host", "Accept", "Accept-Encoding", "User-Agent", "Connection"} == set(headers)


def body(*distributions):
    return {"version": "1", "distros": list(distributions)}


@pytest.mark.parametrize(
    ("document", "binaries"),
    [
        (body(), set()),
        (body(distribution()), {("jammy", "x86_64")}),
        (body(distribution(arch=["x86_64", "arm64"])), {("jammy", "x86_64"), ("jammy", "arm64")}),
        # two names for the same binaries
        (
            body(distribution("centos8"), distribution("centos8", name="rhel8", arch=["arm64"])),
            {("centos8", "x86_64"), ("centos8", "arm64")},
        ),
        # without binaries, or not clearly with them
        (body(distribution(binaries=False)), set()),
        (body(distribution(binaries="true")), set()),
        (body(distribution(binaries=1)), set()),
        (body({"binaryURL": "jammy"}), set()),
        # a server from before there were architectures
        (body({"binaryURL": "jammy", "binaries": True}), {("jammy", "x86_64")}),
        (body(distribution(arch=None)), {("jammy", "x86_64")}),
        (body(distribution(arch=[])), {("jammy", "x86_64")}),
        # odd entries are left out, the others stay
        (body(None, 7, "jammy", [], distribution("noble")), {("noble", "x86_64")}),
        (body(distribution(binaryURL=None), distribution(binaryURL=""), distribution(binaryURL=7)), set()),
        (body(distribution(arch="x86_64"), distribution(arch={"x86_64": 1}), distribution(arch=7)), set()),
        (body(distribution(arch=["x86_64", None, 7, []])), {("jammy", "x86_64")}),
        ({"distros": [distribution()]}, {("jammy", "x86_64")}),
        ({"version": 7, "distros": [distribution()]}, {("jammy", "x86_64")}),
    ],
)
def test_a_status_is_read_defensively(server, document, binaries):
    server.chunks = answer(document)

    assert binaries == status_of(server.url).binaries


@given(
    st.binary()
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.just("distros"),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["distros", "binaryURL", "arch"]), inner),
    ).map(lambda value: answer(value).partition(b"\r\n\r\n")[2])
)
def test_no_status_is_a_fault(text):
    assert isinstance(parse_status(text), PackageManagerStatus | None)


# --- whatever else answers ------------------------------------------------------------------------------------------
FAILURES = [
    (answer(b"broken", "500 Internal Server Error"), "answers 500"),
    (answer(b"", "401 Unauthorized"), "answers 401"),
    (answer(b"", "404 Not Found"), "answers 404"),
    (answer(b"", "204 No Content"), "answers 204"),
    (
        answer(b"<!doctype html><title>Sign in</title>", **{"Content-Type": "text/html"}),
        "not that of a Package Manager",
    ),
    (answer(b""), "not that of a Package Manager"),
    (answer(b"{"), "not that of a Package Manager"),
    (answer(b"[" * 200_000), "not that of a Package Manager"),
    (answer(b"\xff\xfe{}"), "not that of a Package Manager"),
    (answer(b"9" * 5000), "not that of a Package Manager"),
    (answer([]), "not that of a Package Manager"),
    (answer({}), "not that of a Package Manager"),
    (answer({"status": "ok"}), "not that of a Package Manager"),
    (answer({"distros": {}}), "not that of a Package Manager"),
    (answer(STATUS, **{"Content-Length": "10"}), "not that of a Package Manager"),
    (answer(STATUS, "302 Found", Location="https://elsewhere.example.com/"), "it redirects (302)"),
    (answer(STATUS, "308 Permanent Redirect", Location="/__api__/status"), "it redirects (308)"),
    (answer(b" " * (MAX_ANSWER + 1)), "no end"),
    (b"SSH-2.0-OpenSSH_9.9\r\n", "not HTTP"),
    (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", "not HTTP"),
    (answer(b"zz\r\n", **{"Transfer-Encoding": "chunked"}), "not HTTP"),
    (b"", "not HTTP"),
]


@pytest.mark.parametrize(("chunks", "reason"), FAILURES)
def test_whatever_else_answers_is_no_package_manager_and_the_build_log_says_why(server, chunks, reason):
    """A redirect is not followed either (T14)."""
    url = f"{server.url}/cran/__linux__/focal/latest"
    server.chunks = chunks

    (kept,) = rewritten([url], Mode.AUTO, JAMMY, Statuses())

    assert url == kept.after
    assert f"{server.url} is not treated as a Package Manager: " in kept.reason
    assert reason in kept.reason
    assert 1 == len(server.asked)


def test_an_endless_answer_is_given_up_at_its_limit(server):
    """(T8)"""
    server.chunks = endless()

    assert NotAPackageManager("its status answer has no end") == status_of(server.url)


@pytest.mark.parametrize("head", [b"", answer(b"")], ids=["silent", "drips"])
def test_a_server_that_is_silent_or_drips_is_given_up_after_the_time_for_the_whole_answer(server, head):
    """Each byte comes in time; the answer never does (T8)."""
    server.chunks, server.drip = itertools.chain([head], itertools.repeat(head and b" ")), 0.02
    started = time.monotonic()

    told = status_of(server.url, seconds=0.2)

    assert "no complete answer within 0.2 seconds" in told.reason
    assert 3 > time.monotonic() - started


def test_nobody_there():
    assert "its status cannot be read: Connection refused" == status_of(f"http://127.0.0.1:{closed_port()}").reason


class TestTls:
    @pytest.fixture
    def secure(self):
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        with status_server(context) as started:
            started.authority = authority
            yield started

    def test_a_certificate_is_verified(self, secure):
        told = status_of(secure.url)

        assert "its certificate is not trusted" in told.reason
        assert "SSL_CERT_FILE" in told.reason
        assert [] == secure.asked

    def test_an_authority_that_was_named_is_trusted(self, secure):
        context = ssl.create_default_context()
        secure.authority.configure_trust(context)

        assert "2026.10.0" == status_of(secure.url, tls=context).version

    def test_ssl_cert_file_is_honoured(self, secure, monkeypatch, tmp_path):
        secure.authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))

        assert "2026.10.0" == status_of(secure.url).version

    def test_cleartext_where_tls_was_expected(self, server):
        assert "its status cannot be read" in status_of(server.url.replace("http:", "https:")).reason


# --- asked once -----------------------------------------------------------------------------------------------------
def test_a_server_is_asked_once_for_all_its_repositories(server):
    statuses = Statuses()
    urls = [f"{server.url}/{name}/__linux__/focal/latest" for name in ("cran", "internal", "bioconductor")]

    first = rewritten(urls, Mode.AUTO, JAMMY, statuses)
    again = rewritten(urls, Mode.FORCE_SOURCE, JAMMY, statuses)

    assert [f"{server.url}/{name}/__linux__/jammy/latest" for name in ("cran", "internal", "bioconductor")] == [
        each.after for each in first
    ]
    assert f"{server.url}/cran/latest" == again[0].after
    assert ["/__api__/status"] == [path for path, _ in server.asked]


def test_a_failure_is_remembered_as_well(server):
    server.chunks = answer(b"", "503 Service Unavailable")
    statuses = Statuses()

    rewritten([f"{server.url}/cran/__linux__/focal/{number}" for number in range(5)], Mode.AUTO, JAMMY, statuses)

    assert 1 == len(server.asked)


def test_two_prefixes_are_two_servers(server):
    rewritten([f"{server.url}/{part}/cran/latest" for part in "aba"], Mode.FORCE_BINARY, JAMMY, Statuses())

    assert ["/a/__api__/status", "/b/__api__/status"] == [path for path, _ in server.asked]


def test_the_number_of_servers_that_are_asked_is_limited(server):
    urls = [f"{server.url}/p{number}/cran/__linux__/focal/latest" for number in range(MAX_SERVERS + 2)]

    done = rewritten([*urls, urls[0]], Mode.AUTO, JAMMY, Statuses())

    assert MAX_SERVERS == len(server.asked)
    assert [True] * MAX_SERVERS + [False, False, True] == [each.is_changed for each in done]
    assert f"{MAX_SERVERS} other servers were asked already" in done[MAX_SERVERS].reason


@pytest.mark.parametrize(
    ("mode", "urls"),
    [
        ("none", ["/cran/__linux__/focal/latest", "/cran/latest"]),
        ("auto", ["/cran/latest", "/cran/__linux__/manylinux_2_28/latest", "/pypi/latest/simple/", "/other"]),
    ],
)
def test_nobody_is_asked_where_no_answer_matters(server, mode, urls):
    given = [f"{server.url}{path}" for path in urls]

    done = rewritten(given, Mode(mode), JAMMY, Statuses())

    assert given == [each.after for each in done]
    assert [] == server.asked


# --- the build log --------------------------------------------------------------------------------------------------
def test_each_url_has_a_line(server):
    urls = [f"{server.url}/cran/__linux__/focal/latest", f"{server.url}/pypi/latest/simple"]

    lines = [line(each) for each in rewritten(urls, Mode.AUTO, JAMMY, Statuses())]

    became = f"{server.url}/cran/__linux__/jammy/latest"
    assert f"{urls[0]} becomes {became}: this host is jammy, x86_64, and its binaries are served" == lines[0]
    assert f"{urls[1]} stays: it is a Python index, which is never touched" == lines[1]


@pytest.mark.parametrize(
    "url",
    [
        "https://alice:canary@host/cran/latest",
        "https://host/cran/latest?token=canary",
        "https://host/x\r\nbroker: all is well\x1b[2J",
        "https://host/" + "x" * 100_000,
    ],
)
def test_a_url_cannot_write_to_the_log(url):
    """(T35)"""
    told = line(Rewrite(url, url, "why \x1b[0m\n"))

    assert "canary" not in told
    assert told.isprintable()
    assert 1000 > len(told)


# --- this host ------------------------------------------------------------------------------------------------------
def test_the_first_os_release_that_is_there_counts(tmp_path):
    second, third = tmp_path / "b", tmp_path / "c"
    second.write_text("ID=debian\nVERSION_CODENAME=bookworm\n")
    third.write_text("ID=ubuntu\nVERSION_CODENAME=jammy\n")

    assert Host("bookworm", "arm64", "debian") == this_host([tmp_path / "a", second, third], "aarch64")


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\0", b"ID=ubuntu\n" + b"#" * 100_000])
def test_an_os_release_that_is_missing_or_none_is_a_host_that_is_not_known(tmp_path, content):
    file = tmp_path / "os-release"
    if content is not None:
        file.write_bytes(content)

    assert this_host([file], "x86_64").code is None
    assert this_host([tmp_path], "x86_64").code is None


@pytest.mark.needs("linux")
def test_an_os_release_without_end_is_read_to_its_limit():
    """(T8)"""
    assert this_host([Path("/dev/zero")], "x86_64").code is None


def test_this_machine_has_an_architecture():
    assert this_host(OS_RELEASE).architecture
