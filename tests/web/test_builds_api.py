"""
The build API: what a build system sends and gets (docs/errors.md has what can go wrong).
"""

import netrc

import pytest
from sqlalchemy import event, select

from broker.errors import PackageManagerFault, PackageManagerTimeout, SigningUnavailable
from broker.storage import tables
from tests.web.site import NOBODY, PPM, refusal

OTHER = "https://other.example.com"


async def with_other(broker, **config):
    """
    Add an integration on another host.
    """
    config = {"ppm_url": OTHER, "scopes": "repos:read:other", **config}
    made = await broker.send("POST", "/oauth/integrations", {"template": "ppm", "name": "other", "config": config})
    return made.json()["guid"]


# --- what one gets --------------------------------------------------------------------------------------------------
async def test_the_answer_has_the_documented_members_and_no_other(broker):
    guids = broker.world.guids

    answered = await broker.build({"owner_username": "pam", "content_guid": NOBODY})

    assert 200 == answered.status_code
    assert "no-store" == answered.headers["cache-control"]
    assert "application/json" == answered.headers["content-type"]
    opened = answered.json()
    (credential,) = opened.pop("credentials")
    assert {
        "guid": opened["guid"],
        "owner_guid": guids["pam"],
        "owner_username": "pam",
        "content_guid": NOBODY,
        "created_time": "2026-11-21T12:00:00Z",
        "expires_time": "2026-11-21T13:00:00Z",
        "decision_guid": opened["decision_guid"],
        "netrc": f"machine packages.example.com login __token__ password {credential['password']}\n",
        "skipped": [],
        "skipped_total": 0,
        "problems": [],
    } == opened
    assert {
        "machine": "packages.example.com",
        "login": "__token__",
        "password": credential["password"],
        "ppm_url": PPM,
        "scopes": ["repos:read:closed,open"],
        "integrations": [guids["open"], guids["closed"]],
        "expires_time": "2026-11-21T13:00:00Z",
    } == credential


async def test_the_netrc_is_read_by_pythons_own_reader(broker, tmp_path):
    await with_other(broker)
    opened = (await broker.build()).json()
    file = tmp_path / "netrc"
    file.write_text(opened["netrc"])

    read = netrc.netrc(file).hosts

    assert {each["machine"]: ("__token__", "", each["password"]) for each in opened["credentials"]} == read
    assert {"packages.example.com", "other.example.com"} == set(read)


async def test_an_owner_is_named_by_guid_in_any_case_or_by_the_exact_name(broker):
    by_guid = await broker.build({"owner_guid": broker.world.guids["pam"].upper()})
    by_name = await broker.build({"owner_username": "pam"})
    by_other_case = await broker.build({"owner_username": "Pam"})

    assert broker.world.guids["pam"] == by_guid.json()["owner_guid"] == by_name.json()["owner_guid"]
    assert (404, 4) == refusal(by_other_case)
    assert "exactly" in by_other_case.json()["error"]


async def test_what_is_left_out_is_told_with_the_reason(broker):
    opened = (await broker.build({"owner_username": "paul", "repositories": ["closed", "nowhere"]})).json()

    assert ([], "") == (opened["credentials"], opened["netrc"])
    assert 2 == opened["skipped_total"]
    assert {("open", "no_requested_repository"), ("closed", "not_in_access_list")} == {
        (skipped["name"], skipped["reason"]) for skipped in opened["skipped"]
    }
    assert [["detail", "integration_guid", "name", "reason"]] * 2 == [sorted(each) for each in opened["skipped"]]


async def test_a_build_gets_no_more_than_it_asks_for(broker):
    opened = (await broker.build({"owner_username": "pam", "repositories": ["open", "nowhere"]})).json()

    assert ["repos:read:open"] == opened["credentials"][0]["scopes"]
    assert [broker.world.guids["open"]] == opened["credentials"][0]["integrations"]


async def test_one_package_manager_that_fails_does_not_take_the_others_with_it(broker):
    other = await with_other(broker)
    broker.package_manager.fail(OTHER, PackageManagerTimeout("no answer within 10 s"))

    answered = await broker.build()

    assert 200 == answered.status_code
    assert ["packages.example.com"] == [each["machine"] for each in answered.json()["credentials"]]
    assert [
        {
            "integrations": [other],
            "integration_guid": other,
            "ppm_url": OTHER,
            "code": "package_manager_timeout",
            "detail": "no answer within 10 s",
            "retryable": True,
        }
    ] == answered.json()["problems"]


async def test_integrations_that_cannot_share_a_host_are_a_problem_that_names_both(broker):
    clashing = await with_other(broker, ppm_url=f"{PPM}:8443")

    opened = (await broker.build()).json()

    assert [] == opened["credentials"]
    (problem,) = opened["problems"]
    assert ("host_conflict", False) == (problem["code"], problem["retryable"])
    assert {broker.world.guids["open"], broker.world.guids["closed"], clashing} == set(problem["integrations"])


