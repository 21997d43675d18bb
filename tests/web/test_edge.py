"""
What every request passes: the correlation id, the limit on bodies, media types, methods, paths, the access log.
"""

import asyncio
import json
import logging
import re

import pytest

from tests.web.calls import BODIES, body_of, path_of
from tests.web.site import NOBODY, PREFIXED, V1, all_routes, refusal

LIMIT = 1024 * 1024
GROUPS = f"{V1}/groups"


class Body:
    """A body sent in pieces without a declared length; counts how many pieces were taken."""

    def __init__(self, pieces, size=65536):
        self.pieces, self.size, self.taken = pieces, size, 0

    async def __aiter__(self):
        for _ in range(self.pieces):
            self.taken += 1
            yield b" " * self.size


async def raw(broker, headers, *, method="GET", path="/healthz", body=b""):
    """
    Speak ASGI, for headers that a client library would not send.
    """
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "http_version": "1.1"}
    await broker.app({**scope, "headers": headers, "client": None}, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"]), b"".join(message.get("body", b"") for message in sent[1:])


# --- correlation id -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("given", ["a", "7b1e-42", "A.b_c:d-e", "x" * 128])
async def test_a_good_correlation_id_comes_back(shared, given):
    answered = await shared.http.get("/healthz", headers={"X-Correlation-ID": given})

    assert given == answered.headers["x-correlation-id"]


@pytest.mark.parametrize(
    "given",
    [b"", b" ", b"a b", b"x" * 129, b"x" * 100_000, b"a\r\nSet-Cookie: x=y", b"a\nb", b"a\0", b"\xff", "ü".encode(),
     b"<script>", b"%0d%0a", b"${jndi:ldap://x}", b'"'],
)  # fmt: skip
async def test_a_bad_correlation_id_is_replaced(shared, given):
    """
    It is written into headers, the log and the audit: whoever chose it freely could forge lines there.
    """
    _, headers, _ = await raw(shared, [(b"x-correlation-id", given)])

    assert b"made-up-by-the-broker" == headers[b"x-correlation-id"]


@pytest.mark.parametrize("path", ["/healthz", "/nowhere", f"{V1}/user", "/openid/v1/jwks", "/oauth/authorize"])
async def test_every_answer_has_a_correlation_id_and_forbids_sniffing(shared, path):
    headers = (await shared.http.get(path)).headers

    assert "made-up-by-the-broker" == headers["x-correlation-id"]
    assert "nosniff" == headers["x-content-type-options"]


# --- size -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/builds", "/groups", "/oauth/integrations"])
async def test_a_body_that_says_it_is_too_large_is_not_read(shared, path):
    body = Body(160)

    refused = await shared.send("POST", path, content=body, headers={"Content-Length": str(160 * 65536)})

    assert (413, 9013) == refusal(refused)
    assert 0 == body.taken
    assert "close" == refused.headers["connection"]
    assert "max_body_bytes" in refused.json()["error"]


@pytest.mark.parametrize("path", ["/builds", "/groups", "/oauth/integrations"])
async def test_a_body_that_grows_too_large_is_not_read_to_its_end(shared, path):
    body = Body(160)

    refused = await shared.send("POST", path, content=body)

    assert (413, 9013) == refusal(refused)
    assert body.taken <= LIMIT // 65536 + 1
    assert "close" == refused.headers["connection"]


async def test_a_body_at_the_limit_is_read(shared):
    text = b'{"name":"g"}'.ljust(LIMIT)

    assert 200 == (await shared.send("POST", "/groups", content=text)).status_code
    assert (413, 9013) == refusal(await shared.send("POST", "/groups", content=text + b" "))


async def test_a_build_takes_a_small_body_only(shared):
    """
    Strangers reach this parser: a header that looks like a key is enough (T8).
    """
    longest = {
        "owner_username": "x" * 64,
        "content_guid": NOBODY,
        "repositories": ["r" * 125 + f"{n:03}" for n in range(200)],
    }

    fits = await shared.send("POST", "/builds", longest)
    refused = await shared.send("POST", "/builds", content=json.dumps(longest).ljust(64 * 1024 + 1))

    assert (404, 4) == refusal(fits)
    assert (413, 9013) == refusal(refused)


@pytest.mark.parametrize("declared", ["-1", "+1", "1.0", "abc", "", " ", "0x10", "1 1", "1,1", "\u00b2", "1_0"])
async def test_a_length_that_is_no_number_is_refused(shared, declared):
    headers = [(b"content-length", declared.encode("latin-1"))]

    status, answered, body = await raw(shared, headers, method="POST", path=GROUPS)

    assert 400 == status
    assert 2 == json.loads(body)["code"]
    assert b"close" == answered[b"connection"]


@pytest.mark.parametrize("digits", [19, 4299, 4301, 100_000])
async def test_a_length_with_absurdly_many_digits_is_too_large(shared, digits):
    """
    Python refuses to read numbers beyond 4300 digits: that must not become a defect (T8).
    """
    status, _, body = await raw(shared, [(b"content-length", b"9" * digits)], method="POST", path=GROUPS)

    assert (413, 9013) == (status, json.loads(body)["code"])


# --- media types ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "given",
    [None, "application/json", "Application/JSON; charset=utf-8", "application/x-www-form-urlencoded",
     "application/x-www-form-urlencoded; charset=UTF-8", "application/vnd.api+json"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/groups", "/builds"])
async def test_json_is_read_also_under_the_name_that_curl_gives_it(broker, path, given):
    body = json.dumps({"name": "g"} if path == "/groups" else {"owner_username": "pam"}).encode()
    headers = {"Content-Type": given} if given else {}

    assert 200 == (await broker.send("POST", path, content=body, headers=headers)).status_code


@pytest.mark.parametrize(
    "given",
    ["text/plain", "text/html", "multipart/form-data; boundary=x", "application/xml", "application/octet-stream",
     "nonsense", "text/json", ";", "application/json, text/plain", "application/", "+json", "\u00fc".encode()],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/groups", "/builds"])
async def test_another_media_type_is_refused(shared, path, given):
    refused = await shared.send("POST", path, content=b"{}", headers={"Content-Type": given})

    assert (415, 9015) == refusal(refused)


async def test_a_form_is_not_read_as_a_form(shared):
    refused = await shared.send("POST", "/groups", data={"name": "g"})

    assert (400, 121) == refusal(refused)


# --- methods --------------------------------------------------------------------------------------------------------
PATHS = sorted({path for _, path in all_routes()})
ALLOWED = {path: {method for method, its in all_routes() if its == path} for path in PATHS}


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "G" * 5000, "PUT", "DELETE"])
async def test_a_method_that_a_path_does_not_have_is_refused_with_those_that_it_has(shared, method):
    """
    RFC 9110 15.5.6: `Allow` lists all of them, those of other routes of the same path included.
    """
    for path in PATHS:
        concrete = path_of(("", path), shared.world)
        status, headers, body = await raw(
            shared,
            [(b"authorization", shared.headers("admin")["Authorization"].encode())],
            method=method,
            path=concrete,
        )

        if method in ALLOWED[path]:
            continue
        assert 405 == status, path
        assert ALLOWED[path] == set(headers[b"allow"].decode().split(", ")) - {"HEAD"}
        assert 9005 == json.loads(body)["code"]
        assert len(body) < 1000


@pytest.mark.parametrize("path", PATHS)
async def test_head_is_answered_or_refused_without_a_body(shared, path):
    answered = await shared.http.head(path_of(("", path), shared.world), headers=shared.headers("admin"))

    assert b"" == answered.content
    assert answered.status_code in {200, 400, 405}


# --- paths ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "path",
    ["/", "", "/nowhere", "/__api__", "/__api__/", "/__api__/v1", "/__api__/v1/", f"{V1}/users/", f"{V1}//users",
     f"{V1}/users/%2e%2e/groups", f"{V1}/%2e%2e/%2e%2e/healthz", f"{V1}/%2e%2e/v1/user", "/healthz/", "/healthz%00",
     "/HEALTHZ", "//healthz", f"{V1}/users%2F", f"{V1}/user%20", "/openid/v1/jwks/", "/openid//v1/jwks",
     "/.well-known/", "/.git/config", "/%ff%fe", "/%0d%0aSet-Cookie:x", "/" + "a" * 9000, f"{V1}/users;x=1",
     "/__api__/v1/oauth/integrations/", "/docs", "/redoc", "/openapi.json"],
    ids=lambda path: path[:40],
)  # fmt: skip
async def test_a_path_where_nothing_is_answers_404_in_the_form_of_every_error(shared, path):
    response = await shared.http.get(path, headers=shared.headers("admin"))

    assert (404, 4) == refusal(response)
    assert len(response.content) < 2000


