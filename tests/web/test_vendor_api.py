"""
What vendor clients ask for besides people and integrations: templates, content, verification, who was active.
"""

import asyncio

import pytest

from broker.errors import AssertionRefused
from tests.domain.samples import guid
from tests.web.site import NOBODY, PPM, refusal

TEMPLATES = "/oauth/templates"


# --- templates ------------------------------------------------------------------------------------------------------
async def test_the_template_is_the_same_in_the_list_and_alone(shared):
    listed = (await shared.send("GET", TEMPLATES, by="pam")).json()
    alone = (await shared.send("GET", f"{TEMPLATES}/ppm", by="pam")).json()

    assert [alone] == listed
    assert ("ppm", []) == (alone["id"], alone["sections"])
    assert ["ppm_url", "scopes", "audience", "subject"] == [field["name"] for field in alone["fields"]]
    assert [("signing_algorithm", "select"), ("allow_other_scopes", "bool")] == [
        (option["name"], option["type"]) for option in alone["options"]
    ]


async def test_the_template_tells_the_settings_of_this_broker(make_broker):
    async with make_broker(audience="ours", subject="us", signing_algorithms=["RS256", "ES256"]).running() as broker:
        shown = (await broker.send("GET", f"{TEMPLATES}/ppm")).json()

    assert {"audience": "ours", "subject": "us"} == {
        field["name"]: field["default"] for field in shown["fields"] if field["name"] in {"audience", "subject"}
    }
    assert (["ES256", "RS256"], "RS256") == (shown["options"][0]["values"], shown["options"][0]["default"])


async def test_what_a_form_of_the_template_sends_makes_an_integration(broker):
    shown = (await broker.send("GET", f"{TEMPLATES}/ppm")).json()
    config = {entry["name"]: entry["default"] for entry in shown["fields"] + shown["options"]}

    made = await broker.send(
        "POST", "/oauth/integrations", {"template": shown["id"], "name": "x", "config": {**config, "ppm_url": PPM}}
    )

    assert 200 == made.status_code


@pytest.mark.parametrize("key", ["custom", "PPM", "ppm%20", "%00", "x" * 5000])
async def test_another_template_does_not_exist(shared, key):
    refused = await shared.send("GET", f"{TEMPLATES}/{key}")

    assert (404, 4) == refusal(refused)
    assert 1000 > len(refused.text)


# --- content --------------------------------------------------------------------------------------------------------
async def test_content_is_the_same_in_every_answer(broker):
    made = await broker.send("POST", "/content", {"name": "app"}, by="pam")
    path = f"/content/{made.json()['guid']}"

    assert 200 == made.status_code
    assert ["created_time", "guid", "name", "owner_guid"] == sorted(made.json())
    assert broker.world.guids["pam"] == made.json()["owner_guid"]
    assert made.json() == (await broker.send("GET", path, by="pam")).json()
    assert made.json() == (await broker.send("GET", path.upper().replace("/CONTENT", "/content"))).json()
    assert [made.json()] == (await broker.send("GET", "/content", by="pam")).json()
    assert made.json() in (await broker.send("GET", "/content")).json()


async def test_content_is_found_by_name_and_owner(broker):
    made = await broker.send("POST", "/content", {"name": "app", "owner_guid": broker.world.guids["pam"].upper()})

    async def names(**query):
        return [each["guid"] for each in (await broker.send("GET", "/content", params=query)).json()]

    assert [made.json()["guid"]] == await names(name="app")
    assert [made.json()["guid"]] == await names(owner_guid=broker.world.guids["pam"])
    assert [broker.world.guids["report"]] == await names(owner_guid=broker.world.guids["paul"].upper())
    assert [] == await names(name="app", owner_guid=broker.world.guids["paul"])
    assert (400, 25) == refusal(await broker.send("GET", "/content", params={"owner_guid": "x"}))


async def test_content_from_elsewhere_keeps_its_guid(broker):
    made = await broker.send("POST", "/content", {"name": "app", "guid": guid(77).upper()})

    assert guid(77) == made.json()["guid"]
    assert (409, 9009) == refusal(await broker.send("POST", "/content", {"name": "other", "guid": guid(77)}))


async def test_a_transfer_decides_whose_build_it_is(broker):
    """
    (T25)
    """
    path, paul, pam = f"/content/{broker.world.guids['report']}", broker.world.guids["paul"], broker.world.guids["pam"]
    ask = {"content_guid": broker.world.guids["report"].upper()}
    before = [(await broker.build({**ask, "owner_guid": owner})).status_code for owner in (paul, pam)]
    moved = await broker.send("PATCH", path, {"owner_guid": pam})
    after = await broker.build({**ask, "owner_guid": paul})
    stranger = await broker.build({**ask, "owner_guid": paul}, by="paul")

    assert ([200, 403], 200, pam) == (before, moved.status_code, moved.json()["owner_guid"])
    assert (403, 9004) == refusal(after)
    assert {"content_guid": broker.world.guids["report"], "owner_guid": pam} == after.json()["payload"]
    assert {"content_guid": broker.world.guids["report"]} == stranger.json()["payload"]
    assert 200 == (await broker.build({**ask, "owner_guid": pam})).status_code


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({}, (400, 12)),
        ({"name": ""}, (400, 25)),
        ({"name": "a b"}, (400, 25)),
        ({"name": None}, (400, 87)),
        ({"name": "x", "owner_guid": "x"}, (400, 87)),
        ({"name": "x", "owner_guid": NOBODY}, (400, 261)),
        ({"name": "x", "guid": "x"}, (400, 87)),
        ({"name": "x", "title": "X"}, (400, 87)),
        ({"name": "report", "owner_guid": "<paul>"}, (409, 9011)),
        ({"name": "x", "owner_guid": "<vic>"}, (403, 9003)),
        ({"name": "x", "owner_guid": "<lucy>"}, (403, 50)),
        ([], (400, 87)),
    ],
    ids=str,
)
async def test_content_that_cannot_be_is_refused(shared, body, answer):
    if isinstance(body, dict):
        body = {n: shared.world.guids[v.strip("<>")] if str(v).startswith("<") else v for n, v in body.items()}

    assert answer == refusal(await shared.send("POST", "/content", body))


