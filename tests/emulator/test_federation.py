"""
What the emulator believes: every way in which an assertion can be wrong is refused, and only a right one is not.
"""

import json
import time
from dataclasses import replace

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.emulator.parts import ISSUER, NOW, b64

pytestmark = pytest.mark.anyio

DROP = ...
"""Stands for a claim that is left out."""


async def refusal(emulator, token):
    answer = await emulator.exchange(token)
    assert 400 == answer.status_code, answer.text
    assert "access_token" not in answer.json()
    assert "invalid_request" == answer.json()["error"]
    return answer.json()["error_description"]


@pytest.mark.parametrize(("kid", "alg"), [("r1", "RS256"), ("e1", "ES256"), ("d1", "EdDSA")])
async def test_a_good_assertion_of_each_algorithm_is_accepted(emulator, kid, alg):
    issuer = emulator.issuer
    key = {"r1": issuer.keys.rsa, "e1": issuer.keys.ec, "d1": issuer.keys.ed}[kid]

    assert 200 == (await emulator.exchange(jwt.encode(issuer.claims(), key, alg, {"kid": kid}))).status_code


async def test_the_fully_specified_name_of_ed25519_means_the_same(emulator):
    """(RFC 9864)"""
    issuer = emulator.issuer
    header = {"alg": "Ed25519", "kid": "d1", "typ": "JWT"}
    token = issuer.sign_raw(json.dumps(issuer.claims()).encode(), issuer.keys.ed, "EdDSA", header)

    assert 200 == (await emulator.exchange(token)).status_code


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        # T11, T12, T17: the issuer, byte for byte
        ({"iss": DROP}, "issuer"),
        ({"iss": "https://broker.example.com"}, "issuer"),
        ({"iss": "https://broker.example.com//"}, "issuer"),
        ({"iss": "https://broker.example.co"}, "issuer"),
        ({"iss": "https://i"}, "issuer"),
        ({"iss": "https://Broker.example.com/"}, "issuer"),
        ({"iss": "HTTPS://broker.example.com/"}, "issuer"),
        ({"iss": "http://broker.example.com/"}, "issuer"),
        ({"iss": "https://broker.example.com:443/"}, "issuer"),
        ({"iss": "https://broker.example.com./"}, "issuer"),
        ({"iss": "https://broker%2eexample.com/"}, "issuer"),
        ({"iss": "https://broker\uff0eexample.com/"}, "issuer"),
        ({"iss": "https://br\u043eker.example.com/"}, "issuer"),
        ({"iss": "https://broker.example.com@evil.example/"}, "issuer"),
        ({"iss": "https://broker.example.com.evil.example/"}, "issuer"),
        ({"iss": "https://user@broker.example.com/"}, "issuer"),
        ({"iss": "https://broker.example.com/?"}, "issuer"),
        ({"iss": "https://broker.example.com/#"}, "issuer"),
        ({"iss": "https://broker.example.com/\n"}, "issuer"),
        ({"iss": "https:\\\\broker.example.com/"}, "issuer"),
        ({"iss": [ISSUER]}, "issuer"),
        ({"iss": {"a": ISSUER}}, "issuer"),
        ({"iss": None}, "issuer"),
        ({"iss": 1}, "issuer"),
        ({"iss": True}, "issuer"),
        # T15: the audience is us, and nobody else
        ({"aud": DROP}, "audience"),
        ({"aud": ""}, "audience"),
        ({"aud": []}, "audience"),
        ({"aud": [""]}, "audience"),
        ({"aud": None}, "audience"),
        ({"aud": 1}, "audience"),
        ({"aud": "Package-Manager"}, "audience"),
        ({"aud": "package-manager "}, "audience"),
        ({"aud": "package"}, "audience"),
        ({"aud": ["package-manager", "other"]}, "audience"),
        ({"aud": ["package-manager", "package-manager"]}, "audience"),
        ({"aud": [["package-manager"]]}, "audience"),
        ({"aud": {"package-manager": True}}, "audience"),
        # T17: the subject
        ({"sub": DROP}, "subject"),
        ({"sub": "Connect"}, "subject"),
        ({"sub": "connect\n"}, "subject"),
        ({"sub": ["connect"]}, "subject"),
        ({"sub": None}, "subject"),
        ({"sub": True}, "subject"),
        # T10, T16: times
        ({"exp": DROP}, "exp"),
        ({"exp": 0}, "exp"),
        ({"exp": -1}, "exp"),
        ({"exp": NOW - 60}, "expired 60 s ago"),
        ({"exp": NOW - 30}, "expired 30 s ago"),
        ({"exp": NOW + 301}, "exp - iat"),
        ({"exp": NOW + 10 * 366 * 86400}, "exp - iat"),
        ({"exp": 10**12}, "exp - iat"),
        ({"exp": NOW}, "exp - iat"),
        ({"exp": str(NOW + 60)}, "seconds since 1970"),
        ({"exp": True}, "seconds since 1970"),
        ({"exp": [NOW + 60]}, "seconds since 1970"),
        ({"exp": None}, "seconds since 1970"),
        ({"exp": 10**100}, "exp"),
        ({"exp": 1.7e308}, "exp"),
        ({"iat": DROP}, "iat"),
        ({"iat": NOW + 31, "exp": NOW + 60}, "iat"),
        ({"iat": str(NOW)}, "seconds since 1970"),
        ({"iat": NOW - 300}, "exp - iat"),
        ({"nbf": NOW + 31}, "nbf"),
        ({"nbf": "now"}, "seconds since 1970"),
        ({"nbf": None}, "seconds since 1970"),
        # T17: what goes into logs and into the token
        ({"jti": ["a"]}, "jti"),
        ({"jti": None}, "jti"),
        ({"jti": ""}, "jti"),
        ({"azp": ["a"]}, "azp"),
        ({"azp": 7}, "azp"),
        ({"preferred_username": ["alice"]}, "preferred_username"),
        ({"preferred_username": "alice\nbob 200"}, "preferred_username"),
        ({"preferred_username": "a" * 257}, "preferred_username"),
        ({"owner_guid": 7}, "owner_guid"),
        # roles
        ({"roles": DROP}, "roles"),
        ({"roles": 7}, "roles"),
        ({"roles": None}, "roles"),
        ({"roles": {"repos:read:*": 1}}, "roles"),
        ({"roles": ["repos:read:pypi", 7]}, "roles"),
        ({"roles": [""]}, "roles"),
        ({"roles": [f"repos:read:r{n}" for n in range(201)]}, "roles"),
    ],
    ids=lambda value: ascii(value)[:200] if isinstance(value, dict) else None,
)
async def test_a_wrong_claim_is_refused_by_name(emulator, changes, reason):
    """(T10, T11, T12, T15, T16, T17)"""
    assert reason in await refusal(emulator, emulator.issuer.token(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": NOW - 29, "iat": NOW - 89, "nbf": NOW - 89},
        {"iat": NOW + 30, "nbf": NOW + 30, "exp": NOW + 90},
        {"exp": NOW + 300},
        {"exp": NOW + 60.5, "iat": NOW - 0.5},
        {"nbf": DROP},
        {"jti": DROP},
        {"aud": ["package-manager"]},
        {"azp": "anybody"},
        {"roles": []},
    ],
)
async def test_the_edges_of_what_is_right_are_accepted(emulator, changes):
    """(T16)"""
    assert 200 == (await emulator.exchange(emulator.issuer.token(**changes))).status_code


