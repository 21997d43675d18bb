"""
Integrations in the vendor's form (CONTRACT.md 2).
"""

import json
import re

import pytest

from tests.web.site import NOBODY, PPM, refusal

INTEGRATIONS = "/oauth/integrations"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
NEW = {"template": "ppm", "name": "Internal", "config": {"ppm_url": PPM, "scopes": "repos:read:*"}}
MEMBERS = [
    *("access", "auth_type", "config", "created_time", "description", "guid", "id", "name", "permissions", "template"),
    "updated_time",
]


def group(broker, name="analysts"):
    return {"user_guid": None, "group_guid": broker.world.guids[name]}


def user(broker, name):
    return {"user_guid": broker.world.guids[name], "group_guid": None}


async def create(broker, **changes):
    made = await broker.send("POST", INTEGRATIONS, {**NEW, **changes})
    assert 200 == made.status_code, made.text
    return made.json()


async def change(broker, guid, **changes):
    return await broker.send("PATCH", f"{INTEGRATIONS}/{guid}", changes)


# --- create ---------------------------------------------------------------------------------------------------------
async def test_the_call_of_the_vendors_guide_creates_an_integration(broker):
    """
    As `curl -d` sends it: JSON under the name of a form.
    """
    body = {
        "template": "ppm",
        "name": "Internal Packages Access",
        "description": "Read access for analysts",
        "config": {"ppm_url": "https://packages.company.internal", "scopes": "repos:read:*"},
        "permissions": [group(broker)],
    }

    made = await broker.send(
        "POST", INTEGRATIONS, content=json.dumps(body), headers={"Content-Type": "application/x-www-form-urlencoded"}
    )

    assert 200 == made.status_code
    shown = made.json()
    assert MEMBERS == sorted(shown)
    assert {name: shown[name] for name in ("template", "name", "description", "config")} == {
        name: body[name] for name in ("template", "name", "description", "config")
    }
    assert "restricted" == shown["access"]
    assert shown["id"].isdecimal()
    assert UUID.fullmatch(shown["guid"])
    assert TIME.fullmatch(shown["created_time"])
    assert shown["created_time"] == shown["updated_time"]
    (entry,) = shown["permissions"]
    assert {**group(broker), "integration_guid": shown["guid"], "id": entry["id"], "guid": entry["guid"]} == entry
    assert entry["id"].isdecimal()
    assert UUID.fullmatch(entry["guid"])


async def test_the_answer_to_a_creation_is_what_is_read_later_and_what_is_listed(broker):
    """
    Clients compare these objects.
    """
    made = await create(broker, permissions=[group(broker), user(broker, "paul")], description="two\nlines")

    got = (await broker.send("GET", f"{INTEGRATIONS}/{made['guid']}")).json()
    listed = (await broker.send("GET", INTEGRATIONS)).json()

    assert made == got == listed[-1]
    assert ["open", "closed", "Internal"] == [each["name"] for each in listed]


