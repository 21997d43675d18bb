"""
Rendering a netrc: what is refused, and the one form of what is not.
"""

import traceback

import pytest

from broker.domain.netrc import MAX_FILE, MAX_PASSWORD, Entry, render
from broker.domain.secrets import Secret
from broker.errors import NetrcRefused

CANARY = "eyJhbGciOiJSUzI1NiJ9.canary"


def entry(machine="packages.example.com", login="__token__", password=CANARY):
    return Entry(machine, login, Secret(password))


def test_one_host_is_one_line_with_a_final_newline():
    assert f"machine packages.example.com login __token__ password {CANARY}\n" == render([entry()]).reveal()


def test_no_entries_are_an_empty_text():
    assert "" == render([]).reveal()


@pytest.mark.parametrize(
    "password",
    [
        # what ends or splits a token somewhere
        "a b",
        "a\tb",
        "a\rb",
        "a\nb",
        "a\r\nmachine evil.example login x password y",
        "a\vb",
        "a\fb",
        "a\x00b",
        "\x1b[31m",
        " a",
        "a\n",
        # what some reader takes for syntax
        "#a",
        "a#b",
        '"a"',
        "'a'",
        'a"b',
        "a\\b",
        "a\\nb",
        "a:b",
        "a@b",
        "a%20b",
        "macdef init",
        # what only looks harmless
        "caf\u00e9",
        "\u0430bc",
        "a\u2028b",
        "a\u00a0b",
        "a\u200bb",
        "\ud800",
        # keywords
        "machine",
        "default",
        "login",
        "password",
        "account",
        "macdef",
        "user",
        # curl knows keywords in any case, and sees them in the entry of another host
        "Machine",
        "DEFAULT",
        "mAcDeF",
        # too little, too much
        "",
        pytest.param("a" * 4001, id="4001 characters"),
        pytest.param("a" * 10_000_000, id="10 MB"),
    ],
)
def test_a_token_that_some_reader_would_misread_is_refused(password):
    """
    (T45)
    """
    with pytest.raises(NetrcRefused):
        entry(password=password)


@pytest.mark.parametrize(
    "password",
    ["a", "0", "-", "=", pytest.param("a" * 4000, id="4000 characters"), "AZaz09._~+/=-", "__token__", "machine1"],
)
def test_every_character_of_a_token_in_base64_or_jwt_form_is_carried(password):
    assert render([entry(password=password)]).reveal().endswith(f" password {password}\n")


@pytest.mark.parametrize(
    "machine",
    [
        # spellings that only some readers match (T46)
        "Packages.example.com",
        "packages.example.com.",
        "packages.example.com:443",
        "https://packages.example.com",
        "packages.example.com/rspm",
        "[::1]",
        "::1",
        "2001:db8::1",
        "user@packages.example.com",
        "*.example.com",
        # not a host (T45)
        "",
        ".",
        "a b",
        "a\tb",
        "a\nb",
        "a.example\n",
        "a\x00b",
        "#a",
        '"a"',
        "a\\b",
        "-a.example",
        "a-.example",
        "a..example",
        "b\u00fccher.example",
        "xn--b\u00fccher.example",
        "a\u3002example",
        "under_score.example",
        "a" * 64 + ".example",
        ".".join(["a" * 49] * 6),
        # keywords
        "default",
        "machine",
        "login",
        "macdef",
    ],
)
def test_a_host_that_some_reader_would_not_match_is_refused(machine):
    """
    (T45, T46)
    """
    with pytest.raises(NetrcRefused):
        entry(machine=machine)


@pytest.mark.parametrize(
    "machine", ["a", "127.0.0.1", "localhost", "xn--bcher-kva.example", "1.example", "a" * 63 + ".example"]
)
def test_a_plain_host_is_carried(machine):
    assert render([entry(machine=machine)]).reveal().startswith(f"machine {machine} ")


@pytest.mark.parametrize(
    "login", ["", "a b", "a\nb", "a#b", "a:b", '"a"', "\u00e9", "a\x00", "login", "Default", "a" * 256]
)
def test_a_login_that_some_reader_would_misread_is_refused(login):
    """
    (T45)
    """
    with pytest.raises(NetrcRefused):
        entry(login=login)


def test_two_entries_for_one_host_are_refused_and_the_reason_told():
    """
    For curl the first would count, for pip and uv the last (T46).
    """
    with pytest.raises(NetrcRefused, match=r"two entries for packages\.example\.com"):
        render([entry(), entry(machine="other.example"), entry(password="another")])


def test_a_file_that_curl_would_not_read_is_refused():
    many = [entry(machine=f"h{n}.example", password="a" * MAX_PASSWORD) for n in range(MAX_FILE // MAX_PASSWORD + 1)]

    with pytest.raises(NetrcRefused, match="bytes"):
        render(many)
    assert MAX_FILE >= len(render(many[:29]).reveal())


@pytest.mark.parametrize(
    "broken",
    [
        lambda: entry(machine="Bad Host"),
        lambda: entry(login="bad login"),
        lambda: entry(password=f"{CANARY} "),
        lambda: render([entry(), entry()]),
        lambda: render([entry(password=CANARY * 100, machine=f"{n}.example") for n in range(100)]),
    ],
    ids=["host", "login", "token", "twice", "too long"],
)
def test_no_refusal_tells_the_token(broken):
    """
    (T35)
    """
    with pytest.raises(NetrcRefused) as refused:
        broken()

    assert "canary" not in "".join(traceback.format_exception(refused.value))
    assert "canary" not in repr(refused.value)


def test_neither_an_entry_nor_a_netrc_prints_its_token():
    """
    (T35)
    """
    assert "canary" not in f"{entry()} {entry()!r} {render([entry()])}"
