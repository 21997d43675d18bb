"""
A server under load on loopback: started as its own processes, driven over keep-alive connections, measured in CPU.
"""

import asyncio
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Figures:
    """What a load did: requests per second, CPU of the server per request in µs, latencies in ms."""

    per_second: float
    cpu_us: float
    p50: float
    p99: float


@contextmanager
def server(factory, workers, environ):
    """
    Run `uvicorn --factory` with this many workers and yield its port and process.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "uvicorn", factory, "--factory", "--port", str(port), "--workers", str(workers),
        "--no-access-log", "--log-level", "error",
    ]  # fmt: skip
    process = subprocess.Popen(command, env={**os.environ, **environ})
    try:
        wait_for(port)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(20)


def wait_for(port):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), 1):
                return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port}")


def cpu_seconds(pid):
    """
    CPU of a process and all of its children so far.
    """
    total = 0.0
    for one in [pid, *_children(pid)]:
        fields = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
        total += (int(fields[11]) + int(fields[12])) / TICKS
    return total


def _children(pid):
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield child
            yield from _children(child)


def request(method, path, *, key=None, body=b"", headers=""):
    authorization = f"Authorization: Key {key.reveal()}\r\n" if key else ""
    return (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{authorization}{headers}"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def drive(port, pid, message, *, requests, connections, status=b"200"):
    """
    Send one message over and over; every answer must have the status.
    """
    asyncio.run(_drive(port, message, connections * 8, connections, status))  # warm
    before, began = cpu_seconds(pid), time.perf_counter()
    latencies = sorted(asyncio.run(_drive(port, message, requests, connections, status)))
    took = time.perf_counter() - began
    cpu = (cpu_seconds(pid) - before) * 1e6 / requests
    return Figures(requests / took, cpu, _quantile(latencies, 0.5), _quantile(latencies, 0.99))


def _quantile(latencies, share):
    return latencies[min(len(latencies) - 1, int(len(latencies) * share))] * 1000


async def _drive(port, message, requests, connections, status):
    latencies = []
    left = requests

    async def connection(number):
        nonlocal left
        # One after the other, so that each worker has a chance to accept some of them.
        await asyncio.sleep(number * 0.005)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while left > 0:
            left -= 1
            began = time.perf_counter()
            writer.write(message)
            head = await reader.readuntil(b"\r\n\r\n")
            if head[9:12] != status:
                raise RuntimeError(f"the server answered {head[:200]!r}")
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length or b"0"))
            latencies.append(time.perf_counter() - began)
        writer.close()
        await writer.wait_closed()

    async with asyncio.timeout(120):
        await asyncio.gather(*(connection(number) for number in range(connections)))
    return latencies