@pytest.mark.parametrize(
    "header",
    [
        {"typ": DROP},
        {"typ": "jwt"},
        {"typ": "at+jwt"},
        {"typ": ["JWT"]},
        {"crit": ["exp"]},
        {"crit": []},
        {"crit": ["b64"], "b64": False},
        {"b64": True},
        {"jwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}},
        {"jku": "https://evil.example/keys"},
        {"x5u": "https://evil.example/cert"},
        {"x5c": ["AAAA"]},
        {"zip": "DEF"},
        {"enc": "A256GCM"},
        {"kid": DROP},
        {"kid": ""},
        {"kid": ["r1"]},
        {"kid": "unknown"},
        {"kid": "../r1"},
    ],
    ids=str,
)
async def test_a_header_that_says_whom_to_trust_is_refused(emulator, header):
    """Nothing that the sender names is ever fetched (T3, T4)."""
    issuer = emulator.issuer
    token = issuer.sign_raw(
        json.dumps(issuer.claims()).encode(), issuer.keys.rsa, "RS256", {"kid": "r1", "typ": "JWT"} | header
    )

    await refusal(emulator, token)

    assert not [url for url in issuer.fetched if "evil" in url]


async def test_an_unknown_but_harmless_header_member_is_ignored(emulator):
    assert 200 == (await emulator.exchange(emulator.issuer.sign(emulator.issuer.claims(), x5t="AAAA"))).status_code


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", DROP])
@pytest.mark.parametrize("signature", ["", ".", ".AAAA", "..", ".AAAA."])
async def test_an_unsigned_token_is_refused(emulator, alg, signature):
    """(T2)"""
    header = {name: value for name, value in {"alg": alg, "typ": "JWT", "kid": "r1"}.items() if value is not DROP}
    unsigned = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(emulator.issuer.claims()).encode())}"

    await refusal(emulator, unsigned + signature)


