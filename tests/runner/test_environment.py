from pathlib import Path

import pytest

from broker.domain.secrets import Secret
from broker.runner import environment
from broker.runner.answers import parse_build
from broker.runner.environment import child_environment, warnings_about
from tests.fakes.build_api import build, credential

D = Path("/run/build-1")
KEY = Secret("brk_canary")
DOCUMENT = Path(__file__).parents[2] / "docs" / "running-builds.md"


def made(environ=None, *, has_wget=True):
    return child_environment(environ or {}, D, KEY, has_wget=has_wget)


def test_each_kind_of_client_is_led_to_its_file():
    assert {
        "NETRC": "/run/build-1/netrc",
        "R_DEFAULT_NETRC": "/run/build-1/netrc",
        "PKG_NETRC_PATH": "/run/build-1/netrc",
        "CURL_HOME": "/run/build-1/home",
        "R_PROFILE": "/run/build-1/Rprofile",
        "PATH": "/run/build-1/bin:/a:/b",
        "PIP_NO_INPUT": "1",
        "PIP_KEYRING_PROVIDER": "disabled",
        "GIT_TERMINAL_PROMPT": "0",
        "HOME": "/home/alice",
    } == made({"HOME": "/home/alice", "PATH": "/a:/b"})


def test_without_a_wrapper_path_is_the_users():
    assert "/a:/b" == made({"PATH": "/a:/b"}, has_wget=False)["PATH"]


def test_the_key_and_every_setting_of_the_broker_stay_outside():
    """Not under another name either, nor as a part of a value (T35)."""
    environ = {
        "BROKER_API_KEY": "brk_canary",
        "BROKER_DATABASE_URL": "postgresql://u:p@db",
        "MY_KEY": "brk_canary",
        "HEADER": "Authorization: Key brk_canary",
        "LANG": "C",
    }

    kept = made(environ)

    assert {"LANG"} == set(kept) & set(environ)
    assert not any("canary" in value for value in kept.values())


def test_an_r_profile_of_the_users_own_is_handed_on():
    kept = made({"R_PROFILE": "/site/Rprofile"})

    assert ("/run/build-1/Rprofile", "/site/Rprofile") == (kept["R_PROFILE"], kept["BROKER_ORIG_R_PROFILE"])


def test_an_empty_r_profile_means_none_and_is_handed_on_too():
    assert "" == made({"R_PROFILE": ""})["BROKER_ORIG_R_PROFILE"]


@pytest.mark.parametrize("before", [{}, {"BROKER_ORIG_R_PROFILE": "/site/Rprofile"}])
def test_inside_another_build_the_profile_that_one_replaced_is_handed_on(before):
    """Ours would otherwise read itself for ever."""
    ours = str(Path(environment.__file__).with_name("Rprofile.R"))

    kept = made({"R_PROFILE": ours, **before})

    assert before == {name: value for name, value in kept.items() if name.startswith("BROKER_")}


CREDENTIALS = parse_build(
    build(credential("a.example.com"), credential("b.example.com", ppm_url="http://b.example.com"))
).credentials


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PIP_INDEX_URL", "https://u:hunter2@a.example.com/simple", "a user name or password for a.example.com"),
        ("PIP_INDEX_URL", "https://bob@A.example.com/simple", "a user name or password"),
        ("PIP_EXTRA_INDEX_URL", "https://pypi.example.org/simple https://u:hunter2@a.example.com/s", "a user name"),
        ("UV_INDEX", "corp=https://u:hunter2@a.example.com/simple", "a user name"),
        ("UV_DEFAULT_INDEX", "https://__token__:hunter2@a.example.com/simple", "a user name"),
        ("UV_INDEX_URL", "http://a.example.com/simple", "in clear; write https"),
        ("PIP_INDEX_URL", "http://a.example.com:80/simple", "in clear"),
    ],
)
def test_an_index_url_that_spoils_or_leaks_the_token_is_warned_about_without_its_password(name, value, words):
    """Stale user info beats a good netrc in every client (T43)."""
    warnings = warnings_about({name: value}, CREDENTIALS)

    assert 1 == len(warnings)
    assert warnings[0].startswith(f"{name} ")
    assert words in warnings[0]
    assert "hunter2" not in warnings[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PIP_INDEX_URL", "https://a.example.com/simple"),
        ("PIP_INDEX_URL", "https://__token__@a.example.com/simple"),  # pak needs it
        ("PIP_INDEX_URL", "https://u:p@other.example.com/simple"),  # not our host, not our affair
        ("PIP_INDEX_URL", "http://b.example.com/simple"),  # this one really speaks http
        ("UV_INDEX", "corp=https://a.example.com/simple?a=b"),
        ("PIP_INDEX_URL", "https://[::1/simple"),
        ("PIP_FIND_LINKS", "/opt/wheels"),
        ("MY_URL", "https://u:p@a.example.com/"),
    ],
)
def test_other_urls_are_nobodys_affair(name, value):
    assert [] == warnings_about({name: value}, CREDENTIALS)


@pytest.mark.parametrize("name", environment.SET)
def test_every_variable_is_explained_to_the_person_who_builds(name):
    assert f"`{name}" in DOCUMENT.read_text()


def test_the_list_of_variables_is_complete():
    made_now = made({"R_PROFILE": "/site", "PATH": "/a"})

    assert set(made_now) == set(environment.SET)
