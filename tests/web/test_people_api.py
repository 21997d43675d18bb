"""
Users, groups, members and API keys in the vendor's form (CONTRACT.md 2).
"""

import pytest
from sqlalchemy import text

from tests.web.site import NOBODY, refusal

USER = [
    *("active_time", "confirmed", "created_time", "email", "first_name", "guid", "last_name", "locked"),
    *("updated_time", "user_role", "username"),
]
GROUP = ["guid", "member_count", "name", "owner_guid"]
KEY = ["active_time", "created_time", "expires_at", "id", "name", "user_role"]


async def names(broker, path, **query):
    found = await broker.send("GET", path, params=query)
    assert 200 == found.status_code, found.text
    return [each.get("username") or each["name"] for each in found.json()["results"]]


# --- pages ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/users", "/groups", "/groups/{analysts}/members"])
async def test_a_page_has_exactly_three_members(shared, path):
    """
    One more breaks a client of the vendor.
    """
    page = (await shared.send("GET", path.format_map(shared.world.guids))).json()

    assert ["current_page", "results", "total"] == sorted(page)
    assert 1 == page["current_page"]


async def test_pages_go_on_where_the_last_one_ended_and_beyond_the_end_they_are_empty(shared):
    pages = [
        (await shared.send("GET", "/users", params={"page_number": n, "page_size": 2})).json() for n in (1, 2, 3, 4)
    ]

    assert [["admin", "lucy"], ["pam", "paul"], ["vic"], []] == [
        [user["username"] for user in page["results"]] for page in pages
    ]
    assert [(1, 5), (2, 5), (3, 5), (4, 5)] == [(page["current_page"], page["total"]) for page in pages]


@pytest.mark.parametrize(("size", "status"), [(1, 200), (500, 200), (501, 400), (0, 400), (-1, 400)])
async def test_a_page_has_1_to_500_entries(shared, size, status):
    assert status == (await shared.send("GET", "/users", params={"page_size": size})).status_code


async def test_the_last_possible_page_is_an_empty_one(shared):
    assert [] == await names(shared, "/users", page_number=1_000_000, page_size=500)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"prefix": "pa"}, ["pam", "paul"]),
        ({"prefix": "PA"}, ["pam", "paul"]),
        ({"prefix": "p_m"}, []),
        ({"prefix": "p%"}, []),
        ({"prefix": ""}, ["admin", "lucy", "pam", "paul", "vic"]),
        ({"user_role": "viewer"}, ["vic"]),
        ({"user_role": "administrator"}, ["admin"]),
        ({"account_status": "locked"}, ["lucy"]),
        ({"account_status": "licensed"}, ["admin", "pam", "paul", "vic"]),
        ({"user_role": "publisher", "account_status": "locked", "prefix": "l"}, ["lucy"]),
    ],
    ids=str,
)
async def test_users_are_filtered(shared, query, expected):
    assert expected == await names(shared, "/users", **query)


@pytest.mark.parametrize("query", [{"user_role": "root"}, {"account_status": "x"}, {"prefix": "x" * 256}], ids=str)
async def test_an_unknown_filter_is_refused(shared, query):
    assert (400, 25) == refusal(await shared.send("GET", "/users", params=query))


# --- users ----------------------------------------------------------------------------------------------------------
async def test_the_caller_is_shown_as_in_the_list(shared):
    await shared.send("GET", "/user", by="vic")  # from here on it is known when vic was active
    me = (await shared.send("GET", "/user", by="vic")).json()

    assert USER == sorted(me)
    assert "vic" == me["username"]
    assert me == (await shared.send("GET", f"/users/{me['guid']}")).json()
    assert me in (await shared.send("GET", "/users")).json()["results"]


async def test_a_user_is_created_as_a_viewer_without_rights(broker):
    made = await broker.send("POST", "/users", {"username": "nina"})

    assert 200 == made.status_code
    assert USER == sorted(made.json())
    assert ("viewer", False, "", None) == tuple(
        made.json()[name] for name in ("user_role", "locked", "email", "active_time")
    )


async def test_everything_that_is_said_of_a_user_comes_back_except_the_password(broker):
    said = {"username": "nina", "email": "n@example.com", "first_name": "Nína", "last_name": "Ő"}
    said |= {"user_role": "publisher", "external_id": "x-1"}

    made = (await broker.send("POST", "/users", {**said, "password": "canary", "user_must_set_password": True})).json()

    assert said == {name: made[name] for name in said}
    assert "canary" not in str(made)
    with broker.engine.connect() as connection:
        assert "canary" not in "\n".join(connection.connection.driver_connection.iterdump())


