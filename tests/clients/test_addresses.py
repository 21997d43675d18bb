import socket

import pytest

from broker.clients.addresses import AddressPolicy, ForbiddenAddress, GuardedResolver, guarded_sockets
from broker.clients.http import open_http_client
from broker.clients.package_manager import HttpPackageManager
from broker.domain.package_manager import PackageManagerUrl
from broker.errors import AddressForbidden, PackageManagerUnreachable
from tests.clients.servers import StaticResolver, answering, listening, token_response

LOOPBACK = [
    "127.0.0.1",
    "127.255.255.254",
    "::1",
    # the same address in IPv6 clothes
    "::ffff:127.0.0.1",
    "::127.0.0.1",
    "64:ff9b::127.0.0.1",
    "2002:7f00:1::",
]
FORBIDDEN = [
    # link-local, where clouds keep their metadata
    "169.254.169.254",
    "169.254.170.2",
    "169.254.0.0",
    "fe80::1",
    "fe80::1%eth0",
    "febf::1",
    # metadata elsewhere
    "fd00:ec2::254",
    "fd00:ec2::23",
    "fd20:ce::254",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    # nobody in particular
    "0.0.0.0",
    "0.1.2.3",
    "::",
    "224.0.0.1",
    "239.255.255.255",
    "ff02::1",
    "240.0.0.1",
    "255.255.255.255",
    "4000::1",
    # IPv4 in IPv6 clothes: mapped, compatible, NAT64, 6to4, Teredo
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "::169.254.169.254",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::169.254.169.254",
    "2002:a9fe:a9fe::1",
    "::ffff:0.0.0.0",
    "2001:0:4136:e378:8000:63bf:5601:5601",
    # not addresses
    "",
    "0x7f.1",
    "2130706433",
    "packages.example.com",
]
ALLOWED = [
    "10.0.0.5",
    "172.16.3.4",
    "192.168.1.1",
    "100.64.0.1",
    "8.8.8.8",
    "fd12:3456::1",
    "2600:1f18::5",
    "::ffff:10.0.0.5",
    "64:ff9b::10.0.0.5",
    "2002:a00:5::",
]


@pytest.mark.parametrize("address", FORBIDDEN)
def test_an_address_where_no_package_manager_lives_is_refused_even_if_loopback_is_allowed(address):
    """
    T14
    """
    assert AddressPolicy().objection(address)
    assert AddressPolicy(allow_loopback=True).objection(address)


@pytest.mark.parametrize("address", LOOPBACK)
def test_loopback_is_refused_unless_it_is_allowed(address):
    """
    T14
    """
    assert "a loopback address" == AddressPolicy().objection(address)
    assert AddressPolicy(allow_loopback=True).objection(address) is None


@pytest.mark.parametrize("address", ALLOWED)
def test_private_and_public_addresses_are_where_package_managers_live(address):
    assert AddressPolicy().objection(address) is None


@pytest.mark.anyio
async def test_forbidden_addresses_are_dropped_and_the_others_remain():
    """
    A machine's own name resolves to its link-local addresses too (nss-myhostname).
    """
    resolver = GuardedResolver(AddressPolicy(), StaticResolver("fe80::1%eth0", "10.0.0.5", "127.0.0.1"))

    assert ["10.0.0.5"] == [result["host"] for result in await resolver.resolve("packages.example.com", 443)]


@pytest.mark.anyio
async def test_a_name_with_forbidden_addresses_only_is_refused():
    resolver = GuardedResolver(AddressPolicy(), StaticResolver("169.254.169.254", "127.0.0.1"))

    with pytest.raises(ForbiddenAddress, match=r"169\.254\.169\.254 is a link-local address"):
        await resolver.resolve("packages.example.com", 443)


@pytest.mark.anyio
async def test_closing_the_guard_closes_the_resolver_behind_it():
    inner = StaticResolver()
    await GuardedResolver(AddressPolicy(), inner).close()

    assert inner.closed


def test_no_socket_is_made_towards_a_forbidden_address():
    """
    The gate for URLs that name an address, for which aiohttp asks no resolver (T14).
    """
    make = guarded_sockets(AddressPolicy())

    with pytest.raises(ForbiddenAddress):
        make((socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", 80)))
    with make((socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("10.0.0.5", 80))) as allowed:
        assert socket.AF_INET == allowed.family


# --- through the whole client ---------------------------------------------------------------------------------------
async def exchange(text, resolver, clock, assertion, *, addresses=AddressPolicy()):  # noqa: B008 - frozen
    async with open_http_client(timeout=2, ca_file=None, addresses=addresses, resolver=lambda: resolver) as client:
        manager = HttpPackageManager(client, clock=clock)
        return await manager.exchange(PackageManagerUrl.parse(text), assertion)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "address", ["169.254.169.254", "::ffff:169.254.169.254", "127.0.0.1", "::1", "fd00:ec2::254", "0.0.0.0"]
)
async def test_a_name_that_is_rebound_to_a_forbidden_address_gets_no_assertion(address, clock, assertion):
    """
    DNS rebinding: the name was fine when ppm_url was saved (T14).
    """
    async with listening(answering(token_response())) as trap:
        with pytest.raises(AddressForbidden, match=r"packages\.example\.com"):
            await exchange(f"http://packages.example.com:{trap.port}", StaticResolver(address), clock, assertion)

    assert 0 == trap.connections


@pytest.mark.anyio
async def test_an_address_in_the_url_is_checked_like_a_resolved_one(clock, assertion):
    """
    T14
    """
    async with listening(answering(token_response())) as trap:
        with pytest.raises(AddressForbidden, match="a loopback address"):
            await exchange(f"http://127.0.0.1:{trap.port}", StaticResolver(), clock, assertion)
    with pytest.raises(AddressForbidden, match="a link-local address"):
        await exchange("http://169.254.169.254", StaticResolver(), clock, assertion)

    assert 0 == trap.connections


@pytest.mark.anyio
async def test_the_connection_goes_to_the_very_address_that_was_checked(clock, assertion):
    """
    The name is looked up once; a resolver that answers differently the second time is not asked (T14).
    """
    resolver = StaticResolver("127.0.0.1")
    async with listening(answering(token_response())) as there:
        url = f"http://packages.example.com:{there.port}"
        await exchange(url, resolver, clock, assertion, addresses=AddressPolicy(allow_loopback=True))

    assert ["packages.example.com"] == resolver.asked
    assert f"packages.example.com:{there.port}" == there.headers()["host"]


@pytest.mark.anyio
async def test_a_name_without_any_address_is_an_unreachable_package_manager(clock, assertion):
    with pytest.raises(PackageManagerUnreachable, match="host name was not found, or has no address"):
        await exchange("https://packages.example.com", StaticResolver(), clock, assertion)
