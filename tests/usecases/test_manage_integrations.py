"""
Integrations and who may use them.
"""

import pytest

from broker.domain.integrations import Access
from broker.domain.templates import to_values
from broker.errors import NotFound
from broker.usecases.manage_integrations import IntegrationChange, NewIntegration
from tests.domain.samples import EVERYONE, NOBODY, admits, guid, the_group, the_user
from tests.usecases.world import ALICE, ANALYSTS, BOB, act

CONFIG = {"ppm_url": "https://packages.example.com", "scopes": "repos:read:*"}


@pytest.fixture
def create(broker):
    def create(name="Packages", config=None, access=None, principals=None):
        new = NewIntegration(name, "for builds", {**CONFIG, **(config or {})}, access, principals)
        return broker.integrations.create(act(), new)

    return create


@pytest.fixture
def change(broker):
    def change(saved, **fields):
        return broker.integrations.change(act(), saved.integration.guid, IntegrationChange(**fields))

    return change


@pytest.mark.parametrize(
    ("access", "principals", "expected"),
    [
        (None, None, EVERYONE),
        (None, [the_group(ANALYSTS)], admits(the_group(ANALYSTS))),
        (Access.RESTRICTED, [], NOBODY),
        (None, [the_user(ALICE), the_group(ANALYSTS)], admits(the_user(ALICE), the_group(ANALYSTS))),
    ],
    ids=["open", "group", "nobody", "user and group"],
)
def test_what_is_created_is_what_is_read_afterwards(broker, create, clock, access, principals, expected):
    created = create(access=access, principals=principals).integration

    assert created == broker.integrations.get(act(), created.guid)
    assert [created] == list(broker.integrations.list(act()))
    assert (expected, "Packages", CONFIG) == (created.access, created.name, to_values(created.config))
    assert clock.now() == created.created_time == created.updated_time


def test_a_change_touches_what_it_names_and_nothing_else(create, change, clock):
    before = create(config={"audience": "a"}, principals=[the_user(ALICE)])
    clock.advance(hours=1)
    after = change(before, name="New").integration

    assert ("New", "for builds", before.integration.config) == (after.name, after.draft.description, after.config)
    assert (before.integration.permissions, before.integration.created_time, clock.now()) == (
        after.permissions,
        after.created_time,
        after.updated_time,
    )


def test_the_config_is_changed_field_by_field(create, change):
    saved = create(config={"audience": "a", "subject": "s"})
    saved = change(saved, config={"scopes": "repos:read:cran", "subject": None})

    assert {**CONFIG, "scopes": "repos:read:cran", "audience": "a"} == to_values(saved.integration.config)


def test_the_access_list_is_replaced_as_a_whole(create, change):
    saved = create(principals=[the_user(ALICE), the_group(ANALYSTS)])
    saved = change(saved, principals=[the_user(BOB)])

    assert admits(the_user(BOB)) == saved.integration.access


def test_an_integration_whose_only_group_is_deleted_admits_nobody(broker, create):
    saved = create(principals=[the_group(ANALYSTS)])
    broker.people.delete_group(act(), ANALYSTS.guid)

    assert NOBODY == broker.integrations.get(act(), saved.integration.guid).access


def test_a_deleted_integration_is_gone(broker, create):
    saved = create()
    broker.integrations.delete(act(), saved.integration.guid)

    with pytest.raises(NotFound):
        broker.integrations.get(act(), saved.integration.guid)
    assert [] == list(broker.integrations.list(act()))


@pytest.mark.parametrize(
    ("config", "warned"),
    [
        ({"audience": "other"}, True),
        ({"subject": "other"}, True),
        ({"signing_algorithm": "RS256"}, True),
        ({"ppm_url": "https://packages.example.com/rspm"}, True),
        ({"ppm_url": "https://packages.example.com:8443"}, True),
        # the same in other words, or another host
        ({}, False),
        ({"audience": "package-manager", "subject": "connect", "signing_algorithm": "ES256"}, False),
        ({"scopes": "repos:read:cran"}, False),
        ({"ppm_url": "https://other.example.com/rspm"}, False),
    ],
    ids=str,
)
def test_a_neighbour_that_will_clash_is_told_at_once(create, change, config, warned):
    """
    Not when somebody builds: then it would cost both their credentials.
    """
    create(name="First")
    created = create(name="Second", config=config)
    other = create(name="Third", config={"ppm_url": "https://third.example.com"})

    assert warned == ("First uses the host" in " ".join(created.warnings))
    assert () == other.warnings
    if warned:
        assert any("Second" in warning for warning in change(other, config=CONFIG).warnings)


def test_the_audit_shows_before_and_after(broker, create, change):
    saved = create(principals=[the_user(ALICE)])
    change(saved, access=Access.EVERYONE)
    broker.integrations.delete(act(), saved.integration.guid)
    created, changed, deleted = (detail for _, _, detail in broker.audit())
    closed = {
        "name": "Packages",
        "config": CONFIG,
        "access": "restricted",
        "permissions": [f"user:{ALICE.guid}"],
    }
    opened = {**closed, "access": "everyone", "permissions": []}

    assert {"after": closed, "warnings": []} == created
    assert {"before": closed, "after": opened, "warnings": []} == changed
    assert {"before": opened} == deleted


def test_an_integration_that_is_not_there_is_not_found(broker):
    with pytest.raises(NotFound, match=guid(999)):
        broker.integrations.get(act(), guid(999))
