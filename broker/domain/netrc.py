"""
A netrc that every reader reads alike.

Readers disagree on almost everything (docs/netrc.md has the table): curl takes the first of two entries for a host,
pip and uv the last; upper case, ports, quotes, comments and long lines each break somebody. So there is one form that
all of them agree on, and anything else is refused, never quoted.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from broker.domain.secrets import Secret
from broker.errors import NetrcRefused

MAX_PASSWORD = 4000
"""Longest token in characters: curl 7.88 drops an entry silently from 4045 bytes of password on one line."""

MAX_FILE = 120_000
"""Longest file in bytes: curl 8.14 and newer refuse a netrc above 128 KiB."""

_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_LOGIN = re.compile(r"[A-Za-z0-9._@+-]{1,255}")
_PASSWORD = re.compile(rf"[A-Za-z0-9._~+/=-]{{1,{MAX_PASSWORD}}}")
_KEYWORDS = frozenset({"machine", "default", "login", "user", "password", "account", "macdef"})


@dataclass(frozen=True, slots=True)
class Entry:
    """
    One host and its credential; cannot be constructed with something that a netrc cannot carry.

    `machine` is a lower-case DNS name or IPv4 address without scheme, port or trailing dot.
    """

    machine: str
    login: str
    password: Secret

    def __post_init__(self) -> None:
        if not _HOST.fullmatch(self.machine):
            raise NetrcRefused(
                f"{self.machine!r} cannot be a netrc machine: use the bare host name in lower case, "
                "without scheme, port, path or trailing dot"
            )
        if not _LOGIN.fullmatch(self.login):
            raise NetrcRefused(f"the login for {self.machine} has characters that netrc readers disagree on")
        if not _PASSWORD.fullmatch(self.password.reveal()):
            raise NetrcRefused(
                f"the token for {self.machine} cannot be carried by a netrc: it must be 1 to {MAX_PASSWORD} characters "
                f"of A-Z a-z 0-9 . _ ~ + / = -, and this one has {len(self.password.reveal())} characters"
            )
        # In any case: curl looks for `MACHINE` and `Default` even among the values of entries that it passes over.
        if _KEYWORDS & {self.machine, self.login.lower(), self.password.reveal().lower()}:
            raise NetrcRefused(f"an entry for {self.machine} would read as a netrc keyword")


def render(entries: Iterable[Entry]) -> Secret:
    """
    Return the text of a netrc: one line for each host, LF at each end, nothing else.

    No entries give an empty text, which every reader takes as "no credentials".
    Raises NetrcRefused when two entries name one host or the file would exceed MAX_FILE bytes.
    """
    lines: dict[str, str] = {}
    for entry in entries:
        if entry.machine in lines:
            raise NetrcRefused(
                f"two entries for {entry.machine}: curl would take the first and pip the last, so neither is written"
            )
        lines[entry.machine] = f"machine {entry.machine} login {entry.login} password {entry.password.reveal()}\n"
    text = "".join(lines.values())
    if len(text) > MAX_FILE:
        raise NetrcRefused(f"the netrc would have {len(text)} bytes; curl reads at most {MAX_FILE} reliably")
    return Secret(text)
