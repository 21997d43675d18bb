"""
The type that carries tokens and keys through the program without ever printing them.
"""

import hashlib
import hmac
from typing import NoReturn


class Secret:
    """
    Text that does not appear in logs, errors, tracebacks, f-strings, JSON or pickles.

    The only way to the text is `reveal()`, which makes every use of it easy to find. Comparison takes constant time;
    there is no hash, so that a secret does not become a dictionary key by accident.

    >>> f"{Secret('hunter2')}"
    '<secret>'
    """

    __slots__ = ("_text",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself. Call it at the last possible moment."""
        return self._text

    def sha256(self) -> str:
        """Return the lower-case hex SHA-256 of the text: what records and the audit keep instead of it."""
        return hashlib.sha256(self._text.encode()).hexdigest()

    def __repr__(self) -> str:
        return "<secret>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "<secret>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __bool__(self) -> bool:
        return bool(self._text)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")
