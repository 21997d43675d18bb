"""
The claims of an assertion, and the check of our own output. docs/token.md describes each claim.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from broker.domain.scopes import ScopeSet
from broker.errors import ClaimsRefused, InvalidScope

MAX_LIFETIME = 300
"""Longest life of an assertion in seconds, whatever the settings say: it is a bearer secret that is used at once."""


@dataclass(frozen=True, slots=True)
class Person:
    """The owner as Package Manager's log shows them; `sub` is one constant for each federation and cannot."""

    guid: str
    username: str
    email: str
    name: str


@dataclass(frozen=True, slots=True)
class Claims:
    """
    What one assertion says (RFC 7519 4.1, RFC 8693 4.1, OIDC Core 2).

    Instants are whole seconds since 1970, `roles` Package Manager scopes. Cannot be constructed with a claim that is
    empty where a verifier would rely on it.
    """

    issuer: str
    audience: str
    subject: str
    roles: tuple[str, ...]
    issued_at: int
    lifetime: int
    jti: str
    authorized_party: str
    owner: Person
    build_guid: str
    content_guid: str | None
    transaction: str
    actor: str

    def __post_init__(self) -> None:
        for name in ("issuer", "audience", "subject", "jti", "authorized_party", "build_guid", "transaction", "actor"):
            if not getattr(self, name):
                raise ClaimsRefused(f"the claim {name} is empty")
        # UniqueIdClaim and UsernameClaim of the federation point here: without them the log there names nobody.
        if not self.owner.guid or not self.owner.username:
            raise ClaimsRefused("the claims that name the owner are empty")
        if not self.issuer.endswith("/"):
            raise ClaimsRefused("the issuer must end with a slash, as Package Manager's configuration demands")
        if not self.roles:
            raise ClaimsRefused("an assertion without roles grants nothing and is not minted")
        if not 0 < self.lifetime <= MAX_LIFETIME:
            raise ClaimsRefused(f"an assertion lives 1 to {MAX_LIFETIME} seconds, not {self.lifetime}")

    @property
    def expires_at(self) -> int:
        """End of the assertion in seconds since 1970."""
        return self.issued_at + self.lifetime

    def payload(self) -> dict[str, object]:
        """Return the JSON object that is signed. Absent knowledge is an absent claim, never an empty one."""
        optional = {"content_guid": self.content_guid, "email": self.owner.email, "name": self.owner.name}
        return {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": self.subject,
            "roles": list(self.roles),
            "iat": self.issued_at,
            "nbf": self.issued_at,
            "exp": self.expires_at,
            "jti": self.jti,
            "azp": self.authorized_party,
            "owner_guid": self.owner.guid,
            "preferred_username": self.owner.username,
            "build_guid": self.build_guid,
            "txn": self.transaction,
            "act": {"sub": self.actor},
            **{claim: value for claim, value in optional.items() if value},
        }


def check(payload: Mapping[str, object], claims: Claims, ceiling: ScopeSet) -> None:
    """
    Look at a freshly signed payload as Package Manager will; raise ClaimsRefused unless it is what was decided.

    `payload` was parsed from the bytes of the finished token; `ceiling` is what the decision granted. The types are
    checked besides the values, because verifiers differ in what they make of a number or a list in the wrong place.
    """
    if payload != claims.payload():
        raise ClaimsRefused("the signed payload is not the one that was decided")
    for claim in ("iss", "sub", "aud", "jti", "azp"):
        if not isinstance(payload[claim], str):
            raise ClaimsRefused(f"{claim} must be one string")
    for claim in ("iat", "nbf", "exp"):
        if type(payload[claim]) is not int:
            raise ClaimsRefused(f"{claim} must be a whole number of seconds")
    if not ceiling.covers(_scopes(payload["roles"])):
        raise ClaimsRefused("the roles go beyond what the decision granted")


def _scopes(roles: object) -> ScopeSet:
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise ClaimsRefused("roles must be a list of strings")
    try:
        return ScopeSet.of(roles)
    except InvalidScope:
        raise ClaimsRefused("the roles are not Package Manager scopes") from None