async def test_the_vendors_other_name_of_the_external_id_is_understood(broker):
    made = (await broker.send("POST", "/users", {"username": "nina", "unique_id": "x-1"})).json()

    assert "x-1" == made["external_id"]


@pytest.mark.parametrize("username", ["vic", "VIC", "Vic"])
async def test_a_user_name_is_taken_in_every_case(shared, username):
    refused = await shared.send("POST", "/users", {"username": username})

    assert (409, 8) == refusal(refused)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, 12),
        ({"username": ""}, 7),
        ({"username": "a b"}, 7),
        ({"username": "-a"}, 7),
        ({"username": "a\n"}, 7),
        ({"username": "x" * 65}, 7),
        ({"username": "\u0430dmin"}, 7),
        ({"username": "x", "user_role": "root"}, 25),
        ({"username": "x", "user_role": 3}, 25),
        ({"username": "x", "guid": NOBODY}, 87),
        ({"username": "x", "locked": False}, 87),
        ({"username": "x", "email": "a@b\r\nBcc: c@d"}, 87),
        ({"username": "x", "email": "x" * 321}, 87),
        ({"username": "x", "first_name": "a\nb"}, 87),
        ({"username": "x", "last_name": "\u202e"}, 87),
        ({"username": "x", "external_id": "x" * 256}, 87),
        ({"username": "x", "unique_id": "x" * 256}, 87),
    ],
    ids=str,
)
async def test_an_impossible_user_is_refused(shared, body, code):
    """
    Names become claims and lines of Package Manager's log: a line break in one would forge a line there.
    """
    assert (400, code) == refusal(await shared.send("POST", "/users", body))


async def test_a_user_is_changed_in_what_is_named(broker):
    path = f"/users/{broker.world.guids['paul']}"
    before = (await broker.send("GET", path)).json()
    broker.clock.advance(hours=1)

    changed = (await broker.send("PUT", path, {"email": "p@example.com", "first_name": None})).json()

    assert {**before, "email": "p@example.com", "updated_time": "2026-11-21T13:00:00Z"} == changed
    assert changed == (await broker.send("GET", path)).json()


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({}, (400, 18)),
        ({"email": None}, (400, 18)),
        ({"username": "vic"}, (409, 8)),
        ({"username": ""}, (400, 7)),
        ({"locked": True}, (400, 87)),
    ],
    ids=str,
)
async def test_an_impossible_change_of_a_user_is_refused(shared, body, answer):
    assert answer == refusal(await shared.send("PUT", f"/users/{shared.world.guids['paul']}", body))


async def test_the_last_administrator_stays(shared):
    admin = f"/users/{shared.world.guids['admin']}"

    demoted = await shared.send("PUT", admin, {"user_role": "publisher"})
    locked = await shared.send("POST", f"{admin}/lock", {"locked": True})

    assert (409, 61) == refusal(demoted)
    assert (409, 61) == refusal(locked)
    assert 200 == (await shared.send("GET", "/user")).status_code


@pytest.mark.parametrize("body", [{}, {"locked": None}, {"locked": "no"}, {"locked": 0}, {"locked": "false"}], ids=str)
async def test_whether_to_lock_is_said_plainly(shared, body):
    """
    A text that merely looks like no must not unlock, nor the other way round.
    """
    assert 400 == refusal(await shared.send("POST", f"/users/{shared.world.guids['lucy']}/lock", body))[0]
    assert ["lucy"] == await names(shared, "/users", account_status="locked")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("GET", "", None), ("PUT", "", {"email": "a"}), ("POST", "/lock", {"locked": True}), ("GET", "/keys", None),
     ("POST", "/keys", {"name": "x"}), ("GET", "/keys/1", None), ("DELETE", "/keys/1", None)],
)  # fmt: skip
async def test_a_user_who_does_not_exist_is_not_found(shared, method, path, body):
    assert (404, 4) == refusal(await shared.send(method, f"/users/{NOBODY}{path}", body))


# --- groups ---------------------------------------------------------------------------------------------------------
async def test_a_group_is_created_renamed_and_deleted(broker):
    made = (await broker.send("POST", "/groups", {"name": "Bérengère & co"})).json()
    path = f"/groups/{made['guid']}"

    renamed = (await broker.send("PUT", path, {"name": "others"})).json()
    deleted = await broker.send("DELETE", path)

    assert {"guid": made["guid"], "name": "Bérengère & co", "owner_guid": broker.world.guids["admin"],
            "member_count": 0} == made  # fmt: skip
    assert {**made, "name": "others"} == renamed
    assert (204, b"") == (deleted.status_code, deleted.content)
    for method, body in (("GET", None), ("PUT", {"name": "x"}), ("DELETE", None)):
        assert (404, 4) == refusal(await broker.send(method, path, body))


