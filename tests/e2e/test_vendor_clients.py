"""
The vendor's own clients, as released and unmodified, against a real broker: posit-sdk in this process, rsconnect as a
command.
"""

import json
import subprocess

import pytest
from posit import connect
from posit.connect.errors import ClientError

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("site"), pytest.mark.usefixtures("calm")]


# --- posit-sdk ------------------------------------------------------------------------------------------------------
@pytest.fixture
def trusting(site, monkeypatch):
    """
    What an administrator of a company with its own CA sets for Python clients.
    """
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(site.ca_file))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def client(site, trusting):
    with connect.Client(site.broker.url, site.key) as client:
        yield client


@pytest.fixture
def config(site):
    return {"ppm_url": site.managers["main"].url, "scopes": "repos:read:pypi"}


def test_the_sdk_knows_its_caller_and_finds_users(client, people):
    assert client.me == client.users.get(client.me["guid"])
    assert client.me in client.users.find()
    assert ["alice"] == [user["username"] for user in client.users.find(prefix="ALI", user_role="viewer|publisher")]
    assert people.bob == client.users.find_one(prefix="bob")["guid"]
    assert None is client.users.find_one(prefix="nobody-of-that-name")


def test_the_sdk_creates_changes_and_locks_a_user(client):
    made = client.users.create(
        username="nina", email="nina@example.com", first_name="Nina", last_name="N", user_role="viewer", password="x"
    )
    created = dict(made)
    again = client.users.get(made["guid"])
    made.update(user_role="publisher")
    made.lock()
    locked = client.users.find(account_status="locked")
    made.unlock()

    assert created == again
    assert ("publisher", True) == (locked[0]["user_role"], locked[0]["locked"])
    assert made == client.users.get(made["guid"])


def test_the_sdk_manages_groups_and_their_members(client, people):
    group = client.groups.create(name="sdk-group")
    group.members.add(user_guid=people.bob)
    joined = client.users.get(people.bob).groups.find()
    shown, found = client.groups.get(group["guid"]), client.groups.find(prefix="SDK-")
    group.members.delete(user_guid=people.bob)

    assert [shown] == joined == found
    assert ("sdk-group", 1, 0) == (shown["name"], shown["member_count"], group.members.count())
    assert [] == group.members.find()
    group.delete()
    assert None is client.groups.find_one(prefix="sdk-group")


def test_the_sdk_finds_what_it_created_unchanged(client, config):
    """
    Dict equality of POST, GET and list: the client compares and stores dictionaries.
    """
    made = client.oauth.integrations.create(name="By SDK", description=None, template="ppm", config=config)

    assert made == client.oauth.integrations.get(made["guid"])
    assert made in client.oauth.integrations.find()
    assert made == client.oauth.integrations.find_by(
        integration_type="ppm", auth_type="Service Account", name="^By SDK$", config={"scopes": "repos:read:pypi"}
    )
    assert [] == made.associations.find()
    made.delete()


def test_the_sdk_changes_and_deletes_an_integration(client, people, config):
    made = client.oauth.integrations.create(
        name="To change", description="before", template="ppm", config=config,
        permissions=[{"user_guid": people.bob, "group_guid": None}],
    )  # fmt: skip
    made.update(description="after", permissions=[{"user_guid": None, "group_guid": people.analysts}])

    assert made == client.oauth.integrations.get(made["guid"])
    assert ("after", people.analysts) == (made["description"], made["permissions"][0]["group_guid"])
    made.update(access="restricted", permissions=[])
    assert ("restricted", []) == (made["access"], made["permissions"])
    with pytest.raises(ClientError) as ambiguous:
        made.update(permissions=[])
    assert 9001 == ambiguous.value.error_code
    made.delete()
    with pytest.raises(ClientError) as gone:
        client.oauth.integrations.get(made["guid"])
    assert (4, 404) == (gone.value.error_code, gone.value.http_status)


