"""
How the emulator says no. These are the words of the other side, so they are no part of the broker's own error tree.
"""


class Refusal(Exception):
    """
    A request that is not granted; `reason` is one line without secrets, for the caller and for the log.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ExchangeRefused(Refusal):
    """
    The exchange gives no token: `error` is the code of RFC 6749 5.2 and RFC 8693 2.2.2.

    A subject token that is invalid or unacceptable is `invalid_request` (RFC 8693 2.2.2).
    """

    def __init__(self, reason: str, *, error: str = "invalid_request", status: int = 400) -> None:
        super().__init__(reason)
        self.error = error
        self.status = status


class AccessRefused(Refusal):
    """
    A repository is not shown: 401 without or with an unusable credential, 403 with a token that does not cover it.
    """

    def __init__(self, reason: str, *, status: int = 401) -> None:
        super().__init__(reason)
        self.status = status


class NotThere(Refusal):
    """No such repository, snapshot or file."""


class IssuerUnavailable(Exception):
    """An issuer's documents could not be had, or are not what they must be; the text says which and why."""
