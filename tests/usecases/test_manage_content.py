"""
Content: who may say whose it is, and what the next build makes of that.
"""

import pytest

from broker.domain.builds import BuildRequest
from broker.domain.identity import Role
from broker.errors import (
    Conflict,
    ContentNotOwned,
    DuplicateContentName,
    InvalidParameter,
    InvalidUserGuid,
    NotFound,
    NothingToUpdate,
    OwnerLocked,
    OwnerNotPublisher,
    PermissionDenied,
)
from tests.domain.samples import admits, guid, the_group, the_user
from tests.usecases.world import ALICE, ANALYSTS, BOB, LEO, ROBOT, VICTOR, act, sha256

CAPPED = act(ROBOT, Role.PUBLISHER)


@pytest.fixture
def report(broker):
    """
    Content of alice.
    """
    return broker.content.create(act(ALICE), "report")


@pytest.fixture
def build(broker, package_manager):
    """
    Open a build of the report for somebody.
    """

    async def build(report, owner):
        request = BuildRequest(owner.guid, None, content_guid=report.guid)
        return await broker.open_build(sha256(ROBOT), request, "c-1")

    return build


# --- one's own ------------------------------------------------------------------------------------------------------
def test_what_is_created_is_what_is_read_afterwards(broker, report, clock):
    assert ("report", ALICE.guid, clock.now()) == (report.name, report.owner_guid, report.created_time)
    assert report == broker.content.get(act(ALICE), report.guid) == broker.content.get(act(), report.guid)
    assert [report] == list(broker.content.list(act(ALICE)))


def test_content_is_listed_in_the_order_of_its_creation(broker):
    made = [broker.content.create(act(ALICE), name) for name in ("c", "a", "b")]
    others = broker.content.create(act(BOB), "a")

    assert made == list(broker.content.list(act(ALICE)))
    assert [*made, others] == list(broker.content.list(act()))
    assert [made[1], others] == list(broker.content.list(act(), name="a"))
    assert [others] == list(broker.content.list(act(), name="a", owner_guid=BOB.guid))
    assert [] == list(broker.content.list(act(ALICE), owner_guid=BOB.guid))


def test_an_owner_renames_and_deletes(broker, report):
    renamed = broker.content.change(act(ALICE), report.guid, name="report-2")
    broker.content.delete(act(ALICE), report.guid)

    assert ("report-2", report.guid, report.created_time) == (renamed.name, renamed.guid, renamed.created_time)
    with pytest.raises(NotFound):
        broker.content.get(act(ALICE), report.guid)
    assert [
        ("content.created", "allowed", {"after": {"name": "report", "owner_guid": ALICE.guid}}),
        (
            "content.changed",
            "allowed",
            {
                "before": {"name": "report", "owner_guid": ALICE.guid},
                "after": {"name": "report-2", "owner_guid": ALICE.guid},
            },
        ),
        ("content.deleted", "allowed", {"before": {"name": "report-2", "owner_guid": ALICE.guid}}),
    ] == broker.audit()


def test_naming_the_owner_that_it_has_transfers_nothing(broker, report):
    assert report == broker.content.change(act(ALICE), report.guid, owner_guid=ALICE.guid)


def test_names_differ_for_one_owner_and_not_for_two(broker, report):
    broker.content.create(act(BOB), "report")
    other = broker.content.create(act(ALICE), "other")

    with pytest.raises(DuplicateContentName):
        broker.content.create(act(ALICE), "report")
    with pytest.raises(DuplicateContentName):
        broker.content.change(act(ALICE), other.guid, name="report")
    with pytest.raises(DuplicateContentName):
        broker.content.change(act(), report.guid, owner_guid=BOB.guid)


# --- that of others -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("who", [act(BOB), CAPPED], ids=["publisher", "capped administrator"])
def test_to_a_publisher_the_content_of_others_does_not_exist(broker, report, who):
    """
    Neither in a list nor by its guid, and an attempt leaves a line (T28, T26).
    """
    assert [] == list(broker.content.list(who))
    for attempt in (
        lambda: broker.content.get(who, report.guid),
        lambda: broker.content.change(who, report.guid, name="mine"),
        lambda: broker.content.change(who, report.guid, owner_guid=who.caller.user.guid),
        lambda: broker.content.delete(who, report.guid),
    ):
        with pytest.raises(NotFound):
            attempt()

    assert report == broker.content.get(act(), report.guid)
    assert [("content.changed", "refused"), ("content.changed", "refused"), ("content.deleted", "refused")] == [
        event[:2] for event in broker.audit()[1:]
    ]


@pytest.mark.parametrize("fields", [{"owner_guid": BOB.guid}, {"guid": guid(77)}], ids=["for another", "with a guid"])
@pytest.mark.parametrize("who", [act(ALICE), CAPPED], ids=["publisher", "capped administrator"])
def test_only_an_administrator_registers_for_others_or_under_a_guid_from_elsewhere(broker, who, fields):
    with pytest.raises(PermissionDenied):
        broker.content.create(who, "x", **fields)

    made = broker.content.create(act(), "x", **fields)
    assert fields == {name: getattr(made, name) for name in fields}


