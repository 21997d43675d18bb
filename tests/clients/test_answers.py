"""
What is made of each answer, without a network: the answer goes in through an injected transport.
"""

import ssl
from datetime import timedelta

import aiohttp
import httpx
import pytest
import respx

from broker.clients.package_manager import HttpPackageManager, Limits
from broker.domain.package_manager import PackageManagerUrl
from broker.errors import (
    AnswerNotUnderstood,
    AnswerTooLarge,
    AssertionRefused,
    PackageManagerBusy,
    PackageManagerFault,
    PackageManagerTimeout,
    PackageManagerUnreachable,
    PackageManagerUntrusted,
    RedirectRefused,
    TokenUnusable,
)
from tests.clients.conftest import NOW
from tests.fakes.package_manager import jwt

pytestmark = pytest.mark.anyio

URL = PackageManagerUrl.parse("https://packages.example.com/rspm")
IN_AN_HOUR = NOW + timedelta(hours=1)
GOOD = {"access_token": jwt({"exp": int(IN_AN_HOUR.timestamp())}), "token_type": "Bearer"}


@pytest.fixture
def route():
    return respx.Router(assert_all_called=False).post("https://packages.example.com/rspm/__api__/token")


@pytest.fixture
async def exchange(route, clock, assertion):
    router = respx.Router()
    router.routes.add(route)
    async with httpx.AsyncClient(transport=httpx.MockTransport(router.async_handler)) as client:
        manager = HttpPackageManager(client, clock=clock, limits=Limits(deadline=2, max_answer=4096))
        yield lambda: manager.exchange(URL, assertion)


async def test_the_request_is_the_one_that_the_vendors_clients_send(route, exchange, assertion):
    """
    Three fields, form-encoded, no client authentication; the assertion is in the body only.
    """
    route.respond(json=GOOD)
    await exchange()

    request = route.calls.last.request
    assert httpx.QueryParams(
        grant_type="urn:ietf:params:oauth:grant-type:token-exchange",
        subject_token=assertion.reveal(),
        subject_token_type="urn:ietf:params:oauth:token-type:id_token",
    ) == httpx.QueryParams(request.content.decode())
    assert "application/x-www-form-urlencoded" == request.headers["content-type"]
    assert b"" == request.url.query


# --- good answers and their expiry ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "answer",
    [
        GOOD,
        {"access_token": GOOD["access_token"]},
        {**GOOD, "token_type": "bearer"},
        {**GOOD, "token_type": "BEARER", "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"},
        {**GOOD, "something": ["new", {"and": None}]},
        # expires_in lies, or is nonsense
        {**GOOD, "expires_in": 10**9},
        {**GOOD, "expires_in": -1},
        {**GOOD, "expires_in": "soon"},
    ],
)
async def test_the_token_itself_says_when_it_ends(route, exchange, answer):
    route.respond(json=answer)
    given = await exchange()

    assert GOOD["access_token"] == given.token.reveal()
    assert IN_AN_HOUR == given.expires_time


@pytest.mark.parametrize(
    "token",
    [
        "opaque-token",
        "a.b",
        "a.b.c",
        "..",
        "a.====.c",
        jwt({}),
        jwt([]),
        jwt("text"),
        jwt({"exp": None}),
        jwt({"exp": True}),
        jwt({"exp": "1900000000"}),
        jwt({"exp": 1.9e9}),
        jwt({"exp": 10**15}),
        jwt({"exp": 10**30}),
        jwt({"exp": [1]}),
    ],
)
async def test_where_the_token_does_not_tell_the_answer_does(route, exchange, token):
    route.respond(json={"access_token": token, "expires_in": 600})

    assert NOW + timedelta(seconds=600) == (await exchange()).expires_time


@pytest.mark.parametrize("expires_in", [None, 0, -5, True, "600", 600.5, 10**9, 10**40, [], {}])
async def test_where_nobody_tells_the_expiry_is_unknown(route, exchange, expires_in):
    route.respond(json={"access_token": "opaque-token", "expires_in": expires_in})

    assert (await exchange()).expires_time is None


