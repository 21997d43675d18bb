"""
The parts of a test, put together: an issuer, a clock, a folder with repositories, an emulator.
"""

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from broker.emulator.app import create_app
from broker.emulator.samples import make_r_package, make_wheel
from broker.emulator.settings import EmulatorSettings, IdentityFederation
from tests.emulator.parts import ISSUER, Clock, Emulator, Issuer, SigningKeys


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="session")
def signing_keys():
    return SigningKeys(
        rsa.generate_private_key(65537, 2048),
        rsa.generate_private_key(65537, 1024),
        ec.generate_private_key(ec.SECP256R1()),
        ed25519.Ed25519PrivateKey.generate(),
    )


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def issuer(signing_keys, clock):
    return Issuer(signing_keys, clock)


@pytest.fixture
def federation():
    return IdentityFederation(
        name="connect",
        issuer=ISSUER,
        audience="package-manager",
        subject="connect",
        role_claim="roles",
        username_claim="preferred_username",
        unique_id_claim="owner_guid",
    )


@pytest.fixture
def packages(tmp_path):
    folder = tmp_path / "repositories"
    make_wheel(folder / "pypi", "Sample.Pkg", "1.0.0", requires=["sample-dep"])
    make_wheel(folder / "pypi", "sample-dep", "2.1")
    make_wheel(folder / "internal", "secret-sauce", "0.1")
    make_r_package(folder / "cran", "sampler", "1.2.0")
    return folder


@pytest.fixture
def make_emulator(issuer, clock, federation, packages) -> Callable[..., Emulator]:
    def make(**changes: object) -> Emulator:
        lines: list[str] = []
        slept: list[float] = []
        numbers = itertools.count()

        async def sleep(seconds: float) -> None:
            slept.append(seconds)

        app = create_app(
            replace(EmulatorSettings((federation,), packages), **changes),
            clock=clock,
            fetch=issuer.fetch,
            ids=lambda: f"t-{next(numbers)}",
            write=lines.append,
            sleep=sleep,
        )
        return Emulator(app, issuer, clock, lines, packages, slept)

    return make


@pytest.fixture
def emulator(make_emulator):
    return make_emulator()
