"""
Keys of an issuer: fetched rarely, kept through an outage, refused when nobody should trust them.
"""

import pytest

from broker.emulator.fetching import Document
from broker.emulator.issuer_keys import COOL_DOWN, MAX_STALE, IssuerKeys
from broker.emulator.key_set import read_key_set
from broker.emulator.refusals import IssuerUnavailable
from tests.emulator.parts import DISCOVERY, ISSUER, JWKS

pytestmark = pytest.mark.anyio


@pytest.fixture
def keys(issuer, clock):
    return IssuerKeys(ISSUER, issuer.fetch, clock, lambda: None)


async def test_keys_are_fetched_once_while_they_are_fresh(keys, issuer, clock):
    for _ in range(10):
        assert "r1" == (await keys.find("r1")).kid
        clock.advance(29)

    assert {DISCOVERY: 1, JWKS: 1} == issuer.fetched


@pytest.mark.parametrize(
    ("cache_control", "times"),
    [
        ("public, max-age=600", (599, 600)),
        ('max-age="600"', (599, 600)),
        ("", (299, 300)),
        ("s-maxage=5", (299, 300)),
        ("max-age=5", (9, 10)),
        ("no-store", (9, 10)),
        ("no-cache, max-age=600", (9, 10)),
        ("max-age=999999999", (3599, 3600)),
    ],
)
async def test_cache_control_is_honoured_within_bounds(keys, issuer, clock, cache_control, times):
    fresh, stale = times
    issuer.publish(issuer.jwk("rsa", "r1"), cache=cache_control)
    await keys.find("r1")

    clock.advance(fresh)
    await keys.find("r1")
    fetched_while_fresh = issuer.fetched[JWKS]
    clock.advance(stale - fresh)
    await keys.find("r1")

    assert (1, 2) == (fetched_while_fresh, issuer.fetched[JWKS])


async def test_ten_thousand_unknown_kids_cost_one_fetch_for_each_cool_down(keys, issuer, clock):
    """(T40)"""
    await keys.find("r1")

    clock.advance(COOL_DOWN)
    found = [await keys.find(f"k{number}") for number in range(10_000)]

    assert {None} == set(found)
    assert 2 == issuer.fetched[JWKS]


async def test_a_new_key_is_found_after_the_cool_down(keys, issuer, clock):
    await keys.find("r1")
    issuer.publish(issuer.jwk("rsa", "r1"), issuer.jwk("ec", "new"))

    assert await keys.find("new") is None
    clock.advance(COOL_DOWN)
    assert "new" == (await keys.find("new")).kid


async def test_an_outage_keeps_the_last_known_keys_for_a_bounded_time(keys, issuer, clock):
    """(T40)"""
    await keys.find("r1")
    issuer.break_down()

    clock.advance(MAX_STALE)
    assert "r1" == (await keys.find("r1")).kid
    clock.advance(COOL_DOWN + 1)
    with pytest.raises(IssuerUnavailable):
        await keys.find("r1")


async def test_an_outage_is_not_asked_about_for_every_token(keys, issuer, clock):
    """(T40)"""
    await keys.find("r1")
    issuer.break_down()
    clock.advance(3600)

    for number in range(100):
        await keys.find("r1")
        await keys.find(f"k{number}")

    assert 2 == issuer.fetched[DISCOVERY]


async def test_an_issuer_that_starts_after_us_is_found(keys, issuer, clock):
    documents = issuer.documents
    issuer.break_down()
    with pytest.raises(IssuerUnavailable):
        await keys.find("r1")

    issuer.documents = documents
    clock.advance(1)

    assert "r1" == (await keys.find("r1")).kid


async def test_a_long_cache_neither_looks_for_unknown_kids_nor_believes_max_age(issuer, clock):
    """A key that is published only when it is first used would not be accepted here (T42)."""
    keys = IssuerKeys(ISSUER, issuer.fetch, clock, lambda: 86400.0)
    await keys.find("r1")
    issuer.publish(issuer.jwk("ec", "new"))

    clock.advance(86399)

    assert await keys.find("new") is None
    assert "r1" == (await keys.find("r1")).kid
    clock.advance(1)
    assert "new" == (await keys.find("new")).kid


