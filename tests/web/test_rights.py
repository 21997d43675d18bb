"""
Who may call what: every route of the router against one table (T27).
"""

import pytest
from sqlalchemy import select

from broker.storage import tables
from tests.web.calls import body_of, path_of
from tests.web.site import V1, all_routes, refusal

CALLERS = (None, "vic", "pam", "admin")
"""A stranger, a viewer, a publisher, an administrator."""

EVERYBODY = (200, 200, 200, 200)
REFUSES_ALL = (400, 400, 400, 400)
KNOWN = (401, 200, 200, 200)
PUBLISHERS = (401, 403, 200, 200)
ADMINISTRATORS = (401, 403, 403, 200)
ADMINISTRATORS_204 = (401, 403, 403, 204)

EXPECTED = {
    ("GET", "/.well-known/oauth-authorization-server"): EVERYBODY,
    ("GET", "/.well-known/openid-configuration"): EVERYBODY,
    ("GET", "/openid/v1/jwks"): EVERYBODY,
    ("GET", "/healthz"): EVERYBODY,
    ("GET", "/__api__/server_settings"): EVERYBODY,
    ("GET", "/__api__/openapi.json"): EVERYBODY,
    ("GET", "/oauth/authorize"): REFUSES_ALL,
    ("POST", "/oauth/authorize"): REFUSES_ALL,
    ("POST", "/oauth/token"): REFUSES_ALL,
    # For an owner who is somebody else.
    ("POST", f"{V1}/builds"): ADMINISTRATORS,
    # A build of somebody else: to a caller who may not finish it, it does not exist.
    ("DELETE", f"{V1}/builds/{{guid}}"): (401, 404, 404, 204),
    ("GET", f"{V1}/oauth/integrations"): PUBLISHERS,
    ("GET", f"{V1}/oauth/integrations/{{guid}}"): PUBLISHERS,
    ("POST", f"{V1}/oauth/integrations"): ADMINISTRATORS,
    ("PATCH", f"{V1}/oauth/integrations/{{guid}}"): ADMINISTRATORS,
    ("DELETE", f"{V1}/oauth/integrations/{{guid}}"): ADMINISTRATORS_204,
    ("GET", f"{V1}/oauth/integrations/{{guid}}/associations"): ADMINISTRATORS,
    ("POST", f"{V1}/oauth/integrations/{{guid}}/verify"): ADMINISTRATORS,
    ("GET", f"{V1}/oauth/templates"): PUBLISHERS,
    ("GET", f"{V1}/oauth/templates/{{key}}"): PUBLISHERS,
    # Content of somebody else: to a publisher it does not exist.
    ("GET", f"{V1}/content"): PUBLISHERS,
    ("POST", f"{V1}/content"): ADMINISTRATORS,
    ("GET", f"{V1}/content/{{content_guid}}"): (401, 403, 404, 200),
    ("PATCH", f"{V1}/content/{{content_guid}}"): (401, 403, 404, 200),
    ("DELETE", f"{V1}/content/{{content_guid}}"): (401, 403, 404, 204),
    ("GET", f"{V1}/content/{{content_guid}}/oauth/integrations/associations"): (401, 403, 404, 200),
    ("GET", f"{V1}/server_settings/python"): KNOWN,
    ("GET", f"{V1}/user"): KNOWN,
    ("GET", f"{V1}/users"): KNOWN,
    ("GET", f"{V1}/users/{{user_guid}}"): KNOWN,
    ("POST", f"{V1}/users"): ADMINISTRATORS,
    ("PUT", f"{V1}/users/{{user_guid}}"): ADMINISTRATORS,
    ("POST", f"{V1}/users/{{user_guid}}/lock"): ADMINISTRATORS,
    # Of another user; one's own keys are below.
    ("GET", f"{V1}/users/{{user_guid}}/keys"): ADMINISTRATORS,
    ("POST", f"{V1}/users/{{user_guid}}/keys"): ADMINISTRATORS,
    ("GET", f"{V1}/users/{{user_guid}}/keys/{{key_id}}"): ADMINISTRATORS,
    ("DELETE", f"{V1}/users/{{user_guid}}/keys/{{key_id}}"): ADMINISTRATORS_204,
    ("GET", f"{V1}/groups"): KNOWN,
    ("GET", f"{V1}/groups/{{group_guid}}"): KNOWN,
    ("GET", f"{V1}/groups/{{group_guid}}/members"): KNOWN,
    ("POST", f"{V1}/groups"): ADMINISTRATORS,
    ("PUT", f"{V1}/groups/{{group_guid}}"): ADMINISTRATORS,
    ("DELETE", f"{V1}/groups/{{group_guid}}"): ADMINISTRATORS_204,
    ("POST", f"{V1}/groups/{{group_guid}}/members"): ADMINISTRATORS_204,
    ("DELETE", f"{V1}/groups/{{group_guid}}/members/{{user_guid}}"): ADMINISTRATORS_204,
}
CHANGES = [route for route in EXPECTED if route[0] != "GET" and route[1].startswith(V1) and "/builds" not in route[1]
           and not route[1].endswith("/verify")]  # fmt: skip
