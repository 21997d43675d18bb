"""
What holds for every administrative change: its right, its line in the audit, all or nothing.
"""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from broker.domain.identity import Role
from broker.domain.integrations import Access
from broker.errors import (
    AmbiguousAccess,
    DuplicateGroupName,
    DuplicateMember,
    DuplicateUsername,
    InvalidGroupName,
    InvalidIntegrationDescription,
    InvalidIntegrationName,
    InvalidKeyName,
    InvalidParameter,
    InvalidTemplateConfig,
    InvalidUserGuid,
    InvalidUsername,
    KeyRoleTooHigh,
    LastAdministrator,
    NotFound,
    NothingToRemove,
    NothingToUpdate,
    PermissionDenied,
    RecordUnavailable,
)
from broker.ports import Page
from broker.usecases.manage_integrations import IntegrationChange, NewIntegration
from broker.usecases.manage_people import UserFields
from tests.domain.samples import guid, the_user
from tests.usecases.world import ALICE, ANALYSTS, BOB, LEO, ROBOT, VICTOR, act

CONFIG = {"ppm_url": "https://packages.example.com", "scopes": "repos:read:*"}
NEW = NewIntegration("Packages", "", CONFIG, None, None)
PAGE = Page(1, 100)

CHANGES = {
    "integration.created": lambda b, who: b.integrations.create(who, NEW),
    "integration.changed": lambda b, who: b.integrations.change(who, guid(201), IntegrationChange(name="New")),
    "integration.deleted": lambda b, who: b.integrations.delete(who, guid(201)),
    "user.created": lambda b, who: b.people.create_user(who, UserFields(username="dora")),
    "user.changed": lambda b, who: b.people.change_user(who, BOB.guid, UserFields(email="bob@example.com")),
    "user.locked": lambda b, who: b.people.lock_user(who, BOB.guid, locked=True),
    "user.unlocked": lambda b, who: b.people.lock_user(who, LEO.guid, locked=False),
    "group.created": lambda b, who: b.people.create_group(who, "makers"),
    "group.changed": lambda b, who: b.people.rename_group(who, ANALYSTS.guid, "scientists"),
    "group.deleted": lambda b, who: b.people.delete_group(who, ANALYSTS.guid),
    "group.member_added": lambda b, who: b.people.add_member(who, ANALYSTS.guid, BOB.guid),
    "group.member_removed": lambda b, who: b.people.remove_member(who, ANALYSTS.guid, ALICE.guid),
    "key.created": lambda b, who: b.keys.create(who, BOB.guid, name="a key", role=None, expires_time=None),
    "content.created": lambda b, who: b.content.create(who, "new", owner_guid=BOB.guid),
    "key.deleted": lambda b, who: b.keys.delete(who, BOB.guid, _key_of(b, BOB)),
}


def _key_of(broker, person):
    return str(broker.read("SELECT min(id) FROM api_keys WHERE user_guid = ?", person.guid)[0][0])


@pytest.fixture
def broker(broker):
    """
    With an integration, and alice in the group.
    """
    broker.admit(201, url="https://packages.example.com")
    broker.change(lambda t: t.people.add_member(ANALYSTS.guid, ALICE.guid))
    return broker


def state(broker):
    """
    Everything that an administrator can change.
    """
    tables = ("users", "groups", "members", "api_keys", "integrations", "permissions", "contents", "policy")
    return {table: broker.read(f"SELECT * FROM {table}") for table in tables}


@pytest.mark.parametrize("action", CHANGES)
def test_each_change_is_one_line_in_the_audit_and_one_step_of_the_policy(broker, action):
    """
    (T26)
    """
    before = broker.policy.current().version
    CHANGES[action](broker, act())

    assert [(action, "allowed", ROBOT.guid, "c-1")] == broker.read(
        "SELECT action, outcome, actor, correlation_id FROM audit"
    )
    assert None is not broker.read("SELECT target FROM audit")[0][0]
    assert before + 1 == broker.policy.current().version


