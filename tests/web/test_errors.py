"""
Every error of the broker as callers meet it: one form, one status each, nothing of the inside.
"""

import logging
import re
from pathlib import Path

import orjson
import pytest

from broker import errors
from broker.domain.access import Reason
from broker.web.errors import STATUS, answer
from tests.web.site import NOBODY, refusal

DOCUMENT = (Path(__file__).parents[2] / "docs" / "errors.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `([a-z_]+)` \| (.*) \|$", DOCUMENT, re.MULTILINE))
"""Code and the rest of its table row."""

NOT_FOR_HTTP = (errors.SetupFault, errors.RunFault, errors.Refused, errors.ExchangeFailed, errors.PolicyChanged)


# --- the table ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("leaf", errors.leaves(), ids=lambda leaf: leaf.code)
def test_a_leaf_has_a_status_just_where_it_can_reach_http(leaf):
    assert issubclass(leaf, NOT_FOR_HTTP) is not (leaf in STATUS)


def test_every_code_names_one_error():
    codes = [leaf.code for leaf in errors.leaves()]

    assert len(codes) == len(set(codes))


def test_our_own_codes_are_apart_from_those_of_the_vendor_and_unique():
    ours = [code for _, code in STATUS.values() if code > 999]

    assert len(ours) == len(set(ours))
    assert all(9000 <= code <= 9099 for code in ours)


@pytest.mark.parametrize("kind", STATUS, ids=lambda kind: kind.code)
def test_every_error_has_the_same_form(kind):
    response = answer(kind("what was wrong, where, what to do", payload={"field": "x"}))

    body = orjson.loads(response.body)
    assert {"code": STATUS[kind][1], "error": "what was wrong, where, what to do", "payload": {"field": "x"}} == body
    assert STATUS[kind][0] == response.status_code
    assert 400 <= response.status_code < 600
    assert "application/json" == response.headers["content-type"]
    assert "no-store" == response.headers["cache-control"]
    assert ("Key" if response.status_code == 401 else None) == response.headers.get("www-authenticate")


@pytest.mark.parametrize("kind", [k for k in STATUS if issubclass(k, errors.TryAgain)], ids=lambda kind: kind.code)
def test_an_error_that_waiting_fixes_says_how_long(kind):
    assert "7" == answer(kind("later", retry_after=7)).headers["retry-after"]


@pytest.mark.parametrize("kind", [k for k in STATUS if not issubclass(k, errors.TryAgain)], ids=lambda kind: kind.code)
def test_an_error_that_waiting_does_not_fix_promises_nothing(kind):
    assert "retry-after" not in answer(kind("no")).headers


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\0", "\U0001f600", 'quote " and \\', "\u2028"])
def test_whatever_a_message_quotes_can_be_sent(text):
    body = orjson.loads(answer(errors.InvalidParameter(f"not {text}")).body)

    assert body["error"].startswith("not ")


@pytest.mark.parametrize(
    "fault",
    [kind("canary") for kind in (errors.NetrcRefused, errors.ClaimsRefused, errors.FileFault, errors.PolicyChanged)],
    ids=lambda fault: fault.code,
)
def test_an_error_of_the_inside_tells_a_caller_nothing(fault, caplog):
    response = answer(fault)

    assert 500 == response.status_code
    assert {"code", "error", "payload"} == set(orjson.loads(response.body))
    assert b"canary" not in response.body
    assert "canary" in caplog.text


# --- a defect -------------------------------------------------------------------------------------------------------
def failing(error):
    async def call(*_arguments):
        raise error

    return call


@pytest.mark.parametrize(
    "error", [RuntimeError("canary"), ValueError("canary"), KeyError("canary"), errors.NetrcRefused("canary")], ids=repr
)
async def test_a_defect_answers_500_without_details_and_logs_them_with_the_correlation_id(make_broker, caplog, error):
    broker = make_broker()
    async with broker.running():
        broker.replace(open_build=failing(error))
        response = await broker.build(headers={"X-Correlation-ID": "trace-me"})

    assert (500, 1) == refusal(response)
    assert "canary" not in response.text
    assert "trace-me" == response.headers["x-correlation-id"]
    told = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "trace-me" in "".join(record.getMessage() for record in caplog.records)
    assert "canary" in "".join(f"{record.getMessage()} {record.exc_info}" for record in told)


@pytest.mark.parametrize(("method", "path"), [("GET", "/users"), ("POST", "/groups"), ("DELETE", f"/groups/{NOBODY}")])
async def test_a_defect_below_the_framework_answers_in_the_same_form(broker, caplog, method, path):
    """
    The framework's own answer to one would be plain text.
    """
    broker.replace(people=None)

    response = await broker.send(method, path, {"name": "x"} if method == "POST" else None)

    assert (500, 1) == refusal(response)
    assert "NoneType" not in response.text
    assert "made-up-by-the-broker" in caplog.text
    assert "NoneType" in caplog.text


async def test_a_caller_who_hangs_up_is_not_a_defect(broker, caplog):
    async def gone():
        return {"type": "http.disconnect"}

    sent = []

    async def send(message):
        sent.append(message)

    headers = [(b"authorization", f"Key {broker.world.keys['admin']}".encode()), (b"content-length", b"100")]
    scope = {"type": "http", "method": "POST", "path": "/__api__/v1/builds", "query_string": b"", "headers": headers}
    await broker.app({**scope, "http_version": "1.1", "client": ("127.0.0.1", 1)}, gone, send)

    assert 400 == sent[0]["status"]
    assert [] == [record for record in caplog.records if record.levelno >= logging.WARNING]


# --- docs/errors.md -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("leaf", errors.leaves(), ids=lambda leaf: leaf.code)
def test_every_error_is_described(leaf):
    assert leaf.code in ROWS


@pytest.mark.parametrize("kind", STATUS, ids=lambda kind: kind.code)
def test_every_description_tells_the_status_and_the_code(kind):
    status, code = STATUS[kind]

    assert ROWS[kind.code].startswith(f"{status.value} | {code} | ")


def test_nothing_is_described_that_does_not_exist():
    assert set() == set(ROWS) - {leaf.code for leaf in errors.leaves()} - {reason.value for reason in Reason}


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_for_skipping_an_integration_is_described(reason):
    assert reason.value in ROWS


def test_every_problem_says_whether_to_ask_again():
    told = {leaf.code: ROWS[leaf.code].split(" | ")[0] for leaf in errors.leaves(errors.ExchangeFailed)}

    assert {leaf.code: "yes" if leaf.retryable else "no" for leaf in errors.leaves(errors.ExchangeFailed)} == told
