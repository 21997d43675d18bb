"""
The real client on real sockets, with the servers that one hopes not to meet.
"""

import asyncio
import socket
import ssl
import struct
import time
from contextlib import AsyncExitStack

import httpx
import pytest
import trustme

from broker.clients.addresses import AddressPolicy
from broker.clients.http import MAX_PER_HOST, open_http_client
from broker.clients.package_manager import HttpPackageManager, Limits
from broker.domain.package_manager import PackageManagerUrl
from broker.errors import (
    AnswerNotUnderstood,
    AnswerTooLarge,
    FileFault,
    PackageManagerTimeout,
    PackageManagerUnreachable,
    PackageManagerUntrusted,
    RedirectRefused,
)
from tests.clients.servers import StaticResolver, answering, listening, saying, token_response

pytestmark = pytest.mark.anyio

OK = b"HTTP/1.1 200 OK\r\n"


def dripping(start, drop):
    """Bytes that keep coming, each soon enough for a timeout between bytes."""

    async def respond(writer):
        writer.write(start)
        while True:
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(0.02)

    return respond


async def never(writer):
    await asyncio.Event().wait()


# --- what is sent ---------------------------------------------------------------------------------------------------
async def test_only_the_headers_of_the_allowlist_are_sent(client, clock, assertion):
    """
    T36: whatever somebody has put into the client, cookies and credentials included.
    """
    client.headers["Authorization"] = "Bearer ambient"
    client.headers["X-Ambient"] = "1"
    client.auth = ("ambient", "secret")
    async with listening(answering(token_response())) as there:
        await HttpPackageManager(client, clock=clock).exchange(there.url, assertion)

        sent = there.headers()
        assert "package-credential-broker" == sent.pop("user-agent")
        assert "application/json" == sent.pop("accept")
        assert "identity" == sent.pop("accept-encoding")
        assert "application/x-www-form-urlencoded" == sent.pop("content-type")
        assert f"127.0.0.1:{there.port}" == sent.pop("host")
        assert sent.pop("content-length").isdecimal()
        assert {} == sent


async def test_the_assertion_is_in_the_body_alone(package_manager, assertion):
    async with listening(answering(token_response())) as there:
        await package_manager.exchange(there.url, assertion)

        assert b"POST /rspm/__api__/token HTTP/1.1" == there.heads[0].splitlines()[0]
        assert assertion.reveal()[-12:].encode() not in there.heads[0]
        assert {
            "grant_type": ["urn:ietf:params:oauth:grant-type:token-exchange"],
            "subject_token": [assertion.reveal()],
            "subject_token_type": ["urn:ietf:params:oauth:token-type:id_token"],
        } == there.forms[0]


async def test_neither_netrc_nor_proxies_of_the_environment_are_used(clock, assertion, tmp_path, monkeypatch):
    """
    T36: both would carry the assertion, or a foreign credential, somewhere else.
    """
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ambient password secret\ndefault login ambient password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with listening(answering(b"")) as trap, listening(answering(token_response())) as there:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{trap.port}")
        async with open_http_client(timeout=2, ca_file=None, addresses=AddressPolicy(allow_loopback=True)) as client:
            await HttpPackageManager(client, clock=clock).exchange(there.url, assertion)

        assert 0 == trap.connections
        assert "authorization" not in there.headers()


async def test_a_cookie_is_not_kept(package_manager, client, assertion):
    async with listening(answering(token_response(), headers="Set-Cookie: session=1; Path=/\r\n")) as there:
        await package_manager.exchange(there.url, assertion)
        await package_manager.exchange(there.url, assertion)

        assert 2 == len(there.heads)
        assert "cookie" not in there.headers()
    assert [] == list(client.cookies.jar)
    with pytest.raises(NotImplementedError):
        client.cookies = {"session": "1"}


async def test_a_connection_serves_many_exchanges(package_manager, assertion):
    async with listening(answering(token_response())) as there:
        for _ in range(5):
            await package_manager.exchange(there.url, assertion)

        assert (1, 5) == (there.connections, len(there.heads))


