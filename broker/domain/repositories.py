"""
R repositories of a Package Manager: what their URLs say, and which URL serves this host best.

One repository has several URLs with the same packages: sources, binaries of one Linux distribution, and portable
binaries. The mode is the operator's choice among them, as in Posit Connect's `R.PositPackageManagerURLRewriting`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import Self

from broker.domain.hosts import Host
from broker.domain.package_manager import MAX_URL, PackageManagerUrl
from broker.errors import InvalidParameter, InvalidTemplateConfig

PORTABLE = "manylinux_2_28"
"""The distribution whose binaries run wherever glibc is 2.28 or newer."""

_PORTABLE_PREFIX = "manylinux_"

# `__linux__`, `__api__` and whatever else the product will keep for itself begin with two underscores.
_SEGMENT = r"(?!__|\.{1,2}(?:/|$))[A-Za-z0-9._~-]+"
_FORM = re.compile(
    rf"""
    (?P<base> (?i:https?)://[^/@?\#]+ (?:/{_SEGMENT})*? )
    / (?P<repository> {_SEGMENT} )
    (?: /__linux__/ (?P<distribution> {_SEGMENT} ) )?
    / (?P<snapshot> latest | [0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}} | [0-9]{{1,18}} )
    # BiocManager puts the release and the kind of package behind the mirror's URL, and R sees the whole.
    (?P<rest> (?: /packages/[0-9]{{1,3}}\.[0-9]{{1,3}}/(?:bioc|workflows|books|data/annotation|data/experiment) )? /? )
    """,
    re.VERBOSE,
)
_DATE_LENGTH = len("2026-11-21")
_NO_MIRROR_CHOSEN = "@CRAN@"
"""What R has in `repos` until somebody chooses."""


class Mode(StrEnum):
    """What becomes of R repository URLs; the values are those of the vendor's setting."""

    AUTO = "auto"
    FORCE_SOURCE = "force-source"
    FORCE_BINARY = "force-binary"
    FORCE_PORTABLE = "force-portable"
    NONE = "none"


class Kind(Enum):
    """What a URL gives to this host; the value is its name in sentences."""

    SOURCE = "sources"
    COMPATIBLE = "binaries of this host's distribution"
    INCOMPATIBLE = "binaries that do not fit this host"
    PORTABLE = "portable binaries"


class Aim(Enum):
    """What a mode wants in place of a URL."""

    KEEP = "the URL as it is"
    SOURCE = "sources"
    HOST = "binaries of this host's distribution where they are served, else sources"
    PORTABLE = "portable binaries"


AIMS: Mapping[Mode, Mapping[Kind, Aim]] = MappingProxyType(
    {
        Mode.AUTO: {
            Kind.SOURCE: Aim.KEEP,
            Kind.COMPATIBLE: Aim.KEEP,
            Kind.INCOMPATIBLE: Aim.HOST,
            Kind.PORTABLE: Aim.KEEP,
        },
        Mode.FORCE_SOURCE: {**dict.fromkeys(Kind, Aim.SOURCE), Kind.SOURCE: Aim.KEEP},
        Mode.FORCE_BINARY: {
            Kind.SOURCE: Aim.HOST,
            Kind.COMPATIBLE: Aim.KEEP,
            Kind.INCOMPATIBLE: Aim.HOST,
            Kind.PORTABLE: Aim.KEEP,
        },
        Mode.FORCE_PORTABLE: {**dict.fromkeys(Kind, Aim.PORTABLE), Kind.PORTABLE: Aim.KEEP},
        Mode.NONE: dict.fromkeys(Kind, Aim.KEEP),
    }
)
"""The vendor's table."""


@dataclass(frozen=True, slots=True)
class PackageManagerStatus:
    """
    What a Package Manager tells about itself: its version and the binaries that it serves.

    `binaries` has pairs of distribution code and architecture: `("jammy", "x86_64")`.
    """

    version: str
    binaries: frozenset[tuple[str, str]]

    def serves(self, code: str, architecture: str) -> bool:
        """Whether it has binaries for this distribution on this architecture."""
        return (code, architecture) in self.binaries


