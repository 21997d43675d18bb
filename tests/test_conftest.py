"""
The guards that every other test relies on.
"""

import asyncio
import socket
import subprocess
import sys

import pytest

TEST_NET = ("192.0.2.1", 443)
"""RFC 5737: nobody is there, so nothing is reached even if the guard fails."""


def test_an_outside_address_fails_the_test():
    with pytest.raises(Exception, match=r"192\.0\.2\.1"):
        socket.create_connection(TEST_NET, timeout=1)


async def test_an_outside_address_fails_a_coroutine_test():
    with pytest.raises(Exception, match=r"192\.0\.2\.1"):
        await asyncio.wait_for(asyncio.open_connection(*TEST_NET), 1)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2"])
async def test_both_loopback_hosts_are_open_to_asyncio(host):
    server = await asyncio.start_server(lambda _, writer: writer.close(), host, 0)
    async with server:
        reader, writer = await asyncio.open_connection(host, server.sockets[0].getsockname()[1])
        received = await reader.read()
        writer.close()
        await writer.wait_closed()

    assert b"" == received


async def test_unix_sockets_are_open(tmp_path):
    server = await asyncio.start_unix_server(lambda _, writer: writer.close(), tmp_path / "s")
    async with server:
        _, writer = await asyncio.open_unix_connection(tmp_path / "s")
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(("ci", "expected"), [("false", "1 skipped"), ("true", "1 error")])
def test_a_missing_system_part_is_a_loud_skip_and_in_ci_a_failure(tmp_path, ci, expected, request):
    test = tmp_path / "test_it.py"
    test.write_text("import pytest\n\n@pytest.mark.needs('no-such-program')\ndef test_it(): pass\n")

    command = [sys.executable, "-m", "pytest", "-c", str(request.config.inipath), "-p", "no:cacheprovider"]
    ran = subprocess.run(
        [*command, "-p", "tests.conftest", "--rootdir", str(tmp_path), str(test)],
        env={"CI": ci, "PATH": "/usr/bin:/bin", "PYTHONPATH": str(request.config.rootpath)},
        cwd=request.config.rootpath,
        capture_output=True,
        text=True,
        check=False,
    )

    assert expected in ran.stdout
    assert "apt-get install no-such-program" in ran.stdout
