"""
What one exchange costs in CPU, as a multiple of the leanest request that a bare aiohttp session can make.

Target 3 of the performance notes: at most 2 times, with 8, 32 and 128 in flight. A process of its own answers after
20 ms; both clients run on uvloop like the server does, interleaved, and medians of the rounds are compared.
"""

import argparse
import asyncio
import json
import multiprocessing
import statistics
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from urllib.parse import urlencode

import aiohttp
import uvloop

from broker.clients.addresses import AddressPolicy
from broker.clients.http import open_http_client
from broker.clients.package_manager import HttpPackageManager
from broker.domain.package_manager import PackageManagerUrl
from broker.domain.secrets import Secret
from broker.system.clock import SystemClock

NAME = "exchange-client"
TARGET = 2.0
IN_FLIGHT = (8, 32, 128)
ROUNDS = 3
REQUESTS = 1500
DELAY = 0.020

ASSERTION = f"eyJhbGciOiJSUzI1NiJ9.{'c' * 700}.{'s' * 342}"

Exchange = Callable[[], Awaitable[object]]


# --- the other side -------------------------------------------------------------------------------------------------
class StandIn(asyncio.Protocol):
    """Answers every request with the same token after DELAY; just enough HTTP for a keep-alive client."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._received = b""

    def connection_made(self, transport):
        self._transport = transport

    def data_received(self, data):
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if found and len(body) >= int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]):
            self._received = b""
            asyncio.get_running_loop().call_later(DELAY, self._transport.write, self._answer)


def serve(ready: Connection) -> None:
    """Tell the port through `ready`, then answer until the process is terminated."""

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(lambda: StandIn(_http_answer()), "127.0.0.1", 0)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(run())


def _http_answer() -> bytes:
    claims = urlsafe_b64encode(json.dumps({"iss": "packagemanager", "exp": int(time.time()) + 3600}).encode())
    token = f"eyJhbGciOiJSUzI1NiJ9.{claims.decode().rstrip('=')}.{'s' * 342}"
    body = json.dumps({"access_token": token, "token_type": "Bearer"}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


# --- the measurement ------------------------------------------------------------------------------------------------
async def cpu_per_request(exchange: Exchange, *, requests: int, in_flight: int) -> float:
    """Return microseconds of this process's CPU for each of `requests`, `in_flight` of them at any time."""
    remaining = iter(range(requests))

    async def worker() -> None:
        for _ in remaining:
            await exchange()

    before = time.process_time()
    await asyncio.gather(*(worker() for _ in range(in_flight)))
    return (time.process_time() - before) / requests * 1e6


def bare_exchange(session: aiohttp.ClientSession, url: str) -> Exchange:
    """Return the floor: a body that is ready, no deadline, no limit, no check of the answer."""
    body = urlencode({"grant_type": "token-exchange", "subject_token": ASSERTION}).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}

    async def exchange() -> object:
        async with session.post(url, data=body, headers=headers) as response:
            return json.loads(await response.read())

    return exchange


async def measure(port: int, *, requests: int) -> dict[str, object]:
    """Return for each number in flight the medians of both clients and the ratio's median, least and greatest."""
    url = PackageManagerUrl.parse(f"http://127.0.0.1:{port}")
    client = open_http_client(timeout=10, ca_file=None, addresses=AddressPolicy(allow_loopback=True))
    ours = HttpPackageManager(client, clock=SystemClock())
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=max(IN_FLIGHT)))
    figures: dict[str, object] = {}
    async with client, session:
        bare, full = bare_exchange(session, f"{url}/__api__/token"), lambda: ours.exchange(url, Secret(ASSERTION))
        for in_flight in IN_FLIGHT:
            figures[str(in_flight)] = await _compare(bare, full, requests=requests, in_flight=in_flight)
    return figures


async def _compare(bare: Exchange, full: Exchange, *, requests: int, in_flight: int) -> dict[str, float]:
    requests = min(requests, in_flight * 100)  # with few in flight it is the server's delay that takes the time
    for exchange in (bare, full):
        await cpu_per_request(exchange, requests=2 * in_flight, in_flight=in_flight)
    floors, costs = [], []
    for _ in range(ROUNDS):
        floors.append(await cpu_per_request(bare, requests=requests, in_flight=in_flight))
        costs.append(await cpu_per_request(full, requests=requests, in_flight=in_flight))
    ratios = [cost / floor for floor, cost in zip(floors, costs, strict=True)]
    return {
        "aiohttp_us": round(statistics.median(floors), 1),
        "exchange_us": round(statistics.median(costs), 1),
        "ratio": round(statistics.median(costs) / statistics.median(floors), 2),
        "least": round(min(ratios), 2),
        "greatest": round(max(ratios), 2),
    }


def main(*, quick: bool = False) -> dict[str, object]:
    """Run the stand-in and the measurement; about 25 seconds, a few with `quick`. Prints and returns the figures."""
    spawn = multiprocessing.get_context("spawn")
    told, ready = spawn.Pipe(duplex=False)
    server = spawn.Process(target=serve, args=(ready,), daemon=True)
    server.start()
    try:
        if not told.poll(20):
            raise RuntimeError("the stand-in did not start")
        in_flight = uvloop.run(measure(told.recv(), requests=200 if quick else REQUESTS))
    finally:
        server.terminate()
        server.join()
    figures: dict[str, object] = {"target": TARGET, "in_flight": in_flight}
    _print(figures)
    return figures


def _print(figures: dict[str, object]) -> None:
    print("in flight   aiohttp µs   exchange µs   ratio (least to greatest), target <= 2")
    for in_flight, figure in figures["in_flight"].items():  # type: ignore[attr-defined]
        print(
            f"{in_flight:>9} {figure['aiohttp_us']:>12} {figure['exchange_us']:>13}"
            f"   {figure['ratio']} ({figure['least']} to {figure['greatest']})"
        )


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true")
    main(quick=options.parse_args(sys.argv[1:]).quick)
