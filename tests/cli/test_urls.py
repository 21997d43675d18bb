"""
`broker urls rewrite`, in this process and, with the real emulator, as the command that people type.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from broker.cli.app import main
from tests.fakes.build_api import closed_port
from tests.fakes.status_server import status_server

CONFIG = """
[IdentityFederation "connect"]
Issuer = "https://broker.example.com/"
Audience = "package-manager"
Subject = "connect"
RoleClaim = "roles"
"""
BROKER = [sys.executable, "-m", "broker"]


@pytest.fixture
def server():
    with status_server() as started:
        yield started


@pytest.fixture
def jammy(tmp_path):
    file = tmp_path / "os-release"
    file.write_text('ID=ubuntu\nVERSION_ID="22.04"\nVERSION_CODENAME=jammy\n')
    return str(file)


@pytest.fixture
def rewrite(capsys, jammy):
    """Run the command for a host with Ubuntu 22.04; gives the exit code, the lines of stdout, and stderr."""

    def go(*words):
        code = main(["urls", "rewrite", "--os-release", jammy, "--arch", "x86_64", *words])
        said = capsys.readouterr()
        return code, said.out.splitlines(), said.err

    return go


def test_urls_go_to_standard_output_and_reasons_to_standard_error(rewrite, server):
    source, foreign, python = (
        f"{server.url}/{path}" for path in ("cran/latest", "cran/__linux__/focal/latest", "pypi/latest/simple/")
    )

    code, urls, reasons = rewrite(source, foreign, python)

    assert 0 == code
    assert [source, f"{server.url}/cran/__linux__/jammy/latest", python] == urls
    assert [
        f"broker: {source} stays: mode auto keeps sources",
        f"broker: {foreign} becomes {urls[1]}: this host is jammy, x86_64, and its binaries are served",
        f"broker: {python} stays: it is a Python index, which is never touched",
    ] == reasons.splitlines()


@pytest.mark.parametrize(
    ("mode", "path"),
    [
        ("auto", "cran/__linux__/jammy/latest"),
        ("force-source", "cran/latest"),
        ("force-binary", "cran/__linux__/jammy/latest"),
        ("force-portable", "cran/__linux__/manylinux_2_28/latest"),
        ("none", "cran/__linux__/focal/latest"),
    ],
)
def test_each_mode_can_be_tried(rewrite, server, mode, path):
    assert [f"{server.url}/{path}"] == rewrite("--mode", mode, f"{server.url}/cran/__linux__/focal/latest")[1]


def test_the_architecture_can_be_another(rewrite, server):
    assert [f"{server.url}/cran/latest"] == rewrite("--arch", "aarch64", f"{server.url}/cran/__linux__/focal/latest")[1]


def test_json_has_the_reasons_and_leaves_standard_error_alone(capsys, jammy, server):
    foreign, ours = (f"{server.url}/cran/__linux__/{code}/latest" for code in ("focal", "jammy"))

    code = main(["urls", "rewrite", foreign, "https://cran.r-project.org", "--json", "--os-release", jammy])

    said = capsys.readouterr()
    changed, kept = json.loads(said.out)
    assert (0, "") == (code, said.err)
    assert {"from", "to", "changed", "reason"} == set(changed)
    assert (foreign, ours, True) == (changed["from"], changed["to"], changed["changed"])
    assert ("https://cran.r-project.org", False) == (kept["to"], kept["changed"])


def test_a_server_that_cannot_be_reached_changes_nothing_and_is_no_failure(rewrite):
    url = f"http://127.0.0.1:{closed_port()}/cran/__linux__/focal/latest"

    code, urls, reasons = rewrite(url)

    assert (0, [url]) == (code, urls)
    assert "is not treated as a Package Manager: its status cannot be read: Connection refused" in reasons


def test_this_host_is_taken_where_no_other_is_named(capsys):
    """Whatever it is: sources stay in mode auto."""
    assert 0 == main(["urls", "rewrite", "https://host/cran/latest"])
    assert "https://host/cran/latest\n" == capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Missing argument"),
        (["--mode", "sources", "https://host/cran/latest"], "'force-source'"),
        (["--os-release", "/nowhere/os-release", "https://host/cran/latest"], "does not exist"),
        (["--os-release", "/", "https://host/cran/latest"], "director"),
        (["--sources", "https://host/cran/latest"], "No such option"),
        (["https://host/cran/latest", ""], "URL 2 is not a URL"),
        (["https://host/cran/latest\nhttps://evil"], "URL 1 is not a URL"),
        (["https://host/cran/\x1b[2Jlatest"], "URL 1 is not a URL"),
        (["https://h\u00f6st/cran/latest"], "URL 1 is not a URL"),
        (["https://host/\udcff"], "URL 1 is not a URL"),
        (["https://alice:canary@host/cran/latest"], "URL 1 carries a user name or a password"),
        (["--mode", "none", "https://x/cran/latest", "https://canary@host"], "URL 2 carries a user name"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_printed(capsys, words, said):
    """And without the secret of a URL (T35)."""
    code = main(["urls", "rewrite", *words])

    told = capsys.readouterr()
    assert (2, "") == (code, told.out)
    assert said in told.err
    assert "canary" not in told.err


@pytest.mark.parametrize("words", [["urls"], ["urls", "--help"], ["urls", "rewrite", "--help"]])
def test_help_says_what_there_is(capsys, words):
    main(words)

    said = capsys.readouterr()
    assert "rewrite" in said.out + said.err


# --- with a real Package Manager's emulator -------------------------------------------------------------------------
@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    folder = tmp_path_factory.mktemp("emulator")
    (folder / "packages" / "cran").mkdir(parents=True)
    (folder / "pm.gcfg").write_text(CONFIG)
    options = ["--config", folder / "pm.gcfg", "--packages", folder / "packages", "--port", "0"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([*BROKER, "emulator", *map(str, options)], stderr=log, cwd=Path(__file__).parents[2])
    try:
        yield url_in(folder / "log", process)
    finally:
        process.terminate()
        process.wait(15)


def url_in(log, process):
    deadline = time.monotonic() + 30
    while "Package Manager emulator at " not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)
    return log.read_text().partition("Package Manager emulator at ")[2].split()[0].rstrip("/")


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("words", "before", "after"),
    [
        (["--arch", "x86_64"], "cran/__linux__/focal/latest", "cran/__linux__/jammy/latest"),
        (["--arch", "x86_64", "--mode", "force-binary"], "cran/2026-01-01", "cran/__linux__/jammy/2026-01-01"),
        (["--arch", "aarch64"], "cran/__linux__/focal/latest", "cran/latest"),
    ],
)
def test_the_command_asks_a_real_server(emulator, jammy, words, before, after):
    command = [*BROKER, "urls", "rewrite", f"{emulator}/{before}", "--os-release", jammy, *words]

    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, cwd=Path(__file__).parents[2]
    )

    assert (0, f"{emulator}/{after}\n") == (done.returncode, done.stdout), done.stderr
    assert f"broker: {emulator}/{before} becomes {emulator}/{after}: " in done.stderr