@pytest.mark.parametrize(
    ("path", "code"),
    [("/oauth/integrations/{}", 207), ("/users/{}", 261), ("/users/{}/keys", 261), ("/groups/{}", 262),
     ("/groups/{}/members", 262)],
)  # fmt: skip
@pytest.mark.parametrize(
    "guid",
    ["x", "%00", "1", "null", "11111111-1111-4111-8111-11111111111", "11111111-1111-4111-8111-1111111111111",
     "11111111-1111-4111-8111-111111111111%0a", "%2011111111-1111-4111-8111-111111111111",
     "{11111111-1111-4111-8111-111111111111}", "11111111111141118111111111111111",
     "%EF%BC%911111111-1111-4111-8111-111111111111", "g1111111-1111-4111-8111-111111111111", "' OR '1'='1",
     "\u0661" * 36, "a" * 5000],
)  # fmt: skip
async def test_what_is_no_guid_is_refused_with_the_code_of_its_kind(shared, path, code, guid):
    """
    207 for integrations, 261 for users, 262 for groups (vendor API); no second spelling of a handle works (T31).
    """
    assert (400, code) == refusal(await shared.send("GET", path.format(guid)))


@pytest.mark.parametrize("path", ["/oauth/integrations/{}", "/users/{}", "/groups/{}"])
async def test_a_guid_that_names_nothing_is_not_found(shared, path):
    found = await shared.send("GET", path.format("11111111-1111-4111-8111-111111111111"))

    assert (404, 4) == refusal(found)