@dataclass(frozen=True, slots=True)
class RepositoryUrl:
    """
    `{base}/{repository}/[__linux__/{distribution}/]{snapshot}[/packages/{release}/{kind}][/]`, in parts.

    The parts are as they were written, so that a URL changes in nothing but its distribution: R names cache files after
    URLs, and netrc readers compare hosts. `manager` is the base in the one spelling that is compared and asked.
    """

    base: str
    manager: PackageManagerUrl
    repository: str
    distribution: str | None
    snapshot: str
    rest: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Read an R repository's URL; Bioconductor's is one as well.

        Raises InvalidParameter for everything else; the text is not repeated, somebody may have put a password there.
        """
        if has_login(text):
            raise InvalidParameter("it carries a user name or a password; remove them, the netrc of the build has both")
        found = _FORM.fullmatch(text) if len(text) <= MAX_URL else None
        if found is None or not _is_snapshot(found["snapshot"]):
            raise InvalidParameter(_why_not(text))
        parts = found.groupdict()
        try:
            return cls(manager=PackageManagerUrl.parse(parts["base"]), **parts)
        except InvalidTemplateConfig:
            raise InvalidParameter("its host is not one that a Package Manager can have") from None

    @property
    def is_portable(self) -> bool:
        """Whether its binaries run on many distributions."""
        return self.distribution is not None and self.distribution.startswith(_PORTABLE_PREFIX)

    def kind(self, host: Host, status: PackageManagerStatus) -> Kind:
        """
        Return what this URL gives to `host`.

        Compatible means that the distribution is the host's own and that the server has it for the host's architecture:
        without the latter, R would compile each package and nobody would see why it takes so long.
        """
        if self.distribution is None:
            return Kind.SOURCE
        if self.is_portable:
            return Kind.PORTABLE
        fits = self.distribution == host.code and status.serves(self.distribution, host.architecture)
        return Kind.COMPATIBLE if fits else Kind.INCOMPATIBLE

    def served_as(self, distribution: str | None) -> Self:
        """Return the URL of the same snapshot for a distribution, or that of its sources."""
        return replace(self, distribution=distribution)

    def __str__(self) -> str:
        binary = "" if self.distribution is None else f"/__linux__/{self.distribution}"
        return f"{self.base}/{self.repository}{binary}/{self.snapshot}{self.rest}"


@dataclass(frozen=True, slots=True)
class Rewrite:
    """
    What became of a URL, and why: `reason` is for the build log and never repeats the URLs.

    They are not part of the representation: a URL that was not understood may hold a password.
    """

    before: str = field(repr=False)
    after: str = field(repr=False)
    reason: str

    @property
    def is_changed(self) -> bool:
        """Whether the two differ."""
        return self.before != self.after


def settle(text: str, mode: Mode) -> Rewrite | RepositoryUrl:
    """
    Return what becomes of a URL where that is clear without asking its server; otherwise the URL, to ask about it.

    Most URLs are settled here, so a build without network, or with `none`, asks nobody.
    """
    if mode is Mode.NONE:
        return Rewrite(text, text, "mode none touches nothing")
    try:
        url = RepositoryUrl.parse(text)
    except InvalidParameter as fault:
        return Rewrite(text, text, fault.message)
    settled = _kind_without_asking(url)
    if settled and AIMS[mode][settled] is Aim.KEEP:
        return Rewrite(text, text, f"mode {mode} keeps {settled.value}")
    return url


def rewrite(url: RepositoryUrl, mode: Mode, host: Host, status: PackageManagerStatus) -> Rewrite:
    """Return what becomes of the URL of a Package Manager with this status."""
    kind = url.kind(host, status)
    match AIMS[mode][kind]:
        case Aim.KEEP:
            return _become(url, url.distribution, f"mode {mode} keeps {kind.value}")
        case Aim.SOURCE:
            return _become(url, None, f"mode {mode} asks for sources")
        case Aim.PORTABLE:
            missing = "" if status.serves(PORTABLE, host.architecture) else _not_listed(host)
            return _become(url, PORTABLE, f"mode {mode} asks for portable binaries{missing}")
    return _for_host(url, host, status)


def has_login(text: str) -> bool:
    """Whether there may be a user name or a password in it: an `@` has no other business in a repository's URL."""
    return "@" in text and text != _NO_MIRROR_CHOSEN


def shown(text: str) -> str:
    """Return a URL for people: without user name, password, query and fragment, where secrets travel."""
    # The last `@` first: a password may hold a `?` or a `#`.
    visible = f"…@{text.rpartition('@')[2]}" if has_login(text) else text
    return re.split(r"[?#]", visible, maxsplit=1)[0]


def _for_host(url: RepositoryUrl, host: Host, status: PackageManagerStatus) -> Rewrite:
    if host.code is None:
        return _become(url, url.distribution, f"the distribution of this host is not known ({host})")
    if status.serves(host.code, host.architecture):
        return _become(url, host.code, f"this host is {host}, and its binaries are served")
    return _become(url, None, f"no binaries are served for this host ({host}), so sources are used")


def _become(url: RepositoryUrl, distribution: str | None, reason: str) -> Rewrite:
    return Rewrite(str(url), str(url.served_as(distribution)), reason)


def _kind_without_asking(url: RepositoryUrl) -> Kind | None:
    if url.distribution is None:
        return Kind.SOURCE
    return Kind.PORTABLE if url.is_portable else None


def _not_listed(host: Host) -> str:
    return f"; the server lists no {PORTABLE} for {host.architecture}, so expect sources or errors"


def _is_snapshot(text: str) -> bool:
    if len(text) != _DATE_LENGTH or "-" not in text:
        return True
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _why_not(text: str) -> str:
    if text.rstrip("/").endswith("/simple"):
        return "it is a Python index, which is never touched"
    return "it has not the form of a Package Manager's R repository, such as https://packages.example.com/cran/latest"