@pytest.mark.parametrize("on_problem", ["fail", "continue"])
async def test_the_caller_chooses_whether_a_problem_fails_the_build(broker, on_problem):
    await with_other(broker)
    broker.package_manager.fail(OTHER, PackageManagerFault("answered 500"))

    answered = await broker.build({"owner_username": "pam", "on_problem": on_problem})

    if on_problem == "continue":
        assert 200 == answered.status_code
        return
    assert (502, 9020) == refusal(answered)
    assert answered.headers["retry-after"].isdecimal()
    assert {"problems": [{"ppm_url": OTHER, "code": "package_manager_fault"}]} == answered.json()["payload"]
    assert "password" not in answered.text
    assert "eyJ" not in answered.text


async def test_without_a_problem_fail_changes_nothing(broker):
    answered = await broker.build({"owner_username": "pam", "on_problem": "fail"})

    assert 200 == answered.status_code


@pytest.mark.parametrize(("duration", "end"), [(60, "12:01:00"), (3600, "13:00:00"), (7200, "14:00:00")])
async def test_a_build_lasts_as_long_as_it_asks_for(broker, duration, end):
    opened = (await broker.build({"owner_username": "pam", "duration": duration})).json()

    assert f"2026-11-21T{end}Z" == opened["expires_time"]


async def test_the_settings_say_how_long_a_build_lasts(make_broker):
    async with make_broker(build_duration=120, max_build_duration=180).running() as broker:
        default = await broker.build()
        longer = await broker.build({"owner_username": "pam", "duration": 181})

    assert "2026-11-21T12:02:00Z" == default.json()["expires_time"]
    assert (400, 25) == refusal(longer)
    assert "60 to 180 seconds" in longer.json()["error"]


# --- what is refused ------------------------------------------------------------------------------------------------
PAM = {"owner_username": "pam"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, 25),
        ({"owner_guid": None}, 25),
        ({"owner_guid": NOBODY, "owner_username": "pam"}, 25),
        ({"owner_username": ""}, 87),
        ({"owner_username": "x" * 65}, 87),
        ({"owner_username": 5}, 87),
        ({"owner_guid": "x"}, 87),
        ({"owner_guid": f"{NOBODY}\n"}, 87),
        ({"owner_guid": f"{{{NOBODY}}}"}, 87),
        ({**PAM, "content_guid": "x"}, 87),
        ({**PAM, "content_guid": f"{NOBODY}\n"}, 87),
        ({**PAM, "duration": 59}, 25),
        ({**PAM, "duration": 0}, 25),
        ({**PAM, "duration": -1}, 25),
        ({**PAM, "duration": 86401}, 25),
        ({**PAM, "duration": 2**63}, 25),
        ({**PAM, "duration": 2**64}, 25),
        ({**PAM, "duration": -(2**70)}, 25),
        ({**PAM, "duration": 10**400}, 25),
        ({**PAM, "duration": 600.0}, 87),
        ({**PAM, "duration": 600.5}, 87),
        ({**PAM, "duration": "600"}, 87),
        ({**PAM, "duration": True}, 87),
        ({**PAM, "repositories": []}, 87),
        ({**PAM, "repositories": "open"}, 87),
        ({**PAM, "repositories": ["*"]}, 87),
        ({**PAM, "repositories": ["open,closed"]}, 87),
        ({**PAM, "repositories": ["open "]}, 87),
        ({**PAM, "repositories": ["open\n"]}, 87),
        ({**PAM, "repositories": [""]}, 87),
        ({**PAM, "repositories": ["../x"]}, 87),
        ({**PAM, "repositories": ["repos:read:*"]}, 87),
        ({**PAM, "repositories": [None]}, 87),
        ({**PAM, "repositories": ["x" * 129]}, 87),
        ({**PAM, "repositories": [f"r{n}" for n in range(201)]}, 87),
        ({**PAM, "on_problem": "ignore"}, 25),
        ({**PAM, "on_problem": None}, 25),
        ({**PAM, "scopes": "global:admin"}, 87),
        ({**PAM, "guid": NOBODY}, 87),
    ],
    ids=lambda value: str(value)[:70],
)
async def test_an_impossible_build_is_refused_before_anything_is_minted(shared, body, code):
    refused = await shared.build(body) if body else await shared.send("POST", "/builds", {})

    assert (400, code) == refusal(refused)
    assert [] == shared.package_manager.received


@pytest.mark.parametrize(
    ("owner", "answer"),
    [
        ({"owner_username": "nobody"}, (404, 4)),
        ({"owner_guid": NOBODY}, (404, 4)),
        ({"owner_username": "analysts"}, (404, 4)),
        ({"owner_username": "lucy"}, (403, 50)),
        ({"owner_username": "vic"}, (403, 9003)),
    ],
    ids=str,
)
async def test_who_cannot_own_a_build_gets_none(shared, owner, answer):
    refused = await shared.build(owner)

    assert answer == refusal(refused)
    assert [] == shared.package_manager.received