@pytest.mark.parametrize("form", ["pem", "der", "ssh", "jwk", "n"])
@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
async def test_the_public_key_is_no_shared_secret(emulator, form, alg):
    """(T1, T5)"""
    issuer = emulator.issuer
    public = issuer.keys.rsa.public_key()
    secret = {
        "pem": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "der": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "ssh": public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        "jwk": json.dumps(issuer.jwk("rsa", "r1")).encode(),
        "n": str(issuer.jwk("rsa", "r1")["n"]).encode(),
    }[form]
    token = issuer.sign_raw(json.dumps(issuer.claims()).encode(), secret, alg, {"kid": "r1", "typ": "JWT"})

    assert "alg" in await refusal(emulator, token)


@pytest.mark.parametrize(
    ("alg", "kid", "says"),
    [
        ("RS512", "r1", "RS512"),
        ("PS256", "r1", "PS256"),
        ("RS256", "r1", "ES256"),
        ("ES256", "e1", "RS256"),
        ("EdDSA", "d1", "ES256"),
    ],
)
async def test_the_algorithm_is_the_keys_not_the_tokens(emulator, alg, kid, says):
    issuer = emulator.issuer
    key = {"r1": issuer.keys.rsa, "e1": issuer.keys.ec, "d1": issuer.keys.ed}[kid]
    token = issuer.sign_raw(json.dumps(issuer.claims()).encode(), key, alg, {"kid": kid, "typ": "JWT", "alg": says})

    assert "alg for the key" in await refusal(emulator, token)


async def test_a_signature_by_another_key_or_over_other_claims_is_refused(emulator):
    issuer = emulator.issuer
    head, _, signature = issuer.token().split(".")
    other_claims = f"{head}.{b64(json.dumps(issuer.claims(roles=['repos:read:*'])).encode())}.{signature}"
    other_key = issuer.sign(issuer.claims(), kid="s1", alg="RS256").replace("x", "x")
    claimed = issuer.sign_raw(
        json.dumps(issuer.claims()).encode(), issuer.keys.rsa_small, "RS256", {"kid": "r1", "typ": "JWT"}
    )

    assert "signature is not by the key" in await refusal(emulator, other_claims)
    assert "signature is not by the key" in await refusal(emulator, claimed)
    assert "publishes no usable key" in await refusal(emulator, other_key)


async def test_zero_ecdsa_signatures_are_refused(emulator):
    """(T7)"""
    head, body, _ = emulator.issuer.sign(emulator.issuer.claims(), kid="e1", alg="ES256").split(".")

    assert "signature" in await refusal(emulator, f"{head}.{body}.{b64(bytes(64))}")