@pytest.mark.parametrize("query", ["page_number", "page_size"])
@pytest.mark.parametrize(
    "value",
    ["0", "-1", "1.5", "x", "", "9" * 30, "9" * 5000, "1e3", "0x1", "\u0661\u0662\u0663\u0664" * 9, "%00", "null"],
)
@pytest.mark.parametrize("path", ["/users", "/groups", "/groups/{analysts}/members"])
async def test_an_impossible_page_is_refused(shared, path, query, value):
    refused = await shared.send("GET", path.format_map(shared.world.guids), params={query: value})

    assert (400, 25) == refusal(refused)
    assert query in refused.json()["error"]


@pytest.mark.parametrize("prefix", ["\0", "\ud83d\ude00", "%", "_", "'", "\\", "a" * 255, "\u202e", "\n"])
@pytest.mark.parametrize("path", ["/users", "/groups"])
async def test_a_strange_prefix_finds_nothing(shared, path, prefix):
    prefix = prefix.encode("utf-16", "surrogatepass").decode("utf-16")

    found = await shared.send("GET", path, params={"prefix": prefix})

    assert (200, 0) == (found.status_code, found.json()["total"])


async def test_a_prefix_that_is_no_text_finds_nothing(shared):
    found = await shared.http.get(f"{V1}/users?prefix=%ED%A0%80%FF", headers=shared.headers("admin"))

    assert (200, 0) == (found.status_code, found.json()["total"])


