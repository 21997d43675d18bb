"""
The other side of each test: an issuer that signs with PyJWT (the emulator verifies with joserfc), a clock that is
moved by hand, a client of the emulator.
"""

import base64
import itertools
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from broker.emulator.exchange import GRANT, ID_TOKEN
from broker.emulator.fetching import Document
from broker.emulator.log import AccessLog
from broker.emulator.refusals import IssuerUnavailable

ISSUER = "https://broker.example.com/"
NOW = 1_800_000_000
DISCOVERY = "https://broker.example.com/.well-known/openid-configuration"
JWKS = "https://broker.example.com/openid/v1/jwks"


@dataclass
class Clock:
    """Stands still until a test moves it."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@dataclass(frozen=True)
class SigningKeys:
    """One key of each kind; making them once keeps the tests fast."""

    rsa: rsa.RSAPrivateKey
    rsa_small: rsa.RSAPrivateKey
    ec: ec.EllipticCurvePrivateKey
    ed: ed25519.Ed25519PrivateKey


@dataclass
class Issuer:
    """An OIDC issuer as the emulator sees it: two documents, and tokens signed by somebody else's library."""

    keys: SigningKeys
    clock: Clock
    documents: dict[str, Document | Exception] = field(default_factory=dict)
    fetched: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.publish(self.jwk("rsa", "r1"), self.jwk("ec", "e1"), self.jwk("ed", "d1"))
        self.documents[DISCOVERY] = self.json({"issuer": ISSUER, "jwks_uri": JWKS})

    async def fetch(self, url: str) -> Document:
        self.fetched[url] += 1
        answer = self.documents.get(url, Document(404, b""))
        if isinstance(answer, Exception):
            raise answer
        return answer

    @staticmethod
    def json(document: object, **headers: str) -> Document:
        return Document(200, json.dumps(document).encode(), headers)

    def publish(self, *keys: dict[str, object], cache: str = "public, max-age=300") -> None:
        self.documents[JWKS] = self.json({"keys": list(keys)}, **{"cache-control": cache})

    def break_down(self) -> None:
        self.documents = dict.fromkeys(self.documents, IssuerUnavailable("connection refused"))

    def jwk(self, kind: str, kid: str, **more: object) -> dict[str, object]:
        algorithm = {"rsa": RSAAlgorithm, "rsa_small": RSAAlgorithm, "ec": ECAlgorithm, "ed": OKPAlgorithm}[kind]
        public = algorithm.to_jwk(getattr(self.keys, kind).public_key(), as_dict=True)
        public.pop("key_ops", None)
        return public | {"kid": kid, "use": "sig"} | more

    def claims(self, **changes: object) -> dict[str, object]:
        """The claims of a good assertion; a change to `...` leaves one out."""
        now = int(self.clock())
        claims = {
            "iss": ISSUER,
            "aud": "package-manager",
            "sub": "connect",
            "roles": ["repos:read:pypi"],
            "iat": now,
            "nbf": now,
            "exp": now + 60,
            "jti": f"a-{next(_numbers)}",
            "preferred_username": "alice",
            "owner_guid": "5b5ab6ab-8d9a-4d35-8f0b-5a8a0f2b0001",
        }
        return {name: value for name, value in (claims | changes).items() if value is not ...}

    def token(self, **changes: object) -> str:
        return self.sign(self.claims(**changes))

    def sign(self, claims: dict[str, object], *, kid: str = "r1", alg: str = "RS256", **header: object) -> str:
        key = {"r": self.keys.rsa, "e": self.keys.ec, "d": self.keys.ed, "s": self.keys.rsa_small}[kid[0]]
        # PyJWT's checks of its own input are not wanted here: the input is meant to be bad.
        return self.sign_raw(json.dumps(claims).encode(), key, alg, {"kid": kid, "typ": "JWT"} | header)

    @staticmethod
    def sign_raw(payload: bytes, key: object, alg: str, header: dict[str, object]) -> str:
        members = {name: value for name, value in ({"alg": alg} | header).items() if value is not ...}
        signed = f"{b64(json.dumps(members).encode())}.{b64(payload)}"
        return f"{signed}.{b64(jwt.get_algorithm_by_name(alg).sign(signed.encode(), key))}"


_numbers = itertools.count()


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass
class Emulator:
    """A running emulator without a socket, and a client of it."""

    app: AccessLog
    issuer: Issuer
    clock: Clock
    lines: list[str]
    packages: Path
    slept: list[float]

    def client(self, address: str = "127.0.0.1") -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app, client=(address, 50_000))
        return httpx.AsyncClient(transport=transport, base_url="https://packages.example.com", trust_env=False)

    async def exchange(self, token: str, **changes: object) -> httpx.Response:
        form = {"grant_type": GRANT, "subject_token": token, "subject_token_type": ID_TOKEN} | changes
        async with self.client() as client:
            return await client.post("/__api__/token", data={k: v for k, v in form.items() if v is not ...})

    async def token(self, *roles: str, **changes: object) -> str:
        answer = await self.exchange(self.issuer.token(roles=list(roles), **changes))
        assert 200 == answer.status_code, answer.text
        return answer.json()["access_token"]

    async def get(self, path: str, token: str | None = None, **headers: str) -> httpx.Response:
        async with self.client() as client:
            return await client.get(path, headers=headers, auth=None if token is None else ("__token__", token))