@pytest.mark.parametrize("name", ["analysts", "ANALYSTS", "Analysts", "\uff41nalysts"])
async def test_a_group_name_is_taken_in_every_spelling_that_looks_the_same(shared, name):
    assert (409, 15) == refusal(await shared.send("POST", "/groups", {"name": name}))


async def test_a_group_may_be_renamed_to_itself_in_another_case(broker):
    renamed = await broker.send("PUT", f"/groups/{broker.world.guids['analysts']}", {"name": "Analysts"})

    assert "Analysts" == renamed.json()["name"]


@pytest.mark.parametrize("name", ["", " ", " a", "a ", "a\nb", "x" * 256, "\u202ea"])
@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_an_impossible_group_name_is_refused(shared, method, name):
    path = "/groups" if method == "POST" else f"/groups/{shared.world.guids['analysts']}"

    assert (400, 14) == refusal(await shared.send(method, path, {"name": name}))


async def test_a_recreated_group_inherits_nothing(broker):
    """
    Access lists go by the guid (T25).
    """
    await broker.send("DELETE", f"/groups/{broker.world.guids['analysts']}")
    made = (await broker.send("POST", "/groups", {"name": "analysts"})).json()
    await broker.send("POST", f"/groups/{made['guid']}/members", {"user_guid": broker.world.guids["pam"]})

    assert ["repos:read:open"] == (await broker.build()).json()["credentials"][0]["scopes"]


# --- members --------------------------------------------------------------------------------------------------------
async def test_members_come_and_go_and_builds_follow_at_once(broker):
    """
    Removing somebody acts from the very next build on (T25).
    """
    members = f"/groups/{broker.world.guids['analysts']}/members"
    paul = broker.world.guids["paul"]

    async def scopes():
        return (await broker.build({"owner_username": "paul"})).json()["credentials"][0]["scopes"]

    before = await scopes()
    added = await broker.send("POST", members, {"user_guid": paul.upper()})
    during = await scopes()
    listed = await names(broker, members)
    count = (await broker.send("GET", f"/groups/{broker.world.guids['analysts']}")).json()["member_count"]
    removed = await broker.send("DELETE", f"{members}/{paul}")

    assert (204, b"", 204, b"") == (added.status_code, added.content, removed.status_code, removed.content)
    assert (["pam", "paul"], 2) == (listed, count)
    assert ["repos:read:open"] == before == await scopes()
    assert ["repos:read:closed,open"] == during


@pytest.mark.parametrize(
    ("method", "path", "body", "answer"),
    [
        ("POST", "", {"user_guid": NOBODY}, (400, 261)),
        ("POST", "", {"user_guid": "x"}, (400, 87)),
        ("POST", "", {}, (400, 12)),
        ("POST", "", {"user_guid": "{pam}"}, (409, 16)),
        ("DELETE", "/{paul}", None, (400, 17)),
        ("DELETE", f"/{NOBODY}", None, (400, 17)),
        ("DELETE", "/x", None, (400, 261)),
    ],
)
async def test_an_impossible_change_of_members_is_refused(shared, method, path, body, answer):
    guids = shared.world.guids
    body = body and {name: guids.get(value.strip("{}"), value) for name, value in body.items()}

    refused = await shared.send(method, f"/groups/{guids['analysts']}/members{path.format_map(guids)}", body)

    assert answer == refusal(refused)


@pytest.mark.parametrize(("method", "path", "body"), [("GET", "", None), ("POST", "", {"user_guid": "{pam}"}),
                                                      ("DELETE", "/{pam}", None)])  # fmt: skip
async def test_members_of_a_group_that_does_not_exist_are_not_found(shared, method, path, body):
    guids = shared.world.guids
    body = body and {"user_guid": guids["pam"]}

    refused = await shared.send(method, f"/groups/{NOBODY}/members{path.format_map(guids)}", body)

    assert (404, 4) == refusal(refused)


async def test_members_are_listed_in_pages_with_a_prefix(shared):
    members = f"/groups/{shared.world.guids['analysts']}/members"

    assert (["pam"], []) == (await names(shared, members, prefix="PA"), await names(shared, members, prefix="x"))
    assert [] == await names(shared, members, page_number=2)


