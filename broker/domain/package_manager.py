"""
Where a Package Manager is, and what it hands out.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from ipaddress import AddressValueError, IPv4Address
from typing import Self
from urllib.parse import urlsplit

from broker.domain.secrets import Secret
from broker.errors import InvalidTemplateConfig

LOGIN = "__token__"
"""The user name that goes with every repository token (vendor guide)."""

MAX_URL = 2048
"""Longest ppm_url in characters; more is refused before it is looked at."""

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*")
_MAX_HOST = 253
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class PackageManagerUrl:
    """
    The root of one Package Manager, in the one spelling that everything compares.

    An assertion is posted below this URL, so it is read strictly: an administrator who is tricked into pasting a URL
    that only looks like the Package Manager would hand our assertions to somebody else (confused deputy).
    `path` is empty or starts with a slash and never ends with one.
    """

    scheme: str
    host: str
    port: int | None
    path: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Read `http(s)://host[:port][/path]`; one trailing slash is dropped, scheme and host are lower-cased.

        Raises InvalidTemplateConfig for anything else: user info, query, fragment, dot segments, encoded characters,
        IPv6 literals (netrc readers disagree on them), numeric hosts other than dotted IPv4.
        """
        if len(text) > MAX_URL:
            raise _fault(f"has more than {MAX_URL} characters")
        if not text.isascii() or any(character <= " " or character in '\\"<>^`{|}%\x7f' for character in text):
            raise _fault("holds characters that a plain URL does not have")
        if "?" in text or "#" in text:
            raise _fault("must not have a query or a fragment")
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            raise _fault("is not a URL") from None
        if parts.scheme not in _DEFAULT_PORTS or not text.lower().startswith(f"{parts.scheme}://"):
            raise _fault("must start with https:// (or http://)")
        if "@" in parts.netloc:
            raise _fault("must not carry a user name or password: the broker authenticates by exchange")
        host = parts.netloc.lower()
        if port is not None:
            host = host.removesuffix(f":{port}")
        # What is left of `host:`, `host:0443` and `[::1]` still has a colon: each names its port in an unusual way.
        if ":" in host or port == 0:
            raise _fault("needs a host name or IPv4 address, optionally followed by :port")
        path = parts.path.removesuffix("/")
        if not _PATH.fullmatch(path) or any(segment in {".", ".."} for segment in path.split("/")):
            raise _fault("has a path with empty or dot segments or unusual characters")
        usual = _DEFAULT_PORTS[parts.scheme]
        return cls(parts.scheme, _checked_host(host), None if port == usual else port, path)

    @property
    def is_cleartext(self) -> bool:
        """Whether assertions and tokens would cross the network unencrypted."""
        return self.scheme == "http"

    @property
    def literal_address(self) -> IPv4Address | None:
        """The host as an address, where it is one."""
        return IPv4Address(self.host) if _is_numeric(self.host) else None

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}{self.path}"


@dataclass(frozen=True, slots=True)
class RepositoryToken:
    """
    What a Package Manager gave for an assertion.

    `expires_time` is the true end of the token, None where neither the token nor the answer tells.
    """

    token: Secret
    expires_time: datetime | None


def _is_numeric(host: str) -> bool:
    last = host.rsplit(".", 1)[-1]
    return last.isdecimal() or last.startswith("0x")


def _checked_host(host: str) -> str:
    if len(host) > _MAX_HOST or not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise _fault("has a host that is not a DNS name (letters, digits, hyphens; no trailing dot)")
    # `0x7f.1`, `2130706433` and `127.1` all reach 127.0.0.1 on some resolver. IPv4Address knows only the dotted decimal
    # form without leading zeros, in which no two readers see different addresses.
    if _is_numeric(host):
        try:
            IPv4Address(host)
        except AddressValueError:
            raise _fault("has a numeric host that is not a plain dotted IPv4 address") from None
    return host


def _fault(what: str) -> InvalidTemplateConfig:
    # The text itself is not repeated: an URL with a password in it would end up in a log.
    return InvalidTemplateConfig(
        f"ppm_url {what}; give the address users put before the repository name, such as https://packages.example.com"
    )