@pytest.mark.parametrize(
    ("url", "document", "complaint"),
    [
        # T11, T12: whose document is it
        (DISCOVERY, {"issuer": "https://broker.example.com", "jwks_uri": JWKS}, "issuer in"),
        (DISCOVERY, {"issuer": "https://other.example.com/", "jwks_uri": JWKS}, "issuer in"),
        (DISCOVERY, {"issuer": [ISSUER], "jwks_uri": JWKS}, "issuer in"),
        (DISCOVERY, {"jwks_uri": JWKS}, "issuer in"),
        # T14: where are the keys
        (DISCOVERY, {"issuer": ISSUER}, "jwks_uri"),
        (DISCOVERY, {"issuer": ISSUER, "jwks_uri": "http://broker.example.com/openid/v1/jwks"}, "jwks_uri"),
        (DISCOVERY, {"issuer": ISSUER, "jwks_uri": "https://other.example.com/jwks"}, "jwks_uri"),
        (DISCOVERY, {"issuer": ISSUER, "jwks_uri": "https://broker.example.com@other.example.com/"}, "jwks_uri"),
        (DISCOVERY, {"issuer": ISSUER, "jwks_uri": "file:///etc/passwd"}, "jwks_uri"),
        (DISCOVERY, {"issuer": ISSUER, "jwks_uri": ["https://broker.example.com/"]}, "jwks_uri"),
        (DISCOVERY, [], "not a JSON object"),
        (JWKS, [], "not a JSON object"),
        (JWKS, {}, "not a key set"),
        (JWKS, {"keys": "none"}, "not a key set"),
    ],
)
async def test_a_document_that_is_not_the_issuers_is_refused(keys, issuer, url, document, complaint):
    """(T11, T12, T14)"""
    issuer.documents[url] = issuer.json(document)

    with pytest.raises(IssuerUnavailable, match=complaint):
        await keys.find("r1")


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (Document(302, b"", {"location": "http://169.254.169.254/"}), "302 instead of 200"),
        (Document(500, b"{}"), "500 instead of 200"),
        (Document(200, b"<html>"), "is not JSON"),
        (Document(200, b"[" * 100_000), "is not JSON"),
    ],
)
async def test_an_answer_that_is_no_document_is_refused(keys, issuer, answer, complaint):
    """(T14)"""
    issuer.documents[DISCOVERY] = answer

    with pytest.raises(IssuerUnavailable, match=complaint):
        await keys.find("r1")


async def test_an_exchange_without_keys_may_be_tried_again(emulator):
    token = emulator.issuer.token()
    emulator.issuer.break_down()

    answer = await emulator.exchange(token)

    assert 503 == answer.status_code
    assert "temporarily_unavailable" == answer.json()["error"]
    assert "connection refused" in answer.json()["error_description"]


# --- the key set ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("kind", "changes", "complaint"),
    [
        ("ec", {"d": "AAAA"}, "private"),
        ("rsa", {"p": "AAAA"}, "private"),
        ("rsa", {"kty": "oct", "k": "AAAA"}, "private"),
        ("rsa", {"kty": "oct"}, "private"),
        ("rsa", {"kid": "good"}, "two keys"),
    ],
)
def test_a_set_that_nobody_should_trust_is_refused_whole(issuer, kind, changes, complaint):
    """(T41)"""
    document = {"keys": [issuer.jwk("rsa", "good"), issuer.jwk(kind, "bad") | changes]}

    with pytest.raises(IssuerUnavailable, match=complaint):
        read_key_set(document, JWKS)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("rsa_small", {}),
        ("rsa", {"e": "AQ"}),
        ("rsa", {"e": "Aw"}),
        ("rsa", {"n": "!!"}),
        ("rsa", {"n": 7}),
        ("rsa", {"use": "enc"}),
        ("rsa", {"key_ops": ["encrypt"]}),
        ("rsa", {"key_ops": "verify"}),
        ("rsa", {"alg": "ES256"}),
        ("rsa", {"alg": "HS256"}),
        ("rsa", {"alg": "none"}),
        ("rsa", {"alg": ["RS256"]}),
        ("rsa", {"kid": ""}),
        ("rsa", {"kid": 7}),
        ("ec", {"crv": "P-384"}),
        ("ec", {"crv": ["P-256"]}),
        ("ec", {"x": "AAAA"}),
        ("ec", {"kty": ["EC"]}),
        ("ed", {"crv": "Ed448"}),
        ("ed", {"x": "AAAA"}),
    ],
    ids=str,
)
def test_an_unusable_key_is_ignored(issuer, kind, changes):
    """(T41; RFC 7517, 5)"""
    document = {"keys": [issuer.jwk("rsa", "good"), issuer.jwk(kind, "bad") | changes]}

    assert ["good"] == list(read_key_set(document, JWKS))


@pytest.mark.parametrize("keys", [[], [{}], [7], [{"kty": "RSA"}] * 101], ids=["none", "empty", "number", "many"])
def test_a_set_without_a_usable_key_is_refused(keys):
    """(T41)"""
    with pytest.raises(IssuerUnavailable):
        read_key_set({"keys": keys}, JWKS)


@pytest.mark.parametrize("name", ["EdDSA", "Ed25519"])
def test_an_ed25519_key_verifies_both_names_of_its_algorithm(issuer, name):
    keys = read_key_set({"keys": [issuer.jwk("ed", "d1", alg=name)]}, JWKS)

    assert {"EdDSA", "Ed25519"} == keys["d1"].algorithms
