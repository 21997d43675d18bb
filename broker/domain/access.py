"""
The one place that decides whether an owner may use an integration.
"""

from dataclasses import dataclass
from enum import StrEnum

from broker.domain.identity import Owner
from broker.domain.integrations import Access, Integration, Principal
from broker.domain.scopes import ScopeSet


class Reason(StrEnum):
    """Why an integration gives nothing to a build; the values are part of the API (docs/errors.md lists them)."""

    NOT_IN_ACCESS_LIST = "not_in_access_list"
    NO_REQUESTED_REPOSITORY = "no_requested_repository"


@dataclass(frozen=True, slots=True)
class Granted:
    """The integration gives these scopes; `via` is the entry that admits the owner, None where everyone is admitted."""

    integration: Integration
    scopes: ScopeSet
    via: Principal | None


@dataclass(frozen=True, slots=True)
class Denied:
    """The integration gives nothing, and why, in words for the person whose build it is."""

    integration: Integration
    reason: Reason
    detail: str


def decide(owner: Owner, integration: Integration, wanted: ScopeSet | None) -> Granted | Denied:
    """
    Decide for one owner and one integration; silence means no.

    `wanted` None asks for everything that the integration carries; otherwise a build never gets more than it asked for.
    The owner's own ability to build is checked before (`Owner.must_be_able_to_build`).
    """
    via = integration.access.admitting(owner)
    if via is None and integration.access.access is not Access.EVERYONE:
        return _not_in_access_list(owner, integration)
    scopes = integration.config.scopes
    granted = scopes if wanted is None else scopes.intersection(wanted)
    if not granted:
        return Denied(
            integration,
            Reason.NO_REQUESTED_REPOSITORY,
            f"{integration.name} carries {scopes}, none of which this build asked for",
        )
    return Granted(integration, granted, via)


def wanted_scopes(repositories: frozenset[str] | None) -> ScopeSet | None:
    """Return the scopes for the repositories that a build names; None where it named none and takes what it can get."""
    return None if repositories is None else ScopeSet.read(repositories)


def _not_in_access_list(owner: Owner, integration: Integration) -> Denied:
    whom = "nobody" if not integration.access.principals else "only others"
    return Denied(
        integration,
        Reason.NOT_IN_ACCESS_LIST,
        f"{owner.user.username} is not in the access list of {integration.name}, which admits {whom}; "
        "an administrator can add the user or one of the user's groups",
    )
