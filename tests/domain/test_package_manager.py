import re
import time
from ipaddress import IPv4Address
from urllib.parse import urlsplit

import httpx
import pytest
import yarl
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.package_manager import MAX_URL, PackageManagerUrl, RepositoryToken
from broker.domain.secrets import Secret
from broker.errors import InvalidTemplateConfig


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://packages.company.internal", "https://packages.company.internal"),
        ("https://packages.company.internal/", "https://packages.company.internal"),
        ("http://localhost:4242", "http://localhost:4242"),
        ("https://host/rspm", "https://host/rspm"),
        ("https://host/a/b-c_d.e~f/", "https://host/a/b-c_d.e~f"),
        ("https://10.0.0.5:8443/rspm", "https://10.0.0.5:8443/rspm"),
        # one spelling for the same place
        ("HTTPS://Packages.Example.COM/Path", "https://packages.example.com/Path"),
        ("https://host:443/x", "https://host/x"),
        ("http://host:80", "http://host"),
        ("http://host:443", "http://host:443"),
        ("https://host:80", "https://host:80"),
        ("https://host:65535", "https://host:65535"),
        # names that look odd and are names
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("https://1password.example", "https://1password.example"),
        ("https://" + "a" * 63 + ".example", "https://" + "a" * 63 + ".example"),
    ],
)
def test_a_url_has_one_spelling(text, expected):
    assert expected == str(PackageManagerUrl.parse(text))


NASTY = {
    # somebody else's host in disguise
    "user info": "https://idp.example@evil",
    "user and password": "https://user:hunter2@host",
    "empty user info": "https://@host",
    "encoded at sign": "https://idp.example%40evil",
    "backslash before at": "https://idp.example\\@evil",
    "backslash host": "https://idp.example\\.evil",
    "backslashes for slashes": "https:\\\\host",
    "fullwidth dot": "https://packages\uff0eexample",
    "ideographic full stop": "https://packages\u3002example",
    "fullwidth slash": "https://idp.example\uff0fx.evil",
    "homograph": "https://p\u0430ckages.example",
    "umlaut": "https://b\u00fccher.example",
    "soft hyphen": "https://pack\u00adages.example",
    "encoded dot": "https://packages%2eexample",
    "trailing dot": "https://packages.example.",
    "two dots": "https://packages..example",
    "leading dot": "https://.example",
    "label starts with a hyphen": "https://-a.example",
    "label ends with a hyphen": "https://a-.example",
    "underscore": "https://a_b.example",
    "label too long": "https://" + "a" * 64,
    "host too long": "https://" + ".".join(["a" * 49] * 6),
    # numbers that some resolver takes for 127.0.0.1
    "hexadecimal": "https://0x7f.1",
    "hexadecimal in one": "https://0x7f000001",
    "upper-case hexadecimal": "https://0X7F.0X1",
    "decimal": "https://2130706433",
    "short": "https://127.1",
    "octal": "https://0177.0.0.1",
    "leading zero": "https://127.0.0.01",
    "five parts": "https://127.0.0.0.1",
    "above 255": "https://127.0.0.256",
    "mapped": "https://::ffff:127.0.0.1",
    "mapped in brackets": "https://[::ffff:127.0.0.1]",
    "IPv6": "https://[::1]",
    "IPv6 with port": "https://[::1]:443",
    "half a bracket": "https://[::1",
    "future address": "https://[v1.host]",
    # ports
    "port 0": "https://host:0",
    "port too large": "https://host:65536",
    "negative port": "https://host:-1",
    "empty port": "https://host:",
    "zero before port": "https://host:0443",
    "port with sign": "https://host:+443",
    "port with underscore": "https://host:4_43",
    "port in words": "https://host:https",
    "port in other digits": "https://host:\u0664\u0664\u0663",
    "two ports": "https://host:443:443",
    # what follows the host
    "query": "https://host/?a=b",
    "empty query": "https://host?",
    "fragment": "https://host/#x",
    "empty fragment": "https://host#",
    "empty segment": "https://host//rspm",
    "empty segment inside": "https://host/a//b",
    "two slashes at the end": "https://host/rspm//",
    "only two slashes": "https://host//",
    "dot segment": "https://host/./a",
    "dot dot segment": "https://host/a/..",
    "encoded dot dot": "https://host/%2e%2e/a",
    "encoded slash": "https://host/a%2fb",
    "semicolon": "https://host/a;b",
    "at sign in the path": "https://host/@evil",
    "colon in the path": "https://host/a:b",
    # white space and control characters
    "newline": "https://host\n",
    "newline inside": "https://ho\nst",
    "carriage return": "https://host\r",
    "tab": "https://ho\tst",
    "NUL": "https://host\x00",
    "NUL inside": "https://ho\x00st.evil",
    "space in front": " https://host",
    "space behind": "https://host ",
    "delete": "https://host\x7f",
    "no-break space": "https://host\u00a0",
    "line separator": "https://host\u2028",
    "lone surrogate": "https://host\ud800",
    # not HTTP at all
    "file": "file:///etc/passwd",
    "file with host": "file://host/etc/passwd",
    "ftp": "ftp://host",
    "gopher": "gopher://host",
    "javascript": "javascript:alert(1)",
    "data": "data:text/plain,x",
    "scheme only": "https:",
    "no host": "https://",
    "no host but a path": "https:///rspm",
    "one slash": "https:/host",
    "no slashes": "https:host",
    "three slashes": "https:////host",
    "no scheme": "packages.example.com",
    "relative": "//packages.example.com",
    "path": "/rspm",
    "empty": "",
    "templates": "https://{host}",
    "quoted": '"https://host"',
    "bracketed": "<https://host>",
}


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY.keys())
def test_what_only_looks_like_a_package_manager_is_refused(text):
    """
    T12, T14: whoever tricks an administrator with such an URL would be handed assertions.
    """
    with pytest.raises(InvalidTemplateConfig, match=r"^ppm_url .*; give the address users put before the repository"):
        PackageManagerUrl.parse(text)


