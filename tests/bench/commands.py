"""
How long people wait: `broker --help`, a server until it answers, `broker run` around a command (targets 7 and 8).
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.load import wait_for

NAME = "commands"
BROKER = [sys.executable, "-m", "broker"]


def main(*, quick=False):
    rounds = 3 if quick else 9
    with tempfile.TemporaryDirectory(prefix="broker-bench-") as folder:
        data = Path(folder) / "broker"
        port = 18_000 + os.getpid() % 10_000
        said = subprocess.run(
            [*BROKER, "init", "--issuer", f"http://127.0.0.1:{port}/", "--data-dir", data, "--port", str(port)],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        help_seconds = median(lambda: run([*BROKER, "--help"]), rounds)
        began = time.perf_counter()
        with subprocess.Popen([*BROKER, "serve", "--data-dir", data], stderr=subprocess.DEVNULL) as server:
            try:
                wait_for(port)
                ready = time.perf_counter() - began
                environ = {
                    **os.environ,
                    "BROKER_SERVER": f"http://127.0.0.1:{port}",
                    "BROKER_API_KEY": re.search(r"pcb_\w+", said)[0],
                    "BROKER_RUN_DIR": str(Path(folder) / "run"),
                }
                (Path(folder) / "run").mkdir(mode=0o700)
                around = median(lambda: run([*BROKER, "run", "--owner", "admin", "--", "true"], environ), rounds)
                memory = int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{server.pid}/status").read_text())[1]) / 1024
            finally:
                server.terminate()
        bare = median(lambda: run(["true"]), rounds)
    rows = (
        ("broker --help", help_seconds * 1000, "ms", 300),
        ("server ready", ready * 1000, "ms", 1500),
        ("broker run, over the command", (around - bare) * 1000, "ms", 150),
        ("memory of a worker", memory, "MiB", 120),
    )
    for name, figure, unit, target in rows:
        print(f"{name:30} {figure:6.0f} {unit} (target at most {target})")
    return {name: figure for name, figure, _, _ in rows}


def run(command, environ=None):
    subprocess.run(command, env=environ, check=True, capture_output=True)


def median(work, rounds):
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return statistics.median(took)


if __name__ == "__main__":
    main()
