"""
Integrations and access lists: neither can be constructed invalid, and no list opens by subtraction.
"""

import time

import pytest

from broker.domain.integrations import MAX_ENTRIES, Access, AccessList, Draft
from broker.errors import (
    AmbiguousAccess,
    InvalidIntegrationDescription,
    InvalidIntegrationName,
    InvalidParameter,
    InvalidTemplateConfig,
)
from tests.domain.samples import EVERYONE, NOBODY, admits, config, the_group, the_user, user

ALICE, ANALYSTS = the_user(user()), the_group(101)


@pytest.mark.parametrize(
    ("access", "principals", "expected"),
    [
        # the vendor's documented default
        (None, None, EVERYONE),
        (None, [], EVERYONE),
        (None, [ALICE], admits(ALICE)),
        # said in words
        (Access.EVERYONE, None, EVERYONE),
        (Access.EVERYONE, [], EVERYONE),
        (Access.RESTRICTED, None, NOBODY),
        (Access.RESTRICTED, [], NOBODY),
        (Access.RESTRICTED, [ALICE, ANALYSTS], admits(ALICE, ANALYSTS)),
    ],
)
def test_a_new_integration_is_open_only_without_permissions(access, principals, expected):
    assert expected == AccessList.created(access, principals)


@pytest.mark.parametrize(
    ("before", "access", "principals", "expected"),
    [
        # nothing said, nothing changed
        (EVERYONE, None, None, EVERYONE),
        (NOBODY, None, None, NOBODY),
        (admits(ALICE), None, None, admits(ALICE)),
        # permissions replace the list as a whole, and close an open one
        (admits(ALICE), None, [ANALYSTS], admits(ANALYSTS)),
        (EVERYONE, None, [ALICE], admits(ALICE)),
        (NOBODY, None, [ALICE], admits(ALICE)),
        # said in words
        (admits(ALICE), Access.EVERYONE, None, EVERYONE),
        (admits(ALICE), Access.EVERYONE, [], EVERYONE),
        (EVERYONE, Access.EVERYONE, None, EVERYONE),
        (EVERYONE, Access.RESTRICTED, None, NOBODY),
        (admits(ALICE), Access.RESTRICTED, None, admits(ALICE)),
        (admits(ALICE), Access.RESTRICTED, [], NOBODY),
        (admits(ALICE), Access.RESTRICTED, [ANALYSTS], admits(ANALYSTS)),
    ],
)
def test_a_change_does_what_it_says(before, access, principals, expected):
    assert expected == before.changed(access, principals)


@pytest.mark.parametrize("before", [EVERYONE, NOBODY, admits(ALICE)], ids=["open", "closed", "listed"])
def test_emptying_the_list_without_a_word_is_refused_and_both_meanings_are_told(before):
    with pytest.raises(AmbiguousAccess) as refused:
        before.changed(None, [])

    assert '"access": "restricted"' in refused.value.message
    assert '"access": "everyone"' in refused.value.message


def test_a_list_whose_last_entry_is_gone_admits_nobody():
    assert NOBODY == admits(ALICE).without(ALICE)
    assert admits(ANALYSTS) == admits(ALICE, ANALYSTS).without(ALICE)
    assert admits(ANALYSTS) == admits(ANALYSTS).without(ALICE)


@pytest.mark.parametrize(
    "change",
    [AccessList.created, EVERYONE.changed, admits(ALICE).changed],
    ids=["created", "open", "listed"],
)
def test_everyone_and_a_list_contradict_each_other(change):
    with pytest.raises(InvalidParameter, match="restricted"):
        change(Access.EVERYONE, [ALICE])


def test_an_entry_twice_is_refused_by_name():
    with pytest.raises(InvalidParameter, match=f"the group {ANALYSTS.guid} twice"):
        admits(ALICE, ANALYSTS, ANALYSTS)


def test_ten_thousand_entries_are_checked_at_once():
    many = [the_group(number) for number in range(MAX_ENTRIES - 1)]

    started = time.perf_counter()
    with pytest.raises(InvalidParameter, match="twice"):
        admits(*many, many[-1])

    assert MAX_ENTRIES - 1 == len(admits(*many).principals)
    assert 2 > time.perf_counter() - started


def test_more_entries_than_that_are_refused():
    with pytest.raises(InvalidParameter, match="use a group"):
        admits(*(the_group(number) for number in range(MAX_ENTRIES + 1)))


@pytest.mark.parametrize(
    "scopes", ["global:admin", "repos:read:* sources:write:x", "metadata:admin repos:read:a", "blocklist:read"]
)
def test_an_integration_carries_more_than_reading_only_on_purpose(scopes):
    with pytest.raises(InvalidTemplateConfig, match="allow_other_scopes"):
        config(scopes=scopes)
    assert scopes == str(config(scopes=scopes, allow_other_scopes=True).scopes)


def test_an_integration_without_scopes_is_refused():
    with pytest.raises(InvalidTemplateConfig, match="empty"):
        config(scopes="")


@pytest.mark.parametrize("field", ["audience", "subject"])
@pytest.mark.parametrize("value", ["", "a\nb", "a\x00", "a\u202eb", "\ud800", pytest.param("x" * 256, id="256")])
def test_audience_and_subject_are_printable_and_short(field, value):
    with pytest.raises(InvalidTemplateConfig, match=field):
        config(**{field: value})


@pytest.mark.parametrize("name", ["", " ", "\t", "a\nb", "a\x1b[0m", "\u202eevil", pytest.param("x" * 256, id="256")])
def test_a_name_is_printable_and_short(name):
    with pytest.raises(InvalidIntegrationName):
        Draft(name, "", config(), EVERYONE)


@pytest.mark.parametrize("description", ["a\x00b", "\x1b[2J", "\u202e", pytest.param("x" * 4097, id="4097")])
def test_a_description_is_printable_and_bounded(description):
    with pytest.raises(InvalidIntegrationDescription):
        Draft("name", description, config(), EVERYONE)


def test_people_may_name_and_describe_in_their_own_language():
    draft = Draft("Pakete f\u00fcr \u5206\u6790", "Zeile eins\r\n\tZeile zwei \u2013 fertig", config(), EVERYONE)

    assert "Pakete f\u00fcr \u5206\u6790" == draft.name
