"""
API keys: made once, shown once, never above their maker.
"""

from datetime import timedelta

import pytest

from broker.domain.identity import Role
from broker.errors import InvalidKeyName, KeyRoleTooHigh, NotFound, PermissionDenied
from tests.domain.samples import guid
from tests.usecases.world import ALICE, BOB, ROBOT, VICTOR, act, key_text


@pytest.fixture
def create(broker):
    def create(who, person=None, role=None, **fields):
        owner = person or who.caller.user
        return broker.keys.create(who, owner.guid, **{"name": "a key", "role": role, "expires_time": None, **fields})

    return create


def test_a_key_is_shown_once_and_kept_as_its_hash(broker, create):
    """
    (T35)
    """
    made = create(act(ALICE), name="laptop")

    assert made.key.sha256() == made.record.sha256
    assert made.record == broker.keys.get(act(ALICE), ALICE.guid, made.record.id)
    assert made.record == broker.policy.current().key(made.key.sha256())
    kept = b"".join(file.read_bytes() for file in broker.file.parent.iterdir())
    assert made.key.reveal().encode() not in kept
    assert made.key.reveal() not in repr(made)


def test_the_audit_ties_a_key_to_its_hash(broker, create):
    made = create(act(ALICE), name="laptop")

    assert [
        (
            "key.created",
            "allowed",
            {"key_id": made.record.id, "name": "laptop", "role": "publisher", "key_sha256": made.key.sha256()},
        )
    ] == broker.audit()


@pytest.mark.parametrize(
    ("who", "person", "asked", "expected"),
    [
        # one's own
        (act(ALICE), ALICE, None, Role.PUBLISHER),
        (act(ALICE), ALICE, Role.VIEWER, Role.VIEWER),
        (act(ALICE), ALICE, Role.PUBLISHER, Role.PUBLISHER),
        (act(ALICE), ALICE, Role.ADMINISTRATOR, None),
        (act(VICTOR), VICTOR, Role.PUBLISHER, None),
        # with a capped key: no way up (T33)
        (act(ROBOT, Role.PUBLISHER), ROBOT, None, Role.PUBLISHER),
        (act(ROBOT, Role.PUBLISHER), ROBOT, Role.ADMINISTRATOR, None),
        (act(ROBOT, Role.VIEWER), ROBOT, Role.PUBLISHER, None),
        (act(ROBOT, Role.VIEWER), ROBOT, None, Role.VIEWER),
        # for others, by an administrator: up to the role of its user
        (act(ROBOT), ALICE, None, Role.PUBLISHER),
        (act(ROBOT), ALICE, Role.ADMINISTRATOR, None),
        (act(ROBOT), ROBOT, Role.ADMINISTRATOR, Role.ADMINISTRATOR),
    ],
    ids=range(12),
)
def test_no_key_is_above_its_user_or_above_the_key_that_made_it(create, who, person, asked, expected):
    if expected is None:
        with pytest.raises(KeyRoleTooHigh):
            create(who, person, asked)
    else:
        assert expected is create(who, person, asked).record.role


@pytest.mark.parametrize("who", [act(ALICE), act(VICTOR), act(ROBOT, Role.PUBLISHER)], ids=range(3))
def test_the_keys_of_others_are_for_administrators(broker, create, who):
    """
    (T28)
    """
    for attempt in (
        lambda: create(who, BOB),
        lambda: broker.keys.list(who, BOB.guid),
        lambda: broker.keys.get(who, BOB.guid, "3"),
        lambda: broker.keys.delete(who, BOB.guid, "3"),
    ):
        with pytest.raises(PermissionDenied):
            attempt()


def test_a_deleted_key_stops_working_with_the_next_request(broker, create):
    made = create(act(ALICE))
    broker.keys.delete(act(ALICE), ALICE.guid, made.record.id)

    assert None is broker.policy.current().key(made.key.sha256())
    with pytest.raises(NotFound):
        broker.keys.get(act(ALICE), ALICE.guid, made.record.id)


def test_keys_are_listed_in_the_order_of_creation(broker, create):
    made = [create(act(ALICE), name=name).record for name in ("b", "a", "c")]

    assert made == list(broker.keys.list(act(ALICE), ALICE.guid))[1:]


def test_an_expiry_is_kept(broker, create, clock):
    until = clock.now() + timedelta(seconds=1)

    assert until == create(act(ALICE), expires_time=until).record.expires_time


@pytest.mark.parametrize("name", ["", " ", "a\nb", "\x00", "\u202e", pytest.param("x" * 256, id="256")])
def test_a_name_is_printable_and_short(create, name):
    with pytest.raises(InvalidKeyName):
        create(act(ALICE), name=name)


def test_the_keys_of_nobody_are_not_found(broker):
    with pytest.raises(NotFound):
        broker.keys.list(act(), guid(999))


def test_listed_keys_do_not_show_what_they_are(broker):
    """
    (T35)
    """
    assert key_text(ALICE) not in repr(broker.keys.list(act(ALICE), ALICE.guid))
