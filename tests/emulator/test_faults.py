"""
Faults by name, and what each does to the exchange.
"""

import pytest

from broker.emulator.faults import KINDS, Fault, Switchboard, Where
from broker.emulator.troubles import trouble

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("slow", "slow:5@exchange"),
        ("slow:0.5@all", "slow:0.5@all"),
        ("error-500@repositories", "error-500@repositories"),
        ("rate-limit:7", "rate-limit:7@exchange"),
        ("skew:-3600", "skew:-3600"),
        ("redirect:https://user@other.example.com:8443/x", "redirect:https://user@other.example.com:8443/x"),
        ("long-jwks-cache", "long-jwks-cache:86400"),
        ("no-expires-in", "no-expires-in"),
    ],
)
def test_a_fault_is_read_with_its_value_and_place(text, expected):
    assert expected == str(Fault.parse(text))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "there are skew, slow"),
        ("slow-motion", "is not a fault"),
        ("slow:soon", "needs a number of seconds"),
        ("slow:-1", "needs 0 to"),
        ("slow:nan", "needs 0 to"),
        ("slow:1@moon", "comes one of exchange, repositories, all"),
        ("html@all", "has no @all"),
        ("nonsense@all", "is not a fault"),
        ("skew", "needs a value"),
        ("skew:1e3", "needs a whole number"),
        ("redirect:other.example.com", "needs an http(s) URL"),
        ("redirect:https://a b", "needs an http(s) URL"),
        ("html:1", "takes no value"),
        ("hide:500", "needs 403 or 404"),
        ("huge-token:0", "needs a number from 1"),
    ],
)
def test_a_fault_that_is_none_is_refused(text, complaint):
    with pytest.raises(ValueError) as caught:
        Fault.parse(text)

    assert complaint in str(caught.value)


def on(*texts):
    return tuple(Fault.parse(text) for text in texts)


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        ("rate-limit:30", 429, "application/json"),
        ("error-500", 500, "application/json"),
        ("html", 502, "text/html; charset=utf-8"),
        ("html-200", 200, "text/html; charset=utf-8"),
        ("redirect:https://other.example.com/x", 307, None),
    ],
)
async def test_a_fault_replaces_the_answer_of_the_exchange(make_emulator, fault, status, kind):
    emulator = make_emulator(faults=on(fault))

    answer = await emulator.exchange(emulator.issuer.token())

    assert status == answer.status_code
    assert kind == answer.headers.get("content-type")
    assert "access_token" not in answer.text
    assert fault.partition(":")[0] in emulator.lines[-1]


async def test_rate_limit_says_when_to_come_back_and_redirect_where_to_go(make_emulator):
    limited = await make_emulator(faults=on("rate-limit:7")).exchange("x")
    redirected = await make_emulator(faults=on("redirect:https://other.example.com/x")).exchange("x")

    assert "7" == limited.headers["retry-after"]
    assert "https://other.example.com/x" == redirected.headers["location"]


async def test_slow_waits_and_then_gives_the_real_answer(make_emulator):
    emulator = make_emulator(faults=on("slow:12"))

    answer = await emulator.exchange(emulator.issuer.token())

    assert 200 == answer.status_code
    assert [12] == emulator.slept


async def test_endless_never_ends():
    async def no_sleep(seconds):
        pass

    answer = await trouble(Switchboard(on("endless")), Where.EXCHANGE, no_sleep)
    size = 0
    async for chunk in answer.body_iterator:
        size += len(chunk)
        if size > 1_000_000:
            break

    assert size > 1_000_000


async def test_faults_of_repositories_leave_the_exchange_alone_and_the_other_way_round(make_emulator):
    here = make_emulator(faults=on("error-500@repositories"))
    there = make_emulator(faults=on("error-500"))

    token = await here.token("repos:read:*")

    assert 500 == (await here.get("/pypi/latest/simple/", token)).status_code
    assert 401 == (await there.get("/pypi/latest/simple/")).status_code


async def test_a_huge_token_has_the_length_and_a_bad_one_what_no_netrc_carries(make_emulator):
    huge = make_emulator(faults=on("huge-token:5000"))
    bad = make_emulator(faults=on("bad-token"))

    assert 5000 == len(await huge.token("repos:read:*"))
    assert (await bad.token("repos:read:*")).endswith(' "#')


async def test_expires_in_can_be_left_out_and_can_lie(make_emulator):
    silent = make_emulator(faults=on("no-expires-in"))
    lying = make_emulator(faults=on("expires-in:-5"))

    assert "expires_in" not in (await silent.exchange(silent.issuer.token())).json()
    assert -5 == (await lying.exchange(lying.issuer.token())).json()["expires_in"]


async def test_a_skewed_clock_refuses_a_good_assertion(make_emulator):
    emulator = make_emulator(faults=on("skew:3600"))

    answer = await emulator.exchange(emulator.issuer.token())

    assert 400 == answer.status_code
    assert "expired 3540 s ago" in answer.json()["error_description"]


async def test_tokens_with_no_lifetime_are_refused_at_once(make_emulator):
    emulator = make_emulator(faults=on("lifetime:0"))
    token = await emulator.token("repos:read:*")

    answer = await emulator.get("/pypi/latest/simple/", token)

    assert 401 == answer.status_code
    assert "expired 0 s ago" in answer.json()["error"]


async def test_refuse_tokens_takes_them_for_revoked(make_emulator):
    emulator = make_emulator(faults=on("refuse-tokens"))

    answer = await emulator.get("/pypi/latest/simple/", await emulator.token("repos:read:*"))

    assert 401 == answer.status_code


@pytest.mark.parametrize("status", [403, 404])
async def test_hide_answers_something_else_than_401_without_a_credential(make_emulator, status):
    emulator = make_emulator(faults=on(f"hide:{status}"))

    answer = await emulator.get("/pypi/latest/simple/")

    assert status == answer.status_code
    assert "www-authenticate" not in answer.headers


def test_every_fault_has_a_summary():
    assert all(kind.summary for kind in KINDS.values())