def test_the_sdk_registers_transfers_and_deletes_content(client, people):
    made = client.content.create(name="report")
    created = dict(made)
    found = client.content.find_one(name="report", owner_guid=client.me["guid"])
    associations = made.oauth.associations.find()
    made.update(owner_guid=people.alice)
    of_alice = list(client.users.get(people.alice).content.find())

    assert created == found
    assert [] == associations
    assert [dict(made)] == of_alice == [client.content.get(made["guid"])]
    made.delete()
    assert [] == client.content.find(name="report")


def test_content_that_was_transferred_is_built_for_its_new_owner_only(site, client, people):
    """
    Through the API of builds, right after the client's call (T25).
    """
    content = client.content.create(name="handed-over")
    content.update(owner_guid=people.alice)
    before = site.call("POST", "/__api__/v1/builds", {"owner_guid": people.alice, "content_guid": content["guid"]})
    content.update(owner_guid=people.bob)
    after = [
        site.call("POST", "/__api__/v1/builds", {"owner_guid": owner, "content_guid": content["guid"]})
        for owner in (people.alice, people.bob)
    ]
    content.delete()

    assert (200, [403, 200]) == (before.status, [each.status for each in after])
    assert 9004 == after[0].json()["code"]


@pytest.mark.parametrize(
    ("call", "code", "status"),
    [
        (lambda c: c.users.create(username="Alice"), 8, 409),
        (lambda c: c.users.create(username=" "), 7, 400),
        (lambda c: c.groups.create(name="Analysts"), 15, 409),
        (lambda c: c.oauth.integrations.create(name="x", template="custom", config={}), 227, 400),
        (lambda c: c.oauth.integrations.create(name="x", template="ppm", config={}), 228, 400),
        (lambda c: c.oauth.integrations.create(name="x", template="ppm", config={}, color="red"), 87, 400),
        (lambda c: c.oauth.integrations.get("x"), 207, 400),
    ],
    ids=range(7),
)
def test_the_sdk_tells_our_errors_with_code_and_words(client, people, call, code, status):
    with pytest.raises(ClientError) as refused:
        call(client)

    assert (code, status) == (refused.value.error_code, refused.value.http_status)
    assert refused.value.error_message


@pytest.mark.parametrize("role", ["viewer", "publisher"])
def test_the_sdk_is_told_that_a_role_is_not_enough(site, trusting, client, people, role):
    key = site.api("POST", f"/users/{client.me['guid']}/keys", {"name": f"as-{role}", "user_role": role})

    with connect.Client(site.broker.url, key["key"]) as capped, pytest.raises(ClientError) as refused:
        capped.users.create(username="never")

    assert (22, 403) == (refused.value.error_code, refused.value.http_status)


def test_the_sdk_is_told_that_a_key_is_wrong(site, trusting):
    with connect.Client(site.broker.url, "pcb_nobodys") as stranger, pytest.raises(ClientError) as refused:
        stranger.users.find()

    assert (30, 401) == (refused.value.error_code, refused.value.http_status)


