"""
One credential for each host of a build.

A netrc knows hosts, neither ports nor paths, and its readers disagree about a second entry for a host
(docs/netrc.md). So grants that can share one repository token are merged before anything is minted, and grants that
cannot are refused together, whichever came first: a credential that depends on the order of a file is worse than none.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

from broker.domain.access import Granted
from broker.domain.integrations import Integration, PackageManagerConfig
from broker.domain.package_manager import PackageManagerUrl
from broker.domain.scopes import ScopeSet


@dataclass(frozen=True, slots=True)
class Target:
    """What an assertion is made for; grants with equal targets share one repository token."""

    url: PackageManagerUrl
    audience: str
    subject: str
    algorithm: str


@dataclass(frozen=True, slots=True)
class Defaults:
    """What an integration uses where it does not say otherwise (settings of the same names)."""

    audience: str
    subject: str
    algorithm: str

    def target(self, config: PackageManagerConfig) -> Target:
        """Return what an assertion for this integration is made for."""
        return Target(
            config.ppm_url,
            config.audience or self.audience,
            config.subject or self.subject,
            config.algorithm or self.algorithm,
        )


@dataclass(frozen=True, slots=True)
class Planned:
    """One credential that will be obtained: the union of what the merged integrations granted, and no more."""

    target: Target
    scopes: ScopeSet
    integrations: tuple[Integration, ...]

    @property
    def machine(self) -> str:
        """The netrc host."""
        return self.target.url.host


@dataclass(frozen=True, slots=True)
class Clash:
    """Integrations on one host that cannot share a credential; none of them is obtained."""

    machine: str
    integrations: tuple[Integration, ...]
    detail: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a build gets, host by host, in the order in which the integrations were created."""

    credentials: tuple[Planned, ...]
    clashes: tuple[Clash, ...]


def plan(grants: Iterable[Granted], defaults: Defaults) -> Plan:
    """Merge the grants of one build into at most one credential for each host."""
    by_host: dict[str, list[Granted]] = defaultdict(list)
    for grant in grants:
        by_host[grant.integration.config.ppm_url.host].append(grant)
    credentials, clashes = [], []
    for machine, neighbours in by_host.items():
        targets = dict.fromkeys(defaults.target(grant.integration.config) for grant in neighbours)
        if len(targets) == 1:
            credentials.append(_merged(next(iter(targets)), neighbours))
        else:
            clashes.append(_clash(machine, neighbours, list(targets)))
    return Plan(tuple(credentials), tuple(clashes))


def _merged(target: Target, grants: Sequence[Granted]) -> Planned:
    scopes = reduce(ScopeSet.union, (grant.scopes for grant in grants))
    return Planned(target, scopes, tuple(grant.integration for grant in grants))


def _clash(machine: str, grants: Sequence[Granted], targets: Sequence[Target]) -> Clash:
    names = " and ".join(sorted({grant.integration.name for grant in grants}))
    urls = sorted({str(target.url) for target in targets})
    what = (
        f"different addresses ({', '.join(urls)})" if len(urls) > 1 else "different audiences, subjects or algorithms"
    )
    return Clash(
        machine,
        tuple(grant.integration for grant in grants),
        f"{names} use {what} on the host {machine}, and a netrc holds one credential for a host; give one of them a "
        "second DNS name, or the same address, audience, subject and algorithm",
    )
