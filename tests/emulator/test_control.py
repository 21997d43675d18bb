"""
The control endpoints: for tests on this machine, for nobody else.
"""

import pytest

from broker.emulator.faults import Fault

pytestmark = pytest.mark.anyio


@pytest.fixture
def controlled(make_emulator):
    return make_emulator(control=True)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/faults"), ("PUT", "/faults"), ("DELETE", "/faults"), ("GET", "/log"), ("DELETE", "/tokens")],
)
async def test_without_the_option_there_is_nothing(emulator, method, path):
    async with emulator.client() as client:
        answer = await client.request(method, f"/__control__{path}")

    assert answer.status_code in {404, 405}


@pytest.mark.parametrize("address", ["10.0.0.7", "192.0.2.1", "2001:db8::1", "::ffff:10.0.0.7", "nonsense"])
async def test_another_machine_finds_nothing(controlled, address):
    async with controlled.client(address) as client:
        answer = await client.put("/__control__/faults", json={"faults": ["html"]})

    assert 404 == answer.status_code
    assert 200 == (await controlled.exchange(controlled.issuer.token())).status_code


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "::1"])
async def test_this_machine_may(controlled, address):
    async with controlled.client(address) as client:
        assert 200 == (await client.get("/__control__/faults")).status_code


@pytest.mark.parametrize("header", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
async def test_a_web_page_on_this_machine_may_not(controlled, header):
    async with controlled.client() as client:
        answer = await client.delete("/__control__/tokens", headers=header)

    assert 404 == answer.status_code


async def test_faults_are_switched_while_it_runs(controlled):
    async with controlled.client() as client:
        switched = await client.put("/__control__/faults", json={"faults": ["html", "slow:2@all"]})
        with_fault = await controlled.exchange(controlled.issuer.token())
        cleared = await client.delete("/__control__/faults")
        without = await controlled.exchange(controlled.issuer.token())

    assert ["html", "slow:2@all"] == switched.json()["faults"]
    assert [] == cleared.json()["faults"]
    assert [502, 200] == [with_fault.status_code, without.status_code]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"faults": "html"}', b'{"faults": [1]}', b'{"faults": ["nonsense"]}', b"x" * 70_000],
    ids=lambda body: f"{body[:30]!r}",
)
async def test_a_wrong_switch_changes_nothing(make_emulator, body):
    emulator = make_emulator(control=True, faults=(Fault.parse("html"),))
    async with emulator.client() as client:
        answer = await client.put("/__control__/faults", content=body)
        still = await client.get("/__control__/faults")

    assert 400 == answer.status_code
    assert ["html"] == still.json()["faults"]


async def test_the_log_tells_who_did_what_and_no_secret(controlled):
    """(T35)"""
    token = await controlled.token("repos:read:pypi")
    await controlled.get("/pypi/latest/simple/")
    await controlled.get("/pypi/latest/simple/", token)
    async with controlled.client() as client:
        answer = await client.get("/__control__/log")
        emptied = await client.delete("/__control__/log")
        after = await client.get("/__control__/log")

    assert [
        ("POST", "/__api__/token", 200, "alice", False),
        ("GET", "/pypi/latest/simple/", 401, "-", False),
        ("GET", "/pypi/latest/simple/", 200, "alice", True),
    ] == [tuple(r[k] for k in ("method", "path", "status", "user", "authorization")) for r in answer.json()["requests"]]
    assert token not in answer.text
    assert (204, []) == (emptied.status_code, after.json()["requests"])


async def test_revoking_ends_every_token_so_far_and_none_after(controlled):
    before = await controlled.token("repos:read:*")
    async with controlled.client() as client:
        await client.delete("/__control__/tokens")
    after = await controlled.token("repos:read:*")

    answers = [await controlled.get("/pypi/latest/simple/", token) for token in (before, after)]

    assert [401, 200] == [answer.status_code for answer in answers]
