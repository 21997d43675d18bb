"""
What only a real server on a real socket can show: bodies that are not read, connections that close, curl.
"""

import asyncio
import contextlib
import json
import socket
import time

import pytest
import uvicorn

from tests.web.site import PPM, V1

pytestmark = [pytest.mark.e2e]


@pytest.fixture
async def address(broker):
    """
    Serve the broker as `broker serve` does, on a free port.
    """
    config = uvicorn.Config(
        broker.app, lifespan="off", log_config=None, access_log=False, server_header=False, timeout_keep_alive=5
    )
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # pytest keeps its own
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        deadline = time.monotonic() + 10
        while not server.started:
            assert time.monotonic() < deadline, "the server does not start"
            await asyncio.sleep(0.005)
        yield listener.getsockname()
        server.should_exit = True
        await serving


class Connection:
    """A connection on which a test writes bytes and reads answers."""

    def __init__(self, reader, writer):
        self.reader, self.writer, self.sent = reader, writer, 0

    def send(self, data):
        self.sent += len(data)
        self.writer.write(data)

    def request(self, method, path, *headers, body=b""):
        lines = [f"{method} {path} HTTP/1.1", "Host: broker", *headers, "", ""]
        self.send("\r\n".join(lines).encode() + body)

    async def answer(self, *, body=True):
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        length = int(headers.get("content-length", 0)) if body else 0
        return int(head[0].split()[1]), headers, await asyncio.wait_for(self.reader.readexactly(length), 10)

    async def is_closed(self):
        with contextlib.suppress(ConnectionResetError):
            return b"" == await asyncio.wait_for(self.reader.read(1), 10)
        return True


@pytest.fixture
async def connection(address):
    reader, writer = await asyncio.open_connection(*address)
    yield Connection(reader, writer)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


def key(broker, name="admin"):
    return f"Authorization: {broker.headers(name)['Authorization']}"


@pytest.mark.parametrize("path", [f"{V1}/builds", f"{V1}/groups"])
async def test_ten_megabytes_are_refused_before_they_are_sent(broker, connection, path):
    """
    The answer comes after the headers; the connection closes, so that the body is nobody's next request.
    """
    connection.request("POST", path, key(broker), f"Content-Length: {10 * 1024 * 1024}")

    status, headers, body = await connection.answer()

    assert 413 == status
    assert 9013 == json.loads(body)["code"]
    assert "close" == headers["connection"]
    assert await connection.is_closed()


@pytest.mark.parametrize("path", [f"{V1}/builds", f"{V1}/groups"])
async def test_an_endless_body_in_chunks_is_cut_off(broker, connection, path):
    """
    The server hangs up soon after the limit (T8); a caller who still sends may lose the answer to that.
    """
    connection.request("POST", path, key(broker), "Transfer-Encoding: chunked")
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"

    async def pour():
        with contextlib.suppress(ConnectionError):
            while connection.sent < 200 * 1024 * 1024:
                connection.send(chunk)
                await connection.writer.drain()

    pouring = asyncio.create_task(pour())
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        status, headers, _ = await connection.answer()
        assert (413, "close") == (status, headers["connection"])
    await asyncio.wait_for(pouring, 10)

    assert await connection.is_closed()
    assert connection.sent < 50 * 1024 * 1024


async def test_a_connection_is_used_again_after_ordinary_errors(broker, connection):
    statuses = []
    for method, path, headers in (
        ("GET", f"{V1}/user", []),
        ("GET", "/nowhere", [key(broker)]),
        ("POST", f"{V1}/groups", [key(broker), "Content-Length: 1"]),
        ("GET", f"{V1}/user", [key(broker)]),
    ):
        connection.request(method, path, *headers, body=b"{" if method == "POST" else b"")
        statuses.append((await connection.answer())[0])

    assert [401, 404, 400, 200] == statuses


async def test_head_has_the_headers_of_get_and_no_body(connection):
    connection.request("GET", "/openid/v1/jwks")
    _, got, _ = await connection.answer()
    connection.request("HEAD", "/openid/v1/jwks")
    status, head, _ = await connection.answer(body=False)
    connection.request("GET", "/healthz")

    assert 200 == status
    assert (got["content-length"], got["etag"]) == (head["content-length"], head["etag"])
    assert 200 == (await connection.answer())[0]


