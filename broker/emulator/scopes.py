"""
Package Manager scopes as Package Manager reads them: from the role claim to "may this token read that repository?".

`repos:read:*` and `repos:read:cran,pypi` open repositories. Everything else is kept in the token, as the real
product has uses for it, and opens nothing here.
"""

from collections.abc import Iterable

from broker.emulator.federation import VerifiedClaims
from broker.emulator.printable import differs
from broker.emulator.refusals import ExchangeRefused

MAX_SCOPES = 200
READ = "repos:read:"


def scopes_of(verified: VerifiedClaims) -> tuple[str, ...]:
    """
    Return the scopes that the assertion brings, in its order, each once.

    The claim is a list of strings, or one string that RolesSeparator splits. Without RoleClaim nobody gets any.
    Raises ExchangeRefused for a claim that is missing or of another shape: an integration that forgot it should hear.
    """
    name = verified.federation.role_claim
    if name is None:
        return ()
    if name not in verified.claims:
        raise ExchangeRefused(f"the assertion has no claim {name!r}, which RoleClaim names")
    values = _values(verified.claims[name], verified.federation.roles_separator)
    if values is None or len(values) > MAX_SCOPES:
        raise ExchangeRefused(differs(name, f"a list of at most {MAX_SCOPES} scopes", verified.claims[name]))
    return tuple(dict.fromkeys(values))


def may_read(scopes: Iterable[str], repository: str) -> bool:
    """Whether one of the scopes opens the repository; names are compared as they are written."""
    lists = (scope.removeprefix(READ) for scope in scopes if scope.startswith(READ))
    return any(names == "*" or repository in names.split(",") for names in lists)


def _values(claim: object, separator: str | None) -> list[str] | None:
    if isinstance(claim, str):
        parts = [claim] if separator is None else claim.split(separator)
        return [part.strip() for part in parts if part.strip()]
    if isinstance(claim, list) and all(isinstance(value, str) and value for value in claim):
        return [str(value) for value in claim]
    return None
