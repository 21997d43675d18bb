"""
What an assertion says, and the check of our own output.
"""

import dataclasses
import json

import pytest

from broker.domain.claims import MAX_LIFETIME, Claims, Person, check
from broker.domain.scopes import ScopeSet
from broker.errors import ClaimsRefused

CLAIMS = Claims(
    issuer="https://broker.example/",
    audience="package-manager",
    subject="connect",
    roles=("repos:read:cran,pypi",),
    issued_at=1_800_000_000,
    lifetime=60,
    jti="jti-1",
    authorized_party="broker",
    owner=Person("owner-guid", "alice", "alice@example.com", "Alice Liddell"),
    build_guid="build-guid",
    content_guid="content-guid",
    transaction="decision-guid",
    actor="robot",
)
CEILING = ScopeSet.parse("repos:read:cran,pypi")
PAYLOAD = {
    "iss": "https://broker.example/",
    "aud": "package-manager",
    "sub": "connect",
    "roles": ["repos:read:cran,pypi"],
    "iat": 1_800_000_000,
    "nbf": 1_800_000_000,
    "exp": 1_800_000_060,
    "jti": "jti-1",
    "azp": "broker",
    "owner_guid": "owner-guid",
    "preferred_username": "alice",
    "email": "alice@example.com",
    "name": "Alice Liddell",
    "build_guid": "build-guid",
    "content_guid": "content-guid",
    "txn": "decision-guid",
    "act": {"sub": "robot"},
}


def changed(**fields):
    return dataclasses.replace(CLAIMS, **fields)


def test_the_payload_has_every_claim_in_its_type():
    assert PAYLOAD == CLAIMS.payload()


def test_what_is_not_known_is_absent_and_not_empty():
    payload = changed(owner=Person("owner-guid", "alice", "", ""), content_guid=None).payload()

    assert {"email", "name", "content_guid"} == PAYLOAD.keys() - payload.keys()
    assert None not in payload.values()
    assert "" not in payload.values()


@pytest.mark.parametrize(
    "field", ["issuer", "audience", "subject", "jti", "authorized_party", "build_guid", "transaction", "actor"]
)
def test_a_claim_that_somebody_relies_on_is_never_empty(field):
    with pytest.raises(ClaimsRefused, match=field):
        changed(**{field: ""})


@pytest.mark.parametrize(
    "owner", [Person("", "alice", "", ""), Person("owner-guid", "", "a@b.example", "Alice")], ids=str
)
def test_an_assertion_always_names_its_owner(owner):
    with pytest.raises(ClaimsRefused, match="owner"):
        changed(owner=owner)


@pytest.mark.parametrize("lifetime", [0, -1, MAX_LIFETIME + 1, 10**12])
def test_an_assertion_lives_at_most_five_minutes(lifetime):
    with pytest.raises(ClaimsRefused, match="300 seconds"):
        changed(lifetime=lifetime)
    assert 1_800_000_300 == changed(lifetime=MAX_LIFETIME).expires_at


def test_the_issuer_ends_with_its_slash():
    with pytest.raises(ClaimsRefused, match="slash"):
        changed(issuer="https://broker.example")


def test_an_assertion_without_roles_is_not_minted():
    with pytest.raises(ClaimsRefused, match="roles"):
        changed(roles=())


def test_what_was_decided_passes():
    check(json.loads(json.dumps(PAYLOAD)), CLAIMS, CEILING)


@pytest.mark.parametrize("claim", PAYLOAD)
def test_a_missing_claim_is_noticed(claim):
    """
    (T10)
    """
    with pytest.raises(ClaimsRefused):
        check({name: value for name, value in PAYLOAD.items() if name != claim}, CLAIMS, CEILING)


@pytest.mark.parametrize(
    "wrong",
    [
        # another value (T34)
        {"iss": "https://evil.example/"},
        {"iss": "https://broker.example"},
        {"aud": "other"},
        {"sub": "admin"},
        {"roles": ["repos:read:*"]},
        {"roles": ["repos:read:cran,pypi", "global:admin"]},
        {"exp": 1_800_000_061},
        {"exp": 4_000_000_000},
        {"nbf": 0},
        {"jti": "jti-2"},
        {"azp": "other"},
        {"act": {"sub": "robot", "act": {"sub": "x"}}},
        {"owner_guid": "another"},
        # one that nobody decided (T34)
        {"cnf": {"jkt": "x"}},
        {"admin": True},
        {"groups": []},
        # another type (T17)
        {"aud": ["package-manager"]},
        {"aud": {"0": "package-manager"}},
        {"iss": ["https://broker.example/"]},
        {"sub": None},
        {"sub": 0},
        {"jti": True},
        {"iat": "1800000000"},
        {"roles": "repos:read:cran,pypi"},
        {"roles": None},
    ],
    ids=str,
)
def test_a_payload_that_is_not_the_decided_one_is_refused(wrong):
    """
    (T10, T17, T34)
    """
    with pytest.raises(ClaimsRefused):
        check({**PAYLOAD, **wrong}, CLAIMS, CEILING)


@pytest.mark.parametrize("payload", [[], "text", None, 5, {}], ids=repr)
def test_a_payload_that_is_no_object_is_refused(payload):
    with pytest.raises(ClaimsRefused):
        check(payload, CLAIMS, CEILING)


@pytest.mark.parametrize("ceiling", ["", "repos:read:cran", "sources:write:cran,pypi", "global:admin"])
def test_roles_beyond_the_ceiling_are_refused(ceiling):
    with pytest.raises(ClaimsRefused, match="beyond"):
        check(PAYLOAD, CLAIMS, ScopeSet.parse(ceiling))


# Equal for Python, and not what a verifier in another language reads (T10, T17).
@pytest.mark.parametrize(
    "fields",
    [
        {"issued_at": 1_800_000_000.0},
        {"lifetime": 60.0},
        {"issued_at": True},
        {"audience": ("package-manager",)},
        {"jti": 5},
        {"roles": (5,)},
        {"roles": ("nonsense",)},
        {"roles": ("repos:read:a global:admin",)},
    ],
    ids=str,
)
def test_a_builder_that_uses_wrong_types_is_noticed(fields):
    """
    (T10, T17)
    """
    claims = changed(**fields)

    with pytest.raises(ClaimsRefused):
        check(claims.payload(), claims, CEILING)


def test_roles_that_are_no_list_are_noticed():
    class Joined(Claims):
        __slots__ = ()

        def payload(self):
            return {**super().payload(), "roles": " ".join(self.roles)}

    claims = Joined(**{field.name: getattr(CLAIMS, field.name) for field in dataclasses.fields(CLAIMS)})

    with pytest.raises(ClaimsRefused, match="list of strings"):
        check(claims.payload(), claims, CEILING)