async def test_a_head_that_is_refused_keeps_the_connection_in_step(broker, connection):
    connection.request("HEAD", f"{V1}/user", key(broker))
    status, headers, _ = await connection.answer(body=False)
    connection.request("GET", "/healthz")

    assert (405, "GET") == (status, headers["allow"])
    assert (200, b'{"status":"ok"}') == (await connection.answer())[::2]


async def test_a_caller_who_asks_for_close_gets_it(connection):
    connection.request("GET", "/healthz", "Connection: close")
    status, _, _ = await connection.answer()

    assert 200 == status
    assert await connection.is_closed()


async def test_an_enormous_header_is_refused_and_the_server_lives_on(broker, address, connection):
    """
    10 MB of key: refused by the server or by us, quickly, and nothing of it is said again (T8).
    """
    begun = time.monotonic()
    with contextlib.suppress(ConnectionError):
        connection.request("GET", f"{V1}/user", f"Authorization: Key {'x' * 10_000_000}")
        await connection.writer.drain()
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        status, _, body = await connection.answer()
        assert status in {400, 401, 431}
        assert len(body) < 1000

    assert time.monotonic() - begun < 5
    reader, writer = await asyncio.open_connection(*address)
    other = Connection(reader, writer)
    other.request("GET", f"{V1}/user", key(broker))
    assert 200 == (await other.answer())[0]
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    "headers",
    [
        ["Content-Length: 5", "Content-Length: 6"],
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
        ["Content-Length: -1"],
        ["Content-Length: 99999999999999999999999999"],
        ["Transfer-Encoding: nonsense"],
        ["X: a\r\n b"],
        ["Bad Header: x"],
        ["Host: second"],
    ],
    ids=str,
)
async def test_a_malformed_request_never_gets_a_good_answer_twice(broker, connection, headers):
    """
    Requests that two readers would cut differently (smuggling) end with the connection.
    """
    smuggled = f"GET {V1}/user HTTP/1.1\r\nHost: broker\r\n{key(broker)}\r\n\r\n"
    connection.request("POST", "/oauth/token", *headers, body=b"0\r\n\r\n" + smuggled.encode())

    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        status, _, _ = await connection.answer()
        assert 400 <= status < 500


async def run(*command):
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert 0 == process.returncode, err.decode()
    return out.decode()


@pytest.mark.needs("curl")
async def test_the_curl_command_of_the_vendors_guide_works_as_it_stands(broker, address, program):
    """
    The very options of the guide: -X POST, -H Authorization, -d with JSON and no content type.
    """
    host, port = address
    body = f"""{{
      "template": "ppm",
      "name": "Internal Packages Access",
      "description": "Package Manager access",
      "config": {{
        "ppm_url": "{PPM}",
        "scopes": "repos:read:*"
      }},
      "permissions": [ {{ "user_guid": null, "group_guid": "{broker.world.guids["analysts"]}" }} ]
    }}"""

    said = await run(
        program("curl"), "--silent", "--include", "-X", "POST",
        "-H", key(broker),
        "-d", body,
        f"http://{host}:{port}{V1}/oauth/integrations",
    )  # fmt: skip

    head, _, shown = said.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 200 ")
    assert json.loads(shown) == (await broker.send("GET", "/oauth/integrations")).json()[-1]


@pytest.mark.needs("curl")
async def test_curl_is_told_at_once_that_a_file_is_too_large(broker, address, program, tmp_path):
    """
    With a large body, curl waits for `100 Continue`; it gets 413 instead.
    """
    host, port = address
    big = tmp_path / "big"
    big.write_bytes(b" " * (10 * 1024 * 1024))

    said = await run(
        program("curl"), "--silent", "--write-out", "%{http_code} %{size_upload}", "--output", "/dev/null",
        "-H", key(broker), "-H", "Expect: 100-continue", "--data-binary", f"@{big}",
        f"http://{host}:{port}{V1}/builds",
    )  # fmt: skip

    assert "413 0" == said