@pytest.mark.parametrize("text", ["https://user:hunter2@host", "https://host/?token=hunter2", "hunter2"])
def test_the_refusal_does_not_repeat_what_was_typed(text):
    """
    A password in an URL would end up in a log (T35).
    """
    with pytest.raises(InvalidTemplateConfig) as refused:
        PackageManagerUrl.parse(text)

    assert "hunter2" not in refused.value.message


@pytest.mark.parametrize("text", ["https://" + "a" * 10_000_000, "a" * 10_000_000, "https://host" + "/a" * 5_000_000])
def test_ten_megabytes_are_refused_before_they_are_looked_at(text):
    """
    T8
    """
    before = time.perf_counter()
    with pytest.raises(InvalidTemplateConfig, match=f"more than {MAX_URL} characters"):
        PackageManagerUrl.parse(text)

    assert time.perf_counter() - before < 0.1


def test_the_longest_url_is_still_read():
    text = "https://host/".ljust(MAX_URL, "a")

    assert text == str(PackageManagerUrl.parse(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("https://10.0.0.5", IPv4Address("10.0.0.5")), ("https://host", None), ("https://10.example", None)],
)
def test_an_address_is_told_from_a_name(text, expected):
    assert expected == PackageManagerUrl.parse(text).literal_address


@pytest.mark.parametrize(("text", "expected"), [("http://host", True), ("https://host", False)])
def test_cleartext_is_known(text, expected):
    assert expected is PackageManagerUrl.parse(text).is_cleartext


LABELS = st.from_regex(re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,10}[a-zA-Z0-9])?"), fullmatch=True)
NAMES = st.lists(LABELS, min_size=1, max_size=4).map(".".join)
PORTS = st.none() | st.integers(1, 65535)
PATHS = st.lists(st.from_regex(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,8}", fullmatch=True), max_size=3)


@st.composite
def plausible_urls(draw):
    port, path = draw(PORTS), draw(PATHS)
    host = f"{draw(NAMES)}{'' if port is None else f':{port}'}"
    return f"{draw(st.sampled_from(['http', 'https', 'HTTPS']))}://{host}{''.join(f'/{each}' for each in path)}"


def accepted(text):
    try:
        return PackageManagerUrl.parse(text)
    except InvalidTemplateConfig:
        return None


@given(plausible_urls() | st.text(max_size=40).map("https://{}".format) | st.text(max_size=40))
def test_what_is_accepted_is_read_alike_by_every_client(text):
    """
    Two parsers that disagree about the host are how requests go astray, so three others are asked (T12).
    """
    url = accepted(text)
    if url is None:
        return
    port = url.port or {"http": 80, "https": 443}[url.scheme]

    for spelling in (str(url), text):
        stdlib, of_httpx, of_aiohttp = urlsplit(spelling), httpx.URL(spelling), yarl.URL(spelling)
        assert {url.scheme} == {stdlib.scheme, of_httpx.scheme, of_aiohttp.scheme}
        assert {url.host} == {stdlib.hostname, of_httpx.host, of_aiohttp.host}
        assert {url.path} == {each.removesuffix("/") for each in (stdlib.path, of_httpx.path, of_aiohttp.path)}
        assert port == of_aiohttp.port


@given(plausible_urls())
def test_reading_the_one_spelling_changes_nothing(text):
    url = accepted(text)

    assert url is None or url == PackageManagerUrl.parse(str(url))


@given(NAMES.filter(lambda name: not re.search(r"(?i)(^|\.)(0x[^.]*|\d+)$", name)), PATHS)
def test_ordinary_urls_are_accepted(name, path):
    text = "/".join([f"https://{name}", *path])

    assert text.replace(name, name.lower(), 1) == str(PackageManagerUrl.parse(text))


def test_a_repository_token_does_not_print():
    assert "RepositoryToken(token=<secret>, expires_time=None)" == repr(RepositoryToken(Secret("hunter2"), None))
