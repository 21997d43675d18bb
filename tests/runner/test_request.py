import pytest

from broker.domain.secrets import Secret
from broker.errors import InvalidParameter, MissingParameter
from broker.runner.address import ServerAddress
from broker.runner.request import RunRequest

USUAL = {
    "server_url": "https://broker.example.com",
    "api_key": Secret("brk_key"),
    "command": ("true",),
    "owner_username": "alice",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://broker.example.com", ("https", "broker.example.com", None, "")),
        ("https://Broker.example.com:8443/a/b/", ("https", "broker.example.com", 8443, "/a/b")),
        ("http://127.0.0.1:8000", ("http", "127.0.0.1", 8000, "")),
        ("http://localhost/x", ("http", "localhost", None, "/x")),
        ("http://[::1]:8000/", ("http", "::1", 8000, "")),
    ],
)
def test_a_server_url_is_read_with_port_and_prefix(text, expected):
    address = ServerAddress.parse(text)

    assert expected == (address.scheme, address.host, address.port, address.prefix)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "broker.example.com",
        "ftp://broker.example.com",
        "https://",
        "https://user:hunter2@broker.example.com",
        "https://broker.example.com/?key=hunter2",
        "https://broker.example.com/#hunter2",
        "https://broker.example.com:0",
        "https://broker.example.com:99999",
        "https://broker.example.com:hunter2",
        "https://broker.example.com/a b",
        "https://broker.example.com/\r\nX: hunter2",
        "https://bröker.example.com",
        "https://[::1",
        # in clear, and not on this machine
        "http://broker.example.com",
        "http://127.0.0.1.example.com",
        "http://10.0.0.1",
        "http://localhost.example.com",
    ],
)
def test_a_server_url_that_could_lose_the_key_is_refused_without_being_repeated(text):
    with pytest.raises(InvalidParameter) as refused:
        ServerAddress.parse(text)

    assert "https://broker.example.com" in refused.value.message
    assert "hunter2" not in refused.value.message


def test_cleartext_to_another_machine_needs_an_explicit_word():
    assert "http" == ServerAddress.parse("http://broker.internal", allow_http=True).scheme


@pytest.mark.parametrize(
    ("changes", "fault", "words"),
    [
        ({"owner_username": None}, MissingParameter, "whose build"),
        ({"owner_guid": "0aaa"}, MissingParameter, "not both"),
        ({"command": ()}, MissingParameter, "after `--`"),
        ({"command": ("",)}, MissingParameter, "after `--`"),
        ({"command": ("echo", "a\0b")}, InvalidParameter, "NUL"),
        ({"duration": 0}, InvalidParameter, "not 0"),
        ({"api_key": Secret("")}, MissingParameter, "BROKER_API_KEY"),
        ({"api_key": Secret("hunter2\r\nX: y")}, InvalidParameter, "white space"),
        ({"api_key": Secret("hunter2 ")}, InvalidParameter, "white space"),
        ({"api_key": Secret("hünter2")}, InvalidParameter, "white space"),
        ({"server_url": "http://broker.example.com"}, InvalidParameter, "in clear"),
    ],
)
def test_a_request_that_must_fail_later_cannot_be_made(changes, fault, words):
    """Nothing that it says holds the key (T35)."""
    with pytest.raises(fault, match=words) as refused:
        RunRequest(**{**USUAL, **changes})

    assert "nter2" not in str(refused.value)


def test_the_body_says_only_what_was_said():
    request = RunRequest(**{**USUAL, "repositories": ("pypi", "cran"), "duration": 600, "require_all": True})

    assert {
        "owner_username": "alice",
        "repositories": ["pypi", "cran"],
        "duration": 600,
        "on_problem": "fail",
    } == request.body()
    assert {"owner_username": "alice", "on_problem": "continue"} == RunRequest(**USUAL).body()