# --- tokens that are of no use --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "token",
    [
        "with space",
        "with\nmachine evil.example login x password y",
        "with\x00nul",
        'with"quote',
        "with#hash",
        "with\\backslash",
        "ünïcode",
        "😀",
        "a" * 4001,
        "machine",
        "default",
    ],
)
async def test_a_token_that_a_netrc_cannot_carry_is_refused_unseen(route, exchange, token):
    """
    T45
    """
    route.respond(json={"access_token": token}, status_code=200)
    with pytest.raises((TokenUnusable, AnswerTooLarge)) as refused:
        await exchange()

    assert token not in refused.value.message.split(": ")


@pytest.mark.parametrize("exp", [int(NOW.timestamp()), int(NOW.timestamp()) - 1, 0, -1])
async def test_a_token_that_is_over_is_refused(route, exchange, exp):
    route.respond(json={"access_token": jwt({"exp": exp}), "expires_in": 3600})
    with pytest.raises(TokenUnusable, match="already expired"):
        await exchange()


# --- answers that are none ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"<!DOCTYPE html><title>Sign in</title>",
        b"\xff\xfe{\x00}\x00",
        b"\xef\xbb\xbf{}",
        b"{",
        b"[]",
        b"null",
        b'"token"',
        b"3",
        b'{"access_token":"a"}{"access_token":"b"}',
        b"{'access_token':'a'}",
        # no usable access_token
        b"{}",
        b'{"access_token":null}',
        b'{"access_token":""}',
        b'{"access_token":["a"]}',
        b'{"access_token":3}',
        b'{"token":"a"}',
        # two readers would see two tokens
        b'{"access_token":"a","access_token":"b"}',
        b'{"access_token":"a","x":{"y":1,"y":2}}',
        # another kind of token
        b'{"access_token":"a","token_type":"DPoP"}',
        b'{"access_token":"a","token_type":null}',
        b'{"access_token":"a","token_type":["Bearer"]}',
        # made to hurt parsers
        b"[" * 4000,
        b'{"a":' * 800,
        b'{"access_token":"a","x":' + b"9" * 4000,
        b'{"access_token":"a","x":NaN}',
        b'{"access_token":"a","x":Infinity}',
    ],
)
async def test_an_answer_that_is_no_token_response_is_not_understood(route, exchange, body):
    """
    T8, T10, T14
    """
    route.respond(content=body)
    with pytest.raises(AnswerNotUnderstood, match=r"https://packages\.example\.com/rspm"):
        await exchange()


async def test_a_lone_surrogate_in_a_token_is_a_token_of_no_use(route, exchange):
    route.respond(content=b'{"access_token":"\\ud800"}')
    with pytest.raises(TokenUnusable):
        await exchange()


async def test_a_page_is_called_a_page(route, exchange):
    route.respond(html="<html>Please sign in</html>")
    with pytest.raises(AnswerNotUnderstood, match="a web page"):
        await exchange()


@pytest.mark.parametrize("status", [201, 202, 204, 206])
async def test_only_200_is_a_token_response(route, exchange, status):
    route.respond(status, json=GOOD)
    with pytest.raises(AnswerNotUnderstood, match=str(status)):
        await exchange()


async def test_an_answer_above_the_limit_is_too_large(route, exchange):
    route.respond(json={**GOOD, "x": "y" * 4096})
    with pytest.raises(AnswerTooLarge):
        await exchange()


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "GZIP", "identity, gzip", "\xff"])
async def test_a_compressed_answer_is_refused_packed(route, exchange, encoding):
    """
    Nobody asked for compression, and a small body may unpack to gigabytes.
    """

    async def packed():
        yield b"\x1f\x8b"

    route.side_effect = lambda request: httpx.Response(
        200, headers=[(b"Content-Encoding", encoding.encode("latin-1"))], content=packed()
    )
    with pytest.raises(AnswerNotUnderstood, match="compressed"):
        await exchange()


