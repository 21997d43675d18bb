"""
A secret does not leave by accident (T35).
"""

import copy
import dataclasses
import hashlib
import io
import json
import logging
import pickle
import traceback

import pytest

from broker.domain.secrets import Secret

CANARY = "canary-hunter2"


@pytest.fixture
def secret():
    return Secret(CANARY)


def test_only_reveal_tells_it(secret):
    assert CANARY == secret.reveal()


@pytest.mark.parametrize(
    "show",
    [str, repr, ascii, "{}".format, "{!r:>40}".format, "%s".__mod__, lambda s: f"{s:x}", lambda s: str([s])],
    ids=range(8),
)
def test_no_way_of_printing_tells_it(secret, show):
    assert "canary" not in show(secret)


@pytest.mark.parametrize(
    "leave",
    [copy.copy, copy.deepcopy, json.dumps, vars, dict, list, len, hash, bytes, pickle.Pickler(io.BytesIO()).dump],
)
def test_no_way_of_copying_it_elsewhere_works(secret, leave):
    with pytest.raises(TypeError) as refused:
        leave(secret)

    assert "canary" not in str(refused.value)


def test_a_traceback_and_a_log_line_do_not_tell_it(secret, caplog):
    fault = ValueError(secret)
    logging.getLogger("test").error("with %s and %r", secret, {"key": secret}, exc_info=fault)

    assert "canary" not in "".join(traceback.format_exception(fault)) + caplog.text


def test_a_dataclass_that_holds_one_does_not_tell_it(secret):
    @dataclasses.dataclass
    class Holder:
        held: Secret

    assert "canary" not in repr(Holder(secret))


def test_records_keep_its_sha256(secret):
    assert hashlib.sha256(CANARY.encode()).hexdigest() == secret.sha256()


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (Secret(CANARY), True),
        (Secret(CANARY[:-1]), False),
        (Secret(CANARY + "\0"), False),
        (Secret(""), False),
        (CANARY, False),
    ],
    ids=["same", "shorter", "longer", "empty", "text"],
)
def test_secrets_are_compared_as_a_whole_and_only_with_secrets(secret, other, expected):
    """
    (T31)
    """
    assert expected == (secret == other)


def test_an_empty_secret_is_false():
    assert (True, False) == (bool(Secret("x")), bool(Secret("")))
