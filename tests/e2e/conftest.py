"""
One site for all tests of this folder that run in the same worker, with the people of the demo.
"""

from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from broker.emulator import samples
from tests.e2e.site import new_site, package_manager, serving, set_up_broker


@dataclass
class People:
    """Who there is on the site."""

    alice: str
    bob: str
    analysts: str
    research: str


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    site = new_site(tmp_path_factory.mktemp("site"))
    packages = site.folder / "packages"
    for repository in ("main/pypi", "main/cran", "main/secret", "second/research"):
        (packages / repository).mkdir(parents=True)
    samples.make_wheel(packages / "main" / "pypi", "labsolo", "1.0")
    samples.make_wheel(packages / "main" / "secret", "labsecret", "1.0")
    samples.make_wheel(packages / "second" / "research", "labprivate", "1.0")
    samples.make_r_package(packages / "main" / "cran", "labr", "1.0")
    samples.make_r_package(packages / "main" / "cran", "labrdep", "1.0", imports=["labr"])
    with ExitStack() as stack:
        port = set_up_broker(site, settings="exchange_timeout = 2\n")
        stack.enter_context(serving(site, port))
        stack.enter_context(package_manager(site, "main", "127.0.0.1", packages / "main"))
        stack.enter_context(package_manager(site, "second", "127.0.0.2", packages / "second"))
        yield site


@pytest.fixture(scope="session")
def people(site):
    alice = site.api("POST", "/users", {"username": "alice", "user_role": "publisher", "email": "alice@example.com"})
    bob = site.api("POST", "/users", {"username": "bob", "user_role": "publisher"})
    analysts = site.api("POST", "/groups", {"name": "analysts"})
    site.api("POST", f"/groups/{analysts['guid']}/members", {"user_guid": alice["guid"]})
    made = [
        site.api(
            "POST",
            "/oauth/integrations",
            {
                "template": "ppm",
                "name": name,
                "config": {"ppm_url": site.managers[manager].url, "scopes": scopes},
                "permissions": permissions,
            },
        )
        for name, manager, scopes, permissions in (
            ("Python packages", "main", "repos:read:pypi", None),
            ("R packages", "main", "repos:read:cran", None),
            ("Research packages", "second", "repos:read:research", [{"group_guid": analysts["guid"]}]),
        )
    ]
    return People(alice["guid"], bob["guid"], analysts["guid"], made[2]["guid"])


@pytest.fixture
def calm(site):
    """
    Switch every fault off, before and after, and start with empty logs.
    """
    for name in site.managers:
        site.control(name, "DELETE", "/faults")
        site.control(name, "DELETE", "/log")
    yield
    for name in site.managers:
        site.control(name, "DELETE", "/faults")
