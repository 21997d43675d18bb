"""
A signing key, its public half and its four instants.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
Verifying = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

RSA_BITS = 2048
_P256_BYTES = 32


class KeyFault(Exception):
    """A key that cannot be made, read, kept or used; the message says where and what to do, never what it holds."""


class Algorithm(StrEnum):
    """How assertions may be signed (RFC 7518 3.1, RFC 8037 3.1)."""

    RS256 = "RS256"
    ES256 = "ES256"
    EDDSA = "EdDSA"


@dataclass(frozen=True, slots=True)
class Life:
    """
    The instants of a key: created (and published), signs from, signs until, forgotten at.

    A key is published before it signs and after it has stopped, so that a verifier with an old copy of the JWKS never
    meets a token that it cannot check. None means open-ended.
    """

    created: datetime
    signs_from: datetime
    signs_until: datetime | None = None
    forgotten_at: datetime | None = None

    def signs(self, now: datetime) -> bool:
        """Whether the key may sign at this instant."""
        return self.signs_from <= now and (self.signs_until is None or now < self.signs_until)

    def is_published(self, now: datetime) -> bool:
        """
        Whether the JWKS shows the key at this instant.

        A key of the future is shown as well: a clock that was set back must not hide the key that signs.
        """
        return self.forgotten_at is None or now < self.forgotten_at


class PublicKey(Protocol):
    """The half of a key that may be shown."""

    @property
    def algorithm(self) -> Algorithm:
        """The only algorithm that the key is used with (RFC 8725 3.1)."""
        ...

    @property
    def kid(self) -> str:
        """RFC 7638 thumbprint."""
        ...

    def jwk(self) -> Mapping[str, str]:
        """Return the public JWK (RFC 7517 4); it has no private member, whatever the key is."""
        ...

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether the JWS signature (RFC 7518 3) belongs to the message."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class SigningKey:
    """A private key in memory. Loading one costs a hundred signatures, so it is done once."""

    algorithm: Algorithm
    life: Life
    _private: PrivateKey = field(repr=False)
    kid: str = field(init=False)
    _public: Verifying = field(init=False, repr=False)
    _jwk: Mapping[str, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_public", self._private.public_key())
        members = _public_members(self.algorithm, self._public)
        kid = thumbprint(members)
        object.__setattr__(self, "kid", kid)
        object.__setattr__(self, "_jwk", {**members, "use": "sig", "alg": self.algorithm.value, "kid": kid})
        self._prove()

    def jwk(self) -> Mapping[str, str]:
        """Return the public JWK."""
        return self._jwk

    def public_pem(self) -> str:
        """Return the public key as SubjectPublicKeyInfo in PEM (RFC 7468 13)."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self._public.public_bytes(serialization.Encoding.PEM, form).decode()

    def private_key(self) -> PrivateKey:
        """Return the private key, for a backend that keeps it."""
        return self._private

    def sign(self, message: bytes) -> bytes:
        """Return the JWS signature of the message (RFC 7518 3.3, 3.4; RFC 8037 3.1)."""
        if isinstance(self._private, rsa.RSAPrivateKey):
            return self._private.sign(message, padding.PKCS1v15(), hashes.SHA256())
        if isinstance(self._private, ec.EllipticCurvePrivateKey):
            r, s = decode_dss_signature(self._private.sign(message, ec.ECDSA(hashes.SHA256())))
            return r.to_bytes(_P256_BYTES, "big") + s.to_bytes(_P256_BYTES, "big")
        return self._private.sign(message)

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether the signature belongs to the message."""
        try:
            self._verify(signature, message)
        except InvalidSignature:
            return False
        return True

    def _prove(self) -> None:
        # Once, when the key is loaded: to verify each ES256 assertion costs nearly three times what signing it does.
        if not self.verifies(self.sign(b"proof"), b"proof"):
            raise KeyFault(f"the {self.algorithm} key {self.kid} does not verify its own signature; it is damaged")

    def _verify(self, signature: bytes, message: bytes) -> None:
        public = self._public
        if isinstance(public, rsa.RSAPublicKey):
            public.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
        elif isinstance(public, ec.EllipticCurvePublicKey):
            if len(signature) != 2 * _P256_BYTES:
                raise InvalidSignature
            r, s = (int.from_bytes(half, "big") for half in (signature[:_P256_BYTES], signature[_P256_BYTES:]))
            public.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
        else:
            public.verify(signature, message)


def generate(algorithm: Algorithm) -> PrivateKey:
    """Make a new private key from the operating system's randomness."""
    if algorithm is Algorithm.RS256:
        return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    if algorithm is Algorithm.ES256:
        return ec.generate_private_key(ec.SECP256R1())
    return ed25519.Ed25519PrivateKey.generate()


def thumbprint(members: Mapping[str, str]) -> str:
    """Return the RFC 7638 thumbprint of a JWK: `members` holds just the required ones (3.2)."""
    canonical = json.dumps(dict(members), sort_keys=True, separators=(",", ":"))
    return base64url(hashlib.sha256(canonical.encode()).digest())


def base64url(data: bytes) -> str:
    """Encode without padding (RFC 7515 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _public_members(algorithm: Algorithm, public: Verifying) -> dict[str, str]:
    if algorithm is Algorithm.RS256 and isinstance(public, rsa.RSAPublicKey):
        if public.key_size < RSA_BITS:
            raise KeyFault(f"an RSA key of {public.key_size} bits is too short; RS256 needs {RSA_BITS} (RFC 7518 3.3)")
        numbers = public.public_numbers()
        return {"e": _integer(numbers.e), "kty": "RSA", "n": _integer(numbers.n)}
    if algorithm is Algorithm.ES256 and isinstance(public, ec.EllipticCurvePublicKey):
        if not isinstance(public.curve, ec.SECP256R1):
            raise KeyFault(f"ES256 needs a key on P-256, not on {public.curve.name}")
        point = public.public_numbers()
        return {"crv": "P-256", "kty": "EC", "x": _coordinate(point.x), "y": _coordinate(point.y)}
    if algorithm is Algorithm.EDDSA and isinstance(public, ed25519.Ed25519PublicKey):
        return {"crv": "Ed25519", "kty": "OKP", "x": base64url(public.public_bytes_raw())}
    raise KeyFault(f"the key is not one for {algorithm}")


def _integer(value: int) -> str:
    return base64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _coordinate(value: int) -> str:
    return base64url(value.to_bytes(_P256_BYTES, "big"))