@pytest.mark.parametrize(
    "who", [act(ALICE), act(VICTOR), act(ROBOT, Role.PUBLISHER), act(ROBOT, Role.VIEWER)], ids=range(4)
)
@pytest.mark.parametrize("action", CHANGES)
def test_whoever_may_not_changes_nothing_and_the_attempt_is_recorded(broker, action, who):
    """
    Publisher, viewer, and an administrator with a capped key (T27).
    """
    before = state(broker)

    with pytest.raises(PermissionDenied):
        CHANGES[action](broker, who)

    assert before == state(broker)
    assert [(action, "refused", {"reason": "permission_denied"})] == broker.audit()
    assert [(who.caller.user.guid, "c-1")] == broker.read("SELECT actor, correlation_id FROM audit")


@pytest.mark.parametrize("action", CHANGES)
def test_a_change_that_cannot_be_recorded_is_not_made(broker, action, file):
    """
    (T26)
    """
    before = state(broker)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("ALTER TABLE audit RENAME TO elsewhere")

    with pytest.raises(RecordUnavailable):
        CHANGES[action](broker, act())

    assert before == state(broker)


READS = {
    "integrations": (Role.PUBLISHER, lambda b, who: b.integrations.list(who)),
    "integration": (Role.PUBLISHER, lambda b, who: b.integrations.get(who, guid(201))),
    "users": (Role.VIEWER, lambda b, who: b.people.users(who, PAGE, prefix="", roles=(), locked=None)),
    "user": (Role.VIEWER, lambda b, who: b.people.user(who, ALICE.guid)),
    "groups": (Role.VIEWER, lambda b, who: b.people.groups(who, PAGE, prefix="")),
    "group": (Role.VIEWER, lambda b, who: b.people.group(who, ANALYSTS.guid)),
    "members": (Role.VIEWER, lambda b, who: b.people.members(who, ANALYSTS.guid, PAGE, prefix="")),
    "keys of others": (Role.ADMINISTRATOR, lambda b, who: b.keys.list(who, BOB.guid)),
    "a key of others": (Role.ADMINISTRATOR, lambda b, who: b.keys.get(who, BOB.guid, _key_of(b, BOB))),
    "own keys": (Role.VIEWER, lambda b, who: b.keys.list(who, who.caller.user.guid)),
}


@pytest.mark.parametrize("person", [VICTOR, ALICE, ROBOT], ids=lambda person: person.role)
@pytest.mark.parametrize("what", READS)
def test_reading_takes_a_role_and_changes_nothing(broker, what, person):
    """
    (T27)
    """
    needed, read = READS[what]
    before = state(broker)

    if person.role.rank >= needed.rank:
        assert read(broker, act(person))
    else:
        with pytest.raises(PermissionDenied):
            read(broker, act(person))
    assert (before, []) == (state(broker), broker.audit())


def _new(**fields):
    return replace(NEW, **fields)