# --- refusals -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308, 399])
async def test_a_redirect_is_not_followed(route, exchange, status):
    """
    T14
    """
    route.respond(status, headers={"Location": "https://elsewhere.example/__api__/token"})
    with pytest.raises(RedirectRefused, match=str(status)):
        await exchange()

    assert 1 == route.call_count


@pytest.mark.parametrize("status", [500, 501, 502, 503, 504, 599])
async def test_a_fault_of_the_package_manager_may_pass(route, exchange, status):
    route.respond(status, html="<h1>oops</h1>")
    with pytest.raises(PackageManagerFault, match=str(status)) as failed:
        await exchange()

    assert failed.value.retryable


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("17", "try again in 17 s"),
        (" 17 ", "try again in 17 s"),
        ("0", "try again in 0 s"),
        ("86400", "try again in 86400 s"),
        # not sane
        ("86401", "try again later"),
        ("-1", "try again later"),
        ("1.5", "try again later"),
        ("9" * 5000, "try again later"),
        ("Wed, 21 Oct 2026 07:28:00 GMT", "try again later"),
        ("", "try again later"),
        ("²", "try again later"),
    ],
)
async def test_a_busy_package_manager_may_say_when_to_come_back(route, exchange, header, expected):
    route.side_effect = lambda request: httpx.Response(429, headers=[(b"Retry-After", header.encode("latin-1"))])
    with pytest.raises(PackageManagerBusy, match=f"{expected}$") as busy:
        await exchange()

    assert busy.value.retryable


@pytest.mark.parametrize("status", [400, 401, 403, 422, 451])
async def test_a_refusal_is_passed_on_with_its_reason(route, exchange, status):
    route.respond(status, json={"error": "invalid_grant", "error_description": "no federation for this issuer"})
    with pytest.raises(AssertionRefused, match=rf"\({status}\): invalid_grant: no federation for this issuer$"):
        await exchange()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{",
        b'{"error":{"code":3}}',
        b'{"error":null}',
        b'{"error":"a","error":"b"}',
        b"x" * 9999,
    ],
)
async def test_a_refusal_without_a_reason_says_where_to_look(route, exchange, body):
    route.respond(403, content=body)
    with pytest.raises(AssertionRefused, match="compare Issuer, Audience and Subject"):
        await exchange()


@pytest.mark.parametrize("status", [404, 405, 410])
async def test_a_missing_endpoint_points_to_ppm_url(route, exchange, status):
    route.respond(status, html="not found")
    with pytest.raises(AssertionRefused, match="is ppm_url the address before the repository name"):
        await exchange()


QUOTATIONS = {
    "whole": lambda text: text,
    "in a sentence": lambda text: f"bad token {text}!",
    "tail": lambda text: text[-12:],
    "tail in dots": lambda text: f"'...{text[-16:]}'",
    "signature": lambda text: text.split(".")[2],
    "from the middle": lambda text: text.split(".")[1][5:25],
    "invisibly parted": "\u200b".join,
    "across the cut": lambda text: f"{'x' * 190} {text}",
    "hex": lambda text: text.encode().hex(),
    "basic": lambda text: "Basic X190b2tlbl9fOnNlY3JldA==",
    "basic, cut": lambda text: "Basic X190b2tlbl9f",
    "some other JWT, cut": lambda text: "eyJhbGciOi",
}


@pytest.mark.parametrize("tell", QUOTATIONS.values(), ids=QUOTATIONS.keys())
async def test_a_refusal_that_quotes_the_assertion_is_masked(route, exchange, assertion, tell):
    """
    T35
    """
    told = tell(assertion.reveal())
    route.respond(400, json={"error": "invalid_grant", "error_description": told})
    with pytest.raises(AssertionRefused) as refused:
        await exchange()

    message = refused.value.message
    assert told not in message
    assert not any(assertion.reveal()[at : at + 12] in message for at in range(len(assertion.reveal()) - 11))
    assert "invalid_grant" in message