# --- where it is not sent -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_the_target_of_a_redirect_is_never_contacted(package_manager, assertion, status):
    """
    307 and 308 would repeat the body, and with it the assertion (T14).
    """
    async with listening(answering(token_response())) as trap:
        location = f"Location: http://127.0.0.1:{trap.port}/__api__/token\r\n"
        async with listening(answering(b"", status=status, headers=location)) as there:
            with pytest.raises(RedirectRefused):
                await package_manager.exchange(there.url, assertion)

            assert 1 == len(there.heads)
        assert 0 == trap.connections


async def test_nothing_is_sent_twice_when_the_connection_breaks(package_manager, assertion):
    """
    An assertion is for one use: whether it has been used is unknown now.
    """
    async with listening(saying(b"")) as there:
        with pytest.raises(PackageManagerUnreachable):
            await package_manager.exchange(there.url, assertion)

        assert 1 == len(there.heads)


# --- answers that do not end, or come too slowly --------------------------------------------------------------------
@pytest.mark.parametrize(
    "head",
    [
        OK + b"\r\n",
        OK + b"Content-Length: 200000000\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n",
    ],
    ids=["until closed", "200 MB", "chunked"],
)
async def test_an_endless_body_is_not_read_to_its_end(package_manager, assertion, head):
    """
    T14
    """
    chunk = b"1000\r\n" + b" " * 0x1000 + b"\r\n"
    written = 0

    async def respond(writer):
        nonlocal written
        writer.write(head)
        while True:
            writer.write(chunk)
            written += len(chunk)
            await writer.drain()

    async with listening(respond) as there:
        with pytest.raises(AnswerTooLarge):
            await package_manager.exchange(there.url, assertion)

    assert written < 20_000_000  # what fits into the buffers of two sockets


