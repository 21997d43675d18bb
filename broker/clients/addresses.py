"""
Where the broker lets itself be sent: the guard against server-side request forgery (SSRF).

`ppm_url` is typed by an administrator, and whoever owns its DNS name chooses the address. A name that pointed at a
Package Manager when it was saved may point at the cloud's metadata service when the assertion is posted (DNS
rebinding), so nothing is looked at in advance: the check sits where the connection is made, on the address it goes to.
Private networks are allowed, because Package Managers live there.
"""

import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from aiohttp import AddrInfoType, SocketFactoryType
from aiohttp.abc import AbstractResolver, ResolveResult

_METADATA = "an address of a cloud's metadata service"
_FORBIDDEN: tuple[tuple[IPv4Network | IPv6Network, str], ...] = tuple(
    (ip_network(network), what)
    for network, what in (
        ("0.0.0.0/8", "an unspecified address"),
        ("169.254.0.0/16", "a link-local address, where clouds keep their metadata"),
        ("100.100.100.200/32", _METADATA),  # Alibaba Cloud
        ("168.63.129.16/32", _METADATA),  # Azure
        ("192.0.0.192/32", _METADATA),  # Oracle Cloud
        ("224.0.0.0/4", "a multicast address"),
        ("255.255.255.255/32", "the broadcast address"),
        ("240.0.0.0/4", "a reserved address"),
        ("::/128", "an unspecified address"),
        ("fe80::/10", "a link-local address"),
        ("fd00:ec2::/32", _METADATA),  # AWS
        ("fd20:ce::254/128", _METADATA),  # Google Cloud
        ("ff00::/8", "a multicast address"),
        ("2001::/32", "a Teredo tunnel"),  # holds two IPv4 addresses, one of them scrambled
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")
_IPV4_COMPATIBLE = IPv6Network("::/96")
_LOW_32_BITS = 0xFFFF_FFFF


class ForbiddenAddress(OSError):
    """
    A connection that was not made, because of where it would have gone.

    An OSError, since that is what aiohttp expects of resolvers and sockets that do not work.
    """

    def __init__(self, address: str, what: str) -> None:
        super().__init__(f"{address} is {what}")
        self.address = address
        self.what = what


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """
    Which IP addresses the broker connects to.

    `allow_loopback` is for tests, the demo and a Package Manager on the broker's own machine; anywhere else it would
    let an integration reach services that trust their own host.
    """

    allow_loopback: bool = False

    def objection(self, text: str) -> str | None:
        """
        Say what is wrong with connecting to an address (`a link-local address`), or None where nothing is.

        `text` is an IPv4 or IPv6 address as a resolver returns it, scope (`%eth0`) included.
        """
        try:
            address = _innermost(ip_address(text))
        except ValueError:
            return "not an IP address"
        if address.is_loopback:
            return None if self.allow_loopback else "a loopback address"
        for network, what in _FORBIDDEN:
            if address in network:
                return what
        return "a reserved address" if address.is_reserved else None


class GuardedResolver(AbstractResolver):
    """
    A resolver that drops forbidden addresses from the answers of another one.

    Dropped, not refused as a whole: the resolver of a machine adds link-local addresses to its own name
    (nss-myhostname), and a connection only ever goes to an address that is left over.
    """

    def __init__(self, addresses: AddressPolicy, inner: AbstractResolver) -> None:
        self._addresses = addresses
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """
        Return the addresses of `host` that the policy allows.

        Raises ForbiddenAddress where it has addresses and none is allowed, OSError where it has none.
        """
        found = await self._inner.resolve(host, port, family)
        judged = [(result, self._addresses.objection(result["host"])) for result in found]
        allowed = [result for result, objection in judged if objection is None]
        if allowed:
            return allowed
        if not judged:
            raise OSError("the name has no address")
        refused, objection = judged[0]
        raise ForbiddenAddress(refused["host"], objection or "")

    async def close(self) -> None:
        """Close the inner resolver."""
        await self._inner.close()


def guarded_sockets(addresses: AddressPolicy) -> SocketFactoryType:
    """
    Return a socket factory for aiohttp that makes no socket towards a forbidden address.

    The last gate before `connect`, and the only one for URLs that name an address: aiohttp asks no resolver for those.
    """

    def make(info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, target = info
        address = str(target[0])
        if objection := addresses.objection(address):
            raise ForbiddenAddress(address, objection)
        return socket.socket(family, kind, protocol)

    return make


def _innermost(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    # An IPv4 address in IPv6 clothes reaches the same machine: `::ffff:169.254.169.254` is the metadata service.
    if isinstance(address, IPv4Address):
        return address
    embedded = address.ipv4_mapped or address.sixtofour
    if embedded is not None:
        return embedded
    if address in _NAT64 or (address in _IPV4_COMPATIBLE and int(address) > 1):
        return IPv4Address(int(address) & _LOW_32_BITS)
    return address
