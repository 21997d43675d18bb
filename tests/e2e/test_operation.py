"""
A broker in operation: stopped, killed, started again; what was acknowledged is there, and no secret lies around.
"""

import base64
import json
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing

import pytest

from broker.emulator import samples
from tests.e2e.site import BROKER, new_site, package_manager, server_environment, serving, set_up_broker

pytestmark = pytest.mark.e2e


@pytest.fixture
def own(tmp_path):
    """
    A site of one's own, with one Package Manager and one publisher; nothing is running yet.
    """
    site = new_site(tmp_path)
    (tmp_path / "packages" / "pypi").mkdir(parents=True)
    samples.make_wheel(tmp_path / "packages" / "pypi", "labsolo", "1.0")
    site.port = set_up_broker(site)
    return site


def populate(site):
    site.api("POST", "/users", {"username": "alice", "user_role": "publisher"})
    config = {"ppm_url": site.managers["main"].url, "scopes": "repos:read:*"}
    site.api("POST", "/oauth/integrations", {"template": "ppm", "name": "All", "config": config})


def rows(site, query):
    with closing(sqlite3.connect(site.folder / "broker" / "broker.db")) as database:
        return database.execute(query).fetchall()


def test_a_killed_broker_comes_back_with_everything_it_acknowledged(own):
    with serving(own, own.port), package_manager(own, "main", "127.0.0.1", own.folder / "packages"):
        populate(own)
        guids = [own.api("POST", "/builds", {"owner_username": "alice"})["guid"] for _ in range(5)]
        keys = own.call("GET", "/openid/v1/jwks").body
        own.broker.stop(signal.SIGKILL)

        with serving(own, own.port):
            assert 204 == own.call("DELETE", f"/__api__/v1/builds/{guids[0]}").status
            assert keys == own.call("GET", "/openid/v1/jwks").body
            assert own.api("POST", "/builds", {"owner_username": "alice"})["credentials"]

    stored = [guid for (guid,) in rows(own, "SELECT guid FROM builds ORDER BY created_time")]
    assert guids == stored[:5]
    assert [("ok",)] == rows(own, "PRAGMA integrity_check")


def test_no_secret_lies_in_the_data_directory_or_a_log(own):
    """
    API keys and tokens are kept as SHA-256 only and printed nowhere (T35).
    """
    with serving(own, own.port), package_manager(own, "main", "127.0.0.1", own.folder / "packages"):
        populate(own)
        opened = own.api("POST", "/builds", {"owner_username": "alice"})
        own.call("POST", "/__api__/v1/builds", {"owner_username": own.key, "content_guid": own.key})
        own.call("GET", f"/__api__/v1/users?prefix={own.key}")
        own.broker.stop()

    token = opened["credentials"][0]["password"]
    basic = base64.b64encode(f"__token__:{token}".encode())
    files = [path for path in own.folder.rglob("*") if path.is_file()]
    assert len(files) > 5
    for path in files:
        content = path.read_bytes()
        for secret in (own.key.encode(), own.key[-12:].encode(), token.encode(), token[-12:].encode(), basic):
            assert secret not in content, path


def test_what_holds_keys_and_records_is_private(own):
    folder = own.folder / "broker"

    assert 0o700 == stat.S_IMODE(folder.stat().st_mode)
    assert 0o600 == stat.S_IMODE((folder / "signing-keys.json").stat().st_mode)


def test_sigterm_ends_it_without_an_error(own):
    with serving(own, own.port) as broker:
        code = broker.stop()

    assert code in {0, -signal.SIGTERM}
    assert "Traceback" not in broker.text()


def test_a_second_broker_on_the_port_says_so(own):
    with serving(own, own.port):
        done = subprocess.run(
            [*BROKER, "serve", "--data-dir", own.folder / "broker"],
            capture_output=True, text=True, timeout=30, check=False, env=server_environment(),
        )  # fmt: skip

    assert 1 == done.returncode
    assert "is in use by another process" in done.stderr
    assert "Traceback" not in done.stderr


def test_two_workers_serve_one_policy(own):
    """
    A change that one worker makes is seen by the next build on the other.
    """
    with (own.folder / "broker" / "broker.toml").open("a") as file:
        file.write("workers = 2\n")
    with serving(own, own.port), package_manager(own, "main", "127.0.0.1", own.folder / "packages"):
        populate(own)
        integration = own.api("GET", "/oauth/integrations")[0]["guid"]
        for access, expected in [("restricted", 0), ("everyone", 1)] * 5:
            own.api("PATCH", f"/oauth/integrations/{integration}", {"access": access})
            counts = [len(own.api("POST", "/builds", {"owner_username": "alice"})["credentials"]) for _ in range(4)]
            assert [expected] * 4 == counts


def test_every_outcome_is_in_the_audit(own):
    with serving(own, own.port), package_manager(own, "main", "127.0.0.1", own.folder / "packages"):
        populate(own)
        own.api("POST", "/builds", {"owner_username": "alice"})
        own.call("POST", "/__api__/v1/builds", {"owner_username": "nobody"})
        own.faults("main", "error-500")
        own.api("POST", "/builds", {"owner_username": "alice"})

    told = [(action, outcome) for action, outcome in rows(own, "SELECT action, outcome FROM audit ORDER BY seq")]
    assert [
        ("broker.initialised", "allowed"),
        ("user.created", "allowed"),
        ("integration.created", "allowed"),
        ("build.opened", "allowed"),
        ("credential.obtained", "allowed"),
        ("build.refused", "refused"),
        ("build.opened", "allowed"),
        ("credential.failed", "failed"),
    ] == told


@pytest.mark.needs("curl")
def test_the_vendors_own_curl_command_creates_an_integration(own):
    """
    The command of the vendor's guide, word for word but for the names.
    """
    with serving(own, own.port):
        group = own.api("POST", "/groups", {"name": "analysts"})["guid"]
        done = subprocess.run(
            [
                "curl", "--silent", "--show-error", "-X", "POST", "--cacert", own.ca_file,
                "-H", f"Authorization: Key {own.key}", f"{own.broker.url}/__api__/v1/oauth/integrations",
                "--data-raw", json.dumps({
                    "template": "ppm", "name": "Internal Packages Access", "description": "Access to packages",
                    "config": {"ppm_url": "https://packages.company.internal", "scopes": "repos:read:*"},
                    "permissions": [{"user_guid": None, "group_guid": group}],
                }),
            ],
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        listed = own.api("GET", "/oauth/integrations")

    assert [json.loads(done.stdout)] == listed
    assert group == listed[0]["permissions"][0]["group_guid"]


@pytest.mark.needs("broker")
def test_the_demo_does_what_it_says():
    done = subprocess.run([sys.executable, "deploy/demo.py"], capture_output=True, text=True, timeout=110, check=False)

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "Everything did what it says" in done.stdout
    assert "skipped: bob is not in the access list of Research packages" in done.stdout
