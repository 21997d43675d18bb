"""
The plan: one credential for each host, never more than was granted.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.plan import plan
from broker.domain.scopes import ScopeSet
from tests.domain.samples import DEFAULTS, granted, grants, integration


@given(grants())
def test_no_host_has_two_credentials(some):
    made = plan(some, DEFAULTS)

    machines = [each.machine for each in made.credentials] + [clash.machine for clash in made.clashes]
    assert len(set(machines)) == len(machines)


@given(grants())
def test_a_credential_is_exactly_what_its_integrations_granted(some):
    given_by = {grant.integration.guid: grant.scopes for grant in some}

    for planned in plan(some, DEFAULTS).credentials:
        union = ScopeSet.nothing()
        for each in planned.integrations:
            union = union.union(given_by[each.guid])
        assert union == planned.scopes


@given(grants())
def test_every_grant_is_in_one_credential_or_in_one_clash(some):
    made = plan(some, DEFAULTS)

    placed = [each.guid for part in (*made.credentials, *made.clashes) for each in part.integrations]
    assert sorted(grant.integration.guid for grant in some) == sorted(placed)


@given(grants())
def test_a_clash_has_two_targets_and_a_credential_one(some):
    made = plan(some, DEFAULTS)

    for clash in made.clashes:
        assert 2 <= len({DEFAULTS.target(each.config) for each in clash.integrations})
    for planned in made.credentials:
        assert {planned.target} == {DEFAULTS.target(each.config) for each in planned.integrations}


@given(st.data(), grants())
def test_the_order_of_the_grants_changes_nothing_but_the_order(data, some):
    mixed = data.draw(st.permutations(some))

    assert _outcome(plan(some, DEFAULTS)) == _outcome(plan(mixed, DEFAULTS))


def _outcome(made):
    return (
        {(each.target, each.scopes, frozenset(i.guid for i in each.integrations)) for each in made.credentials},
        {(clash.machine, frozenset(i.guid for i in clash.integrations), clash.detail) for clash in made.clashes},
    )


def test_no_grants_plan_nothing():
    assert ((), ()) == (plan([], DEFAULTS).credentials, plan([], DEFAULTS).clashes)


def test_hosts_come_in_the_order_in_which_integrations_were_created():
    some = [integration(n, url=f"https://{host}.example") for n, host in ((1, "b"), (2, "a"), (3, "b"), (4, "c"))]

    assert ["b.example", "a.example", "c.example"] == [
        planned.machine for planned in plan(map(granted, some), DEFAULTS).credentials
    ]


def test_saying_the_default_is_the_same_as_saying_nothing():
    one = integration(1, scopes="repos:read:cran")
    other = integration(2, scopes="repos:read:pypi", audience="package-manager", subject="connect", algorithm="RS256")

    (planned,) = plan([granted(one), granted(other)], DEFAULTS).credentials

    assert ("repos:read:cran,pypi",) == planned.scopes.render()


@pytest.mark.parametrize(
    ("difference", "words"),
    [
        ({"url": "https://packages.example.com:8443"}, "different addresses"),
        ({"url": "http://packages.example.com"}, "different addresses"),
        ({"url": "https://packages.example.com/rspm"}, "different addresses"),
        ({"audience": "other"}, "different audiences, subjects or algorithms"),
        ({"subject": "other"}, "different audiences, subjects or algorithms"),
        ({"algorithm": "ES256"}, "different audiences, subjects or algorithms"),
    ],
)
def test_neighbours_that_cannot_share_a_netrc_are_both_refused_by_name(difference, words):
    one, other = integration(1, name="Stable"), integration(2, name="Testing", **difference)

    made = plan([granted(one), granted(other)], DEFAULTS)

    (clash,) = made.clashes
    assert () == made.credentials
    assert (one, other) == clash.integrations
    assert "Stable and Testing" in clash.detail
    assert words in clash.detail


def test_a_clash_on_one_host_leaves_the_others_alone():
    some = [
        integration(1, url="https://a.example"),
        integration(2, url="https://a.example/other"),
        integration(3, url="https://b.example"),
    ]

    made = plan(map(granted, some), DEFAULTS)

    assert ["b.example"] == [planned.machine for planned in made.credentials]
    assert ["a.example"] == [clash.machine for clash in made.clashes]