async def test_the_list_is_a_bare_array(shared):
    assert isinstance((await shared.send("GET", INTEGRATIONS, by="pam")).json(), list)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, "everyone"),
        ({"permissions": []}, "everyone"),
        ({"permissions": None, "access": None}, "everyone"),
        ({"access": "everyone"}, "everyone"),
        ({"access": "everyone", "permissions": []}, "everyone"),
        ({"access": "restricted"}, "restricted"),
        ({"access": "restricted", "permissions": []}, "restricted"),
    ],
    ids=str,
)
async def test_without_permissions_an_integration_is_open_unless_it_says_restricted(broker, said, expected):
    made = await create(broker, **said)

    assert (expected, []) == (made["access"], made["permissions"])


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"template": "aws"}, 227),
        ({"template": "PPM"}, 227),
        ({"template": ""}, 227),
        ({"name": ""}, 225),
        ({"name": " "}, 225),
        ({"name": "a\nb"}, 225),
        ({"name": "x" * 256}, 225),
        ({"description": "x" * 4097}, 226),
        ({"description": "\x1b[2J"}, 226),
        ({"config": {}}, 228),
        ({"config": {"ppm_url": PPM}}, 228),
        ({"config": {"scopes": "repos:read:*"}}, 228),
        ({"config": {"ppm_url": PPM, "scopes": ""}}, 228),
        ({"config": {"ppm_url": PPM, "scopes": "repos:read:"}}, 228),
        ({"config": {"ppm_url": PPM, "scopes": "global:admin"}}, 228),
        ({"config": {"ppm_url": PPM, "scopes": "repos:read:* metadata:admin"}}, 228),
        ({"config": {"ppm_url": PPM, "scopes": "repos:read:*", "surprise": "x"}}, 228),
        ({"config": {"ppm_url": PPM, "scopes": "repos:read:*", "signing_algorithm": "HS256"}}, 228),
        ({"config": {"ppm_url": PPM, "scopes": "repos:read:*", "signing_algorithm": "none"}}, 228),
        ({"config": {"ppm_url": PPM, "scopes": "repos:read:*", "audience": ""}}, 228),
        ({"config": {"ppm_url": PPM, "scopes": "repos:read:*", "allow_other_scopes": "yes"}}, 228),
        ({"config": "x"}, 87),
        ({"access": "nobody"}, 25),
        ({"permissions": {}}, 87),
        ({"permissions": [{}]}, 25),
        ({"permissions": [{"user_guid": None, "group_guid": None}]}, 25),
        ({"permissions": [{"user_guid": NOBODY, "group_guid": NOBODY}]}, 25),
        ({"permissions": [{"user_guid": NOBODY}]}, 25),
        ({"permissions": [{"group_guid": NOBODY}]}, 25),
        ({"permissions": [{"user_guid": "x"}]}, 87),
        ({"permissions": [{"user_guid": NOBODY, "role": "owner"}]}, 87),
        ({"surprise": 1}, 87),
        ({"guid": NOBODY}, 87),
        ({"id": "1"}, 87),
    ],
    ids=str,
)
async def test_an_impossible_integration_is_refused_and_nothing_is_stored(shared, changes, code):
    before = (await shared.send("GET", INTEGRATIONS)).json()

    refused = await shared.send("POST", INTEGRATIONS, {**NEW, **changes})

    assert (400, code) == refusal(refused)
    assert before == (await shared.send("GET", INTEGRATIONS)).json()


@pytest.mark.parametrize("missing", ["template", "name", "config"])
async def test_a_required_field_is_named(shared, missing):
    refused = await shared.send("POST", INTEGRATIONS, {name: NEW[name] for name in NEW if name != missing})

    assert (400, 12) == refusal(refused)
    assert f"{missing}: is required" == refused.json()["error"]


async def test_a_user_and_a_group_are_not_mixed_up(shared):
    """
    The guid of a group names no user.
    """
    refused = await shared.send(
        "POST", INTEGRATIONS, {**NEW, "permissions": [{"user_guid": shared.world.guids["analysts"]}]}
    )

    assert (400, 25) == refusal(refused)


async def test_naming_somebody_twice_is_refused_in_whatever_spelling(shared):
    again = {"group_guid": shared.world.guids["analysts"].upper()}

    refused = await shared.send("POST", INTEGRATIONS, {**NEW, "permissions": [group(shared), again]})

    assert (400, 25) == refusal(refused)
    assert "twice" in refused.json()["error"]


async def test_everyone_and_a_list_contradict_each_other(shared):
    refused = await shared.send("POST", INTEGRATIONS, {**NEW, "access": "everyone", "permissions": [group(shared)]})

    assert (400, 25) == refusal(refused)


async def test_ten_thousand_entries_are_refused_in_good_time(shared):
    entries = [{"user_guid": f"11111111-1111-4111-8111-{n:012x}"} for n in range(10_001)]

    refused = await shared.send("POST", INTEGRATIONS, {**NEW, "permissions": entries})

    assert (400, 25) == refusal(refused)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"ppm_url": "HTTPS://Packages.Example.COM:443/", "scopes": "repos:read:b,a repos:read:c"},
         {"ppm_url": PPM, "scopes": "repos:read:a,b,c"}),
        ({"ppm_url": f"{PPM}/rspm/", "scopes": "repos:read:*\nrepos:read:b", "audience": None},
         {"ppm_url": f"{PPM}/rspm", "scopes": "repos:read:*"}),
        ({"ppm_url": PPM, "scopes": "repos:read:a global:admin", "allow_other_scopes": "true"},
         {"ppm_url": PPM, "scopes": "global:admin repos:read:a", "allow_other_scopes": "true"}),
        ({"ppm_url": PPM, "scopes": "repos:read:a", "allow_other_scopes": "false", "signing_algorithm": "RS256"},
         {"ppm_url": PPM, "scopes": "repos:read:a", "signing_algorithm": "RS256"}),
    ],
    ids=str,
)  # fmt: skip
async def test_a_config_is_shown_in_one_spelling_and_with_nothing_that_was_not_set(broker, given, shown):
    made = await create(broker, config=given)

    assert {**shown, "scopes": sorted(shown["scopes"].split())} == {
        **made["config"],
        "scopes": sorted(made["config"]["scopes"].split()),
    }


