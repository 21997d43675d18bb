"""
The real HTTP client, against a real server on loopback.
"""

import asyncio
import contextlib

import pytest

from broker.emulator.fetching import MAX_DOCUMENT, HttpFetch
from broker.emulator.refusals import IssuerUnavailable

pytestmark = pytest.mark.anyio


@contextlib.asynccontextmanager
async def serving(*chunks):
    """Answer each connection with these bytes, None being a pause; yields the URL and what was asked."""
    asked, answering = [], []

    async def answer(reader, writer):
        answering.append(asyncio.current_task())
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        with contextlib.suppress(ConnectionError):
            for chunk in chunks:
                if chunk is None:
                    await asyncio.sleep(0.1)
                else:
                    writer.write(chunk)
                    await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x", asked
    await asyncio.gather(*answering)


HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"


async def test_a_document_is_fetched_with_its_headers():
    async with serving(HEAD, b"Cache-Control: max-age=5\r\nContent-Length: 2\r\n\r\n{}") as (url, _):
        document = await HttpFetch()(url)

    assert (200, b"{}", "max-age=5") == (document.status, document.body, document.headers["cache-control"])


async def test_nothing_of_the_environment_is_sent(monkeypatch, tmp_path):
    """(T14, T43)"""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login alice password hunter2\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")

    async with serving(HEAD, b"Content-Length: 2\r\n\r\n{}") as (url, asked):
        await HttpFetch()(url)

    assert b"authorization" not in asked[0].lower()


async def test_a_redirect_is_not_followed():
    """(T14)"""
    async with (
        serving(HEAD, b"Content-Length: 2\r\n\r\n{}") as (other, asked),
        serving(f"HTTP/1.1 302 Found\r\nLocation: {other}\r\nContent-Length: 0\r\n\r\n".encode()) as (url, _),
    ):
        document = await HttpFetch()(url)

    assert 302 == document.status
    assert [] == asked


async def test_a_large_document_is_not_read_to_its_end():
    """(T14)"""
    async with serving(HEAD, b"\r\n", *[b" " * 65536] * (20 * MAX_DOCUMENT // 65536)) as (url, _):
        with pytest.raises(IssuerUnavailable, match="more than"):
            await HttpFetch()(url)


async def test_a_document_that_drips_is_given_up():
    """(T14)"""
    async with serving(HEAD, b"Content-Length: 9\r\n\r\n{", *[b" ", None] * 5) as (url, _):
        with pytest.raises(IssuerUnavailable, match="no complete answer"):
            await HttpFetch(timeout=0.2)(url)


async def test_nobody_there_is_told():
    async with serving() as (url, _):
        pass

    with pytest.raises(IssuerUnavailable, match="cannot be fetched"):
        await HttpFetch()(url)


async def test_an_answer_that_is_not_http_is_told():
    async with serving(b"SSH-2.0-x\r\n\r\n") as (url, _):
        with pytest.raises(IssuerUnavailable, match="cannot be fetched"):
            await HttpFetch()(url)
