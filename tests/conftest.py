"""
What holds for every test: the loop of coroutine tests, no outside network, how system parts are asked for.
"""

import os
import shutil
import sys
import sysconfig

import pytest
from hypothesis import settings

from tests.fakes.clock import ManualClock
from tests.fakes.ids import CountingIds

LOOPBACK = "127.0.0.1,127.0.0.2,::1"
"""The two host names that netrc tells apart, and IPv6."""

INSTALLED_BY = {
    "R": "apt-get install r-base-core",
    "Rscript": "apt-get install r-base-core",
    "broker": "pip install -e . (or tests/run.sh, which does)",
    "linux": "run this on Linux, for instance in a container",
    "uv": "pip install uv",
}

settings.register_profile("quick", deadline=None, max_examples=60)
settings.register_profile("ci", settings.get_profile("quick"), derandomize=True, print_blob=True)
settings.register_profile("thorough", settings.get_profile("quick"), max_examples=2_000)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    # Set here and not in addopts, so that `pytest tests/domain/test_scopes.py` is guarded as well, whoever runs it.
    config.option.allow_hosts = config.option.allow_hosts or LOOPBACK
    config.option.allow_unix_socket = True
    # Coroutine tests need no marker; the plugin comes with anyio, which starlette and httpx bring along.
    config.option.anyio_mode = "auto"
    # A virtual environment that is not activated has its programs beside its Python: uv, and our own `broker`.
    os.environ["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if _in_ci() else "quick"))


def pytest_runtest_setup(item):
    for marker in item.iter_markers("needs"):
        for part in marker.args:
            if not _is_there(part):
                remedy = INSTALLED_BY.get(part, f"apt-get install {part}")
                missing = f"NOT TESTED, {part} is missing on this machine; to run it: {remedy}"
                (pytest.fail if _in_ci() else pytest.skip)(missing)


def _in_ci():
    return os.environ.get("CI") == "true"


def _is_there(part):
    return sys.platform == "linux" if part == "linux" else shutil.which(part) is not None


@pytest.fixture(scope="session")
def program():
    """
    Return the path of a program that the test says it `needs`.
    """
    return shutil.which


@pytest.fixture(scope="session")
def anyio_backend():
    return "asyncio"


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def ids():
    return CountingIds()