@pytest.mark.parametrize("by", [None, "lucy", "vic", "paul"])
async def test_who_may_not_call_learns_nothing_and_gets_nothing(shared, by):
    refused = await shared.build({"owner_username": "pam"}, by=by)

    assert {None: (401, 24), "lucy": (401, 30), "vic": (403, 22), "paul": (403, 22)}[by] == refusal(refused)
    assert [] == shared.package_manager.received


# --- finish ---------------------------------------------------------------------------------------------------------
async def finished(broker, guid):
    with broker.engine.connect() as connection:
        return connection.scalar(select(tables.builds.c.finished_time).where(tables.builds.c.guid == guid))


@pytest.mark.parametrize("spelling", [str.lower, str.upper])
async def test_a_build_is_finished_by_who_opened_it_once_or_more(broker, spelling):
    guid = (await broker.build({"owner_username": "paul"}, by="paul")).json()["guid"]

    first = await broker.send("DELETE", f"/builds/{spelling(guid)}", by="paul")
    ended = await finished(broker, guid)
    broker.clock.advance(hours=1)
    second = await broker.send("DELETE", f"/builds/{spelling(guid)}", by="paul")

    assert [(204, b"")] * 2 == [(first.status_code, first.content), (second.status_code, second.content)]
    assert ended is not None
    assert ended == await finished(broker, guid)


async def test_a_build_of_somebody_else_does_not_exist_except_for_an_administrator(broker):
    """
    The same words as for a guid that names nothing (T28).
    """
    guid = (await broker.build({"owner_username": "pam"}, by="pam")).json()["guid"]

    foreign = await broker.send("DELETE", f"/builds/{guid}", by="paul")
    unknown = await broker.send("DELETE", f"/builds/{NOBODY}", by="paul")

    assert (404, 4) == refusal(foreign) == refusal(unknown)
    assert foreign.json()["error"].replace(guid, NOBODY) == unknown.json()["error"]
    assert await finished(broker, guid) is None
    assert 204 == (await broker.send("DELETE", f"/builds/{guid}", by="admin")).status_code


@pytest.mark.parametrize("guid", ["x", "%00", f"{NOBODY}%0a", f"%20{NOBODY}", "a" * 5000, "' OR 1=1"])
async def test_what_is_no_guid_of_a_build_is_refused(shared, guid):
    assert (400, 3) == refusal(await shared.send("DELETE", f"/builds/{guid}"))


# --- when the storage fails -----------------------------------------------------------------------------------------
@pytest.fixture
async def read_only(broker):
    """
    A broker whose database takes no more writes.
    """
    switched = []

    @event.listens_for(broker.engine, "checkout")
    def refuse(connection, _record, _proxy):
        connection.execute(f"PRAGMA query_only = {'OFF' if switched else 'ON'}").close()

    yield broker
    switched.append(True)


async def test_without_a_record_nothing_is_minted_and_the_caller_may_try_again(read_only):
    """
    503 with Retry-After, and no Package Manager is asked.
    """
    refused = await read_only.build()

    assert (503, 9030) == refusal(refused)
    assert refused.headers["retry-after"].isdecimal()
    assert "readonly" in refused.json()["error"]
    assert "INSERT" not in refused.text
    assert [] == read_only.package_manager.received


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("POST", "/groups", {"name": "g"}), ("POST", "/users", {"username": "u"}), ("DELETE", "/groups/{analysts}", None),
     ("POST", "/users/{pam}/keys", {"name": "k"}), ("DELETE", "/oauth/integrations/{open}", None)],
)  # fmt: skip
async def test_a_change_that_cannot_be_stored_is_refused_the_same_way(read_only, method, path, body):
    refused = await read_only.send(method, path.format_map(read_only.world.guids), body)

    assert (503, 9030) == refusal(refused)
    assert "key" not in (refused.json()["payload"] or {})
    assert 200 == (await read_only.send("GET", "/groups")).status_code


async def test_without_a_signing_key_nothing_is_sent(broker):
    async def no_key(*_arguments):
        raise SigningUnavailable("no RS256 key may sign now")

    broker.replace(open_build=no_key)

    refused = await broker.build()

    assert (503, 9032) == refusal(refused)
    assert refused.headers["retry-after"].isdecimal()


async def test_a_clock_before_the_keys_refuses_to_sign(broker):
    """
    The real issuer, on a machine whose clock was set back.
    """
    broker.clock.advance(days=-400)

    refused = await broker.build()

    assert (503, 9032) == refusal(refused)
    assert [] == broker.package_manager.received
