"""
The main road on real parts: broker, Package Managers and unmodified package clients, over TLS and on two hosts.
"""

import sys
from contextlib import contextmanager

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("site"), pytest.mark.usefixtures("calm")]


def index(site, name, repository):
    return f"{site.managers[name].url}/{repository}/latest/simple/"


def pip(site, tmp_path, name, repository, package):
    return (
        sys.executable, "-m", "pip", "install", "--no-deps", "--target", tmp_path / "target",
        "--index-url", index(site, name, repository), package,
    )  # fmt: skip


@contextmanager
def member(site, group, user):
    site.api("POST", f"/groups/{group}/members", {"user_guid": user})
    try:
        yield
    finally:
        site.api("DELETE", f"/groups/{group}/members/{user}")


@pytest.mark.parametrize(("name", "repository", "package"), [
    ("main", "pypi", "labsolo"),
    ("second", "research", "labprivate"),
])  # fmt: skip
def test_pip_installs_from_both_hosts(site, people, tmp_path, name, repository, package):
    done = site.run(tmp_path, "alice", *pip(site, tmp_path, name, repository, package))

    assert 0 == done.returncode, done.stderr
    assert (tmp_path / "target" / package).is_dir()
    assert {"alice"} == {r["user"] for r in site.requests(name) if r["path"].startswith(f"/{repository}/")}


def test_uv_installs_from_both_hosts_in_one_run(site, people, tmp_path, program):
    done = site.run(
        tmp_path, "alice", program("uv"), "pip", "install", "--target", tmp_path / "target",
        "--default-index", index(site, "main", "pypi"), "--index", index(site, "second", "research"),
        "labsolo", "labprivate",
    )  # fmt: skip

    assert 0 == done.returncode, done.stderr
    assert (tmp_path / "target" / "labsolo").is_dir()
    assert (tmp_path / "target" / "labprivate").is_dir()


@pytest.mark.needs("curl")
def test_bare_curl_is_authenticated_without_a_flag(site, people, tmp_path):
    done = site.run(tmp_path, "alice", "curl", "--silent", "--fail", index(site, "second", "research"))

    assert 0 == done.returncode, done.stderr
    assert "labprivate" in done.stdout


@pytest.mark.needs("Rscript")
@pytest.mark.parametrize("method", ["", ', method = "libcurl"', ', method = "curl"', ', method = "wget"'])
def test_r_installs_a_package_and_what_it_imports(site, people, tmp_path, method):
    library = tmp_path / "library"
    library.mkdir()
    code = f'install.packages("labrdep", lib="{library}", repos="{site.managers["main"].url}/cran/latest"{method})'

    done = site.run(tmp_path, "alice", "Rscript", "-e", code)

    assert (library / "labrdep" / "DESCRIPTION").is_file(), done.stdout + done.stderr
    assert (library / "labr" / "DESCRIPTION").is_file()


def test_integrations_of_one_host_share_one_credential(site, people):
    opened = site.api("POST", "/builds", {"owner_username": "alice"})

    assert ["127.0.0.1", "127.0.0.2"] == [c["machine"] for c in opened["credentials"]]
    assert ["repos:read:cran,pypi"] == opened["credentials"][0]["scopes"]
    assert 2 == opened["netrc"].count("machine ")
    assert 1 == len([r for r in site.requests("main") if r["path"] == "/__api__/token"])


def test_package_manager_logs_the_owner_by_name_and_guid(site, people):
    site.api("POST", "/builds", {"owner_guid": people.alice})

    claims = site.requests("second")[0]["claims"]
    assert ("alice", people.alice) == (claims["preferred_username"], claims["owner_guid"])
    assert ("package-manager", "connect", ["repos:read:research"]) == (claims["aud"], claims["sub"], claims["roles"])


def test_an_owner_outside_the_group_gets_the_reason_and_a_401(site, people, tmp_path):
    done = site.run(tmp_path, "bob", *pip(site, tmp_path, "second", "research", "labprivate"))

    assert 1 == done.returncode
    assert 'skipped "Research packages" (not_in_access_list' in done.stderr
    assert [401] == [r["status"] for r in site.requests("second")]


def test_joining_and_leaving_the_group_act_on_the_very_next_build(site, people, tmp_path):
    with member(site, people.analysts, people.bob):
        inside = site.run(tmp_path, "bob", *pip(site, tmp_path, "second", "research", "labprivate"))
    outside = site.run(tmp_path, "bob", *pip(site, tmp_path, "second", "research", "labprivate"))

    assert (0, 1) == (inside.returncode, outside.returncode)


def test_a_token_opens_only_the_granted_repositories(site, people, tmp_path):
    done = site.run(tmp_path, "alice", *pip(site, tmp_path, "main", "secret", "labsecret"))

    assert 1 == done.returncode
    assert {403} == {r["status"] for r in site.requests("main") if r["path"].startswith("/secret/")}


def test_a_build_gets_no_more_than_it_asks_for(site, people):
    opened = site.api("POST", "/builds", {"owner_username": "alice", "repositories": ["pypi"]})

    assert [["repos:read:pypi"]] == [c["scopes"] for c in opened["credentials"]]
    assert {"no_requested_repository"} == {s["reason"] for s in opened["skipped"]}


def test_deleting_the_only_group_of_a_list_closes_it_for_everybody(site, people):
    group = site.api("POST", "/groups", {"name": "short-lived"})["guid"]
    site.api("POST", f"/groups/{group}/members", {"user_guid": people.bob})
    url = site.managers["second"].url
    made = site.api("POST", "/oauth/integrations", {
        "template": "ppm", "name": "Short-lived", "permissions": [{"group_guid": group}],
        "config": {"ppm_url": url, "scopes": "repos:read:research"},
    })  # fmt: skip
    before = site.api("POST", "/builds", {"owner_username": "bob"})

    site.api("DELETE", f"/groups/{group}")
    after = site.api("POST", "/builds", {"owner_username": "bob"})
    shown = site.api("GET", f"/oauth/integrations/{made['guid']}")
    site.api("DELETE", f"/oauth/integrations/{made['guid']}")

    assert "127.0.0.2" in [c["machine"] for c in before["credentials"]]
    assert "127.0.0.2" not in [c["machine"] for c in after["credentials"]]
    assert ("restricted", []) == (shown["access"], shown["permissions"])


def test_a_finished_build_stays_finished(site, people):
    opened = site.api("POST", "/builds", {"owner_username": "alice"})

    first = site.call("DELETE", f"/__api__/v1/builds/{opened['guid']}")
    second = site.call("DELETE", f"/__api__/v1/builds/{opened['guid']}")

    assert (204, 204) == (first.status, second.status)
