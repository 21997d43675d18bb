"""
The tree of refusals: drawn as it is, each leaf with a code of its own.
"""

import inspect
import re

import pytest

from broker import errors
from broker.errors import BrokerError, SettingsFault, TryAgain, leaves

LEAVES = leaves()


def test_no_two_leaves_share_a_code():
    codes = [leaf.code for leaf in LEAVES]

    assert sorted(set(codes)) == sorted(codes)
    assert BrokerError.code not in codes


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.__name__)
def test_a_code_is_the_name_of_its_class(leaf):
    assert re.sub(r"(?<!^)(?=[A-Z])", "_", leaf.__name__).lower() == leaf.code


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.__name__)
def test_a_leaf_keeps_its_message_and_its_payload(leaf):
    raised = leaf(["a"]) if leaf is SettingsFault else leaf("what to do", payload={"a": 1})

    assert ("what to do", {"a": 1}) == (raised.message, raised.payload) or leaf is SettingsFault
    assert raised.message == str(raised)


def test_the_tree_is_drawn_as_it_is():
    drawn = re.findall(r"[├└]── (\w+)", inspect.getdoc(errors) or "")
    branches = [branch.__name__ for branch in BrokerError.__subclasses__() if branch.__module__ == errors.__name__]

    assert branches == [name for name in drawn if name in branches]
    assert set(drawn) <= {name for name, _ in inspect.getmembers(errors, inspect.isclass)}


def test_every_class_of_the_tree_stands_in_the_module():
    """
    One that was declared elsewhere would have no code, no status and no line in the documentation of its own.
    """
    for leaf in LEAVES:
        assert leaf is getattr(errors, leaf.__name__)


def test_what_waiting_can_fix_says_how_long():
    for leaf in leaves(TryAgain):
        assert 0 < leaf("wait").retry_after
        assert 30 == leaf("wait", retry_after=30).retry_after


@pytest.mark.parametrize(("faults", "head"), [(["a"], "1 setting is wrong:"), (["a", "b"], "2 settings are wrong:")])
def test_every_fault_of_the_settings_is_told_at_once(faults, head):
    assert [head, *(f"  - {fault}" for fault in faults)] == SettingsFault(faults).message.splitlines()