# --- change ---------------------------------------------------------------------------------------------------------
async def test_a_change_touches_what_it_names_and_nothing_else(broker):
    made = await create(broker, permissions=[group(broker)], description="old")
    broker.clock.advance(hours=1)

    changed = (await change(broker, made["guid"], name="New")).json()

    assert {**made, "name": "New", "updated_time": "2026-11-21T13:00:00Z"} == changed
    assert changed == (await broker.send("GET", f"{INTEGRATIONS}/{made['guid']}")).json()


async def test_null_means_as_it_is(broker):
    made = await create(broker, permissions=[group(broker)])

    changed = await change(
        broker, made["guid"], name="New", description=None, config=None, access=None, permissions=None
    )

    assert {**made, "name": "New"} == changed.json()


@pytest.mark.parametrize(
    "body", [{}, {"name": None}, {"template": "ppm"}, {"permissions": None, "access": None}], ids=str
)
async def test_a_change_without_a_change_is_refused(shared, body):
    refused = await change(shared, shared.world.guids["closed"], **body)

    assert (400, 18) == refusal(refused)


async def test_the_template_is_fixed(shared):
    assert (400, 229) == refusal(await change(shared, shared.world.guids["closed"], template="aws", name="x"))


async def test_the_same_template_may_be_said_again(broker):
    """
    Clients send back the object that they read.
    """
    assert 200 == (await change(broker, broker.world.guids["closed"], template="ppm", name="x")).status_code


async def test_permissions_are_replaced_as_a_whole_and_entries_that_stay_keep_their_ids(broker):
    made = await create(broker, permissions=[group(broker), user(broker, "paul")])

    changed = await change(broker, made["guid"], permissions=[user(broker, "vic"), user(broker, "paul")])

    kept = {entry["user_guid"]: entry for entry in changed.json()["permissions"]}
    assert {broker.world.guids["vic"], broker.world.guids["paul"]} == set(kept)
    assert made["permissions"][1] == kept[broker.world.guids["paul"]]


async def test_emptying_a_list_without_saying_access_is_refused_and_nothing_changes(broker):
    """
    At the vendor this re-opens the integration; the refusal says both ways to mean it.
    """
    closed = f"{INTEGRATIONS}/{broker.world.guids['closed']}"
    before = (await broker.send("GET", closed)).json()

    refused = await broker.send("PATCH", closed, {"permissions": []})

    assert (400, 9001) == refusal(refused)
    assert '"access": "restricted"' in refused.json()["error"]
    assert '"access": "everyone"' in refused.json()["error"]
    assert before == (await broker.send("GET", closed)).json()


@pytest.mark.parametrize(("access", "admitted"), [("restricted", False), ("everyone", True)])
async def test_emptying_a_list_with_access_means_what_it_says(broker, access, admitted):
    changed = await change(broker, broker.world.guids["closed"], permissions=[], access=access)

    assert (access, []) == (changed.json()["access"], changed.json()["permissions"])
    built = (await broker.build({"owner_username": "pam", "repositories": ["closed"]})).json()
    assert admitted == bool(built["credentials"])


async def test_access_alone_opens_and_closes(broker):
    guid = broker.world.guids["closed"]

    opened = (await change(broker, guid, access="everyone")).json()
    closed = (await change(broker, guid, access="restricted")).json()

    assert ("everyone", []) == (opened["access"], opened["permissions"])
    assert ("restricted", []) == (closed["access"], closed["permissions"])


async def test_a_list_given_to_an_open_integration_restricts_it(broker):
    changed = (await change(broker, broker.world.guids["open"], permissions=[group(broker)])).json()

    assert ("restricted", 1) == (changed["access"], len(changed["permissions"]))


async def test_the_last_group_gone_means_nobody_and_never_everyone(broker):
    """
    A restricted integration never becomes open by subtraction (T25).
    """
    assert 204 == (await broker.send("DELETE", f"/groups/{broker.world.guids['analysts']}")).status_code

    closed = (await broker.send("GET", f"{INTEGRATIONS}/{broker.world.guids['closed']}")).json()
    assert ("restricted", []) == (closed["access"], closed["permissions"])
    built = (await broker.build({"owner_username": "pam"})).json()
    assert ["repos:read:open"] == built["credentials"][0]["scopes"]
    assert ["not_in_access_list"] == [skipped["reason"] for skipped in built["skipped"]]


