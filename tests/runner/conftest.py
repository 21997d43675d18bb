import dataclasses
import io
import os
from pathlib import Path

import pytest

from broker.domain.secrets import Secret
from broker.runner.request import RunRequest
from broker.runner.root import open_root
from broker.runner.run import run_build
from tests.fakes.build_api import API_KEY, build_api


@dataclasses.dataclass
class Ran:
    code: int
    said: str


@pytest.fixture
def api():
    with build_api() as stub:
        yield stub


@pytest.fixture
def runtime(tmp_path):
    """The directory in which build directories are made; not there yet."""
    return tmp_path / "run"


@pytest.fixture
def root(runtime):
    with open_root(str(runtime), {}) as opened:
        yield opened


@pytest.fixture
def environ(tmp_path):
    """A user's environment without this machine's package settings."""
    home = tmp_path / "user"
    home.mkdir()
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "HOME": str(home), "BROKER_API_KEY": API_KEY}


@pytest.fixture
def ask(api, runtime):
    """Make a request for the stub: a command, and what shall be different."""

    def make(*command, **changes):
        usual = {
            "server_url": api.url,
            "api_key": Secret(API_KEY),
            "command": command,
            "owner_username": "alice",
            "runtime_root": str(runtime),
        }
        return RunRequest(**{**usual, **changes})

    return make


@pytest.fixture
def run(ask, environ):
    """Run a shell script as a build."""

    def go(script, **changes):
        stderr = io.StringIO()
        variables = {**environ, **changes.pop("variables", {})}
        return Ran(run_build(ask("sh", "-c", script, **changes), variables, stderr=stderr), stderr.getvalue())

    return go


def tree(path: Path) -> list[str]:
    """Everything below `path`, links as themselves."""
    return sorted(str(each.relative_to(path)) for each in path.rglob("*"))
