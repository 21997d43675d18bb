"""
No secret of an exchange leaves it by a side door (T35).
"""

import asyncio
import base64
import json
import logging
import traceback
from urllib.parse import quote

import pytest

from broker.clients.package_manager import HttpPackageManager, Limits
from broker.domain.secrets import Secret
from broker.errors import ExchangeFailed
from tests.clients.servers import answering, listening, saying, token_response
from tests.fakes.package_manager import jwt

pytestmark = pytest.mark.anyio

ASSERTION = Secret(jwt({"canary": "the assertion"}))
TOKEN = Secret(jwt({"canary": "the token", "exp": 4_000_000_000}))
EXPIRED = Secret(jwt({"canary": "the token", "exp": 1}))
BOTH = f"{ASSERTION.reveal()} {TOKEN.reveal()}"


@pytest.fixture
def anyio_backend():
    """
    The loop of the standard library, because its debug log tells more than that of uvloop.
    """
    return "asyncio"


def traces(secret):
    """Every form in which a secret is looked for."""
    text = secret.reveal()
    encoded = base64.b64encode(text.encode()).decode()
    parts = [*text.split("."), encoded, base64.b64encode(b"__token__:" + text.encode()).decode(), quote(text, safe="")]
    return {text, text[-12:], text[:60], encoded[10:40], *parts}


def everything_about(error):
    """All that a logger or an error reporter could print of an exception, the variables of its frames included."""
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    told.stack[:] = [frame for frame in told.stack if frame.filename != __file__]  # this frame holds the server
    chain = [error]
    while chain[-1] and (before := chain[-1].__cause__ or chain[-1].__context__):
        chain.append(before)
    return "".join(told.format()) + "".join(f"{each!s}{each!r}{each.args!r}{vars(each)!r}" for each in chain)


def json_answer(status="200 OK", **fields):
    return answering(json.dumps(fields).encode(), status=status, headers="Content-Type: application/json\r\n")


async def hang_after_quoting(writer):
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n{BOTH}".encode())
    await asyncio.Event().wait()


PATHS = {
    "success": answering(token_response(access_token=TOKEN.reveal())),
    "refused": json_answer("400 Bad", error="invalid_grant", error_description=f"bad {BOTH}"),
    "refused, error is the assertion": json_answer("401 No", error=ASSERTION.reveal()),
    "refused in plain text": answering(BOTH.encode(), status="403 Forbidden"),
    "refused with a page": answering(f"<p>{BOTH}</p>".encode(), status="404 Not Found"),
    "busy": answering(BOTH.encode(), status="429 Busy", headers=f"Retry-After: {TOKEN.reveal()}\r\n"),
    "fault": answering(BOTH.encode(), status="500 Oops"),
    "reason phrase": answering(b"", status=f"500 {ASSERTION.reveal()}"),
    "redirect": answering(b"", status="307 Go", headers=f"Location: http://127.0.0.1:1/?{ASSERTION.reveal()}\r\n"),
    "not JSON": answering(BOTH.encode()),
    "broken JSON": answering(f'{{"access_token":"{BOTH}'.encode()),
    "duplicate keys": answering(f'{{"access_token":"{TOKEN.reveal()}","access_token":"x"}}'.encode()),
    "not UTF-8": answering(BOTH.encode() + b"\xff"),
    "expired": answering(token_response(access_token=EXPIRED.reveal())),
    "not for a netrc": answering(token_response(access_token=BOTH)),
    "not Bearer": answering(token_response(access_token=TOKEN.reveal(), token_type=ASSERTION.reveal())),
    "too large": answering(BOTH.encode() * 200),
    "compressed": answering(BOTH.encode(), headers=f"Content-Encoding: {TOKEN.reveal()}\r\n"),
    "hangs": hang_after_quoting,
    "breaks off": saying(f"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n{BOTH}".encode()),
    "not HTTP": saying(BOTH.encode()),
    "bad header": saying(f"HTTP/1.1 200 OK\r\n{BOTH}\r\n\r\n".encode()),
    "bad chunk": saying(f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{BOTH}\r\n".encode()),
    "says nothing": saying(b""),
}


async def outcome(respond, client, clock):
    """Return all that becomes visible of an exchange."""
    manager = HttpPackageManager(client, clock=clock, limits=Limits(deadline=0.3, max_answer=20_000))
    async with listening(respond) as there:
        try:
            return repr(await manager.exchange(there.url, ASSERTION))
        except ExchangeFailed as error:
            return everything_about(error)


@pytest.mark.parametrize("path", PATHS)
async def test_neither_assertion_nor_token_shows(path, client, clock, caplog):
    """
    T35: on every path, in no error, nothing that it is chained to, no variable of its frames and no log of anybody.
    """
    asyncio.get_running_loop().set_debug(enabled=True)
    with caplog.at_level(logging.DEBUG):
        seen = await outcome(PATHS[path], client, clock)
        seen += caplog.text + "".join(f"{record.__dict__!r}" for record in caplog.records)

    assert "RepositoryToken" in seen if path == "success" else "Traceback" in seen
    assert [] == [trace for secret in (ASSERTION, TOKEN, EXPIRED) for trace in traces(secret) if trace in seen]


async def test_a_failure_is_chained_to_nothing(client, clock):
    """
    An httpx error holds the request, and the request holds the assertion.
    """
    manager = HttpPackageManager(client, clock=clock, limits=Limits(deadline=0.3))
    async with listening(saying(b"")) as there:
        with pytest.raises(ExchangeFailed) as failed:
            await manager.exchange(there.url, ASSERTION)

    assert (None, None) == (failed.value.__cause__, failed.value.__context__)
