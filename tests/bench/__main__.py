"""
The benchmarks: `python -m tests.bench [name ...] [--quick] [--json]`.

Each prints what it measured as a ratio to a floor that it measures in the same run; only ratios travel between
machines. Nothing fails here. docs/benchmarks.md says what each figure means and what it is to be.
"""

import argparse
import json
import os
import platform
import sys

from tests.bench import builds, commands, decisions, documents, exchange_client

BENCHMARKS = {module.NAME: module for module in (builds, decisions, exchange_client, documents, commands)}


def main():
    options = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.splitlines()[1])
    options.add_argument("names", nargs="*", metavar="name", help=f"which ones: {', '.join(BENCHMARKS)}")
    options.add_argument("--quick", action="store_true", help="fewer requests: to see that it works")
    options.add_argument("--json", action="store_true", help="one JSON object, for keeping")
    chosen = options.parse_args()
    unknown = set(chosen.names) - set(BENCHMARKS)
    if unknown:
        options.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    out = sys.stdout
    if chosen.json:
        sys.stdout = sys.stderr
    figures = {"machine": machine()}
    print(f"machine: {figures['machine']}")
    for name in chosen.names or BENCHMARKS:
        print(f"\n{name}", flush=True)
        figures[name] = BENCHMARKS[name].main(quick=chosen.quick)
    if chosen.json:
        json.dump(figures, out, indent=2)
        print(file=out)


def machine():
    import cryptography  # noqa: PLC0415 - only to tell its version
    from cryptography.hazmat.backends.openssl import backend  # noqa: PLC0415 - as above

    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, CPython {platform.python_version()}, "
        f"cryptography {cryptography.__version__} ({backend.openssl_version_text()}), load {load:.1f} at the start"
    )


if __name__ == "__main__":
    main()