# --- rsconnect ------------------------------------------------------------------------------------------------------
@pytest.fixture
def rsconnect(site, tmp_path, program):
    """
    Return a function that runs the command with a configuration of its own.
    """

    def rsconnect(*words):
        return subprocess.run(
            [program("rsconnect"), *map(str, words)],
            env={**site.environment(tmp_path), "RSCONNECT_DISABLE_VERSION_CHECK": "1", "NO_PROXY": "127.0.0.1"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return rsconnect


@pytest.fixture
def added(site, rsconnect):
    """
    Return a function that runs a command on the server that `rsconnect add` has stored.
    """
    words = ("--server", site.broker.url, "--api-key", site.key, "--name", "broker", "--cacert", site.ca_file)
    done = rsconnect("add", *words)
    assert 0 == done.returncode, done.stdout + done.stderr

    def on_server(*words):
        done = rsconnect(*words, "--name", "broker")
        assert 0 == done.returncode, done.stdout + done.stderr
        return done.stdout

    return on_server


def test_rsconnect_stores_the_server_and_shows_its_details(site, added, rsconnect):
    listed = rsconnect("list").stdout
    details = added("details")

    assert '"broker"' in listed
    assert site.broker.url in listed
    assert "No versions of Python are installed" in details


def test_rsconnect_refuses_a_wrong_key(site, rsconnect):
    words = ("--server", site.broker.url, "--name", "broker", "--cacert", site.ca_file)
    done = rsconnect("add", *words, "--api-key", "pcb_nobodys")

    assert 1 == done.returncode
    assert "The specified API key is not valid." in done.stdout


def test_rsconnect_manages_an_integration_from_beginning_to_end(site, people, config, added):
    settings = [word for name, value in config.items() for word in ("--config", f"{name}={value}")]
    made = json.loads(added("integration", "add", "--template", "ppm", "--integration-name", "By rsconnect",
                            "--description", "for builds", *settings, "--allow-group", people.analysts))  # fmt: skip
    guid = made["guid"]
    listed = added("integration", "list")
    shown = json.loads(added("integration", "show", guid))
    edited = json.loads(added("integration", "edit", guid, "--config", "audience=other", "--allow-user", people.bob))
    removed = added("integration", "remove", guid)

    assert made == shown == {**shown, "name": "By rsconnect", "description": "for builds", "config": config}
    assert f"{guid}  By rsconnect" in listed
    assert [people.analysts] == [entry["group_guid"] for entry in shown["permissions"]]
    assert {**config, "audience": "other"} == edited["config"]
    assert [people.bob] == [entry["user_guid"] for entry in edited["permissions"]]
    assert guid in removed
    assert 404 == site.call("GET", f"/__api__/v1/oauth/integrations/{guid}").status


def test_rsconnect_shows_the_template(added):
    shown = json.loads(added("integration", "templates", "show", "ppm"))

    assert "ppm  Posit Package Manager" in added("integration", "templates", "list")
    assert ["ppm_url", "scopes", "audience", "subject"] == [field["name"] for field in shown["fields"]]
    assert ["signing_algorithm", "allow_other_scopes"] == [option["name"] for option in shown["options"]]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("integration", "show", "5f3c1f0e-0000-4000-8000-000000000000"), "there is no integration"),
        (("integration", "templates", "show", "custom"), "there is no template 'custom'"),
        (("integration", "add", "--template", "ppm", "--integration-name", "x"), "config.ppm_url is required"),
        (("integration", "add", "--template", "ppm"), "name: is required"),
    ],
    ids=range(4),
)
def test_rsconnect_tells_our_errors_in_our_words(added, rsconnect, words, said):
    done = rsconnect(*words, "--name", "broker")

    assert 1 == done.returncode
    assert said in done.stderr


# --- what neither client has a command for --------------------------------------------------------------------------
def test_verify_makes_a_real_exchange_and_tells_no_token(site, people, config):
    made = site.api("POST", "/oauth/integrations", {"template": "ppm", "name": "To verify", "config": config})
    verify = f"/__api__/v1/oauth/integrations/{made['guid']}/verify"
    works = site.call("POST", verify)
    asked = [r for r in site.requests("main") if r["path"] == "/__api__/token"]
    site.faults("main", "error-500")
    broken = site.call("POST", verify)
    site.api("DELETE", f"/oauth/integrations/{made['guid']}")

    assert (200, b"") == (works.status, works.body)
    assert [["repos:read:pypi"]] == [each["claims"]["roles"] for each in asked]
    assert ["admin"] == [each["claims"]["preferred_username"] for each in asked]
    assert (400, 241, "package_manager_fault") == (
        broken.status,
        broken.json()["code"],
        broken.json()["payload"]["code"],
    )
