"""
Keys that are made once: a 2048-bit one takes a tenth of a second.
"""

from datetime import timedelta
from functools import cache

from keys.model import Algorithm, Life, SigningKey, generate
from tests.fakes.clock import NOON


@cache
def private_key(algorithm, number=0):
    """
    Return the same private key for the same number.
    """
    return generate(algorithm)


def signing_key(algorithm=Algorithm.ES256, number=0, *, kind=SigningKey, **hours):
    """
    `hours` says the four instants in hours after noon; a key signs from its creation unless said otherwise.
    """
    created = hours.get("created", 0)
    instants = [created, hours.get("signs_from", created), hours.get("signs_until"), hours.get("forgotten_at")]
    life = Life(*(None if each is None else NOON + timedelta(hours=each) for each in instants))
    return kind(algorithm, life, private_key(algorithm, number))
