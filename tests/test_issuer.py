"""
The room where tokens are born: what leaves is what was decided, and strangers can verify it.
"""

import base64
import dataclasses
import json
import threading
from datetime import timedelta

import jwt
import orjson
import pytest
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import KeySet

from broker.domain.claims import Claims
from broker.domain.scopes import ScopeSet
from broker.errors import ClaimsRefused, SigningUnavailable
from broker.issuer import Issuer, Order
from keys import Algorithm, KeyRing
from keys.jwks import document
from keys.ring import CurrentRing
from tests.domain.test_claims import CLAIMS, PAYLOAD
from tests.fakes.clock import NOON
from tests.keys.samples import signing_key

RING = KeyRing.of([signing_key(algorithm) for algorithm in Algorithm])
ISSUED = int(NOON.timestamp())
CEILING = ScopeSet.parse("repos:read:cran,pypi")
JWKS = document(RING.published(NOON)).body


def order(algorithm="RS256", ceiling=CEILING, **fields):
    return Order(dataclasses.replace(CLAIMS, **{"issued_at": ISSUED, **fields}), algorithm, ceiling)


def expected(**fields):
    return {**PAYLOAD, "iat": ISSUED, "nbf": ISSUED, "exp": ISSUED + 60, **fields}


def parts(assertion):
    """
    Decode without a library, and without forgiving what libraries forgive.
    """

    def no_duplicates(pairs):
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    header, payload, _ = assertion.token.reveal().split(".")
    return [
        json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)), object_pairs_hook=no_duplicates)
        for part in (header, payload)
    ]


# --- as strangers see it ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("algorithm", Algorithm)
def test_pyjwt_verifies_an_assertion_through_the_published_keys(algorithm):
    token = Issuer(RING).mint(order(algorithm), NOON).token.reveal()
    found = jwt.PyJWKSet.from_json(JWKS.decode())[jwt.get_unverified_header(token)["kid"]]

    claims = jwt.decode(
        token,
        found,
        algorithms=[algorithm.value],
        audience="package-manager",
        issuer="https://broker.example/",
        subject="connect",
        options={"require": ["exp", "iat", "nbf", "jti", "sub"], "strict_aud": True, **NO_CLOCK},
    )

    assert expected() == claims


NO_CLOCK = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}
"""PyJWT asks the machine for the time; joserfc, below, takes ours."""


# RFC 9864 would have it called Ed25519; verifiers in the field know it as EdDSA (RFC 8037).
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
@pytest.mark.parametrize("algorithm", Algorithm)
@pytest.mark.parametrize(("seconds", "valid"), [(0, True), (59, True), (60, False), (3600, False), (-1, False)])
def test_joserfc_verifies_an_assertion_for_sixty_seconds(algorithm, seconds, valid):
    token = Issuer(RING).mint(order(algorithm), NOON).token.reveal()
    read = joserfc_jwt.decode(token, KeySet.import_key_set(json.loads(JWKS)), algorithms=[algorithm.value])
    rules = joserfc_jwt.JWTClaimsRegistry(
        now=ISSUED + seconds,
        leeway=0,
        iss={"essential": True, "value": "https://broker.example/"},
        aud={"essential": True, "value": "package-manager"},
        exp={"essential": True},
        nbf={"essential": True},
        iat={"essential": True},
    )

    assert expected() == read.claims
    if valid:
        rules.validate(read.claims)
    else:
        with pytest.raises(Exception, match=r"expired|not valid|not_before|in the future|iat|nbf"):
            rules.validate(read.claims)


@pytest.mark.parametrize("algorithm", Algorithm)
def test_what_is_signed_is_strict(algorithm):
    """
    No duplicate name, whole seconds, single strings, a short life, a pinned type (T10, T17).
    """
    header, payload = parts(Issuer(RING).mint(order(algorithm), NOON))

    assert {"alg": algorithm, "kid": RING.signing(algorithm, NOON).kid, "typ": "JWT"} == header
    assert {str} == {type(payload[claim]) for claim in ("iss", "aud", "sub", "jti", "azp", "txn", "owner_guid")}
    assert {int} == {type(payload[claim]) for claim in ("iat", "nbf", "exp")}
    assert 60 == payload["exp"] - payload["iat"]
    assert payload == expected()


