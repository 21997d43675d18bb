"""
Random identifiers and secrets, from the operating system's generator.

An API key reads `pcb_` + 43 characters + 6 characters, all of 0-9 A-Z a-z, so that a double click selects the whole key
and a secret scanner finds it with `pcb_[0-9A-Za-z]{49}`. The 43 are 256 random bits in base 62, most significant digit
first; the 6 are the CRC-32 (that of zlib) of the 43 in ASCII, in base 62 and padded with zeros. The checksum
protects nothing; it lets a scanner drop what only looks like a key without asking the broker.
"""

import itertools
import secrets
import string
import uuid
import zlib

from broker.domain.secrets import Secret

API_KEY_PREFIX = "pcb_"
"""By which people and scanners know an API key of this broker."""

_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_KEY_BITS = 256
_KEY_LENGTH = 43  # 62 ** 43 is just above 2 ** 256
_CHECKSUM_LENGTH = 6  # 62 ** 6 is above 2 ** 32
_JTI_BYTES = 16


class CorrelationIds:
    """
    Ids that tie the traces of one request together: unique, but neither secret nor hard to guess.

    A random beginning for each process and a number, because every request gets one.
    """

    def __init__(self) -> None:
        self._process = secrets.token_hex(8)
        self._numbers = itertools.count(1)

    def __call__(self) -> str:
        """Return a new id."""
        return f"{self._process}-{next(self._numbers)}"


class SystemIds:
    """The Ids port on the operating system's generator."""

    def guid(self) -> str:
        """Return a new random UUID (version 4) in its canonical lower-case form."""
        # Measured: 3 µs, 1 % of a build. Formatting os.urandom ourselves takes half of that and is not worth the lines.
        return str(uuid.uuid4())

    def jti(self) -> str:
        """Return 128 random bits in base64url without padding: 22 characters."""
        return secrets.token_urlsafe(_JTI_BYTES)

    def api_key(self) -> Secret:
        """Return a new API key of 256 random bits; this module describes its form."""
        random = _base62(secrets.randbits(_KEY_BITS), _KEY_LENGTH)
        return Secret(f"{API_KEY_PREFIX}{random}{_base62(zlib.crc32(random.encode()), _CHECKSUM_LENGTH)}")


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
