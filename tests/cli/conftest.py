"""
The command line in process, with an environment of its own; a stack trace would fail the test by itself.
"""

import os
from dataclasses import dataclass

import pytest

from broker.cli.app import main


@dataclass(frozen=True)
class Said:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def cli(capsys, monkeypatch, tmp_path):
    """
    Run a command: `cli("init", "--issuer", ...)`; variables of the broker go in as keywords.
    """
    for name in [name for name in os.environ if name.startswith(("BROKER_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def run(*arguments, **environ):
        with monkeypatch.context() as patch:
            for name, value in environ.items():
                patch.setenv(name, str(value))
            code = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return Said(code, said.out, said.err)

    return run


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def initialised(cli, folder):
    """
    A data directory in which `broker init` has run.
    """
    assert 0 == cli("init", "--issuer", "https://broker.example.com/", "--data-dir", folder).code
    return folder
