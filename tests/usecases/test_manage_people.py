"""
Users, groups and members.
"""

from dataclasses import replace

import pytest

from broker.domain.identity import Role
from broker.errors import LastAdministrator, NotFound
from broker.ports import Page
from broker.usecases.manage_people import UserFields
from tests.domain.samples import guid
from tests.usecases.world import ALICE, ANALYSTS, BOB, LEO, ROBOT, act

PAGE = Page(1, 100)


def test_a_user_is_created_with_what_is_known_and_as_a_viewer(broker, clock):
    dora = broker.people.create_user(act(), UserFields(username="dora", email="dora@example.com"))

    assert dora == broker.people.user(act(), dora.guid)
    assert ("dora", "dora@example.com", Role.VIEWER, clock.now(), False) == (
        dora.username,
        dora.email,
        dora.role,
        dora.created_time,
        dora.locked,
    )


def test_a_user_is_created_with_everything_that_is_said(broker):
    fields = UserFields("dora", "dora@example.com", "Dora", "Maar", Role.PUBLISHER, "x-1")
    dora = broker.people.create_user(act(), fields)

    assert fields == UserFields(dora.username, dora.email, dora.first_name, dora.last_name, dora.role, dora.external_id)


def test_a_change_touches_what_it_names_and_nothing_else(broker, clock):
    clock.advance(hours=1)
    changed = broker.people.change_user(act(), ALICE.guid, UserFields(last_name="L."))

    assert replace(ALICE, last_name="L.", updated_time=clock.now()) == changed == broker.people.user(act(), ALICE.guid)


@pytest.mark.parametrize(("person", "locked"), [(ALICE, True), (LEO, False)], ids=["lock", "unlock"])
def test_locking_and_unlocking(broker, person, locked):
    broker.people.lock_user(act(), person.guid, locked=locked)

    assert locked == broker.people.user(act(), person.guid).locked


@pytest.mark.parametrize(
    "end",
    [
        lambda people: people.change_user(act(), ROBOT.guid, UserFields(role=Role.VIEWER)),
        lambda people: people.lock_user(act(), ROBOT.guid, locked=True),
    ],
    ids=["demoted", "locked"],
)
def test_an_administrator_may_go_when_another_one_stays(broker, end):
    broker.people.lock_user(act(), LEO.guid, locked=True)
    broker.people.change_user(act(), LEO.guid, UserFields(role=Role.ADMINISTRATOR))
    with pytest.raises(LastAdministrator):  # the other one is locked
        end(broker.people)
    broker.people.lock_user(act(), LEO.guid, locked=False)
    end(broker.people)

    assert Role.ADMINISTRATOR is broker.people.user(act(LEO, Role.ADMINISTRATOR), LEO.guid).role


def test_users_are_listed_filtered_and_paged(broker):
    everybody = broker.people.users(act(), Page(1, 2), prefix="", roles=(), locked=None)
    publishers = broker.people.users(act(), PAGE, prefix="", roles=[Role.PUBLISHER], locked=False)

    assert (["alice", "bob"], 5) == ([each.username for each in everybody.results], everybody.total)
    assert (["alice", "bob"], 2) == ([each.username for each in publishers.results], publishers.total)


def test_a_group_belongs_to_who_created_it_and_starts_empty(broker):
    group = broker.people.create_group(act(), "makers")

    assert group == broker.people.group(act(), group.guid)
    assert ("makers", ROBOT.guid, 0) == (group.name, group.owner_guid, group.member_count)


def test_members_come_and_go(broker):
    broker.people.add_member(act(), ANALYSTS.guid, ALICE.guid)
    broker.people.add_member(act(), ANALYSTS.guid, BOB.guid)
    broker.people.remove_member(act(), ANALYSTS.guid, ALICE.guid)

    listing = broker.people.members(act(), ANALYSTS.guid, PAGE, prefix="")
    assert ([BOB], 1) == (list(listing.results), listing.total)
    assert 1 == broker.people.group(act(), ANALYSTS.guid).member_count
    assert [{"user_guid": each.guid} for each in (ALICE, BOB, ALICE)] == [detail for _, _, detail in broker.audit()]


def test_a_renamed_group_keeps_its_members(broker):
    broker.people.add_member(act(), ANALYSTS.guid, ALICE.guid)
    renamed = broker.people.rename_group(act(), ANALYSTS.guid, "scientists")

    assert ("scientists", ANALYSTS.guid, 1) == (renamed.name, renamed.guid, renamed.member_count)
    assert ["scientists"] == [each.name for each in broker.people.groups(act(), PAGE, prefix="").results]


def test_a_deleted_group_is_gone(broker):
    broker.people.delete_group(act(), ANALYSTS.guid)

    for look in (
        lambda: broker.people.group(act(), ANALYSTS.guid),
        lambda: broker.people.members(act(), ANALYSTS.guid, PAGE, prefix=""),
        lambda: broker.people.user(act(), guid(999)),
    ):
        with pytest.raises(NotFound):
            look()


def test_the_audit_of_a_user_has_roles_and_no_address(broker):
    broker.people.change_user(act(), ALICE.guid, UserFields(role=Role.ADMINISTRATOR))

    before = {"username": "alice", "role": "publisher", "locked": False, "external_id": None}
    assert [{"before": before, "after": {**before, "role": "administrator"}}] == [d for _, _, d in broker.audit()]