async def test_a_config_is_changed_field_by_field_and_null_removes_one(broker):
    made = await create(broker, config={**NEW["config"], "audience": "a", "subject": "s"})

    first = (await change(broker, made["guid"], config={"scopes": "repos:read:x", "audience": None})).json()
    second = (await change(broker, made["guid"], config={"subject": "other"})).json()

    assert {"ppm_url": PPM, "scopes": "repos:read:x", "subject": "s"} == first["config"]
    assert {"ppm_url": PPM, "scopes": "repos:read:x", "subject": "other"} == second["config"]


@pytest.mark.parametrize(
    "config", [{"ppm_url": None}, {"scopes": None}, {"scopes": ""}, {"ppm_url": "x"}, {"surprise": "x"}], ids=str
)
async def test_a_config_cannot_be_changed_into_an_impossible_one(shared, config):
    guid = shared.world.guids["closed"]
    before = (await shared.send("GET", f"{INTEGRATIONS}/{guid}")).json()

    assert (400, 228) == refusal(await change(shared, guid, config=config))
    assert before == (await shared.send("GET", f"{INTEGRATIONS}/{guid}")).json()


async def test_a_guid_works_in_upper_case_too(shared):
    guid = shared.world.guids["closed"]

    assert guid == (await shared.send("GET", f"{INTEGRATIONS}/{guid.upper()}")).json()["guid"]


# --- delete ---------------------------------------------------------------------------------------------------------
async def test_a_deleted_integration_is_gone_for_every_call_and_for_builds(broker):
    path = f"{INTEGRATIONS}/{broker.world.guids['open']}"

    deleted = await broker.send("DELETE", path)

    assert (204, b"") == (deleted.status_code, deleted.content)
    for method, body in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)):
        assert (404, 4) == refusal(await broker.send(method, path, body))
    assert ["closed"] == [each["name"] for each in (await broker.send("GET", INTEGRATIONS)).json()]
    assert ["repos:read:closed"] == (await broker.build()).json()["credentials"][0]["scopes"]


async def test_the_id_of_a_deleted_integration_is_not_given_again(broker):
    first = await create(broker)
    await broker.send("DELETE", f"{INTEGRATIONS}/{first['guid']}")

    second = await create(broker)

    assert int(first["id"]) < int(second["id"])


# --- neighbours -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "config", [{"ppm_url": f"{PPM}:8443"}, {"ppm_url": f"{PPM}/other"}, {"audience": "other"}], ids=str
)
async def test_a_neighbour_that_cannot_share_a_credential_warns_at_once(broker, config):
    """
    A netrc holds one credential for a host; better to hear it now than at build time. The object stays what it is.
    """
    made = await broker.send("POST", INTEGRATIONS, {**NEW, "config": {**NEW["config"], **config}})

    warnings = made.headers.get_list("broker-warning")
    assert 2 == len(warnings)
    assert warnings[0].startswith("open uses the host packages.example.com in another way")
    assert MEMBERS == sorted(made.json())


async def test_a_change_that_makes_such_a_neighbour_warns_too(broker):
    changed = await change(broker, broker.world.guids["open"], config={"audience": "other"})

    assert changed.headers["broker-warning"].startswith("closed uses the host")


async def test_a_neighbour_that_can_share_does_not_warn(broker):
    made = await broker.send("POST", INTEGRATIONS, NEW)

    assert "broker-warning" not in made.headers


async def test_a_name_in_any_script_does_not_break_the_warning(broker):
    await create(
        broker, name="Пакеты \U0001f4e6 für alle", config={**NEW["config"], "ppm_url": "https://b.example.com"}
    )

    made = await broker.send(
        "POST", INTEGRATIONS, {**NEW, "config": {**NEW["config"], "ppm_url": "https://b.example.com:1"}}
    )

    assert made.headers["broker-warning"].isascii()


async def test_many_neighbours_do_not_make_many_header_lines(broker):
    """
    Python's own HTTP client gives up on an answer with more than 100.
    """
    for n in range(12):
        await create(broker, name=f"n{n}")

    made = await broker.send("POST", INTEGRATIONS, {**NEW, "config": {**NEW["config"], "audience": "other"}})

    warnings = made.headers.get_list("broker-warning")
    assert 6 == len(warnings)
    assert "and 9 more integrations in the same way" == warnings[-1]