@pytest.mark.parametrize(
    ("start", "drop"),
    [
        (OK + b"Content-Length: 60000\r\n\r\n", b" "),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (OK, b"X: y\r\n"),
        (b"HTTP/1.1 ", b"1"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 60000\r\n\r\n", b" "),
    ],
    ids=["body", "chunks", "headers", "status line", "100 continue", "error body"],
)
async def test_a_drip_of_bytes_does_not_move_the_deadline(hasty, assertion, start, drop):
    """
    T14
    """
    before = time.monotonic()
    async with listening(dripping(start, drop)) as there:
        with pytest.raises((PackageManagerTimeout, AnswerNotUnderstood)) as failed:
            await hasty.exchange(there.url, assertion)

    assert time.monotonic() - before < 2
    if drop == b" ":
        assert PackageManagerTimeout is type(failed.value)


async def test_a_server_that_never_answers_is_a_timeout(hasty, assertion):
    async with listening(never) as there:
        with pytest.raises(PackageManagerTimeout, match="no complete answer in time") as failed:
            await hasty.exchange(there.url, assertion)

    assert failed.value.retryable


async def test_a_server_that_never_accepts_is_a_timeout(clock, assertion):
    """
    The backlog is full, so not even the connection is made.
    """
    async with AsyncExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(full.getsockname())
        addresses = AddressPolicy(allow_loopback=True)
        client = await stack.enter_async_context(open_http_client(timeout=0.3, ca_file=None, addresses=addresses))
        url = PackageManagerUrl.parse(f"http://127.0.0.1:{full.getsockname()[1]}")
        with pytest.raises(PackageManagerTimeout):
            await HttpPackageManager(client, clock=clock, limits=Limits(deadline=5)).exchange(url, assertion)


async def test_one_that_hangs_does_not_hold_up_the_others(package_manager, assertion):
    async with AsyncExitStack() as stack:
        hanging = await stack.enter_async_context(listening(never))
        others = [await stack.enter_async_context(listening(answering(token_response()))) for _ in range(7)]
        stuck = asyncio.ensure_future(package_manager.exchange(hanging.url, assertion))
        async with asyncio.timeout(2):
            given = await asyncio.gather(*(package_manager.exchange(other.url, assertion) for other in others))

        assert 7 == len(given)
        assert not stuck.done()
        stuck.cancel()
        await asyncio.wait([stuck])


async def test_one_that_hangs_cannot_use_up_the_connections_of_the_others(package_manager, assertion):
    async with listening(never) as hanging, listening(answering(token_response())) as other:
        stuck = [
            asyncio.ensure_future(package_manager.exchange(hanging.url, assertion)) for _ in range(MAX_PER_HOST + 10)
        ]
        async with asyncio.timeout(4):
            await hanging.reached(MAX_PER_HOST)
            given = await package_manager.exchange(other.url, assertion)

        assert given
        assert MAX_PER_HOST == hanging.connections
        for exchange in stuck:
            exchange.cancel()
        await asyncio.wait(stuck)


async def test_a_cancelled_exchange_is_cancelled(package_manager, assertion):
    """
    The caller's own deadline, or a shutdown, is no failure of the Package Manager.
    """
    async with listening(never) as there:
        exchange = asyncio.ensure_future(package_manager.exchange(there.url, assertion))
        async with asyncio.timeout(2):
            await there.reached()
        exchange.cancel()
        with pytest.raises(asyncio.CancelledError):
            await exchange


# --- connections that break -----------------------------------------------------------------------------------------
async def test_nobody_listening_is_unreachable(package_manager, assertion):
    with socket.create_server(("127.0.0.1", 0)) as closed_soon:
        port = closed_soon.getsockname()[1]
    with pytest.raises(PackageManagerUnreachable, match=f"127.0.0.1:{port}: Connection refused"):
        await package_manager.exchange(PackageManagerUrl.parse(f"http://127.0.0.1:{port}"), assertion)


async def test_an_unknown_name_is_unreachable(package_manager, assertion):
    """
    RFC 6761: nothing below .invalid ever resolves.
    """
    with pytest.raises(PackageManagerUnreachable, match="host name was not found"):
        await package_manager.exchange(PackageManagerUrl.parse("https://nobody.invalid"), assertion)


@pytest.mark.parametrize(
    "start",
    [b"", b"HTTP/1.1 20", OK + b"Content-Length: 900\r\n\r\n{", OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"],
    ids=["at once", "in the status line", "in the body", "between chunks"],
)
@pytest.mark.parametrize("reset", [True, False], ids=["reset", "closed"])
async def test_a_connection_that_breaks_is_unreachable(package_manager, assertion, start, reset):
    async def respond(writer):
        writer.write(start)
        await writer.drain()
        if reset:
            await asyncio.sleep(0.02)
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.close()

    async with listening(respond) as there:
        with pytest.raises(PackageManagerUnreachable) as failed:
            await package_manager.exchange(there.url, assertion)

    assert failed.value.retryable


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00\xff\x15\x03\x01",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"220 mail.example.com ESMTP\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        OK + b"no colon here\r\n\r\n",
        OK + b"Content-Length: -5\r\n\r\n",
        OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}",
        OK + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n{}",
        OK + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
        OK + b"X: y\r\n" * 10_000 + b"\r\n",
        b"HTTP/1.1 200 " + b"y" * 100_000 + b"\r\n\r\n",
        OK + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b",
    ],
    ids=lambda raw: repr(raw[:40]),
)
async def test_whatever_is_answered_only_leaves_of_exchange_failed_come_out(package_manager, assertion, raw):
    async with listening(saying(raw)) as there:
        with pytest.raises((AnswerNotUnderstood, PackageManagerUnreachable)) as failed:
            await package_manager.exchange(there.url, assertion)

    assert failed.value.__context__ is None


# --- TLS ------------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def ca_file(authority, tmp_path):
    authority.cert_pem.write_to_path(tmp_path / "ca.crt")
    return tmp_path / "ca.crt"