@pytest.mark.parametrize("text", ['"', "\\", "\u2028", "\u00e9", "</script>", "\U0001f600", "a\x00b"], ids=ascii)
def test_no_text_breaks_out_of_its_claim(text):
    """
    A name is a name, whatever it holds (T34).
    """
    evil = f'{text}","roles":["global:admin"],"x":"'
    person = dataclasses.replace(CLAIMS.owner, name=evil)

    _, payload = parts(Issuer(RING).mint(order(owner=person), NOON))

    assert expected(name=evil) == payload


def test_what_may_be_recorded_is_told_and_the_token_is_not():
    """
    (T35)
    """
    assertion = Issuer(RING).mint(order(), NOON)

    assert ("jti-1", assertion.token.sha256(), RING.signing(Algorithm.RS256, NOON).kid) == (
        assertion.jti,
        assertion.sha256,
        assertion.kid,
    )
    assert assertion.token.reveal()[-12:] not in repr(assertion)


# --- what must not leave ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("ceiling", ["", "repos:read:cran", "global:admin"])
def test_roles_beyond_the_decision_do_not_leave(ceiling):
    """
    (T34)
    """
    with pytest.raises(ClaimsRefused, match="beyond"):
        Issuer(RING).mint(order(ceiling=ScopeSet.parse(ceiling)), NOON)


class Tampered(Claims):
    """
    Says something else when it is signed than when it is looked at.
    """

    __slots__ = ("looked",)

    def payload(self):
        if hasattr(self, "looked"):
            return super().payload()
        object.__setattr__(self, "looked", True)
        return self.tampered(super().payload())


def tampered_order(tamper):
    kind = type("Claims", (Tampered,), {"__slots__": (), "tampered": staticmethod(tamper)})
    given = order().claims
    return Order(
        kind(**{field.name: getattr(given, field.name) for field in dataclasses.fields(given)}), "RS256", CEILING
    )


@pytest.mark.parametrize(
    "tamper",
    [
        lambda payload: {**payload, "roles": ["global:admin"]},
        lambda payload: {**payload, "admin": True},
        lambda payload: {**payload, "exp": payload["exp"] + 1},
        lambda payload: {**payload, "exp": float(payload["exp"]) + 0.5},
        lambda payload: {**payload, "aud": [payload["aud"]]},
        lambda payload: {name: value for name, value in payload.items() if name != "jti"},
        lambda payload: [payload],
        lambda _: orjson.Fragment(b'{"iss": '),
        lambda _: None,
    ],
    ids=["roles", "claim", "exp", "fraction", "aud", "no jti", "list", "no JSON", "null"],
)
def test_a_builder_that_signs_something_else_is_noticed(tamper):
    """
    (T10, T17, T34)
    """
    with pytest.raises(ClaimsRefused):
        Issuer(RING).mint(tampered_order(tamper), NOON)


class Lying:
    """
    A key with a part that is not its own.
    """

    def __init__(self, key, **lies):
        self._key, self._lies = key, lies

    def __getattr__(self, name):
        lie = self._lies.get(name)
        return getattr(self._key, name) if lie is None else lie()


class RingOf:
    """
    A ring that gives the same key whatever is asked for.
    """

    def __init__(self, key):
        self._key = key

    def current(self):
        return self

    def signing(self, algorithm, now):
        return self._key


def test_a_ring_that_gives_a_key_for_another_algorithm_is_noticed():
    """
    (T5)
    """
    with pytest.raises(ClaimsRefused, match="header"):
        Issuer(RingOf(signing_key(Algorithm.ES256))).mint(order("RS256"), NOON)


def test_a_key_that_changes_its_name_is_noticed():
    names = iter(["one", "other"])

    with pytest.raises(ClaimsRefused, match="header"):
        Issuer(RingOf(Lying(signing_key(), kid=lambda: next(names)))).mint(order("ES256"), NOON)


@pytest.mark.parametrize(
    ("ring", "algorithm", "now"),
    [
        (KeyRing(()), "RS256", NOON),
        (KeyRing.of([signing_key()]), "RS256", NOON),
        (RING, "RS256", NOON - timedelta(seconds=1)),
        (RING, "HS256", NOON),
        (RING, "none", NOON),
        (RING, "", NOON),
    ],
    ids=["no key", "another key", "clock set back", "HS256", "none", "empty"],
)
def test_without_a_key_that_may_sign_nothing_is_minted(ring, algorithm, now):
    """
    (T2)
    """
    with pytest.raises(SigningUnavailable):
        Issuer(ring).mint(order(algorithm), now)


