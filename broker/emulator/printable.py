"""
How text from outside is shown in logs and refusals: on one line, short, and without tokens.
"""

import json
import re

MAX_SHOWN = 120
"""Longest piece of foreign text that is repeated, in characters."""

# `eyJ` starts every JWT, `X190b2tlbl9fO` every Basic credential of `__token__`; a long run of such letters may be the
# rest of either. A token must not reach a log because somebody pasted it into a claim or a path.
_TOKENS = re.compile(r"eyJ[\w-]{6,}[\w.=-]*|X190b2tlbl9fO[\w+/=-]*|[\w=-]{80,}")


def shown(value: object) -> str:
    """Return `value` as compact JSON on one line, tokens replaced, cut after MAX_SHOWN characters."""
    try:
        text = json.dumps(value, separators=(",", ":"), default=lambda other: type(other).__name__)
    except (ValueError, RecursionError):
        text = f"<{type(value).__name__}>"
    return _cut(redacted(text))


def plain(text: str) -> str:
    """Return `text` for a line of the log: control and non-ASCII characters escaped, tokens replaced, cut."""
    return _cut(redacted(text)).encode("unicode_escape").decode("ascii")


def redacted(text: str) -> str:
    """Return `text` with everything that looks like a token replaced."""
    return _TOKENS.sub("<token>", text)


def differs(what: str, expected: object, got: object) -> str:
    """Return the sentence that tells an administrator which of the two sides to correct."""
    return f"{what}: expected {shown(expected)}, got {shown(got)}"


def sentence(text: str) -> str:
    """Return `text` with the characters that an error_description cannot hold replaced (RFC 6749, 5.2)."""
    return re.sub(r"[^ -~]", "?", text.replace('"', "'").replace("\\", "/"))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
