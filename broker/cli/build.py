"""
What a build host runs: `broker run`.

Parsed by the standard library, because it starts with every build: the command line's own framework takes longer to
import than the rest of the command (docs/benchmarks.md).
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from broker.domain.secrets import Secret
from broker.errors import BrokerError, FileFault, MissingParameter
from broker.runner.request import RunRequest
from broker.runner.run import exit_code, run_build


def arguments() -> argparse.ArgumentParser:
    """Return the parser of `broker run`; docs/running-builds.md explains its options."""
    parser = argparse.ArgumentParser(
        prog="broker run",
        usage="broker run --owner NAME [options] -- COMMAND [ARGUMENT ...]",
        description="Run a command as one build: its package clients find the owner's credentials, "
        "and nothing stays behind.",
        epilog="The API key comes from the variable BROKER_API_KEY or --api-key-file, never from the command line, "
        "where every user of the machine could read it.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--owner", dest="owner_username", metavar="NAME", help="user name of the owner of the content")
    add("--owner-guid", metavar="GUID", help="the owner's guid, instead of the user name")
    add("--content", dest="content_guid", metavar="GUID", help="the content that is built")
    add("--repository", dest="repositories", action="append", default=[], metavar="NAME",
        help="ask for this repository only; may be repeated")  # fmt: skip
    add("--duration", type=int, metavar="SECONDS", help="how long the build may take")
    add("--require-all", action="store_true", help="do not start the command without every credential")
    add("--server", metavar="URL", help="the broker (variable BROKER_SERVER)")
    add("--api-key-file", type=Path, metavar="FILE", help="a file with the API key")
    add("--ca-file", metavar="FILE", help="PEM file with the CA of the broker's certificate (variable BROKER_CA_FILE)")
    add("--runtime-dir", dest="runtime_root", metavar="DIR",
        help="private directory in which build directories are made (variable BROKER_RUN_DIR)")  # fmt: skip
    add("--allow-http", action="store_true", help="permit a broker without TLS that is not on loopback")
    add("--quiet", action="store_true", help="say only what is wrong")
    add("command", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def request(words: Sequence[str], environ: Mapping[str, str]) -> RunRequest:
    """Read the command line over the environment. Raises MissingParameter, InvalidParameter, FileFault."""
    said = vars(arguments().parse_args(words))
    command = said.pop("command")
    server = said.pop("server") or environ.get("BROKER_SERVER")
    key_file = said.pop("api_key_file")
    if not server:
        raise MissingParameter("say where the broker is: --server https://… or the variable BROKER_SERVER")
    for name, variable in (("ca_file", "BROKER_CA_FILE"), ("runtime_root", "BROKER_RUN_DIR")):
        said[name] = said[name] or environ.get(variable) or None
    said["repositories"] = tuple(said["repositories"])
    key = Secret(environ.get("BROKER_API_KEY", "")) if key_file is None else _read_key(key_file)
    return RunRequest(
        server_url=server, api_key=key, command=tuple(command[1:] if command[:1] == ["--"] else command), **said
    )


def run(words: Sequence[str]) -> int:
    """Run a command as one build and return its exit code, or that of whatever kept it from starting."""
    try:
        return run_build(request(words, os.environ), os.environ)
    except BrokerError as fault:
        print(f"broker: {fault.message}", file=sys.stderr)
        return exit_code(fault)


def _read_key(file: Path) -> Secret:
    try:
        return Secret(file.read_text(encoding="ascii").strip())
    except (OSError, UnicodeDecodeError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else "it is not plain text"
        raise FileFault(f"the API key file {file} cannot be read: {reason}") from None
