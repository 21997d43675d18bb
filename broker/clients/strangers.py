"""
Words of strangers, made fit for a message: what a server says about our request may repeat the request.
"""

import re

from broker.domain.secrets import Secret

MAX_LENGTH = 200
"""Longest text in characters that a stranger contributes to a message."""

_MAX_INPUT = 2_000
_MASK = "[masked]"
_SHARED = 12
_RUN = re.compile(r"[A-Za-z0-9_+/=%~-]{12,}")
_TOKEN_LIKE = re.compile(
    # A JWT, `__token__:` in base64, both once more in base64, and any unbroken run that is longer than a UUID.
    r"(?:eyJ|X190b2tlbl9f|ZXlK|WDE5MGIydGxibDlm)[A-Za-z0-9_+/=%.~-]*|[A-Za-z0-9_+=%~-]{40,}"
)


def quoted(text: str, *, secret: Secret) -> str:
    """
    Return `text` on one line, printable, at most MAX_LENGTH characters, without token-like parts or parts of `secret`.
    """
    line = " ".join("".join(_plain(character) for character in text[:_MAX_INPUT]).split())
    masked = _TOKEN_LIKE.sub(_MASK, _without(line, secret.reveal()))
    return masked if len(masked) <= MAX_LENGTH else masked[: MAX_LENGTH - 1] + "…"


def _plain(character: str) -> str:
    # Invisible characters are dropped, not replaced: one in the middle of a token would hide it from the masks.
    return " " if character.isspace() else character if character.isprintable() else ""


def _without(line: str, secret: str) -> str:
    # Twelve characters in common are no coincidence: servers quote the tail of a token, or its signature alone.
    def masked(run: re.Match[str]) -> str:
        text = run.group()
        shares = any(text[at : at + _SHARED] in secret for at in range(len(text) - _SHARED + 1))
        return _MASK if shares else text

    return _RUN.sub(masked, line)
