import base64
import binascii
import re
import uuid

import pytest

from broker.domain.secrets import Secret
from broker.system.ids import CorrelationIds, SystemIds

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def ids():
    return SystemIds()


def value(text):
    """Read base 62, written down a second time so that the format is not only what the code does."""
    return sum(DIGITS.index(digit) * 62**place for place, digit in enumerate(reversed(text)))


def test_a_guid_is_a_random_uuid_in_canonical_form(ids):
    guid = ids.guid()

    assert guid == str(uuid.UUID(guid))
    assert 4 == uuid.UUID(guid).version


def test_a_jti_is_128_bits_that_fit_into_a_url(ids):
    jti = ids.jti()

    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", jti)
    assert 16 == len(base64.urlsafe_b64decode(jti + "=="))


def test_an_api_key_is_what_a_scanner_looks_for(ids):
    """
    T48: a recognisable prefix, a fixed length, nothing that a double click would leave out.
    """
    for _ in range(100):
        key = ids.api_key()

        assert isinstance(key, Secret)
        assert re.fullmatch(r"pcb_[0-9A-Za-z]{49}", key.reveal())


def test_the_checksum_of_an_api_key_is_the_crc_of_its_random_part(ids):
    for _ in range(100):
        key = ids.api_key().reveal()
        random, checksum = key[4:47], key[47:]

        assert binascii.crc32(random.encode()) == value(checksum)


def test_an_api_key_holds_256_bits(ids):
    """
    Every bit is met both set and unset; a constant or missing one would stay so in 64 keys.
    """
    numbers = [value(ids.api_key().reveal()[4:47]) for _ in range(64)]
    met, missed = 0, 0
    for number in numbers:
        met |= number
        missed |= ~number

    assert 2**256 - 1 == met
    assert 2**256 - 1 == missed & (2**256 - 1)


@pytest.mark.parametrize("kind", ["guid", "jti"])
def test_no_two_are_alike(ids, kind):
    assert 10_000 == len({getattr(ids, kind)() for _ in range(10_000)})


def test_no_two_api_keys_are_alike(ids):
    assert 1000 == len({ids.api_key().reveal() for _ in range(1000)})


def test_an_api_key_does_not_print(ids):
    assert "<secret>" == f"{ids.api_key()}"


def test_correlation_ids_differ_within_a_process_and_between_processes():
    first, second = CorrelationIds(), CorrelationIds()

    assert 200 == len({new() for new in [first, second] * 100})