async def tls_exchange(authority, ca_file, clock, assertion, *, certified="ppm.example"):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(certified).configure_cert(context)
    addresses = AddressPolicy(allow_loopback=True)
    resolver = StaticResolver("127.0.0.1")
    async with listening(answering(token_response()), tls=context) as there:
        url = PackageManagerUrl.parse(f"https://ppm.example:{there.port}")
        client = open_http_client(timeout=2, ca_file=ca_file, addresses=addresses, resolver=lambda: resolver)
        async with client:
            return there, await HttpPackageManager(client, clock=clock).exchange(url, assertion)


async def test_a_certificate_authority_of_the_settings_is_trusted(authority, ca_file, clock, assertion):
    there, given = await tls_exchange(authority, ca_file, clock, assertion)

    assert given.expires_time
    assert 1 == len(there.heads)


async def test_an_unknown_certificate_authority_gets_no_assertion(authority, clock, assertion):
    with pytest.raises(PackageManagerUntrusted, match="unable to get local issuer certificate") as failed:
        await tls_exchange(authority, None, clock, assertion)

    assert not failed.value.retryable


async def test_a_certificate_for_another_host_gets_no_assertion(authority, ca_file, clock, assertion):
    with pytest.raises(PackageManagerUntrusted, match=r"not valid for 'ppm\.example'"):
        await tls_exchange(authority, ca_file, clock, assertion, certified="other.example")


async def test_a_server_without_tls_is_not_spoken_to_in_the_clear(package_manager, assertion):
    received = bytearray()

    async def complain(reader, writer):
        received.extend(await reader.read(4096))
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        received.extend(await reader.read())
        writer.close()

    async with await asyncio.start_server(complain, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(PackageManagerUnreachable, match="no TLS connection"):
            await package_manager.exchange(PackageManagerUrl.parse(f"https://127.0.0.1:{port}"), assertion)

    assert received
    assert b"subject_token" not in received


@pytest.mark.parametrize("content", [None, b"", b"not a certificate", b"\x00\xff"], ids=repr)
def test_a_bad_file_of_authorities_is_told_at_the_start(tmp_path, content):
    if content is not None:
        (tmp_path / "ca.crt").write_bytes(content)

    with pytest.raises(FileFault, match=r"ca\.crt"):
        open_http_client(timeout=2, ca_file=tmp_path / "ca.crt", addresses=AddressPolicy())


# --- the life of the client -----------------------------------------------------------------------------------------
async def test_after_closing_nobody_is_asked(clock, assertion):
    async with listening(answering(token_response())) as there:
        client = open_http_client(timeout=2, ca_file=None, addresses=AddressPolicy(allow_loopback=True))
        manager = HttpPackageManager(client, clock=clock)
        await manager.exchange(there.url, assertion)
        await client.aclose()
        with pytest.raises(PackageManagerUnreachable, match="shutting down"):
            await manager.exchange(there.url, assertion)

        assert 1 == len(there.heads)


async def test_a_client_that_was_never_used_closes_too():
    client = open_http_client(timeout=2, ca_file=None, addresses=AddressPolicy())
    await client.aclose()

    assert client.is_closed


def test_a_client_may_be_opened_before_there_is_a_loop(clock, assertion):
    """
    The composition root is plain code; the session is born in the loop that sends the first request.
    """
    client = open_http_client(timeout=2, ca_file=None, addresses=AddressPolicy(allow_loopback=True))

    async def use():
        async with client, listening(answering(token_response())) as there:
            return await HttpPackageManager(client, clock=clock).exchange(there.url, assertion)

    assert asyncio.run(use()).token


async def test_any_httpx_client_will_do(clock, assertion):
    """
    The port depends on httpx's interface only, which is what lets tests inject a transport.
    """
    async with listening(answering(token_response())) as there, httpx.AsyncClient(trust_env=False) as client:
        assert await HttpPackageManager(client, clock=clock).exchange(there.url, assertion)
