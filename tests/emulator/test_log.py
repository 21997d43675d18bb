"""
The log as the outermost part of the app.
"""

import httpx
import pytest
from starlette.requests import ClientDisconnect

from broker.emulator.log import REMEMBERED, AccessLog
from broker.emulator.printable import plain, sentence, shown

pytestmark = pytest.mark.anyio


async def ask(app, times=1):
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="https://packages.example.com") as client:
        return [await client.get("/x") for _ in range(times)][-1]


async def test_a_defect_is_a_plain_500_that_says_where_and_not_what():
    """(T35)"""

    async def broken(scope, receive, send):
        raise RuntimeError("the secret is hunter2")

    lines = []

    answer = await ask(AccessLog(broken, lambda: 0, lines.append))

    assert (500, {"error": "server_error"}) == (answer.status_code, answer.json())
    assert lines[0].startswith("1970-01-01T00:00:00Z GET /x 500 user=- internal error: RuntimeError at test_log.py:")
    assert "hunter2" not in lines[0]


async def test_a_client_that_goes_away_is_no_defect():
    async def gone(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        raise ClientDisconnect

    lines = []

    await ask(AccessLog(gone, lambda: 0, lines.append))

    assert lines[0].endswith("the client went away")


async def test_a_bounded_number_of_requests_is_remembered():
    async def fine(scope, receive, send):
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    log = AccessLog(fine, lambda: 0, lambda line: None)

    await ask(log, times=REMEMBERED + 5)

    assert REMEMBERED == len(log.records)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", '"a"'),
        (["a", 1, None], '["a",1,null]'),
        ("line\nend", '"line\\nend"'),
        ("eyJhbGciOiJSUzI1NiJ9.eyJhIjoxfQ.c2ln", '"<token>"'),
        ("X190b2tlbl9fOmFiYw==", '"<token>"'),
        ("x" * 90, '"<token>"'),
        (object(), '"object"'),
        ("a b " * 50, '"' + ("a b " * 50)[:119] + "…"),
    ],
    ids=range(8),
)
def test_foreign_text_is_shown_short_on_one_line_and_without_tokens(value, expected):
    """(T35)"""
    assert expected == shown(value)


def test_plain_text_has_no_control_characters():
    assert "a\\x1b[31mb\\n\\u2028c" == plain("a\x1b[31mb\n\u2028c")


def test_a_sentence_has_what_an_error_description_may_have():
    assert "a'b/c??d" == sentence('a"b\\c\n\u00e9d')