async def test_below_the_prefix_of_the_issuer_every_route_is_the_same(make_broker):
    """
    Some proxies strip the issuer's path and some do not.
    """
    async with make_broker(issuer=PREFIXED).running() as broker:
        for path in ("/healthz", "/openid/v1/jwks", f"{V1}/groups", f"{V1}/oauth/integrations"):
            stripped = await broker.http.get(path, headers=broker.headers("admin"))
            kept = await broker.http.get(f"/connect{path}", headers=broker.headers("admin"))

            assert (200, stripped.json()) == (kept.status_code, kept.json())


# --- bodies ---------------------------------------------------------------------------------------------------------
BROKEN = {
    "nothing": b"",
    "null": b"null",
    "a list": b"[]",
    "text": b'"x"',
    "a number": b"1",
    "an open brace": b"{",
    "a trailing comma": b'{"name":"x",}',
    "single quotes": b"{'name':'x'}",
    "a comment": b'{"name":"x"}//',
    "two values": b'{"name":"x"}{"name":"x"}',
    "an unknown field": b'{"surprise":1}',
    "an unknown field that is no text": b'{"\\ud800":1}',
    "not UTF-8": b'{"name":"\xff\xfe"}',
    "a NUL byte": b'{"name":"x"}\0',
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "a deep field": b'{"name":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a long number": b'{"name":' + b"9" * 900_000 + b"}",
    "a long fraction": b'{"name":0.' + b"9" * 900_000 + b"}",
    "a long key": b'{"' + b"a" * 900_000 + b'":1}',
    "many keys": b"{" + b",".join(b'"k%d":1' % n for n in range(50_000)) + b"}",
    "NaN": b'{"name":NaN}',
    "dots": b"." * 1_000_000,
    "a form": b"name=x&locked=true&owner_username=pam",
}


@pytest.mark.parametrize("what", BROKEN)
@pytest.mark.parametrize("route", BODIES, ids=" ".join)
async def test_a_body_that_is_not_as_documented_is_refused_at_once(shared, route, what):
    """
    In the form of every error and in no time, whatever it is (T8).
    """
    async with asyncio.timeout(5):
        refused = await shared.http.request(
            route[0], path_of(route, shared.world), content=BROKEN[what], headers=shared.headers("admin")
        )

    status, code = refusal(refused)
    assert (400 if code != 9013 else 413) == status
    assert code in {12, 18, 25, 87, 121} | ({9013} if route[1].endswith("/builds") else set())
    assert len(refused.content) < 5000


FIELDS = [(route, field) for route, body in BODIES.items() for field in body]
NASTY = {
    "empty": "",
    "blank": " ",
    "NUL": "\0",
    "line breaks": "a\r\nb",
    "half a surrogate pair": "\ud800",
    "half a surrogate pair inside": "a\udfffb",
    "right to left": "a\u202eb",
    "an escape": "\x1b[31m",
    "long": "x" * 300_000,
    "true": True,
    "zero": 0,
    "beyond 64 bits": 2**70,
    "below 64 bits": -(2**70),
    "a googol": 10**100,
    "a float": 1e308,
    "a list": [],
    "a list of null": [None],
    "an object": {},
    "an object in a list": [{}],
    "nested text": ["\ud800"],
    "nested field": {"\ud800": "\ud800"},
}
NOT_TEXT = {"half a surrogate pair", "half a surrogate pair inside", "NUL", "line breaks", "an escape", "nested text",
            "nested field", "a googol", "an object in a list"}  # fmt: skip
FREE = {"description": {"line breaks"}, "password": NOT_TEXT, "config": set()}
"""A description may have lines; a password is not kept."""


@pytest.mark.parametrize("what", NASTY)
@pytest.mark.parametrize(
    ("route", "field"), FIELDS, ids=lambda value: " ".join(value) if value is tuple else str(value)
)
async def test_no_value_of_a_field_is_a_defect(shared, caplog, route, field, what):
    """
    Text that no UTF-8 can carry, control characters, huge numbers and wrong types are the caller's fault, never a 500.
    """
    body = {**body_of(route, shared.world), field: NASTY[what]}

    async with asyncio.timeout(2):
        response = await shared.http.request(
            route[0],
            path_of(route, shared.world),
            content=json.dumps(body).encode(),
            headers={**shared.headers("admin"), "Content-Type": "application/json"},
        )

    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        refusal(response)
        assert len(response.content) < 6000
    if what in NOT_TEXT - FREE.get(field, set()):
        assert 400 <= response.status_code
    assert [] == [record for record in caplog.records if record.levelno >= logging.ERROR]


CONFIG = ("ppm_url", "scopes", "audience", "subject", "signing_algorithm", "allow_other_scopes", "surprise")


@pytest.mark.parametrize("what", NASTY)
@pytest.mark.parametrize("field", CONFIG)
async def test_no_value_inside_a_config_is_a_defect(shared, field, what):
    route = ("POST", f"{V1}/oauth/integrations")
    body = body_of(route, shared.world)
    body["config"][field] = NASTY[what]

    response = await shared.http.post(
        route[1], content=json.dumps(body), headers={**shared.headers("admin"), "Content-Type": "application/json"}
    )

    assert response.status_code in ({200, 400} if (field, what) in HARMLESS else {400}), response.text
    if response.status_code == 400:
        refusal(response)


HARMLESS = {("allow_other_scopes", what) for what in ("true", "zero", "empty")}
"""true, 0 and an empty text say yes or no well enough."""


@pytest.mark.parametrize("path", ["/groups", "/builds"])
async def test_the_last_of_two_equal_members_counts_everywhere(broker, path):
    """
    One reader reads a body, so no second opinion about it exists (RFC 8259 4 leaves it open).
    """
    body = {"/groups": b'{"name":"a","name":"b"}', "/builds": b'{"owner_username":"vic","owner_username":"pam"}'}[path]

    made = (await broker.send("POST", path, content=body)).json()

    assert ("b" if path == "/groups" else "pam") == made["name" if path == "/groups" else "owner_username"]


async def test_a_fault_names_the_fields_and_not_their_values(shared):
    """
    Whoever mixes up two fields may have put a key into one (T35).
    """
    refused = await shared.send(
        "POST", "/users", {"username": "x", "user_role": "canary", "emial": "canary", "body": 1}
    )

    assert (400, 25) == refusal(refused)
    assert "canary" not in refused.text
    assert all(f"{name}: " in refused.json()["error"] for name in ("user_role", "emial", "body"))


@pytest.mark.parametrize("path", ["/groups", "/builds"])
async def test_a_field_called_body_is_named_like_any_other(shared, path):
    refused = await shared.send("POST", path, {"name": "x", "owner_username": "pam", "body": 1, "query": 1})

    assert (400, 87) == refusal(refused)
    assert "body: is not a known field" in refused.json()["error"]
    assert "query: is not a known field" in refused.json()["error"]


# --- access log -----------------------------------------------------------------------------------------------------
async def test_each_request_leaves_one_line_without_its_query(shared, caplog):
    """
    People put secrets into queries (T35).
    """
    caplog.set_level(logging.INFO, "broker.access")

    await shared.http.get("/healthz?token=canary", headers={"X-Correlation-ID": "trace-me"})

    (record,) = caplog.records
    assert re.fullmatch(r"127\.0\.0\.1 GET /healthz 200 \d+\.\dms trace-me", record.getMessage())


async def test_a_path_cannot_forge_a_line_of_the_log(shared, caplog):
    caplog.set_level(logging.INFO, "broker.access")

    await shared.http.get("/%0d%0a127.0.0.1 GET /healthz 200%1b%5b31m%e2%80%a8" + "x" * 10_000)

    (record,) = caplog.records
    assert record.getMessage().isprintable()
    assert len(record.getMessage()) < 600
