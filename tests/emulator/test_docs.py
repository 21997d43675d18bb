"""
docs/emulator.md says what there is.
"""

from pathlib import Path

import pytest

from broker.emulator.faults import KINDS
from broker.emulator.settings import _KEYS

DOCUMENT = (Path(__file__).parents[2] / "docs" / "emulator.md").read_text()


@pytest.mark.parametrize("name", KINDS)
def test_every_fault_is_described(name):
    assert f"| `{name}" in DOCUMENT


@pytest.mark.parametrize("name", _KEYS)
def test_every_key_of_a_federation_is_described(name):
    assert f"| `{name}`" in DOCUMENT
