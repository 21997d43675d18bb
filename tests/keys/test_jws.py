"""
The compact form: written in one way, taken apart only in that way.
"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys import Algorithm, KeyFault, jws
from keys.model import base64url
from tests.keys.samples import signing_key

KEY = signing_key()


@given(st.binary(max_size=200))
def test_what_is_written_is_taken_apart_into_the_same(payload):
    token = jws.write(KEY, payload)
    parts = jws.take_apart(token)

    assert payload == parts.payload
    assert KEY.verifies(parts.signature, token.rsplit(".", 1)[0].encode())


@pytest.mark.parametrize("algorithm", Algorithm)
def test_the_header_names_the_algorithm_the_key_and_the_type(algorithm):
    key = signing_key(algorithm)
    parts = jws.take_apart(jws.write(key, b"{}"))

    assert {"alg": algorithm, "kid": key.kid, "typ": "JWT"} == json.loads(parts.header)


def test_a_header_belongs_to_one_key_to_the_byte():
    parts = jws.take_apart(jws.write(KEY, b"{}"))

    assert jws.is_headed_for(parts, KEY)
    assert not jws.is_headed_for(parts, signing_key(number=1))
    assert not jws.is_headed_for(jws.Parts(parts.header + b" ", b"", b""), KEY)
    assert not jws.is_headed_for(jws.Parts(parts.header.replace(b"ES256", b"none"), b"", b""), KEY)


@pytest.mark.parametrize(
    "token",
    [
        # not three parts (T9)
        "",
        "a",
        "YQ.YQ",
        "YQ.YQ.YQ.YQ",
        "YQ.YQ.YQ.YQ.YQ",
        # not base64url, or another spelling of it (T10)
        "YQ==.YQ.YQ",
        "YQ.YQ=.YQ",
        "YR.YQ.YQ",
        "Y.YQ.YQ",
        "YQ.Y+/=.YQ",
        "YQ.Y+.YQ",
        "YQ.Y Q.YQ",
        "YQ.YQ.YQ\n",
        "YQ.Y\x00Q.YQ",
        "YQ.\u00e9.YQ",
        "YQ.\uff39\uff31.YQ",
    ],
    ids=ascii,
)
def test_anything_else_is_not_taken_apart(token):
    with pytest.raises(KeyFault, match="not a compact JWS"):
        jws.take_apart(token)


@given(st.binary(max_size=64))
def test_base64url_has_no_padding_and_no_other_alphabet(data):
    assert set(base64url(data)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
