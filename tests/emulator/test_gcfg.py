"""
The format of rstudio-pm.gcfg, read as git and gcfg read it.
"""

import pytest

from broker.emulator.gcfg import read


def values(text):
    faults = []
    sections = read(text, "pm.gcfg", faults)
    assert [] == faults
    return {(section.name, section.sub): {s.key: s.value for s in section.settings.values()} for section in sections}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # plain
        ("Key = value", "value"),
        ("Key=value", "value"),
        ("  Key   =   two words   ", "two words"),
        ("Key =", ""),
        ("Key", "true"),
        ("Key ; comment", "true"),
        ("Key = a=b", "a=b"),
        # comments
        ("Key = value ; comment", "value"),
        ("Key = value # comment", "value"),
        ("Key = ; nothing", ""),
        # quotes
        ('Key = "value"', "value"),
        ('Key = "a ; b # c"   ; comment', "a ; b # c"),
        ('Key = "  kept  "', "  kept  "),
        ('Key = before "in side " ', "before in side "),
        ('Key = ""', ""),
        # escapes
        (r'Key = "a \" b"', 'a " b'),
        (r'Key = "a \\ b"', "a \\ b"),
        (r'Key = "a\tb\nc"', "a\tb\nc"),
        (r"Key = a\\b", "a\\b"),
    ],
)
def test_a_value_is_read_as_written(line, expected):
    assert {("Server", None): {"Key": expected}} == values(f"[Server]\n{line}\n")


def test_the_last_value_wins_across_repeated_sections_and_any_case_of_the_key():
    text = '[Fed "a"]\nIssuer = one\nISSUER = two\n[Other]\nx = y\n[fed "a"]\nissuer = three\n'

    assert {("Fed", "a"): {"issuer": "three"}, ("Other", None): {"x": "y"}} == values(text)


def test_sub_names_keep_their_case():
    assert {("F", "a"): {}, ("F", "A"): {}} == values('[F "a"]\n[F "A"]')


def test_comments_blank_lines_bom_and_crlf_are_nothing():
    assert {("S", None): {"k": "v"}} == values("\ufeff; one\r\n# two\r\n\r\n[S] ; three\r\nk = v\r\n")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Key = 1", "line 1: Key stands before"),
        ("[S\nk = v", "line 1: this is not a section"),
        ('[S "a"b"]', "line 1: this is not a section"),
        ('[S "a]"]', "line 1: this is not a section"),
        ("[]", "line 1: this is not a section"),
        ("[S] k = v", "line 1: this is not a section"),
        ("[S]\n= v", "line 2: this is neither"),
        ("[S]\nk v", "line 2: this is neither"),
        ('[S]\nk = "open', "line 2: a quote is not closed"),
        ("[S]\nk = open\\", "line 2: a value cannot end in a backslash"),
        ('[S]\nk = "\\q"', r"line 2: the escape \q does not exist"),
    ],
)
def test_a_line_that_cannot_be_read_is_told_with_file_and_line(text, fault):
    faults = []

    read(text, "pm.gcfg", faults)

    assert faults[0].startswith(f"pm.gcfg, {fault}")


def test_every_fault_is_told_and_the_rest_is_read():
    faults = []

    sections = read('[S]\nk v\ngood = 1\nk = "\n', "pm.gcfg", faults)

    assert 2 == len(faults)
    assert ["good"] == list(sections[0].settings)
