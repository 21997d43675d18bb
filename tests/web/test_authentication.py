"""
Who calls: the API key in `Authorization: Key …`, and nothing that only looks like it.
"""

import hashlib
from datetime import timedelta

import pytest

from tests.web.site import V1, refusal

USER = f"{V1}/user"


async def user(broker, authorization):
    headers = [
        ("Authorization", each) for each in ([authorization] if isinstance(authorization, str) else authorization)
    ]
    return await broker.http.get(USER, headers=headers)


@pytest.mark.parametrize("path", ["/user", "/users", "/groups", "/oauth/integrations"])
async def test_without_a_header_the_answer_says_how_to_authenticate(shared, path):
    refused = await shared.send("GET", path, by=None)

    assert (401, 24) == refusal(refused)
    assert "Key" == refused.headers["www-authenticate"]
    assert "Authorization: Key" in refused.json()["error"]


@pytest.mark.parametrize("form", ["", " ", "\t", "  \t "])
async def test_an_empty_header_is_none(shared, form):
    assert (401, 24) == refusal(await user(shared, form))


@pytest.mark.parametrize(
    "form",
    ["Bearer {}", "Basic {}", "Token {}", "{}", "Key", "Key ", "Key: {}", "Key={}", "Keys {}", 'Key "{}"', "Key <{}>",
     "Key {} x", "Key {},Key {}", "Key Key {}", "Key\t{}", "Key {}\x00", "Key \x00{}"],
)  # fmt: skip
async def test_another_form_of_the_header_is_refused(shared, form):
    """
    Also with a good key in it.
    """
    refused = await user(shared, form.replace("{}", shared.world.keys["admin"]))

    assert (401, 30) == refusal(refused)
    assert "Key" == refused.headers["www-authenticate"]


@pytest.mark.parametrize("form", ["Key {}", "key {}", "KEY {}", "Key  {}", "  Key {}  ", "Key \t {}\t"])
async def test_the_scheme_is_read_in_any_case_and_white_space_around_is_not_part_of_the_key(shared, form):
    """
    RFC 9110 11.1 and 5.6.3.
    """
    found = await user(shared, form.format(shared.world.keys["vic"]))

    assert (200, "vic") == (found.status_code, found.json()["username"])


