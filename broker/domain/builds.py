"""
A build, the decision behind it and what came of each credential: the records that outlive the tokens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from broker.domain.package_manager import PackageManagerUrl
from broker.domain.scopes import ScopeSet
from broker.domain.secrets import Secret
from broker.errors import InvalidParameter

MIN_DURATION = 60
"""Shortest life of a build in seconds."""

MAX_REPOSITORIES = 200


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """
    What a build system asks for.

    Exactly one of `owner_guid` and `owner_username` names the owner. `repositories` None asks for everything that the
    owner may have; `duration` is in seconds, None for the default. `fail_on_problem` makes one failed Package Manager
    fail the whole request.
    """

    owner_guid: str | None
    owner_username: str | None
    content_guid: str | None = None
    repositories: frozenset[str] | None = None
    duration: int | None = None
    fail_on_problem: bool = False

    def __post_init__(self) -> None:
        if (self.owner_guid is None) == (self.owner_username is None):
            raise InvalidParameter("name the owner by exactly one of owner_guid and owner_username")
        if self.repositories is not None and not 0 < len(self.repositories) <= MAX_REPOSITORIES:
            raise InvalidParameter(
                f"repositories must name 1 to {MAX_REPOSITORIES} repositories; "
                "leave it out to ask for all that the owner may use"
            )


@dataclass(frozen=True, slots=True)
class Build:
    """One use of credentials: opened for an owner, ended by being finished or by `expires_time`."""

    guid: str
    owner_guid: str
    content_guid: str | None
    caller_guid: str
    created_time: datetime
    expires_time: datetime
    finished_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class BuildEnd:
    """A build was finished at `time`."""

    build_guid: str
    time: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """
    What was decided for a build, on which version of the policy.

    `granted` and `skipped` are JSON values that can be read years later without the integrations of that day.
    `planned` names the `jti` of each assertion before it is minted: one that turns up at a Package Manager is always
    accounted for.
    """

    guid: str
    build_guid: str
    policy_version: int
    created_time: datetime
    owner_guid: str
    wanted: Sequence[str] | None
    granted: Sequence[Mapping[str, object]]
    planned: Sequence[Mapping[str, object]]
    skipped: Sequence[Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class CredentialRecord:
    """What came of one planned credential; tokens only as SHA-256. `problem` is an error code or None."""

    guid: str
    build_guid: str
    decision_guid: str
    machine: str
    ppm_url: str
    scopes: str
    integration_guids: Sequence[str]
    assertion_jti: str
    assertion_sha256: str
    token_sha256: str | None
    created_time: datetime
    expires_time: datetime | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class Credential:
    """A repository token and where it is good; the only value of a build that is secret."""

    machine: str
    login: str
    token: Secret
    url: PackageManagerUrl
    scopes: ScopeSet
    integration_guids: tuple[str, ...]
    expires_time: datetime


@dataclass(frozen=True, slots=True)
class Skipped:
    """An integration that gave nothing, and why."""

    integration_guid: str
    name: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Problem:
    """A credential that was granted and could not be obtained; `code` is one of broker.errors.ExchangeFailed."""

    integration_guids: tuple[str, ...]
    ppm_url: str
    code: str
    detail: str
    retryable: bool


@dataclass(frozen=True, slots=True)
class OpenedBuild:
    """The answer to a build system."""

    build: Build
    owner_username: str
    decision_guid: str
    netrc: Secret
    credentials: tuple[Credential, ...]
    skipped: tuple[Skipped, ...]
    skipped_total: int
    problems: tuple[Problem, ...]
