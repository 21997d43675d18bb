"""
Which of a Package Manager's distributions this host is: `jammy`, `rhel9`, `bookworm`.

The rules are those of renv, the R client that asks a Package Manager for binaries by itself: a host that renv and the
broker saw differently would get packages of two distributions into one library.
"""

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

# A code becomes a segment of a URL, so nothing else may come out of an os-release, whoever wrote it.
_CODE = re.compile(r"[a-z][a-z0-9_]{0,31}")
_VERSION = re.compile(r"(?P<major>[0-9]{1,4})(?:\.(?P<minor>[0-9]{1,4}))?(?:\.[0-9.]*)?")
_FIRST_NAMED_RHEL = 9
_LEAP_15 = "15"

_SAME_ARCHITECTURE = {"aarch64": "arm64", "amd64": "x86_64", "x64": "x86_64"}
"""What kernels and people say, in the words of a Package Manager's status."""


@dataclass(frozen=True, slots=True)
class Host:
    """
    A machine that installs packages.

    `code` is the distribution as a Package Manager writes it into its URLs, None where it is not known. `architecture`
    is in the Package Manager's words: `x86_64`, `arm64`. `name` is for people.
    """

    code: str | None
    architecture: str
    name: str

    def __str__(self) -> str:
        return f"{self.code or self.name}, {self.architecture}"


def recognise(os_release: str, machine: str) -> Host:
    """
    Return the host with this os-release (os-release(5); its text, empty where there is none) and `uname -m`.

    Never raises: what is not understood is a host whose distribution is not known.
    """
    properties = read_properties(os_release)
    name = properties.get("PRETTY_NAME") or properties.get("ID") or "no os-release"
    lowered = machine.strip().lower()
    return Host(code_of(properties), _SAME_ARCHITECTURE.get(lowered, lowered), name)


def code_of(properties: Mapping[str, str]) -> str | None:
    """Return the distribution's code, None for one that no rule knows."""
    # Mint, Pop!_OS and the other derivatives run Ubuntu's binaries, and name its release in this property.
    derived = properties.get("UBUNTU_CODENAME", "")
    code = derived or _RULES.get(properties.get("ID", ""), _unknown)(properties)
    return code if _CODE.fullmatch(code) else None


def read_properties(os_release: str) -> dict[str, str]:
    """Read `NAME=value` lines and take the shell's quotes off; the last of a name wins, other lines are left out."""
    properties = {}
    for line in os_release.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and name.replace("_", "").isalnum():
            properties[name] = _unquoted(value)
    return properties


def _unquoted(value: str) -> str:
    try:
        words = shlex.split(value)
    except ValueError:
        return ""
    return words[0] if len(words) == 1 else ""


def _unknown(_: Mapping[str, str]) -> str:
    return ""


def _codename(properties: Mapping[str, str]) -> str:
    return properties.get("VERSION_CODENAME", "")


def _version(properties: Mapping[str, str]) -> tuple[str, str]:
    found = _VERSION.fullmatch(properties.get("VERSION_ID", ""))
    return (found["major"], found["minor"] or "") if found else ("", "")


def _centos(properties: Mapping[str, str]) -> str:
    major, _ = _version(properties)
    return f"centos{major}" if major else ""


def _rhel(properties: Mapping[str, str]) -> str:
    major, _ = _version(properties)
    if not major:
        return ""
    # One build serves the whole family; it was named after CentOS until there was none any more.
    return f"rhel{major}" if int(major) >= _FIRST_NAMED_RHEL else f"centos{major}"


def _suse(properties: Mapping[str, str]) -> str:
    major, minor = _version(properties)
    if major == _LEAP_15:
        # All service packs of 15 are binary compatible, and only the last one is still built for.
        return "opensuse156"
    return f"opensuse{major}{minor}" if major and minor else ""


def _amazon(properties: Mapping[str, str]) -> str:
    return "centos7" if properties.get("VERSION_ID") == "2" else ""


_RULES: Mapping[str, Callable[[Mapping[str, str]], str]] = MappingProxyType(
    {
        "ubuntu": _codename,
        "debian": _codename,
        "centos": _centos,
        "rhel": _rhel,
        "rocky": _rhel,
        "almalinux": _rhel,
        "suse": _suse,
        "opensuse": _suse,
        "opensuse-leap": _suse,
        "sles": _suse,
        "amzn": _amazon,
    }
)
"""By `ID`. A distribution that is not here gets no binaries of a similar one: they may not load."""
