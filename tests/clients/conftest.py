"""
What the tests of the exchange share: a loop, a clock that stands, a client on the real transport.
"""

from datetime import UTC, datetime

import pytest

from broker.clients.addresses import AddressPolicy
from broker.clients.http import open_http_client
from broker.clients.package_manager import HttpPackageManager, Limits
from broker.domain.secrets import Secret
from tests.fakes.package_manager import jwt

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class StandingClock:
    def now(self) -> datetime:
        return NOW


@pytest.fixture
def anyio_backend():
    """
    The loop that the broker runs on.
    """
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
def clock():
    return StandingClock()


@pytest.fixture
def assertion():
    return Secret(jwt({"iss": "https://broker.example/", "canary": "assertion"}))


@pytest.fixture
async def client():
    """
    The broker's own client, allowed to reach the servers of these tests.
    """
    async with open_http_client(timeout=5, ca_file=None, addresses=AddressPolicy(allow_loopback=True)) as client:
        yield client


@pytest.fixture
def package_manager(client, clock):
    return HttpPackageManager(client, clock=clock, limits=Limits(deadline=5, max_answer=64 * 1024))


@pytest.fixture
def hasty(client, clock):
    """
    A Package Manager client that does not wait long.
    """
    return HttpPackageManager(client, clock=clock, limits=Limits(deadline=0.3, max_answer=64 * 1024))
