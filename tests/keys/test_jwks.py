"""
The document that verifiers fetch: only public members, the same bytes everywhere (T42).
"""

import json
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import KeySet

from keys import Algorithm, KeyRing
from keys.jwks import MEDIA_TYPE, PUBLIC_MEMBERS, document
from tests.keys.samples import signing_key

PRIVATE_MEMBERS = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv", "key_ops", "x5u", "jku"]


@dataclass
class OddKey:
    """
    A future kind of key whose `jwk()` says too much.
    """

    members: dict

    def jwk(self):
        return self.members


@given(st.lists(st.dictionaries(st.sampled_from([*PRIVATE_MEMBERS, *PUBLIC_MEMBERS]) | st.text(), st.text())))
def test_no_member_that_is_not_public_is_ever_written(some):
    shown = json.loads(document([OddKey(members) for members in some]).body)["keys"]

    assert [{name: text for name, text in members.items() if name in PUBLIC_MEMBERS} for members in some] == shown


def test_none_of_the_public_members_is_a_private_one():
    assert frozenset() == PUBLIC_MEMBERS.intersection(PRIVATE_MEMBERS)


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_document_has_the_public_half_of_a_key_and_a_stranger_reads_it(algorithm):
    key = signing_key(algorithm)
    body = json.loads(document([key]).body)

    assert {"keys": [key.jwk()]} == body
    (read,) = KeySet.import_key_set(body).keys
    assert not read.is_private
    assert key.kid == read.thumbprint()


def test_equal_key_sets_are_the_same_bytes_with_the_same_etag():
    keys = [signing_key(number=n) for n in range(3)]

    one, other = (document(KeyRing.of(order).keys) for order in (keys, keys[::-1]))

    assert one == other
    assert one.etag.startswith('"')
    assert one.etag.endswith('"')
    assert b" " not in one.body


def test_another_key_is_another_etag():
    assert document([signing_key()]).etag != document([signing_key(number=1)]).etag
    assert document([]).etag != document([signing_key()]).etag


def test_an_empty_set_is_still_a_document():
    assert (b'{"keys":[]}', "application/jwk-set+json") == (document([]).body, MEDIA_TYPE)