"""What has more lines in the audit than one: builds, and trying an integration out."""


def name_of(route):
    return f"{route[0]} {route[1]}"


async def call(broker, route, by):
    build = (await broker.build()).json()["guid"] if route[1].endswith("builds/{guid}") else ""
    return await broker.http.request(
        route[0],
        path_of(route, broker.world, build=build),
        json=body_of(route, broker.world),
        headers=broker.headers(by),
    )


def events(broker):
    with broker.engine.connect() as connection:
        return connection.execute(select(tables.audit).order_by(tables.audit.c.seq)).mappings().all()


def test_the_table_names_every_route_and_no_other():
    """
    A new route without a line here fails (T27).
    """
    assert all_routes() == sorted(EXPECTED)


@pytest.mark.parametrize("number", range(len(CALLERS)), ids=map(str, CALLERS))
@pytest.mark.parametrize("route", EXPECTED, ids=name_of)
async def test_a_route_answers_each_role_as_the_table_says(broker, route, number):
    """
    The status for a stranger, a viewer, a publisher and an administrator, with an otherwise valid call (T27).
    """
    response = await call(broker, route, CALLERS[number])

    assert EXPECTED[route][number] == response.status_code, response.text
    if response.status_code >= 400 and not route[1].startswith("/oauth/"):
        refusal(response)


@pytest.mark.parametrize("route", [route for route in EXPECTED if route[1].startswith(V1)], ids=name_of)
async def test_a_locked_user_is_a_stranger_everywhere(shared, route):
    """
    401 in the same words as for an unknown key (T27).
    """
    refused = await call(shared, route, "lucy")

    assert (401, 30) == refusal(refused)


@pytest.mark.parametrize("by", ["pam", "admin"], ids=["refused", "allowed"])
@pytest.mark.parametrize("route", CHANGES, ids=name_of)
async def test_a_change_leaves_one_line_in_the_audit_and_so_does_its_refusal(broker, route, by):
    """
    No route forgets the audit (T26).
    """
    before = len(events(broker))

    response = await broker.http.request(
        route[0],
        path_of(route, broker.world),
        json=body_of(route, broker.world),
        headers={**broker.headers(by), "X-Correlation-ID": "trace-1"},
    )

    (event,) = events(broker)[before:]
    assert ("allowed" if by == "admin" else "refused") == event["outcome"]
    assert broker.world.guids[by] == event["actor"]
    assert "trace-1" == event["correlation_id"] == response.headers["x-correlation-id"]


# --- what does not fit the table ------------------------------------------------------------------------------------
@pytest.mark.parametrize("by", ["vic", "pam", "admin"])
async def test_everybody_manages_their_own_keys(broker, by):
    keys = f"/users/{broker.world.guids[by]}/keys"

    made = await broker.send("POST", keys, {"name": "second"}, by=by)
    statuses = [
        (await broker.send("GET", keys, by=by)).status_code,
        (await broker.send("GET", f"{keys}/{made.json()['id']}", by=by)).status_code,
        (await broker.send("DELETE", f"{keys}/{made.json()['id']}", by=by)).status_code,
    ]

    assert [200, 200, 204] == statuses


async def test_a_key_of_another_user_is_not_reached_through_ones_own_path(broker):
    """
    The id belongs to admin, the path to vic (T28).
    """
    mine = f"/users/{broker.world.guids['vic']}/keys/1"

    assert (404, 4) == refusal(await broker.send("GET", mine, by="vic"))
    assert (404, 4) == refusal(await broker.send("DELETE", mine, by="vic"))
    assert 200 == (await broker.send("GET", "/user", by="admin")).status_code


async def test_a_publisher_builds_for_themselves_only(broker):
    assert 200 == (await broker.build({"owner_username": "paul"}, by="paul")).status_code
    assert (403, 22) == refusal(await broker.build({"owner_username": "pam"}, by="paul"))
    assert (403, 22) == refusal(await broker.build({"owner_guid": broker.world.guids["pam"]}, by="paul"))
