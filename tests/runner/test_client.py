import datetime as dt
import json
import ssl

import pytest
import trustme

from broker.domain.secrets import Secret
from broker.errors import BrokerRefused, BrokerUnreachable
from broker.runner.address import ServerAddress
from broker.runner.client import MAX_ANSWER, BuildApi
from tests.fakes.build_api import (
    API_KEY,
    GUID,
    PROBLEM,
    SKIPPED,
    TOKEN,
    Reply,
    build,
    build_api,
    closed_port,
    credential,
)

HTML = b"<!doctype html><title>502 Bad Gateway</title>"


def client(url, **changes):
    return BuildApi(ServerAddress.parse(url), Secret(API_KEY), **{"ask_seconds": 5.0, **changes})


def no(status, words, headers=None):
    """The broker's way of saying no."""
    return Reply({"code": 1, "error": words, "payload": None}, status, headers or {})


def test_the_question_is_the_build_apis_and_the_key_is_in_one_header_only(api):
    """The key is not in the URL, not in the body (T35)."""
    client(api.url).open_build({"owner_username": "alice"})

    asked = api.asked[0]
    assert ("POST", "/__api__/v1/builds") == (asked.method, asked.path)
    assert {"owner_username": "alice"} == json.loads(asked.body)
    assert ["Authorization"] == [name for name, value in asked.headers.items() if API_KEY in value]
    assert f"Key {API_KEY}" == asked.headers["Authorization"]


def test_a_path_prefix_comes_before_the_api(api):
    client(f"{api.url}/tools/broker/").open_build({})
    client(f"{api.url}/tools/broker/").finish_build(GUID)

    assert ["/tools/broker/__api__/v1/builds", f"/tools/broker/__api__/v1/builds/{GUID}"] == [
        asked.path for asked in api.asked
    ]


def test_the_answer_becomes_values(api):
    api.opening = Reply(build(credential(), skipped=[SKIPPED], skipped_total=4, problems=[PROBLEM], more="ignored"))

    opened = client(api.url).open_build({})

    assert GUID == opened.guid
    assert dt.datetime(2026, 11, 21, 14, 5, tzinfo=dt.UTC) == opened.expires_time
    assert f"machine packages.example.com login __token__ password {TOKEN}\n" == opened.netrc.reveal()
    assert ("Restricted R", "not_in_access_list") == (opened.skipped[0].name, opened.skipped[0].reason)
    assert 4 == opened.skipped_total
    assert opened.problems[0].retryable
    assert TOKEN not in repr(opened)


def test_a_proxy_of_the_environment_is_not_used(api, monkeypatch):
    """The key would go to whoever set the variable (T44)."""
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")

    assert GUID == client(api.url).open_build({}).guid


@pytest.mark.parametrize(
    ("reply", "fault", "words"),
    [
        # the broker's own words, and what to do
        (no(401, "invalid API key"), BrokerRefused, "401: invalid API key.*BROKER_API_KEY"),
        (no(403, "alice is locked"), BrokerRefused, "alice is locked.*administrator"),
        (no(404, "no such owner"), BrokerRefused, "no such owner.*owner's name"),
        (no(503, "no record", {"Retry-After": "7"}), BrokerRefused, "no record.*wait 7 s"),
        (no(503, "no record", {"Retry-After": "\t soon"}), BrokerRefused, "try again\\)$"),
        (no(500, "broken"), BrokerRefused, "answered 500: broken$"),
        # other people's words
        (Reply(HTML, 502, {"Content-Type": "text/html"}), BrokerUnreachable, "502 with a web page"),
        (Reply(HTML, 200, {"Content-Type": "text/html"}), BrokerUnreachable, "a web page.*is it the broker"),
        (Reply(b"", 404), BrokerUnreachable, "404 with nothing"),
        (Reply(b"", 200), BrokerUnreachable, "answered nothing"),
        (Reply(b"{", 200), BrokerUnreachable, "something else, not JSON"),
        (Reply(b"[" * 100_000, 200), BrokerUnreachable, "not JSON"),
        (Reply(b"\xff\xfe\xff", 200), BrokerUnreachable, "not JSON"),
        (Reply(b"[" * 100_000, 400), BrokerUnreachable, "400 with something else"),
        (Reply({"detail": "x"}, 400), BrokerUnreachable, "instead of the broker's JSON"),
        # not the API key's business
        (Reply(b"", 302, {"Location": "https://evil.example.com/"}), BrokerUnreachable, "redirects \\(302\\)"),
        (Reply(b"", 307, {"Location": "/elsewhere"}), BrokerUnreachable, "not sent to a second address"),
        (Reply(b" " * (MAX_ANSWER + 1)), BrokerUnreachable, "without end"),
        (Reply(raw=b"SSH-2.0-OpenSSH\r\n"), BrokerUnreachable, "not HTTP"),
        (Reply(raw=b""), BrokerUnreachable, "without an answer"),
        (Reply(raw=b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n"), BrokerUnreachable, "not HTTP"),
    ],
)  # fmt: skip
def test_every_other_answer_is_told_clearly(api, reply, fault, words):
    api.opening = reply

    with pytest.raises(fault, match=words) as refused:
        client(api.url).open_build({})

    assert ["POST"] == api.methods
    assert API_KEY not in refused.value.message


def test_remote_words_cannot_write_to_the_terminal(api):
    api.opening = Reply({"error": "no\x1b]0;pwned\x07\r\nbroker: all is well \u202e" + "x" * 10_000}, 403)

    with pytest.raises(BrokerRefused) as refused:
        client(api.url).open_build({})

    assert "no ]0;pwned broker: all is well x" in refused.value.message
    assert refused.value.message.isprintable()
    assert 600 > len(refused.value.message)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ([], "the answer is not an object"),
        ({}, "no usable `guid`"),
        (build(guid="../../x"), "no usable `guid`"),
        (build(guid=7), "no usable `guid`"),
        (build(credentials=None), "`credentials` of the answer is not a list"),
        (build(7), r"credentials\[0\] is not an object"),
        (build(credential(machine=None)), r"`machine` of credentials\[0\] is not text"),
        (build(credential(), credential(password=7)), r"`password` of credentials\[1\] is not text"),
        (build(credential(scopes="repos:read")), "not a list of texts"),
        (build(credential(scopes=[1])), "not a list of texts"),
        (build(expires_time="soon"), "`expires_time` of the answer is not a time"),
        (build(expires_time="2026-11-21T14:05:00"), "no time zone"),
        (build(owner_username=None), "`owner_username` of the answer is not text"),
        (build(skipped={}), "`skipped` of the answer is not a list"),
        (build(skipped_total="2"), "`skipped_total` of the answer is not a number"),
        (build(problems=["x"]), r"problems\[0\] is not an object"),
    ],
)
def test_an_answer_of_the_wrong_shape_is_refused_by_the_name_of_the_field(api, answer, words):
    api.opening = Reply(answer)

    with pytest.raises(BrokerUnreachable, match=words) as refused:
        client(api.url).open_build({})

    assert TOKEN not in refused.value.message


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        # tokens that some reader of a netrc misreads
        *[({"password": f"canary{middle}tail"}, "cannot be carried") for middle in " \t\r\n#\"'\\\0é:@%"],
        ({"password": ""}, "cannot be carried"),
        ({"password": "c" * 4001}, "4001 characters"),
        ({"password": "macdef"}, "keyword"),
        ({"login": "a b"}, "login"),
        # hosts
        ({"machine": "Packages.example.com"}, "cannot be a netrc machine"),
        ({"machine": "packages.example.com:443"}, "cannot be a netrc machine"),
        ({"machine": "default"}, "keyword"),
        ({"machine": "other.example.com", "ppm_url": "https://packages.example.com"}, "is for other.example.com"),
        ({"ppm_url": "https://u:p@packages.example.com"}, "user name"),
    ],
)
def test_what_a_netrc_cannot_carry_is_refused_and_the_build_finished(api, wrong, words):
    """The runner looks itself at what it is going to write (T45)."""
    api.opening = Reply(build(credential(**wrong)))

    with pytest.raises(BrokerUnreachable, match=words) as refused:
        client(api.url).open_build({})

    assert ["POST", "DELETE"] == api.methods
    assert "canary" not in refused.value.message


