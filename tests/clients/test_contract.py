"""
The PackageManager port, kept by the fake of the tests and by the real client on a real server.
"""

import asyncio
import socket
from datetime import UTC, datetime

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from broker.clients.package_manager import HttpPackageManager
from broker.domain.package_manager import PackageManagerUrl
from broker.errors import AssertionRefused, PackageManagerUnreachable
from broker.system.clock import SystemClock
from tests.clients.servers import FAR_AWAY
from tests.contract.package_manager import PackageManagerContract, new_assertion
from tests.fakes.package_manager import FakePackageManager, jwt


class TestFakePackageManager(PackageManagerContract):
    @pytest.fixture
    def url(self):
        return PackageManagerUrl.parse("https://a.example")

    @pytest.fixture
    def refusing_url(self):
        return PackageManagerUrl.parse("https://b.example")

    @pytest.fixture
    def dead_url(self):
        return PackageManagerUrl.parse("https://c.example")

    @pytest.fixture
    def package_manager(self, refusing_url, dead_url):
        fake = FakePackageManager(now=lambda: datetime.now(UTC))
        fake.fail(str(refusing_url), AssertionRefused(f"{refusing_url} does not like it"))
        fake.fail(str(dead_url), PackageManagerUnreachable(f"{dead_url} is not there"))
        return fake

    @pytest.fixture
    def received(self, package_manager):
        return lambda: [exchange.url for exchange in package_manager.received]

    async def test_it_takes_an_assertion_once_like_the_real_one(self, package_manager, url):
        assertion = new_assertion()
        await package_manager.exchange(url, assertion)

        with pytest.raises(AssertionRefused):
            await package_manager.exchange(url, assertion)

    async def test_it_keeps_one_waiting_until_it_recovers(self, package_manager, url):
        package_manager.hold(str(url))
        exchange = asyncio.ensure_future(package_manager.exchange(url, new_assertion()))
        await asyncio.wait([exchange], timeout=0.01)
        waited = not exchange.done()
        package_manager.recover(str(url))

        assert waited
        assert await exchange


class TestHttpPackageManager(PackageManagerContract):
    @pytest.fixture
    async def server(self):
        """
        Two Package Managers behind one port: `/good` gives tokens, `/bad` accepts no assertion.
        """
        seen: list[str] = []

        async def token(request):
            seen.append(str(request.url).removesuffix("/__api__/token"))
            if request.path.startswith("/bad") or not (await request.post())["subject_token"]:
                return web.json_response({"error": "invalid_grant"}, status=400)
            return web.json_response({"access_token": jwt({"exp": FAR_AWAY}), "token_type": "Bearer"})

        application = web.Application()
        application.router.add_post("/{which}/__api__/token", token)
        async with TestServer(application) as server:
            server.seen = seen
            yield server

    @pytest.fixture
    def url(self, server):
        return PackageManagerUrl.parse(f"http://127.0.0.1:{server.port}/good")

    @pytest.fixture
    def refusing_url(self, server):
        return PackageManagerUrl.parse(f"http://127.0.0.1:{server.port}/bad")

    @pytest.fixture
    def dead_url(self):
        with socket.create_server(("127.0.0.1", 0)) as closed_soon:
            port = closed_soon.getsockname()[1]
        return PackageManagerUrl.parse(f"http://127.0.0.1:{port}")

    @pytest.fixture
    def package_manager(self, client):
        return HttpPackageManager(client, clock=SystemClock())

    @pytest.fixture
    def received(self, server):
        return lambda: server.seen