async def test_a_reason_is_one_short_printable_line(route, exchange):
    """
    Log injection, terminal escapes and right-to-left tricks are left out.
    """
    route.respond(400, json={"error": "a\nb\r\x1b[31mc\x00\u202ed\u2028e", "error_description": "long " * 100})
    with pytest.raises(AssertionRefused) as refused:
        await exchange()

    reason = refused.value.message.split("(400): ")[1]
    assert reason.startswith("a b [31mcd e: long long")
    assert reason.isprintable()
    assert 200 == len(reason)


# --- a transport that fails -----------------------------------------------------------------------------------------
def caused(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (httpx.ConnectTimeout("x"), PackageManagerTimeout),
        (httpx.ReadTimeout("x"), PackageManagerTimeout),
        (httpx.WriteTimeout("x"), PackageManagerTimeout),
        (httpx.PoolTimeout("x"), PackageManagerTimeout),
        (TimeoutError(), PackageManagerTimeout),
        (caused(httpx.TimeoutException("x"), aiohttp.ServerTimeoutError()), PackageManagerTimeout),
        (httpx.ConnectError("x"), PackageManagerUnreachable),
        (httpx.ReadError("x"), PackageManagerUnreachable),
        (httpx.WriteError("x"), PackageManagerUnreachable),
        (httpx.CloseError("x"), PackageManagerUnreachable),
        (caused(httpx.ConnectTimeout("x"), aiohttp.ServerDisconnectedError()), PackageManagerUnreachable),
        (ConnectionResetError(104, "x"), PackageManagerUnreachable),
        (ssl.SSLError(1, "x"), PackageManagerUnreachable),
        (caused(httpx.ConnectError("x"), ssl.SSLCertVerificationError(1, "x")), PackageManagerUntrusted),
        (httpx.ProxyError("x"), PackageManagerUnreachable),
        (httpx.UnsupportedProtocol("x"), PackageManagerUnreachable),
        (httpx.RemoteProtocolError("x"), AnswerNotUnderstood),
        (httpx.LocalProtocolError("x"), AnswerNotUnderstood),
        (httpx.DecodingError("x"), PackageManagerUnreachable),
        (httpx.TooManyRedirects("x"), PackageManagerUnreachable),
        (httpx.InvalidURL("x"), PackageManagerUnreachable),
        (httpx.StreamClosed(), PackageManagerUnreachable),
        (aiohttp.ClientPayloadError(), PackageManagerUnreachable),
        (aiohttp.InvalidURL("x"), PackageManagerUnreachable),
        (UnicodeError("x"), PackageManagerUnreachable),
        (RuntimeError("Session is closed"), PackageManagerUnreachable),
    ],
    ids=repr,
)
async def test_every_failure_of_the_transport_becomes_a_leaf(clock, assertion, raised, expected):
    def fail(request):
        raise raised

    async with httpx.AsyncClient(transport=httpx.MockTransport(fail)) as client:
        with pytest.raises(expected) as failed:
            await HttpPackageManager(client, clock=clock).exchange(URL, assertion)

    assert expected is type(failed.value)


async def test_causes_without_end_are_not_followed_to_it(route, exchange):
    first, second = httpx.ConnectError("first"), httpx.ConnectError("second")
    first.__cause__, second.__cause__ = second, first
    route.side_effect = lambda request: (_ for _ in ()).throw(first)
    with pytest.raises(PackageManagerUnreachable):
        await exchange()


async def test_a_defect_of_our_own_is_not_mistaken_for_a_failure_of_theirs(route, exchange):
    route.side_effect = ZeroDivisionError
    with pytest.raises(ZeroDivisionError):
        await exchange()


async def test_a_closed_client_asks_nobody(clock, assertion):
    client = httpx.AsyncClient()
    await client.aclose()
    with pytest.raises(PackageManagerUnreachable, match="shutting down"):
        await HttpPackageManager(client, clock=clock).exchange(URL, assertion)