def test_two_credentials_for_one_host_are_refused(api):
    """Readers disagree: curl would take the first and pip the last (T46)."""
    api.opening = Reply(build(credential(), credential(password="other")))

    with pytest.raises(BrokerUnreachable, match=r"two entries for packages\.example\.com"):
        client(api.url).open_build({})


def test_nobody_there():
    with pytest.raises(BrokerUnreachable, match="Connection refused; is it running"):
        client(f"http://127.0.0.1:{closed_port()}").open_build({})


def test_a_broker_that_does_not_answer_is_given_up(api):
    api.opening = Reply(hang=True)

    with pytest.raises(BrokerUnreachable, match=r"no complete answer within 0\.2 seconds"):
        client(api.url, ask_seconds=0.2).open_build({})


def test_a_broker_that_drips_is_given_up_after_the_time_for_the_whole_answer(api):
    """Each byte comes in time; the answer never does (T8)."""
    moments = iter(range(100))
    api.opening = Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b" " * 99_999)

    with pytest.raises(BrokerUnreachable, match="no complete answer"):
        client(api.url, ask_seconds=3.0, clock=lambda: next(moments)).open_build({})


def test_a_finish_that_is_refused_says_so(api):
    api.finishing = no(404, "no such build")

    with pytest.raises(BrokerRefused, match="no such build"):
        client(api.url).finish_build(GUID)


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


class TestTls:
    @pytest.fixture
    def secure(self, authority):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        with build_api(context) as stub:
            yield stub

    @pytest.fixture
    def ca_file(self, authority, tmp_path):
        file = tmp_path / "ca.crt"
        authority.cert_pem.write_to_path(str(file))
        return str(file)

    def test_a_ca_that_was_named_is_trusted(self, secure, ca_file):
        assert GUID == client(secure.url, ca_file=ca_file).open_build({}).guid

    def test_ssl_cert_file_is_honoured(self, secure, ca_file, monkeypatch):
        monkeypatch.setenv("SSL_CERT_FILE", ca_file)

        assert GUID == client(secure.url).open_build({}).guid

    def test_an_unknown_ca_gets_no_key_and_the_way_out_is_named(self, secure):
        with pytest.raises(BrokerUnreachable, match=r"not trusted.*--ca-file.*SSL_CERT_FILE"):
            client(secure.url).open_build({})

        assert [] == secure.asked

    def test_another_hosts_certificate_gets_no_key(self, secure, ca_file):
        with pytest.raises(BrokerUnreachable, match="not trusted"):
            client(f"https://localhost:{secure.port}", ca_file=ca_file).open_build({})

        assert [] == secure.asked

    def test_http_where_https_was_expected(self, api):
        with pytest.raises(BrokerUnreachable, match=r"TLS failed.*does it speak https"):
            client(api.url.replace("http:", "https:")).open_build({})

    @pytest.mark.parametrize("content", [None, "no certificate\n"])
    def test_a_ca_file_that_is_none(self, content, tmp_path):
        file = tmp_path / "ca.crt"
        if content:
            file.write_text(content)

        with pytest.raises(BrokerUnreachable, match=r"CA file .*ca.crt cannot be used"):
            client("https://broker.example.com", ca_file=str(file))