# --- where assertions may be sent (T14) -----------------------------------------------------------------------------
OUTSIDE = [
    "http://packages.example.com",
    "https://127.0.0.1",
    "https://127.1.2.3:4242",
    "https://localhost",
    "https://LOCALHOST:1",
    "https://169.254.169.254",
    "https://169.254.169.254/latest/meta-data",
    "https://0.0.0.0",
    "https://224.0.0.1",
    "https://255.255.255.255",
    "https://[::1]",
    "https://[::ffff:127.0.0.1]",
    "https://0x7f.1",
    "https://0x7f000001",
    "https://2130706433",
    "https://127.1",
    "https://0177.0.0.1",
    "https://127.0.0.01",
    "https://user@packages.example.com",
    "https://user:canary@packages.example.com",
    "https://packages.example.com@evil.example",
    "https://packages.example.com:80@evil.example",
    "https://packages.example.com\\@evil.example",
    "https://packages.example.com#@evil.example",
    "https://packages.example.com?x=https://evil.example",
    "https://packages.example.com/%2e%2e",
    "https://packages.example.com/../x",
    "https://packages.example.com//x",
    "https://packages.example.com./",
    "https://packages.example.com:0",
    "https://packages.example.com:65536",
    "https://packages.example.com:",
    "https://packages.example.com:0443",
    "https://packages\u3002example.com",
    "https://xn--",
    "https://\u0440ackages.example.com",
    "https://packages.example.com\nX: y",
    "https://pack ages.example.com",
    "https:///packages.example.com",
    "https:packages.example.com",
    "//packages.example.com",
    "packages.example.com",
    "file:///etc/passwd",
    "ftp://packages.example.com",
    "gopher://packages.example.com",
    "javascript:alert(1)",
    "https://",
    "",
    "https://" + "a" * 300,
    "https://a.example/" + "b" * 3000,
]


@pytest.mark.parametrize("url", OUTSIDE, ids=lambda url: ascii(url)[:50])
async def test_an_address_that_assertions_must_not_be_sent_to_is_refused(shared, url):
    """
    An administrator who is tricked into such a ppm_url would hand our assertions to somebody else (T14).
    """
    for method, path in (("POST", INTEGRATIONS), ("PATCH", f"{INTEGRATIONS}/{shared.world.guids['open']}")):
        config = {**NEW["config"], "ppm_url": url}
        body = {**NEW, "config": config} if method == "POST" else {"config": config}
        refused = await shared.send(method, path, body)

        assert (400, 228) == refusal(refused)
        assert "ppm_url" in refused.json()["error"]
        assert "canary" not in refused.text


@pytest.mark.parametrize(
    ("setting", "url", "others"),
    [
        ("allow_loopback", "https://127.0.0.1:4242", ["http://127.0.0.1", "https://169.254.169.254", "https://0x7f.1"]),
        ("allow_loopback", "https://localhost", ["http://localhost", "https://0.0.0.0"]),
        (
            "allow_cleartext",
            "http://packages.example.com",
            ["http://127.0.0.1", "http://169.254.169.254", "http://u@h"],
        ),
    ],
)
async def test_a_setting_permits_just_what_it_says(make_broker, setting, url, others):
    """
    The refusal names the setting; the setting opens nothing else (T14).
    """
    async with make_broker().running() as strict:
        refused = await strict.send("POST", INTEGRATIONS, {**NEW, "config": {**NEW["config"], "ppm_url": url}})
    async with make_broker(**{setting: True}).running() as broker:
        allowed = await broker.send("POST", INTEGRATIONS, {**NEW, "config": {**NEW["config"], "ppm_url": url}})
        answers = [
            await broker.send("POST", INTEGRATIONS, {**NEW, "config": {**NEW["config"], "ppm_url": other}})
            for other in others
        ]

    assert setting in refused.json()["error"]
    assert 200 == allowed.status_code
    assert [(400, 228)] * len(others) == [refusal(answer) for answer in answers]


async def test_a_message_about_an_address_does_not_repeat_it(shared):
    """
    A URL with a password in it would end up in a log (T35).
    """
    refused = await shared.send(
        "POST", INTEGRATIONS, {**NEW, "config": {**NEW["config"], "ppm_url": "https://admin:canary@h.example"}}
    )

    assert "canary" not in refused.text
    assert "user name or password" in refused.json()["error"]