def crooked(key):
    """
    What is nearly the key.
    """
    return {
        "first half": key[: len(key) // 2],
        "without its last character": key[:-1],
        "without its first character": key[1:],
        "without its prefix": key[4:],
        "extended": key + "a",
        "extended before": "a" + key,
        "doubled": key + key,
        "upper case": key.upper(),
        "lower case": key.lower(),
        "swapped case": key.swapcase(),
        "one character changed": key[:-1] + ("a" if key[-1] != "a" else "b"),
        "no-break space behind": key + "\xa0",
        "next line behind": key + "\x85",
        "separator behind": key + "\x1f",
        "space inside": f"{key[:9]} {key[9:]}",
        "percent encoded": f"%{ord(key[0]):02x}{key[1:]}",
        "null": "null",
        "prefix only": key[:4],
        "a wildcard": "%",
        "its sha256": hashlib.sha256(key.encode()).hexdigest(),
        "long": "x" * 512,
        "too long": "x" * 513,
        "much too long": "x" * 1_000_000,
    }


@pytest.mark.parametrize("what", crooked("pcb_x"))
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_a_key_works_whole_or_not_at_all(shared, method, what):
    """
    Truncated, extended, folded, re-encoded: unknown, on the paths of the administration and of builds (T31).
    """
    path = {"GET": "/user", "POST": "/builds", "DELETE": "/builds/11111111-1111-4111-8111-111111111111"}[method]
    key = crooked(shared.world.keys["admin"])[what]
    body = {"owner_username": "pam"} if method == "POST" else None

    refused = await shared.send(method, path, body, by=None, headers={"Authorization": f"Key {key}".encode("latin-1")})

    assert (401, 30) == refusal(refused)
    assert shared.world.keys["admin"][-12:] not in refused.text


@pytest.mark.parametrize("names", [("admin", "vic"), ("vic", "admin"), ("admin", "admin"), ("admin", None)])
async def test_two_headers_are_refused(shared, names):
    """
    A proxy in front may have looked at the other one (compare T6).
    """
    forms = [shared.headers(name).get("Authorization", "Bearer x") for name in names]

    assert (401, 30) == refusal(await user(shared, forms))


@pytest.mark.parametrize("where", ["query", "cookie", "body", "other header"])
async def test_a_key_in_another_place_does_not_count(shared, where):
    key = shared.world.keys["admin"]
    more = {
        "query": {"params": {"key": key, "api_key": key, "access_token": key}},
        "cookie": {"headers": {"Cookie": f"key={key}; Authorization=Key {key}"}},
        "body": {"content": f"key={key}"},
        "other header": {
            "headers": {"X-API-Key": key, "Proxy-Authorization": f"Key {key}", "X-RSC-Authorization": key}
        },
    }[where]

    assert (401, 24) == refusal(await shared.http.request("GET", USER, **more))


async def test_a_deleted_key_stops_at_once_on_every_path(broker):
    vic = broker.world.guids["paul"]
    assert 200 == (await broker.build({"owner_username": "paul"}, by="paul")).status_code

    assert 204 == (await broker.send("DELETE", f"/users/{vic}/keys/3")).status_code

    assert (401, 30) == refusal(await broker.send("GET", "/user", by="paul"))
    assert (401, 30) == refusal(await broker.build({"owner_username": "paul"}, by="paul"))


async def test_a_locked_user_is_refused_at_once_and_works_again_when_unlocked(broker):
    lock = f"/users/{broker.world.guids['paul']}/lock"

    assert True is (await broker.send("POST", lock, {"locked": True})).json()["locked"]
    assert (401, 30) == refusal(await broker.send("GET", "/user", by="paul"))
    assert (401, 30) == refusal(await broker.build({"owner_username": "paul"}, by="paul"))
    assert False is (await broker.send("POST", lock, {"locked": False})).json()["locked"]
    assert 200 == (await broker.build({"owner_username": "paul"}, by="paul")).status_code


async def test_a_key_ends_at_its_expiry_to_the_second(broker):
    expires = broker.clock.now() + timedelta(hours=1)
    made = await broker.send("POST", f"/users/{broker.world.guids['pam']}/keys",
                             {"name": "short", "expires_at": expires.isoformat()})  # fmt: skip
    header = f"Key {made.json()['key']}"

    broker.clock.advance(seconds=3599)
    before = await user(broker, header)
    broker.clock.advance(seconds=1)
    after = await user(broker, header)

    assert (200, "pam") == (before.status_code, before.json()["username"])
    assert (401, 30) == refusal(after)


async def test_every_bad_key_is_refused_in_the_same_words(broker):
    """
    A stranger learns nothing about keys that exist.
    """
    await broker.send("DELETE", f"/users/{broker.world.guids['paul']}/keys/3")

    unknown, deleted, locked = [
        await user(broker, f"Key {key}") for key in ("x" * 53, broker.world.keys["paul"], broker.world.keys["lucy"])
    ]

    assert unknown.json() == deleted.json() == locked.json()


async def test_the_role_of_a_key_caps_that_of_its_user(broker):
    """
    A viewer's key of an administrator reads and does nothing else (T27).
    """
    made = await broker.send("POST", f"/users/{broker.world.guids['admin']}/keys", {"name": "r", "user_role": "viewer"})
    header = {"Authorization": f"Key {made.json()['key']}"}

    read = await broker.send("GET", "/users", by=None, headers=header)
    write = await broker.send("POST", "/groups", {"name": "g"}, by=None, headers=header)
    build = await broker.send("POST", "/builds", {"owner_username": "admin"}, by=None, headers=header)

    assert 200 == read.status_code
    assert (403, 22) == refusal(write)
    assert {"needed_role": "administrator"} == write.json()["payload"]
    assert (403, 22) == refusal(build)


async def test_a_capped_key_makes_no_key_above_its_cap(broker):
    """
    Otherwise it could lift its own cap (T33).
    """
    keys = f"/users/{broker.world.guids['admin']}/keys"
    made = await broker.send("POST", keys, {"name": "p", "user_role": "publisher"})
    header = {"Authorization": f"Key {made.json()['key']}"}

    above = await broker.send("POST", keys, {"name": "x", "user_role": "administrator"}, by=None, headers=header)
    unsaid = await broker.send("POST", keys, {"name": "x"}, by=None, headers=header)

    assert (400, 234) == refusal(above)
    assert "publisher" == unsaid.json()["user_role"]


async def test_a_body_that_is_no_json_does_not_hide_who_calls(shared):
    """
    The build API looks for a key before it reads the body.
    """
    refused = await shared.send("POST", "/builds", by=None, content=b"{")

    assert (401, 24) == refusal(refused)
