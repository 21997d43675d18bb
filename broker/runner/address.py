"""
Where the broker is, read strictly: the API key is sent there.
"""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Self
from urllib.parse import urlsplit

from broker.errors import InvalidParameter

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]{2,45}")
_MAX_PORT = 65535


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """
    `http(s)://host[:port][/prefix]` in parts; `prefix` is empty or starts with a slash and never ends with one.
    """

    scheme: str
    host: str
    port: int | None
    prefix: str

    @classmethod
    def parse(cls, text: str, *, allow_http: bool = False) -> Self:
        """
        Read the server's URL; http is taken for loopback only, unless `allow_http`.

        Raises InvalidParameter. The text is not repeated in it: somebody may have put a password there.
        """
        if not text.isascii() or any(character <= " " or character in '\\"<>\x7f' for character in text):
            raise _fault("holds characters that a plain URL does not have")
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            raise _fault("is not a URL") from None
        if parts.scheme not in {"http", "https"} or not parts.hostname or not _HOST.fullmatch(parts.hostname):
            raise _fault("must be https:// and a host name")
        if "@" in parts.netloc or "?" in text or "#" in text or port == 0 or (port or 0) > _MAX_PORT:
            raise _fault("must not have a user name, a query, a fragment or an impossible port")
        if parts.scheme == "http" and not (allow_http or _is_loopback(parts.hostname)):
            raise _fault("must be https://: over http the API key and the tokens would cross the network in clear")
        return cls(parts.scheme, parts.hostname, port, parts.path.rstrip("/"))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}{'' if self.port is None else f':{self.port}'}{self.prefix}"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _fault(what: str) -> InvalidParameter:
    return InvalidParameter(f"the broker's URL {what}; give it as in https://broker.example.com")
