"""
A signing key: its name, its public half, its signatures, its four instants.
"""

import base64
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from keys.model import Algorithm, KeyFault, Life, SigningKey, base64url, generate, thumbprint
from tests.fakes.clock import NOON
from tests.keys.samples import private_key, signing_key

MESSAGE = b"header.payload"
LIFE = Life(NOON, NOON)

# RFC 7638 section 3.1, and RFC 8037 appendix A.3
VECTORS = [
    (
        {
            "e": "AQAB",
            "kty": "RSA",
            "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_B"
            "JECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_F"
            "DW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4"
            "vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        },
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
    ),
    (
        {"crv": "Ed25519", "kty": "OKP", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
    ),
]


@pytest.mark.parametrize(("members", "expected"), VECTORS, ids=["RFC 7638", "RFC 8037"])
def test_the_thumbprint_of_the_published_example(members, expected):
    assert expected == thumbprint(members)
    assert expected == thumbprint(dict(reversed(members.items())))


def test_an_ed25519_key_signs_the_published_example():
    """
    RFC 8037 appendix A.1 and A.4.
    """
    seed = base64.urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
    key = SigningKey(Algorithm.EDDSA, LIFE, ed25519.Ed25519PrivateKey.from_private_bytes(seed))

    signature = key.sign(b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc")

    assert "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" == key.kid
    assert "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg" == base64url(
        signature
    )


@pytest.mark.parametrize(
    ("algorithm", "members"),
    [
        (Algorithm.RS256, {"kty", "n", "e"}),
        (Algorithm.ES256, {"kty", "crv", "x", "y"}),
        (Algorithm.EDDSA, {"kty", "crv", "x"}),
    ],
)
def test_the_public_half_has_the_public_members_and_what_it_is_for(algorithm, members):
    """
    (T42)
    """
    key = signing_key(algorithm)

    assert {*members, "use", "alg", "kid"} == key.jwk().keys()
    assert ("sig", algorithm, key.kid) == (key.jwk()["use"], key.jwk()["alg"], key.jwk()["kid"])
    assert key.kid == thumbprint({name: key.jwk()[name] for name in members})


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_key_verifies_what_it_signed_and_nothing_else(algorithm):
    """
    (T7)
    """
    key, other = signing_key(algorithm), signing_key(algorithm, number=1)
    signature = key.sign(MESSAGE)

    assert key.verifies(signature, MESSAGE)
    assert not key.verifies(signature, MESSAGE + b"x")
    assert not other.verifies(signature, MESSAGE)
    for wrong in (b"", signature[:-1], signature + b"\0", bytes(len(signature)), signature[::-1]):
        assert not key.verifies(wrong, MESSAGE)


@pytest.mark.parametrize("number", range(8))
def test_an_ecdsa_signature_has_two_halves_of_fixed_width(number):
    """
    RFC 7518 section 3.4: not the DER form that the library gives.
    """
    key = signing_key(Algorithm.ES256)
    der = private_key(Algorithm.ES256).sign(MESSAGE, ec.ECDSA(hashes.SHA256()))

    assert 64 == len(key.sign(MESSAGE + bytes([number])))
    assert not key.verifies(der, MESSAGE)


@pytest.mark.parametrize(
    ("algorithm", "private", "words"),
    [
        (Algorithm.RS256, lambda: rsa.generate_private_key(65537, 1024), "1024 bits is too short"),
        (Algorithm.ES256, lambda: ec.generate_private_key(ec.SECP384R1()), "P-256, not on secp384r1"),
        (Algorithm.ES256, ed25519.Ed25519PrivateKey.generate, "not one for ES256"),
        (Algorithm.RS256, lambda: generate(Algorithm.ES256), "not one for RS256"),
        (Algorithm.EDDSA, lambda: generate(Algorithm.ES256), "not one for EdDSA"),
    ],
    ids=["short", "curve", "Ed25519 as ES256", "EC as RS256", "EC as EdDSA"],
)
def test_a_key_of_the_wrong_kind_is_refused(algorithm, private, words):
    """
    (T41)
    """
    with pytest.raises(KeyFault, match=words):
        SigningKey(algorithm, LIFE, private())


class Damaged(SigningKey):
    """
    Signs something else than it is asked to.
    """

    __slots__ = ()

    def sign(self, message):
        return super().sign(message + b" and more")


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_key_that_does_not_verify_what_it_signs_is_never_used(algorithm):
    with pytest.raises(KeyFault, match="damaged"):
        signing_key(algorithm, kind=Damaged)


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_key_does_not_print_what_it_holds(algorithm):
    """
    (T35)
    """
    key = signing_key(algorithm)

    assert {"algorithm", "life", "kid"} == {part.split("=")[0] for part in _fields(repr(key))}


def _fields(text):
    inside = text.removeprefix("SigningKey(").removesuffix(")")
    return [part for part in inside.split(", ") if part.startswith(("algorithm=", "life=", "kid=", "_"))]


@pytest.mark.parametrize(
    ("hours", "signs", "published"),
    [
        # before: a clock that was set back does not hide the key, but nothing is signed with it
        (-1, False, True),
        (0, False, True),
        (0.999, False, True),
        # published first, signs then
        (1, True, True),
        (1.999, True, True),
        # has signed, is still needed
        (2, False, True),
        (2.999, False, True),
        (3, False, False),
        (1000, False, False),
    ],
)
def test_a_key_is_seen_before_it_signs_and_after(hours, signs, published):
    """
    (T42)
    """
    life = signing_key(created=0, signs_from=1, signs_until=2, forgotten_at=3).life
    now = NOON + timedelta(hours=hours)

    assert (signs, published) == (life.signs(now), life.is_published(now))


def test_a_life_may_be_open_ended():
    life = signing_key().life

    assert life.signs(NOON + timedelta(days=36500))
    assert life.is_published(NOON + timedelta(days=36500))
