"""
What every Store and its PolicySource promise.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from broker.domain.audit import Action, Event
from broker.domain.identity import ApiKey, Group, Role
from broker.domain.integrations import Access, Draft
from broker.errors import (
    Conflict,
    DuplicateContentName,
    DuplicateGroupName,
    DuplicateMember,
    DuplicateUsername,
    FixTheRequest,
    RecordUnavailable,
)
from broker.ports import Page
from tests.domain.samples import EVERYONE, NOBODY, admits, config, content, group, guid, the_group, the_user, user
from tests.fakes.clock import NOON

LATER = NOON + timedelta(hours=1, microseconds=1)
ALL = Page(1, 500)


class Stopped(Exception):
    """Raised by a test in the middle of a transaction."""


def draft(access=EVERYONE, name="Packages", description="", **fields):
    return Draft(name, description, config(**fields), access)


def new_key(person, sha256="a" * 64, **fields):
    return ApiKey("", person.guid, "a key", sha256, fields.pop("role", None), NOON, **fields)


class StoreContract:
    """
    Inherit, and give the fixtures `store`, and `policy` as the source that belongs to it.
    """

    @pytest.fixture
    def store(self):
        raise NotImplementedError

    @pytest.fixture
    def policy(self):
        raise NotImplementedError

    @pytest.fixture
    def do(self, store):
        """
        Do something in a transaction of its own that changes the policy.
        """

        def do(work):
            with store.transaction() as transaction:
                result = work(transaction)
                transaction.policy_changed()
            return result

        return do

    @pytest.fixture
    def see(self, store):
        """
        Read something in a transaction of its own.
        """

        def see(work):
            with store.reading() as transaction:
                return work(transaction)

        return see

    @pytest.fixture
    def names(self, see):
        return lambda **how: [each.username for each in see(lambda t: t.people.users(ALL, **how)).results]

    # --- transactions -------------------------------------------------------------------------------------------------
    def test_a_transaction_that_fails_leaves_nothing(self, store, policy, see):
        before = policy.refresh().version

        def work():
            with store.transaction() as transaction:
                transaction.people.add_user(user())
                transaction.integrations.add(guid(201), draft(admits(the_user(user()))), NOON)
                transaction.audit(Event(NOON, "system", Action.USER_CREATED, guid(1)))
                transaction.policy_changed()
                raise Stopped

        with pytest.raises(Stopped):
            work()

        assert None is see(lambda t: t.people.user(guid(1)))
        assert [] == see(lambda t: list(t.integrations.all()))
        assert before == policy.refresh().version

    def test_a_transaction_sees_its_own_writes(self, store):
        with store.transaction() as transaction:
            transaction.people.add_user(user())

            assert user() == transaction.people.user(guid(1))

    def test_a_refused_write_refuses_the_whole_transaction(self, do, see):
        do(lambda t: t.people.add_user(user(1, "alice")))

        with pytest.raises(DuplicateUsername):
            do(lambda t: (t.people.add_user(user(2, "bob")), t.people.add_user(user(3, "alice"))))

        assert None is see(lambda t: t.people.user(guid(2)))

    def test_a_reader_waits_for_no_writer_and_sees_what_was_before(self, store):
        with store.transaction() as writer:
            writer.people.add_user(user())
            with store.reading() as reader:
                assert None is reader.people.user(guid(1))

    def test_a_reader_sees_one_state_however_long_it_reads(self, store, do):
        with store.reading() as reader:
            before = reader.people.user(guid(1))
            do(lambda t: t.people.add_user(user()))

            assert before is reader.people.user(guid(1)) is None

    # --- the policy ---------------------------------------------------------------------------------------------------
    def test_the_version_moves_exactly_when_the_policy_changes(self, store, policy, do):
        versions = [policy.refresh().version]

        with store.transaction() as transaction:
            transaction.audit(Event(NOON, "system", Action.BUILD_REFUSED, None))
        versions.append(policy.refresh().version)
        with store.reading() as transaction:
            transaction.people.users(ALL)
        versions.append(policy.refresh().version)
        do(lambda _: None)
        versions.append(policy.refresh().version)

        assert [0, 0, 0, 1] == [version - versions[0] for version in versions]

    def test_a_change_is_seen_by_the_next_decision_of_this_process(self, policy, do):
        do(lambda t: t.people.add_user(user()))

        assert user() == policy.current().user(guid(1))

    def test_a_policy_that_did_not_change_is_not_read_again(self, policy):
        assert policy.current() is policy.refresh() is policy.refresh()

    def test_the_policy_has_everything_that_a_decision_needs(self, policy, do):
        def work(transaction):
            transaction.people.add_user(user())
            transaction.people.add_group(group())
            transaction.people.add_member(guid(101), guid(1))
            key = transaction.people.add_key(new_key(user()))
            some = [
                transaction.integrations.add(guid(201), draft(admits(the_group())), NOON),
                transaction.integrations.add(guid(202), draft(NOBODY), NOON),
                transaction.integrations.add(guid(203), draft(), NOON),
            ]
            return key, some

        key, (hers, closed, everyones) = do(work)
        now = policy.current()
        owner = now.owner(username="alice")

        assert key == now.key("a" * 64)
        assert {guid(101)} == owner.group_guids
        assert [hers, everyones] == now.candidates(owner)
        assert [closed] == list(now.closed_to(owner))

    # --- users --------------------------------------------------------------------------------------------------------
    def test_a_user_is_kept_as_it_is(self, do, see):
        everything = user(
            1,
            "Alice.B",
            Role.ADMINISTRATOR,
            email="alice@example.com",
            first_name="Alice \U0001f600",
            last_name="L\u00f8vborg",
            external_id="x|1",
            active_time=LATER,
            locked=True,
        )
        smallest = user(2, "b")
        do(lambda t: (t.people.add_user(everything), t.people.add_user(smallest)))

        assert everything == see(lambda t: t.people.user(guid(1)))
        assert smallest == see(lambda t: t.people.user(guid(2)))
        assert None is see(lambda t: t.people.user(guid(3)))

    @pytest.mark.parametrize("taken", ["alice", "Alice", "ALICE"])
    def test_a_user_name_is_taken_in_whatever_case(self, do, taken):
        do(lambda t: t.people.add_user(user(1, "Alice")))
        do(lambda t: t.people.add_user(user(2, "bob")))

        with pytest.raises(DuplicateUsername, match=taken):
            do(lambda t: t.people.add_user(user(3, taken)))
        with pytest.raises(DuplicateUsername, match=taken):
            do(lambda t: t.people.change_user(user(2, taken)))

    def test_a_user_may_change_the_case_of_the_own_name(self, do, names):
        do(lambda t: t.people.add_user(user(1, "alice")))
        do(lambda t: t.people.change_user(user(1, "ALICE", Role.VIEWER)))

        assert ["ALICE"] == names(roles=[Role.VIEWER])

    def test_users_are_listed_by_name_whatever_its_case(self, do, names):
        for number, name in enumerate(["carol", "Bob", "alice", "Dave"]):
            do(lambda t, n=number, name=name: t.people.add_user(user(n, name)))

        assert ["alice", "Bob", "carol", "Dave"] == names()

    @pytest.mark.parametrize(
        ("page", "expected"),
        [
            (Page(1, 2), ["u0", "u1"]),
            (Page(2, 2), ["u2", "u3"]),
            (Page(3, 2), ["u4"]),
            (Page(4, 2), []),
            (Page(10**12, 500), []),
            (Page(1, 500), ["u0", "u1", "u2", "u3", "u4"]),
        ],
    )
    def test_a_page_is_a_part_and_the_total_is_of_all(self, do, see, page, expected):
        for number in range(5):
            do(lambda t, n=number: t.people.add_user(user(n, f"u{n}")))
        listing = see(lambda t: t.people.users(page))

        assert (expected, 5) == ([each.username for each in listing.results], listing.total)

    @pytest.mark.parametrize(
        ("prefix", "expected"),
        [
            ("al", ["al_ice", "albert", "alice"]),
            ("AL", ["al_ice", "albert", "alice"]),
            ("ali", ["alice"]),
            ("lice", []),
            # characters that mean something to LIKE
            ("al_", ["al_ice"]),
            ("%", []),
            ("al%", []),
            ("_", []),
            ("/", []),
            ("\\", []),
            ("'", []),
            ("al_ice' OR 1=1 --", []),
        ],
    )
    def test_a_prefix_is_text_and_no_pattern(self, do, names, prefix, expected):
        """
        (T37)
        """
        for number, name in enumerate(["alice", "al_ice", "albert", "bob"]):
            do(lambda t, n=number, name=name: t.people.add_user(user(n, name)))

        assert expected == names(prefix=prefix)

    def test_users_are_filtered_by_role_and_lock(self, do, names):
        for number, (name, role, locked) in enumerate(
            [("a", Role.VIEWER, False), ("b", Role.VIEWER, True), ("c", Role.PUBLISHER, True)]
        ):
            do(lambda t, n=number, name=name, r=role, lo=locked: t.people.add_user(user(n, name, r, locked=lo)))

        assert (["a", "b"], ["b", "c"], ["a"], ["b"]) == (
            names(roles=[Role.VIEWER]),
            names(locked=True),
            names(locked=False),
            names(roles=[Role.VIEWER], locked=True),
        )

    def test_only_administrators_who_are_not_locked_can_administer(self, do, see):
        counts = []
        for number, (role, locked) in enumerate(
            [(Role.PUBLISHER, False), (Role.ADMINISTRATOR, True), (Role.ADMINISTRATOR, False)]
        ):
            do(lambda t, n=number, r=role, lo=locked: t.people.add_user(user(n, f"u{n}", r, locked=lo)))
            counts.append(see(lambda t: t.people.administrators()))

        assert [0, 0, 1] == counts

    # --- groups -------------------------------------------------------------------------------------------------------
    def test_a_group_is_kept_with_its_owner_and_the_number_of_its_members(self, do, see):
        do(lambda t: (t.people.add_user(user()), t.people.add_user(user(2, "bob"))))
        do(lambda t: t.people.add_group(Group(guid(101), "Data \u5206\u6790", guid(1))))
        do(lambda t: (t.people.add_member(guid(101), guid(1)), t.people.add_member(guid(101), guid(2))))

        assert Group(guid(101), "Data \u5206\u6790", guid(1), 2) == see(lambda t: t.people.group(guid(101)))
        assert None is see(lambda t: t.people.group(guid(102)))

    @pytest.mark.parametrize("taken", ["Stra\u00dfe", "STRASSE", "strasse", "\uff33trasse"])
    def test_a_group_name_is_taken_in_whatever_case(self, do, taken):
        do(lambda t: (t.people.add_group(group(101, "stra\u00dfe")), t.people.add_group(group(102, "other"))))

        with pytest.raises(DuplicateGroupName):
            do(lambda t: t.people.add_group(group(103, taken)))
        with pytest.raises(DuplicateGroupName):
            do(lambda t: t.people.change_group(group(102, taken)))

    def test_a_renamed_group_frees_its_name_and_keeps_its_guid(self, do, see):
        do(lambda t: t.people.add_group(group(101, "old")))
        do(lambda t: t.people.change_group(group(101, "new")))
        do(lambda t: t.people.add_group(group(102, "old")))

        assert [(guid(101), "new"), (guid(102), "old")] == [
            (each.guid, each.name) for each in see(lambda t: t.people.groups(ALL)).results
        ]

    def test_groups_are_listed_by_name_in_pages_and_by_prefix(self, do, see):
        for number, name in enumerate(["zeta", "Alpha", "alpha_2", "alphaX2"]):
            do(lambda t, n=number, name=name: t.people.add_group(group(n, name)))

        def names(page, prefix=""):
            listing = see(lambda t: t.people.groups(page, prefix=prefix))
            return [each.name for each in listing.results], listing.total

        assert (["Alpha", "alpha_2", "alphaX2", "zeta"], 4) == names(ALL)
        assert (["alphaX2", "zeta"], 4) == names(Page(2, 2))
        assert (["alpha_2"], 1) == names(ALL, "ALPHA_")
        assert ([], 0) == names(ALL, "%")

    def test_members_are_listed_by_name_and_by_prefix(self, do, see):
        do(lambda t: (t.people.add_group(group()), t.people.add_group(group(102, "others"))))
        for number, name in enumerate(["carol", "Bob", "al_ice", "alice"]):
            do(lambda t, n=number, name=name: t.people.add_user(user(n, name)))
            do(lambda t, n=number: t.people.add_member(guid(101), guid(n)))
        do(lambda t: t.people.add_member(guid(102), guid(0)))

        def names(page, prefix=""):
            listing = see(lambda t: t.people.members(guid(101), page, prefix=prefix))
            return [each.username for each in listing.results], listing.total

        assert (["al_ice", "alice", "Bob", "carol"], 4) == names(ALL)
        assert (["carol"], 4) == names(Page(2, 3))
        assert (["al_ice"], 1) == names(ALL, "al_")

    def test_a_member_is_added_once_and_removed_once(self, do):
        do(lambda t: (t.people.add_user(user()), t.people.add_group(group())))
        do(lambda t: t.people.add_member(guid(101), guid(1)))

        with pytest.raises(DuplicateMember):
            do(lambda t: t.people.add_member(guid(101), guid(1)))
        assert [True, False, False] == [
            do(lambda t: t.people.remove_member(guid(101), guid(1))),
            do(lambda t: t.people.remove_member(guid(101), guid(1))),
            do(lambda t: t.people.remove_member(guid(999), guid(1))),
        ]

    def test_a_deleted_group_takes_its_rights_with_it_and_opens_nothing(self, policy, do, see):
        """
        The group was all that its integration admitted; afterwards it admits nobody (T25).
        """
        do(lambda t: (t.people.add_user(user()), t.people.add_group(group()), t.people.add_group(group(102, "other"))))
        do(lambda t: (t.people.add_member(guid(101), guid(1)), t.people.add_member(guid(102), guid(1))))
        do(lambda t: t.integrations.add(guid(201), draft(admits(the_group(101))), NOON))
        do(lambda t: t.integrations.add(guid(202), draft(admits(the_group(101), the_user(user()))), NOON))

        do(lambda t: t.people.delete_group(guid(101)))

        assert None is see(lambda t: t.people.group(guid(101)))
        assert [NOBODY, admits(the_user(user()))] == [each.access for each in see(lambda t: t.integrations.all())]
        owner = policy.current().owner(username="alice")
        assert {guid(102)} == owner.group_guids
        assert [guid(202)] == [each.guid for each in policy.current().candidates(owner)]

    def test_a_group_recreated_under_its_name_inherits_nothing(self, do, see):
        """
        (T25)
        """
        do(lambda t: t.people.add_group(group(101, "analysts")))
        do(lambda t: t.integrations.add(guid(201), draft(admits(the_group(101))), NOON))
        do(lambda t: t.people.delete_group(guid(101)))
        do(lambda t: t.people.add_group(group(102, "analysts")))

        assert NOBODY == see(lambda t: t.integrations.get(guid(201))).access

    # --- keys ---------------------------------------------------------------------------------------------------------
    def test_a_key_is_kept_as_its_hash_and_gets_an_id(self, do, see):
        do(lambda t: t.people.add_user(user()))
        first = do(lambda t: t.people.add_key(new_key(user(), "a" * 64, role=Role.VIEWER, expires_time=LATER)))
        second = do(lambda t: t.people.add_key(new_key(user(), "b" * 64)))

        assert [first, second] == see(lambda t: list(t.people.keys(guid(1))))
        assert replace(new_key(user(), "a" * 64, role=Role.VIEWER, expires_time=LATER), id=first.id) == first
        assert [] == see(lambda t: list(t.people.keys(guid(2))))
        assert first.id != second.id

    def test_the_id_of_a_deleted_key_never_names_another_one(self, do):
        do(lambda t: t.people.add_user(user()))
        first = do(lambda t: t.people.add_key(new_key(user(), "a" * 64)))
        do(lambda t: t.people.delete_key(guid(1), first.id))

        assert first.id != do(lambda t: t.people.add_key(new_key(user(), "b" * 64))).id

    def test_a_key_is_deleted_only_under_its_user(self, do):
        """
        (T28)
        """
        do(lambda t: (t.people.add_user(user()), t.people.add_user(user(2, "bob"))))
        key = do(lambda t: t.people.add_key(new_key(user())))

        assert [False, True, False] == [
            do(lambda t: t.people.delete_key(guid(2), key.id)),
            do(lambda t: t.people.delete_key(guid(1), key.id)),
            do(lambda t: t.people.delete_key(guid(1), key.id)),
        ]

    @pytest.mark.parametrize(
        "key_id", ["", "x", "-1", "1.0", " 1", "1 ", "0x1", "1 OR 1=1", "\u00b9", "9" * 18, "9" * 30, "9" * 5000]
    )
    def test_an_id_that_is_none_names_no_key(self, do, key_id):
        do(lambda t: t.people.add_user(user()))
        do(lambda t: t.people.add_key(new_key(user())))

        assert not do(lambda t: t.people.delete_key(guid(1), key_id))

    # --- integrations -------------------------------------------------------------------------------------------------
    @pytest.mark.parametrize(
        "kept",
        [
            draft(),
            draft(NOBODY),
            draft(
                name="Pakete \u5206\u6790 \U0001f4e6",
                description="Zeile 1\r\n\tZeile 2 \"'; DROP TABLE users",
                url="http://127.0.0.1:4242/a/b",
                scopes="global:admin repos:read:a,b sources:write:*",
                audience="other",
                subject="someone else",
                algorithm="ES256",
                allow_other_scopes=True,
            ),
        ],
        ids=["open", "closed", "everything"],
    )
    def test_an_integration_is_kept_as_it_is(self, do, see, kept):
        added = do(lambda t: t.integrations.add(guid(201), kept, LATER))

        assert added == see(lambda t: t.integrations.get(guid(201)))
        assert (kept, guid(201), LATER, LATER) == (added.draft, added.guid, added.created_time, added.updated_time)
        assert None is see(lambda t: t.integrations.get(guid(202)))

    def test_every_entry_of_an_access_list_has_ids_of_its_own(self, do):
        do(lambda t: (t.people.add_user(user()), t.people.add_group(group())))
        added = do(lambda t: t.integrations.add(guid(201), draft(admits(the_group(), the_user(user()))), NOON))

        assert (the_group(), the_user(user())) == added.access.principals
        assert list(added.access.principals) == [entry.principal for entry in added.permissions]
        assert 2 == len({entry.id for entry in added.permissions}) == len({entry.guid for entry in added.permissions})

    def test_integrations_are_listed_in_the_order_of_their_creation(self, do, see):
        do(lambda t: t.people.add_user(user()))
        for number in (203, 201, 202):
            do(lambda t, n=number: t.integrations.add(guid(n), draft(admits(the_user(user()))), NOON))

        assert [guid(203), guid(201), guid(202)] == [each.guid for each in see(lambda t: t.integrations.all())]
        assert see(lambda t: t.integrations.get(guid(201))) == see(lambda t: t.integrations.all())[1]

    def test_entries_that_stay_keep_their_ids_and_new_ones_get_new_ids(self, do):
        do(lambda t: [t.people.add_user(user(n, f"u{n}")) for n in range(1, 5)])
        one, two, three, four = (the_user(user(n)) for n in range(1, 5))
        before = do(lambda t: t.integrations.add(guid(201), draft(admits(one, two, three)), NOON))

        after = do(lambda t: t.integrations.replace(guid(201), draft(admits(three, four, one), name="New"), LATER))

        ids = {entry.principal: (entry.id, entry.guid) for entry in after.permissions}
        old = {entry.principal: (entry.id, entry.guid) for entry in before.permissions}
        assert {one, three, four} == ids.keys() == set(after.access.principals)
        assert (old[one], old[three]) == (ids[one], ids[three])
        assert ids[four] not in old.values()
        assert ("New", NOON, LATER, before.id) == (after.name, after.created_time, after.updated_time, after.id)

    def test_the_id_of_an_entry_that_is_gone_never_names_another_one(self, do):
        do(lambda t: (t.people.add_user(user()), t.people.add_user(user(2, "bob"))))
        before = do(lambda t: t.integrations.add(guid(201), draft(admits(the_user(user()))), NOON))
        do(lambda t: t.integrations.replace(guid(201), draft(NOBODY), NOON))
        after = do(lambda t: t.integrations.replace(guid(201), draft(admits(the_user(user(2)))), NOON))

        assert before.permissions[0].id != after.permissions[0].id

    @pytest.mark.parametrize("access", [EVERYONE, NOBODY], ids=["everyone", "nobody"])
    def test_an_emptied_list_is_open_or_closed_as_it_was_said(self, do, access):
        do(lambda t: t.people.add_user(user()))
        do(lambda t: t.integrations.add(guid(201), draft(admits(the_user(user()))), NOON))

        assert access == do(lambda t: t.integrations.replace(guid(201), draft(access), NOON)).access

    def test_an_integration_that_is_not_there_is_not_changed(self, do, see):
        with pytest.raises(LookupError):
            do(lambda t: t.integrations.replace(guid(201), draft(), NOON))

        assert [] == see(lambda t: list(t.integrations.all()))

    def test_a_deleted_integration_is_gone_with_its_list_and_its_id(self, do, see):
        do(lambda t: t.people.add_user(user()))
        first = do(lambda t: t.integrations.add(guid(201), draft(admits(the_user(user()))), NOON))
        do(lambda t: t.integrations.delete(guid(201)))
        second = do(lambda t: t.integrations.add(guid(202), draft(admits(the_user(user()))), NOON))

        assert None is see(lambda t: t.integrations.get(guid(201)))
        assert (first.id, first.permissions[0].id) != (second.id, second.permissions[0].id)
        assert first.id != second.id
        assert Access.RESTRICTED is second.access.access

    def test_a_change_of_one_integration_leaves_the_others_alone(self, do, see):
        do(lambda t: t.people.add_user(user()))
        other = do(lambda t: t.integrations.add(guid(201), draft(admits(the_user(user()))), NOON))
        do(lambda t: t.integrations.add(guid(202), draft(admits(the_user(user()))), NOON))

        do(lambda t: t.integrations.replace(guid(202), draft(NOBODY, name="Changed"), LATER))
        do(lambda t: t.integrations.delete(guid(202)))

        assert [other] == see(lambda t: list(t.integrations.all()))

    def test_principals_that_name_nobody_are_told_in_order(self, do, see):
        do(lambda t: [t.people.add_user(user(n, f"u{n}")) for n in range(1, 700)])
        do(lambda t: t.people.add_group(group()))
        known = [the_user(user(n)) for n in range(1, 700)]
        unknown = [the_group(1), the_user(user(101_000)), the_user(user(101_001))]

        wanted = [unknown[0], *known, unknown[1], the_group(), unknown[2]]

        assert unknown == see(lambda t: list(t.missing(wanted)))
        assert [] == see(lambda t: list(t.missing([])))

    # --- content ------------------------------------------------------------------------------------------------------
    def test_content_that_was_added_is_read_back_and_listed_in_order(self, do, see):
        do(lambda t: (t.people.add_user(user()), t.people.add_user(user(2, "bob"))))
        made = [content(79, name="b"), content(77, name="a"), content(78, user(2), name="a")]
        for each in made:
            do(lambda t, each=each: t.contents.add(each))

        assert made == see(lambda t: list(t.contents.all()))
        assert made[0] == see(lambda t: t.contents.get(guid(79)))
        assert made[1:] == see(lambda t: list(t.contents.all(name="a")))
        assert made[:2] == see(lambda t: list(t.contents.all(owner_guid=guid(1))))
        assert [made[1]] == see(lambda t: list(t.contents.all(name="a", owner_guid=guid(1))))
        assert None is see(lambda t: t.contents.get(guid(80)))

    def test_content_changes_its_owner_and_its_name(self, do, see):
        do(lambda t: (t.people.add_user(user()), t.people.add_user(user(2, "bob"))))
        do(lambda t: (t.contents.add(content(77)), t.contents.add(content(78, name="other"))))
        moved = content(77, user(2), name="new")
        do(lambda t: t.contents.replace(moved))

        assert [moved, content(78, name="other")] == see(lambda t: list(t.contents.all()))

    def test_one_owner_has_a_name_once(self, do, see):
        do(lambda t: (t.people.add_user(user()), t.people.add_user(user(2, "bob"))))
        do(lambda t: (t.contents.add(content(77)), t.contents.add(content(78, user(2)))))

        with pytest.raises(DuplicateContentName):
            do(lambda t: t.contents.add(content(79)))
        with pytest.raises(DuplicateContentName):
            do(lambda t: t.contents.replace(content(78)))
        assert [content(77), content(78, user(2))] == see(lambda t: list(t.contents.all()))

    def test_a_guid_of_content_is_given_once(self, do, see):
        do(lambda t: (t.people.add_user(user()), t.contents.add(content(77))))

        with pytest.raises(Conflict):
            do(lambda t: t.contents.add(content(77, name="other")))
        assert [content(77)] == see(lambda t: list(t.contents.all()))

    def test_content_of_nobody_is_refused(self, do, see):
        with pytest.raises(FixTheRequest):
            do(lambda t: t.contents.add(content(77)))

        assert [] == see(lambda t: list(t.contents.all()))

    def test_the_policy_knows_the_owners_of_content(self, do, policy):
        do(lambda t: (t.people.add_user(user()), t.contents.add(content(77))))
        before = policy.current().content_owner(guid(77))
        do(lambda t: t.contents.delete(guid(77)))

        assert (guid(1), None) == (before, policy.current().content_owner(guid(77)))

    # --- times --------------------------------------------------------------------------------------------------------
    def test_a_time_is_an_instant_whatever_its_zone(self, do, see):
        east = datetime(2026, 11, 21, 17, 30, 0, 999_999, tzinfo=timezone(timedelta(hours=5, minutes=30)))
        do(lambda t: t.people.add_user(user(active_time=east)))
        kept = see(lambda t: t.people.user(guid(1))).active_time

        assert (east, UTC) == (kept, kept.tzinfo)

    def test_a_time_without_a_zone_is_refused(self, do, see):
        with pytest.raises(RecordUnavailable):
            do(lambda t: t.people.add_user(user(active_time=datetime(2026, 11, 21))))  # noqa: DTZ001 - that is the point

        assert None is see(lambda t: t.people.user(guid(1)))