@pytest.mark.parametrize(
    "payload",
    [
        b'{"exp": 1' + b"0" * 5000 + b"}",
        b"[]",
        b'"text"',
        b"null",
        b"",
        b"\xff\xfe",
        b"{",
        b'{"a":' * 2000 + b"1" + b"}" * 2000,
        b"[" * 9000,
    ],
    ids=lambda payload: f"{payload[:50]!r}",
)
async def test_claims_that_are_not_one_plain_json_object_are_refused(emulator, payload):
    """(T8, T10)"""
    issuer = emulator.issuer

    await refusal(emulator, issuer.sign_raw(payload, issuer.keys.rsa, "RS256", {"kid": "r1", "typ": "JWT"}))


SPELLINGS = {
    "padding": lambda token: f"{token}==",
    "one equals sign": lambda token: f"{token}=",
    "line end": lambda token: f"{token}\n",
    "blank before": lambda token: f" {token}",
    "scheme before": lambda token: f"Bearer {token}",
    "two dots": lambda token: token.replace(".", "..", 1),
    "five parts": lambda token: f"{token}.AAAA.AAAA",
    "no signature": lambda token: token.rpartition(".")[0],
    "plain base64": lambda token: token.replace("_", "/").replace("-", "+") + "+",
    "dots": lambda token: "." * 16000,
    "short": lambda token: "a.b.c",
    "NUL": lambda token: "\0",
    "letters beyond ASCII": lambda token: "é.é.é",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_a_token_in_another_spelling_is_refused(emulator, spelling):
    """One token has one spelling; five parts are a JWE, which nobody asked for (T9, T10)."""
    await refusal(emulator, SPELLINGS[spelling](emulator.issuer.token()))


async def test_the_unused_bits_of_the_last_letter_are_zero(emulator):
    """Python's decoder ignores them, so one signature would have sixteen spellings (T10)."""
    token = emulator.issuer.token()
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

    assert "not canonical" in await refusal(emulator, token[:-1] + letters[letters.index(token[-1]) ^ 1])


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        ('"iss": "https://evil.example/"', "the member 'iss' stands there twice"),
        ('"roles": ["repos:read:*"]', "the member 'roles' stands there twice"),
        ('"other": {"a": 1, "a": 2}', "the member 'a' stands there twice"),
        ('"other": NaN', "NaN is not a JSON number"),
        ('"other": [-Infinity]', "-Infinity is not a JSON number"),
    ],
)
async def test_claims_that_two_readers_would_read_differently_are_refused(emulator, member, reason):
    """(T10; RFC 7515, 10.12)"""
    issuer = emulator.issuer
    payload = f"{{{member}, {json.dumps(issuer.claims())[1:]}".encode()
    token = issuer.sign_raw(payload, issuer.keys.rsa, "RS256", {"kid": "r1", "typ": "JWT"})

    assert reason in await refusal(emulator, token)


@pytest.mark.parametrize(("piece", "times"), [(".", 10_000_000), ("a", 10_000_000), ("eyJA", 250_000)])
async def test_ten_megabytes_are_refused_quickly_and_unread(emulator, piece, times):
    """(T8)"""
    token = piece * times
    start = time.perf_counter()

    answer = await emulator.exchange(token)

    assert 413 == answer.status_code
    # Building the request alone takes a while for 10 MB; splitting and decoding it would take many times this.
    assert time.perf_counter() - start < 5


async def test_a_token_above_the_limit_is_refused_before_it_is_split(emulator):
    """(T8)"""
    assert "at most 16384" in await refusal(emulator, emulator.issuer.token(padding="x" * 20_000))


@pytest.mark.parametrize(
    ("azp", "status"), [("client", 200), ("Client", 400), (DROP, 400), (["client"], 400), (None, 400)]
)
async def test_the_authorized_party_is_checked_where_it_is_configured(make_emulator, federation, azp, status):
    emulator = make_emulator(federations=(replace(federation, authorized_party="client"),))

    assert status == (await emulator.exchange(emulator.issuer.token(azp=azp))).status_code


async def test_the_refusal_names_both_sides(emulator):
    reason = await refusal(emulator, emulator.issuer.token(aud="x"))

    assert "audience: expected 'package-manager', got 'x'" == reason