def test_an_owner_does_not_give_content_away(broker, report):
    """
    It would be built with the rights of somebody who never saw it.
    """
    with pytest.raises(PermissionDenied):
        broker.content.change(act(ALICE), report.guid, owner_guid=BOB.guid)

    assert report == broker.content.get(act(), report.guid)


def test_a_viewer_has_no_content(broker, report):
    for attempt in (
        lambda: broker.content.create(act(VICTOR), "x"),
        lambda: broker.content.list(act(VICTOR)),
        lambda: broker.content.get(act(VICTOR), report.guid),
        lambda: broker.content.change(act(VICTOR), report.guid, name="x"),
        lambda: broker.content.delete(act(VICTOR), report.guid),
    ):
        with pytest.raises(PermissionDenied):
            attempt()


@pytest.mark.parametrize(
    ("owner", "error"),
    [(VICTOR.guid, OwnerNotPublisher), (LEO.guid, OwnerLocked), (guid(999), InvalidUserGuid)],
    ids=["viewer", "locked", "nobody"],
)
def test_whoever_cannot_own_a_build_cannot_own_content(broker, report, owner, error):
    with pytest.raises(error):
        broker.content.create(act(), "x", owner_guid=owner)
    with pytest.raises(error):
        broker.content.change(act(), report.guid, owner_guid=owner)

    assert [report] == list(broker.content.list(act()))


def test_a_guid_is_registered_once(broker, report):
    with pytest.raises(Conflict):
        broker.content.create(act(), "other", guid=report.guid, owner_guid=BOB.guid)

    assert report == broker.content.get(act(), report.guid)


@pytest.mark.parametrize(
    ("fields", "error"), [({}, NothingToUpdate), ({"name": "a b"}, InvalidParameter), ({"name": ""}, InvalidParameter)]
)
def test_an_impossible_change_is_refused(broker, report, fields, error):
    with pytest.raises(error):
        broker.content.change(act(), report.guid, **fields)

    assert report == broker.content.get(act(), report.guid)


# --- the next build -------------------------------------------------------------------------------------------------
async def test_content_is_built_for_its_owner_only(broker, report, build, package_manager):
    """
    The refusal is on record, and nothing was sent (T26).
    """
    broker.admit(201)
    built = await build(report, ALICE)
    sent = len(package_manager.received)

    with pytest.raises(ContentNotOwned):
        await build(report, BOB)

    assert report.guid == built.build.content_guid
    assert sent == len(package_manager.received)
    assert ("build.refused", "refused", "content_not_owned") == (
        *broker.audit()[-1][:2],
        broker.audit()[-1][2]["reason"],
    )


async def test_a_transfer_acts_on_the_next_build(broker, report, build):
    """
    The old owner gets nothing for it any more, on this replica and without waiting (T25).
    """
    before = await build(report, ALICE)
    broker.content.change(act(), report.guid, owner_guid=BOB.guid)
    after = await build(report, BOB)

    assert [ALICE.guid, BOB.guid] == [before.build.owner_guid, after.build.owner_guid]
    with pytest.raises(ContentNotOwned):
        await build(report, ALICE)


async def test_a_transfer_acts_on_the_next_build_of_another_replica(broker, replica, report):
    """
    It still holds the old policy in memory, and the record finds that out (T25).
    """
    broker.content.change(act(), report.guid, owner_guid=BOB.guid)

    with pytest.raises(ContentNotOwned):
        await replica.open_build(sha256(ROBOT), BuildRequest(ALICE.guid, None, content_guid=report.guid), "c-1")


async def test_after_a_transfer_the_new_owners_rights_count(broker, report, build, package_manager):
    broker.admit(201, admits(the_user(ALICE)), url="https://a.example")
    broker.admit(202, admits(the_user(BOB)), url="https://b.example")
    await build(report, ALICE)
    broker.content.change(act(), report.guid, owner_guid=BOB.guid)
    await build(report, BOB)

    assert ["https://a.example", "https://b.example"] == [exchange.url for exchange in package_manager.received]


async def test_a_transfer_out_of_a_group_takes_the_groups_repositories_along(broker, report, build, package_manager):
    """
    And a group that is made again under the old name gives nothing back (T25).
    """
    broker.admit(201, admits(the_group(ANALYSTS)), url="https://a.example")
    broker.people.add_member(act(), ANALYSTS.guid, ALICE.guid)
    inside = await build(report, ALICE)
    broker.people.delete_group(act(), ANALYSTS.guid)
    again = broker.people.create_group(act(), ANALYSTS.name)
    broker.people.add_member(act(), again.guid, ALICE.guid)
    outside = await build(report, ALICE)

    assert (1, 0) == (len(inside.credentials), len(outside.credentials))


async def test_content_of_a_locked_owner_is_not_built_until_it_is_transferred(broker, report, build):
    """
    (T25)
    """
    broker.people.lock_user(act(), ALICE.guid, locked=True)

    with pytest.raises(OwnerLocked):
        await build(report, ALICE)
    with pytest.raises(ContentNotOwned):
        await build(report, BOB)
    broker.content.change(act(), report.guid, owner_guid=BOB.guid)
    assert BOB.guid == (await build(report, BOB)).build.owner_guid


async def test_content_that_is_not_registered_is_a_name_only(broker, report, build):
    broker.content.delete(act(), report.guid)

    assert report.guid == (await build(report, BOB)).build.content_guid