# --- keys -----------------------------------------------------------------------------------------------------------
async def test_a_key_is_shown_once_and_kept_by_nobody(broker):
    """
    The answer may not be cached, no later answer shows the key, and the database has its SHA-256 only (T35).
    """
    keys = f"/users/{broker.world.guids['pam']}/keys"

    made = await broker.send("POST", keys, {"name": "ci"})
    key = made.json().pop("key")

    assert [*KEY, "key"] == sorted(made.json(), key=lambda name: (name == "key", name))
    assert "no-store" == made.headers["cache-control"]
    assert {**made.json(), "key": key} == {
        **(await broker.send("GET", f"{keys}/{made.json()['id']}")).json(),
        "key": key,
    }
    for path in (keys, f"{keys}/{made.json()['id']}", "/users", f"/users/{broker.world.guids['pam']}"):
        assert key not in (await broker.send("GET", path)).text
    with broker.engine.connect() as connection:
        connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    assert key.encode() not in (broker.settings.data_dir / "broker.db").read_bytes()
    assert 200 == (await broker.send("GET", "/user", by=None, headers={"Authorization": f"Key {key}"})).status_code


async def test_keys_are_a_bare_array_in_the_order_of_their_creation(broker):
    keys = f"/users/{broker.world.guids['pam']}/keys"
    await broker.send("POST", keys, {"name": "second"}, by="pam")

    listed = (await broker.send("GET", keys, by="pam")).json()

    assert ["laptop", "second"] == [key["name"] for key in listed]
    assert [KEY, KEY] == [sorted(key) for key in listed]


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({}, (400, 12)),
        ({"name": ""}, (400, 62)),
        ({"name": " "}, (400, 62)),
        ({"name": "a\nb"}, (400, 62)),
        ({"name": "x" * 256}, (400, 62)),
        ({"name": "x", "user_role": "administrator"}, (400, 234)),
        ({"name": "x", "user_role": "root"}, (400, 25)),
        ({"name": "x", "expires_at": "2026-11-21T12:00:00Z"}, (400, 25)),
        ({"name": "x", "expires_at": "2020-01-01T00:00:00Z"}, (400, 25)),
        ({"name": "x", "expires_at": "2030-01-01T00:00:00"}, (400, 87)),
        ({"name": "x", "expires_at": "2030-01-01"}, (400, 87)),
        ({"name": "x", "expires_at": "soon"}, (400, 87)),
        ({"name": "x", "expires_at": "9999-12-31T23:59:59-00:01"}, (400, 87)),
        ({"name": "x", "expires_at": "0001-01-01T00:00:00+00:01"}, (400, 87)),
        ({"name": "x", "expires_at": 1e20}, (400, 87)),
        ({"name": "x", "key": "chosen by the caller"}, (400, 87)),
    ],
    ids=str,
)
async def test_an_impossible_key_is_refused(shared, body, answer):
    """
    A time that UTC cannot express used to be a defect.
    """
    assert answer == refusal(await shared.send("POST", f"/users/{shared.world.guids['pam']}/keys", body))


async def test_an_expiry_is_shown_in_utc(broker):
    made = await broker.send(
        "POST",
        f"/users/{broker.world.guids['pam']}/keys",
        {"name": "x", "expires_at": "2030-01-01T00:00:00.999+05:30"},
    )

    assert "2029-12-31T18:30:00Z" == made.json()["expires_at"]


async def test_the_last_instant_of_the_calendar_is_an_expiry(broker):
    made = await broker.send(
        "POST", f"/users/{broker.world.guids['pam']}/keys", {"name": "x", "expires_at": "9999-12-31T23:59:59Z"}
    )

    assert "9999-12-31T23:59:59Z" == made.json()["expires_at"]


@pytest.mark.parametrize(
    "key_id",
    [
        "x",
        "0",
        "999",
        "-2",
        "2.0",
        " 2",
        "2 ",
        "%00",
        "9" * 30,
        "9" * 5000,
        "2;3",
        "0x2",
        "02",
        "+2",
        "%D9%A2",
        "%EF%BC%92",
    ],
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_key_that_does_not_exist_is_not_found(shared, method, key_id):
    keys = f"/users/{shared.world.guids['pam']}/keys"

    assert (404, 4) == refusal(await shared.send(method, f"{keys}/{key_id}"))
    assert 1 == len((await shared.send("GET", keys)).json())


# --- server ---------------------------------------------------------------------------------------------------------
async def test_the_version_is_told_to_everybody(shared):
    """
    The vendor's clients ask before they log in, and read it as PEP 440.
    """
    told = await shared.http.get("/__api__/server_settings")

    assert ["version"] == list(told.json())
    assert told.json()["version"][0].isdigit()