NOBODY_THERE = guid(999)
NO = {
    "integration name": (InvalidIntegrationName, lambda b: b.integrations.create(act(), _new(name=" "))),
    "description": (
        InvalidIntegrationDescription,
        lambda b: b.integrations.create(act(), _new(description="x" * 5000)),
    ),
    "config": (InvalidTemplateConfig, lambda b: b.integrations.create(act(), _new(config={}))),
    "unknown principal": (
        InvalidParameter,
        lambda b: b.integrations.create(act(), _new(principals=[the_user(replace(ALICE, guid=NOBODY_THERE))])),
    ),
    "open with a list": (
        InvalidParameter,
        lambda b: b.integrations.create(act(), _new(access=Access.EVERYONE, principals=[the_user(ALICE)])),
    ),
    "no change": (NothingToUpdate, lambda b: b.integrations.change(act(), guid(201), IntegrationChange())),
    "no integration": (NotFound, lambda b: b.integrations.change(act(), NOBODY_THERE, IntegrationChange(name="x"))),
    "emptied": (AmbiguousAccess, lambda b: b.integrations.change(act(), guid(201), IntegrationChange(principals=[]))),
    "changed to unknown": (
        InvalidParameter,
        lambda b: b.integrations.change(
            act(), guid(201), IntegrationChange(principals=[the_user(replace(ALICE, guid=NOBODY_THERE))])
        ),
    ),
    "changed config": (
        InvalidTemplateConfig,
        lambda b: b.integrations.change(act(), guid(201), IntegrationChange(config={"scopes": "x"})),
    ),
    "integration to delete": (NotFound, lambda b: b.integrations.delete(act(), NOBODY_THERE)),
    "no user name": (InvalidUsername, lambda b: b.people.create_user(act(), UserFields(email="a@b.example"))),
    "user name": (InvalidUsername, lambda b: b.people.create_user(act(), UserFields(username="a b"))),
    "taken user name": (DuplicateUsername, lambda b: b.people.create_user(act(), UserFields(username="ALICE"))),
    "no user": (NotFound, lambda b: b.people.change_user(act(), NOBODY_THERE, UserFields(email="x"))),
    "no field": (NothingToUpdate, lambda b: b.people.change_user(act(), BOB.guid, UserFields())),
    "new user name": (InvalidUsername, lambda b: b.people.change_user(act(), BOB.guid, UserFields(username=""))),
    "taken new name": (
        DuplicateUsername,
        lambda b: b.people.change_user(act(), BOB.guid, UserFields(username="Alice")),
    ),
    "last one demoted": (
        LastAdministrator,
        lambda b: b.people.change_user(act(), ROBOT.guid, UserFields(role=Role.PUBLISHER)),
    ),
    "last one locked": (LastAdministrator, lambda b: b.people.lock_user(act(), ROBOT.guid, locked=True)),
    "nobody to lock": (NotFound, lambda b: b.people.lock_user(act(), NOBODY_THERE, locked=True)),
    "group name": (InvalidGroupName, lambda b: b.people.create_group(act(), " x")),
    "taken group name": (DuplicateGroupName, lambda b: b.people.create_group(act(), "Analysts")),
    "no group to rename": (NotFound, lambda b: b.people.rename_group(act(), NOBODY_THERE, "x")),
    "new group name": (InvalidGroupName, lambda b: b.people.rename_group(act(), ANALYSTS.guid, "")),
    "no group to delete": (NotFound, lambda b: b.people.delete_group(act(), NOBODY_THERE)),
    "no group to join": (NotFound, lambda b: b.people.add_member(act(), NOBODY_THERE, ALICE.guid)),
    "nobody to join": (InvalidUserGuid, lambda b: b.people.add_member(act(), ANALYSTS.guid, NOBODY_THERE)),
    "a member": (DuplicateMember, lambda b: b.people.add_member(act(), ANALYSTS.guid, ALICE.guid)),
    "no member": (NothingToRemove, lambda b: b.people.remove_member(act(), ANALYSTS.guid, BOB.guid)),
    "no group to leave": (NotFound, lambda b: b.people.remove_member(act(), NOBODY_THERE, BOB.guid)),
    "nobody for a key": (
        NotFound,
        lambda b: b.keys.create(act(), NOBODY_THERE, name="x", role=None, expires_time=None),
    ),
    "key name": (InvalidKeyName, lambda b: b.keys.create(act(), BOB.guid, name="\n", role=None, expires_time=None)),
    "past expiry": (
        InvalidParameter,
        lambda b: b.keys.create(act(), BOB.guid, name="x", role=None, expires_time=b.keys.clock.now()),
    ),
    "key role": (
        KeyRoleTooHigh,
        lambda b: b.keys.create(act(), BOB.guid, name="x", role=Role.ADMINISTRATOR, expires_time=None),
    ),
    "no key": (NotFound, lambda b: b.keys.delete(act(), BOB.guid, "999")),
    "a key of another": (NotFound, lambda b: b.keys.delete(act(), BOB.guid, _key_of(b, ALICE))),
}


@pytest.mark.parametrize("what", NO)
def test_a_refused_change_changes_nothing_and_is_recorded_with_its_reason(broker, what):
    error, change = NO[what]
    before = state(broker)

    with pytest.raises(error) as refused:
        change(broker)

    assert error is type(refused.value)
    assert before == state(broker)
    assert [("refused", {"reason": error.code})] == [(outcome, detail) for _, outcome, detail in broker.audit()]
