"""
Builds per second over HTTP, recorded durably, with the exchange answered in process (targets 1 and 5).
"""

import time
from datetime import UTC, datetime

from keys import Algorithm
from keys.backends.memory import MemoryKeyStore
from tests.bench.broker_app import FOLDER, data_folder
from tests.bench.load import drive, request, server

NAME = "builds"
TARGET = {"RS256": 1.65, "ES256": 8.0}
"""CPU of a build with one host, as a multiple of a bare signature."""

CONNECTIONS = 16


def main(*, quick=False):
    figures = {}
    print(f"{'':18} {'builds/s':>9} {'CPU µs':>8} {'÷ signature':>12} {'p50 ms':>7} {'p99 ms':>7} {'at half load':>13}")
    for algorithm in ("RS256", "ES256"):
        floor = signature(algorithm)
        figures[f"{algorithm} signature µs"] = floor
        for hosts in (1, 8):
            for workers in (1, 2):
                requests = (200 if quick else 4000) // (4 if hosts == 8 else 1)
                found, half = run(algorithm, hosts, workers, requests)
                name = f"{algorithm} {hosts} host{'s' if hosts > 1 else ''} x{workers}"
                ratio = found.cpu_us / (floor * hosts)
                figures[name] = {**vars(found), "ratio": ratio, "p99/p50 at half load": half.p99 / half.p50}
                print(
                    f"{name:18} {found.per_second:9.0f} {found.cpu_us:8.0f} {ratio:12.2f} {found.p50:7.2f} "
                    f"{found.p99:7.2f} {half.p99:8.2f} ({half.p99 / half.p50:.1f} x p50)",
                    flush=True,
                )
    print(f"targets, 1 host: CPU ÷ signature {TARGET['RS256']} (RS256), {TARGET['ES256']} (ES256); p99 ÷ p50 at most 4")
    return figures


def run(algorithm, hosts, workers, requests):
    with data_folder(algorithm, hosts) as (folder, key):
        message = request("POST", "/__api__/v1/builds", key=key, body=b'{"owner_username":"alice"}')
        with server("tests.bench.broker_app:create", workers, {FOLDER: str(folder)}) as (port, pid):
            full = drive(port, pid, message, requests=requests, connections=CONNECTIONS)
            # A few connections keep it about half busy; the latency of a saturated server says nothing.
            half = drive(port, pid, message, requests=requests // 2, connections=max(1, workers))
            return full, half


def signature(algorithm):
    """
    CPU of one signature in µs, the key held in memory: the floor that nothing gets under.
    """
    now = datetime.now(UTC)
    key = MemoryKeyStore().ensure([Algorithm(algorithm)], now).signing(Algorithm(algorithm), now)
    rounds = []
    for _ in range(5):
        began = time.process_time()
        for _ in range(300):
            key.sign(b"x" * 500)
        rounds.append((time.process_time() - began) / 300 * 1e6)
    return sorted(rounds)[2]


if __name__ == "__main__":
    main()
