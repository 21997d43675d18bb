"""
Keys change while two workers serve: the Package Manager never notices a rotation, and recovers from a revocation.

Its verifier keeps the keys for ten seconds, which is longer than the broker of these tests asks for.
"""

import json
import sqlite3
import time
from contextlib import closing

import pytest

from broker.emulator import samples
from tests.e2e.site import command, new_site, package_manager, serving, set_up_broker

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

SETTINGS = """
workers = 2
jwks_max_age = 1
key_check_interval = 1
key_publish_ahead = 18
"""
FETCHES = 20
"""So many in a row meet both workers: each one is a connection of its own, and the workers take turns."""


@pytest.fixture
def site(tmp_path):
    """
    A broker with two workers, a Package Manager, and somebody who may build.
    """
    site = new_site(tmp_path)
    (tmp_path / "packages" / "pypi").mkdir(parents=True)
    samples.make_wheel(tmp_path / "packages" / "pypi", "labsolo", "1.0")
    port = set_up_broker(site, settings=SETTINGS)
    with serving(site, port), package_manager(site, "main", "127.0.0.1", tmp_path / "packages"):
        site.api("POST", "/users", {"username": "alice", "user_role": "publisher"})
        config = {"ppm_url": site.managers["main"].url, "scopes": "repos:read:*"}
        site.api("POST", "/oauth/integrations", {"template": "ppm", "name": "All", "config": config})
        yield site


def keys(site, *words):
    return command("keys", *words, "--data-dir", site.folder / "broker")


def listed(site):
    return {key["state"]: key["kid"] for key in json.loads(keys(site, "list", "--json"))}


def published(site):
    """
    Return the kids that each of many fetches found.
    """
    found = [site.call("GET", "/openid/v1/jwks").json()["keys"] for _ in range(FETCHES)]
    return {tuple(key["kid"] for key in each) for each in found}


def build(site):
    return site.api("POST", "/builds", {"owner_username": "alice"})


def last_signed_with(site):
    with closing(sqlite3.connect(site.folder / "broker" / "broker.db")) as database:
        query = "SELECT detail FROM audit WHERE action = 'credential.obtained' ORDER BY seq DESC LIMIT 1"
        return json.loads(database.execute(query).fetchone()[0])["kid"]


def until(seconds, condition):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it did not happen in {seconds} seconds"
        time.sleep(0.1)


def test_no_build_notices_a_rotation(site):
    """
    (T42)
    """
    assert 1 == len(build(site)["credentials"])
    old = listed(site)["signing"]
    assert old == last_signed_with(site)

    said = keys(site, "rotate")
    new = listed(site)["waiting"]
    until(10, lambda: published(site) == {(old, new)})
    signed = set()
    deadline = time.monotonic() + 60
    while signed != {old, new}:
        assert time.monotonic() < deadline, signed
        opened = build(site)
        assert ([], 1) == (opened["problems"], len(opened["credentials"]))
        signed.add(last_signed_with(site))
        time.sleep(0.2)

    assert new in said
    assert new == listed(site)["signing"]
    assert {(old, new)} == published(site)
    for _ in range(10):
        assert [] == build(site)["problems"]


def test_a_revoked_key_is_gone_from_all_workers_and_builds_go_on(site):
    assert [] == build(site)["problems"]
    leaked = listed(site)["signing"]

    said = keys(site, "revoke", leaked, "--yes")
    new = listed(site)["signing"]
    until(10, lambda: published(site) == {(new,)})
    until(40, lambda: [] == build(site)["problems"])

    assert new == last_signed_with(site)
    assert f"{leaked} is revoked" in said
    assert "Traceback" not in site.broker.text()
