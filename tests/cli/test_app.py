"""
The command line itself: help at once, usage errors, one sentence for everything that fails.
"""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from broker.cli.app import app

ROOT = Path(__file__).parents[2]
COMMANDS = sorted(
    [each.name or each.callback.__name__.replace("_", "-") for each in app.registered_commands]
    + [each.name for each in app.registered_groups]
)


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_names_every_command(cli, option):
    said = cli(option)

    assert (0, "") == (said.code, said.err)
    assert {"init", "serve", "federation-config", "run", "emulator", "version"} <= set(COMMANDS)
    assert [] == [name for name in COMMANDS if name not in said.out]


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "run"])
def test_every_command_has_help(cli, command):
    said = cli(command, "--help")

    assert (0, "") == (said.code, said.err)
    assert "Usage: broker" in said.out


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["--nonsense"], ["init"], ["init", "--issuer"], ["init", "--issuer", "x", "--nonsense"],
     ["init", "--issuer", "x", "--port", "many"], ["serve", "extra"], ["serve", "--port", "1"],
     ["federation-config", "--nonsense"], ["version", "extra"], ["emulator"], ["\udcff"], [""], ["ini"]],
    ids=ascii,
)  # fmt: skip
def test_a_usage_error_ends_with_2_and_says_what_there_is(cli, arguments):
    said = cli(*arguments)

    assert (2, "") == (said.code, said.out)
    assert "Error" in said.err


def test_without_a_command_the_help_is_shown(cli):
    said = cli()

    assert 2 == said.code
    assert "Usage: broker" in said.out + said.err


def test_the_version_is_told(cli):
    said = cli("version")

    assert (0, "") == (said.code, said.err)
    assert said.out[0].isdigit()


def run(code, **more):
    return subprocess.run(
        [sys.executable, "-X", "utf8", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        **more,
    )


def test_help_comes_without_what_serving_needs():
    """
    A generous bound in time; the promise is held by what is not imported.
    """
    heavy = ("fastapi", "sqlalchemy", "uvicorn", "pydantic", "cryptography", "httpx", "aiohttp", "alembic", "starlette")
    begun = time.monotonic()

    said = run(
        "import sys\n"
        "from broker.cli.app import main\n"
        "code = main(['--help'])\n"
        f"print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)\n"
        "sys.exit(code)"
    )

    assert (0, "[]\n") == (said.returncode, said.stderr)
    assert time.monotonic() - begun < 10


def test_python_m_is_the_same_command():
    said = subprocess.run(
        [sys.executable, "-m", "broker", "nonsense"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )

    assert 2 == said.returncode
    assert "Usage: broker" in said.stderr
    assert "Traceback" not in said.stderr


@pytest.mark.needs("linux")
def test_output_that_cannot_be_written_is_told():
    """
    /dev/full is a full disk; the interpreter's own words would come after the fact and with another code.
    """
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        said = subprocess.run(
            [sys.executable, "-m", "broker", "--help"],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=30,
            check=False,
        )

    assert 1 == said.returncode
    assert "broker: the output cannot be written: No space left on device\n" == said.stderr


def test_a_reader_who_has_gone_is_not_complained_about():
    said = run(
        "import os, sys\n"
        "r, w = os.pipe()\n"
        "os.close(r)\n"
        "os.dup2(w, 1)\n"
        "from broker.cli.app import main\n"
        "sys.exit(main(['--help']))"
    )

    assert (1, "") == (said.returncode, said.stderr)