# --- while keys rotate ------------------------------------------------------------------------------------------------
def test_no_assertion_outlives_the_publication_of_its_key():
    """
    A longer `assertion_lifetime` was set after the key's end had been fixed (T42).
    """
    ring = KeyRing.of([signing_key(Algorithm.RS256, signs_until=1, forgotten_at=1)])
    now = NOON + timedelta(minutes=59, seconds=30)

    assertion = Issuer(ring).mint(order(issued_at=ISSUED + 3570), now)

    assert (ISSUED + 3570, ISSUED + 3600) == tuple(parts(assertion)[1][claim] for claim in ("iat", "exp"))


@pytest.mark.parametrize("seconds", [3540, 3539])
def test_an_assertion_that_fits_is_not_shortened(seconds):
    ring = KeyRing.of([signing_key(Algorithm.RS256, signs_until=1, forgotten_at=1)])

    assertion = Issuer(ring).mint(order(issued_at=ISSUED + seconds), NOON)

    assert ISSUED + seconds + 60 == parts(assertion)[1]["exp"]


def test_a_key_in_its_last_second_signs_nothing():
    ring = KeyRing.of([signing_key(Algorithm.RS256, signs_until=1, forgotten_at=1)])

    with pytest.raises(SigningUnavailable, match="about to be forgotten"):
        Issuer(ring).mint(order(issued_at=ISSUED + 3600), NOON + timedelta(minutes=59, seconds=59))


def test_while_the_first_key_of_an_algorithm_waits_a_known_one_signs():
    """
    A verifier may have fetched the keys a day ago (T42).
    """
    known, new = signing_key(Algorithm.RS256, created=-1), signing_key(Algorithm.ES256, created=0, signs_from=26)
    issuer = Issuer(KeyRing.of([known, new]))

    headers = [parts(issuer.mint(order("ES256"), NOON + timedelta(hours=hours)))[0] for hours in (0, 25.9, 26, 1000)]

    assert [known.kid, known.kid, new.kid, new.kid] == [header["kid"] for header in headers]
    assert ["RS256", "RS256", "ES256", "ES256"] == [header["alg"] for header in headers]


def test_the_next_assertion_and_the_next_document_see_the_keys_of_now():
    old, new = signing_key(Algorithm.RS256, number=0), signing_key(Algorithm.RS256, number=1)
    rings = CurrentRing(KeyRing.of([old]))
    issuer = Issuer(rings)
    before = issuer.mint(order(), NOON).kid, issuer.jwks(NOON)

    rings.replace(KeyRing.of([new]))

    assert (old.kid, document([old])) == before
    assert (new.kid, document([new])) == (issuer.mint(order(), NOON).kid, issuer.jwks(NOON))


# --- what is published ------------------------------------------------------------------------------------------------
def test_the_published_keys_are_those_of_the_instant():
    """
    The old key stays as long as its tokens may live, and the document is made anew only when it changes (T42).
    """
    old, new = signing_key(number=3, signs_until=1, forgotten_at=2), signing_key(number=4, created=0.5)
    issuer = Issuer(KeyRing.of([old, new]))
    during, again, after = (issuer.jwks(NOON + timedelta(hours=hours)) for hours in (1, 1.5, 2))

    assert document([old, new]) == during
    assert during is again
    assert document([new]) == after


# --- many for one build -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("algorithm", Algorithm)
@pytest.mark.parametrize("number", [0, 1, 2, 3, 8])
async def test_the_assertions_of_a_build_come_in_the_order_of_the_request(algorithm, number):
    minted = await Issuer(RING).mint_all([order(algorithm, jti=f"jti-{n}") for n in range(number)], NOON)

    assert [f"jti-{n}" for n in range(number)] == [assertion.jti for assertion in minted]
    assert [f"jti-{n}" for n in range(number)] == [parts(assertion)[1]["jti"] for assertion in minted]


async def test_many_rsa_signatures_are_made_two_at_a_time():
    """
    Each signature waits here until another one is being made, so this ends only with two threads.
    """
    meeting = threading.Barrier(2, timeout=10)
    key = signing_key(Algorithm.RS256)

    def sign(message):
        meeting.wait()
        return key.sign(message)

    ring = RingOf(Lying(key, sign=lambda: sign))

    assert 8 == len(await Issuer(ring).mint_all([order(jti=f"jti-{n}") for n in range(8)], NOON))


@pytest.mark.parametrize("wrong", range(8))
async def test_one_refusal_and_none_of_them_leaves(wrong, caplog):
    orders = [order(ceiling=ScopeSet.nothing() if n == wrong else CEILING) for n in range(8)]

    with pytest.raises(ClaimsRefused):
        await Issuer(RING).mint_all(orders, NOON)

    assert "" == caplog.text