@pytest.mark.parametrize(
    ("body", "answer"),
    [({}, (400, 18)), ({"name": None}, (400, 18)), ({"name": "a/b"}, (400, 25)), ({"created_time": "x"}, (400, 87))],
    ids=str,
)
async def test_an_impossible_change_of_content_is_refused(shared, body, answer):
    assert answer == refusal(await shared.send("PATCH", f"/content/{shared.world.guids['report']}", body))


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
@pytest.mark.parametrize(("name", "answer"), [(NOBODY, (404, 4)), ("x", (400, 3)), ("report", (400, 3))])
async def test_content_that_is_not_there_is_not_found(shared, method, name, answer):
    body = {"name": "x"} if method == "PATCH" else None

    assert answer == refusal(await shared.send(method, f"/content/{name}", body))


async def test_a_package_manager_integration_has_no_associations(broker):
    """
    It applies to every build, whatever the content; clients read that as an empty list.
    """
    of_content = await broker.send("GET", f"/content/{broker.world.guids['report']}/oauth/integrations/associations")
    of_integration = await broker.send("GET", f"/oauth/integrations/{broker.world.guids['open']}/associations")

    assert [[], []] == [of_content.json(), of_integration.json()]
    assert (404, 4) == refusal(await broker.send("GET", f"/content/{NOBODY}/oauth/integrations/associations"))
    assert (404, 4) == refusal(await broker.send("GET", f"/oauth/integrations/{NOBODY}/associations"))


# --- verify ---------------------------------------------------------------------------------------------------------
async def test_verify_answers_with_nothing_at_all(broker):
    verified = await broker.send("POST", f"/oauth/integrations/{broker.world.guids['closed']}/verify")

    assert (200, b"") == (verified.status_code, verified.content)
    assert [PPM] == [exchange.url for exchange in broker.package_manager.received]


async def test_verify_tells_a_problem_in_the_vendors_form(broker):
    broker.package_manager.fail(PPM, AssertionRefused(f"{PPM} refused the assertion (401): unknown issuer"))

    refused = await broker.send("POST", f"/oauth/integrations/{broker.world.guids['closed']}/verify")

    assert (400, 241) == refusal(refused)
    assert refused.json()["error"].startswith("unable to retrieve token: ")
    assert "unknown issuer" in refused.json()["error"]
    assert ("assertion_refused", False) == tuple(refused.json()["payload"][name] for name in ("code", "retryable"))


@pytest.mark.parametrize(("name", "answer"), [(NOBODY, (404, 4)), ("x", (400, 207))])
async def test_verify_wants_an_integration_that_is_there(shared, name, answer):
    assert answer == refusal(await shared.send("POST", f"/oauth/integrations/{name}/verify"))


# --- who was active -------------------------------------------------------------------------------------------------
async def test_a_request_shows_who_is_active_and_with_which_key(broker):
    before = (await broker.send("GET", f"/users/{broker.world.guids['pam']}")).json()
    me = (await broker.send("GET", "/user", by="pam")).json()
    (key,) = (await broker.send("GET", f"/users/{broker.world.guids['pam']}/keys")).json()

    assert None is before["active_time"]
    assert {**before, "active_time": "2026-11-21T12:00:00Z"} == me
    assert me["active_time"] == key["active_time"]


async def test_builds_show_who_is_active_too(broker):
    await broker.build({"owner_username": "pam"}, by="pam")
    deadline = asyncio.get_running_loop().time() + 10
    active = None
    while active is None and asyncio.get_running_loop().time() < deadline:
        active = (await broker.send("GET", f"/users/{broker.world.guids['pam']}")).json()["active_time"]

    assert "2026-11-21T12:00:00Z" == active


async def test_a_refused_key_is_not_active(broker):
    await broker.send("GET", "/user", by="lucy")

    assert None is (await broker.send("GET", f"/users/{broker.world.guids['lucy']}")).json()["active_time"]


# --- what else clients ask ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"user_role": "viewer|administrator"}, ["admin", "vic"]),
        ({"user_role": "publisher|publisher"}, ["lucy", "pam", "paul"]),
        ({"account_status": "locked|licensed"}, ["admin", "lucy", "pam", "paul", "vic"]),
        ({"account_status": "licensed|inactive"}, ["admin", "pam", "paul", "vic"]),
    ],
    ids=str,
)
async def test_a_filter_may_name_several(shared, query, names):
    found = await shared.send("GET", "/users", params=query)

    assert names == [user["username"] for user in found.json()["results"]]


@pytest.mark.parametrize(
    "query", [{"user_role": "viewer|root"}, {"user_role": "viewer|"}, {"account_status": "|"}], ids=str
)
async def test_a_filter_with_an_unknown_word_is_refused(shared, query):
    assert (400, 25) == refusal(await shared.send("GET", "/users", params=query))


async def test_an_integration_needs_no_description(broker):
    config = {"ppm_url": PPM, "scopes": "repos:read:x"}

    made = await broker.send(
        "POST", "/oauth/integrations", {"template": "ppm", "name": "x", "description": None, "config": config}
    )

    assert (200, "") == (made.status_code, made.json()["description"])


async def test_no_python_runs_content_here(shared):
    told = await shared.send("GET", "/server_settings/python", by="vic")

    assert {"installations": [], "api_enabled": False} == told.json()
