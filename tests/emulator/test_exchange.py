"""
The token endpoint: what it takes, what it gives, what it writes down.
"""

from dataclasses import replace

import jwt
import pytest

from broker.emulator.exchange import ACCESS_TOKEN, GRANT, ID_TOKEN
from tests.emulator.parts import NOW

pytestmark = pytest.mark.anyio

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def claims_of(answer):
    return jwt.decode(answer.json()["access_token"], options={"verify_signature": False})


async def test_the_answer_is_that_of_package_manager(emulator):
    answer = await emulator.exchange(emulator.issuer.token())

    assert 200 == answer.status_code
    assert "no-store" == answer.headers["cache-control"]
    assert {
        "token_type": "Bearer",
        "issued_token_type": ACCESS_TOKEN,
        "expires_in": 3600,
        "scope": "repos:read:pypi",
    } == {name: value for name, value in answer.json().items() if name != "access_token"}


async def test_the_repository_token_is_the_emulators_own_jwt(emulator):
    answer = await emulator.exchange(emulator.issuer.token())

    assert {
        "iss": "packagemanager",
        "aud": "packagemanager",
        "sub": "alice",
        "iat": NOW,
        "exp": NOW + 3600,
        "jti": "t-0",
        "scopes": ["repos:read:pypi"],
    } == claims_of(answer)


@pytest.mark.parametrize(
    ("changes", "claims", "user"),
    [
        ({}, {}, "alice"),
        ({}, {"preferred_username": ...}, "connect"),
        ({"username_claim": None}, {}, "connect"),
        ({"username_claim": "email"}, {"email": "alice@example.com"}, "alice@example.com"),
    ],
)
async def test_the_user_is_the_username_claim_or_the_subject(make_emulator, federation, changes, claims, user):
    emulator = make_emulator(federations=(replace(federation, **changes),))

    answer = await emulator.exchange(emulator.issuer.token(**claims))

    assert user == claims_of(answer)["sub"]
    assert f"user={user} " in emulator.lines[-1]


async def test_token_lifetime_is_as_configured(make_emulator, federation):
    emulator = make_emulator(federations=(replace(federation, token_lifetime=90),))

    answer = await emulator.exchange(emulator.issuer.token())

    assert 90 == answer.json()["expires_in"]
    assert NOW + 90 == claims_of(answer)["exp"]


@pytest.mark.parametrize(
    ("separator", "roles", "scopes"),
    [
        (None, ["repos:read:a,b", "metadata:admin"], ["repos:read:a,b", "metadata:admin"]),
        (None, ["repos:read:a", "repos:read:a"], ["repos:read:a"]),
        (None, "repos:read:a repos:read:b", ["repos:read:a repos:read:b"]),
        (" ", "repos:read:a  repos:read:b,c", ["repos:read:a", "repos:read:b,c"]),
        (";", "repos:read:a; repos:read:b", ["repos:read:a", "repos:read:b"]),
        (" ", ["repos:read:a"], ["repos:read:a"]),
        (" ", "", []),
        (None, [], []),
    ],
)
async def test_roles_become_scopes(make_emulator, federation, separator, roles, scopes):
    emulator = make_emulator(federations=(replace(federation, roles_separator=separator),))

    answer = await emulator.exchange(emulator.issuer.token(roles=roles))

    assert scopes == claims_of(answer)["scopes"]


async def test_without_a_role_claim_nobody_gets_a_scope(make_emulator, federation):
    emulator = make_emulator(federations=(replace(federation, role_claim=None),))

    answer = await emulator.exchange(emulator.issuer.token())

    assert "scope" not in answer.json()
    assert [] == claims_of(answer)["scopes"]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"grant_type": ...}, "invalid_request"),
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"grant_type": GRANT.upper()}, "unsupported_grant_type"),
        ({"subject_token_type": ...}, "invalid_request"),
        ({"subject_token_type": ""}, "invalid_request"),
        ({"subject_token_type": ACCESS_TOKEN}, "invalid_request"),
        ({"requested_token_type": ID_TOKEN}, "invalid_request"),
        ({"subject_token": ...}, "invalid_request"),
        ({"subject_token": ""}, "invalid_request"),
        ({"client_secret": "x"}, "invalid_request"),
        ({"client_assertion": "x"}, "invalid_request"),
    ],
    ids=str,
)
async def test_a_form_with_a_wrong_parameter_is_refused(emulator, changes, error):
    """A missing subject token is never replaced by anything (T20)."""
    form = {"subject_token": emulator.issuer.token()} | changes

    answer = await emulator.exchange(form.pop("subject_token"), **form)

    assert (400, error) == (answer.status_code, answer.json()["error"])
    assert "access_token" not in answer.json()


async def test_the_type_that_is_given_may_be_asked_for_and_strangers_are_ignored(emulator):
    """(RFC 6749, 3.2)"""
    answer = await emulator.exchange(emulator.issuer.token(), requested_token_type=ACCESS_TOKEN, audience="x")

    assert 200 == answer.status_code
    assert "ignored: audience" in emulator.lines[-1]


@pytest.mark.parametrize(
    ("request_parts", "status", "reason"),
    [
        ({"method": "GET"}, 405, "GET"),
        ({"method": "PUT"}, 405, "PUT"),
        ({"headers": {"Content-Type": "application/json"}, "content": "{}"}, 400, "Content-Type"),
        ({"content": "grant_type=x"}, 400, "Content-Type"),
        ({"headers": FORM, "content": "a=1&a=2"}, 400, "twice"),
        ({"headers": FORM, "content": "a"}, 400, "not a form"),
        ({"headers": FORM, "content": "a=%ff"}, 400, "not a form"),
        ({"headers": FORM, "content": "a=\xff".encode("latin-1")}, 400, "not a form"),
        ({"headers": FORM, "content": "&".join(f"a{n}=1" for n in range(21))}, 400, "not a form"),
        ({"headers": FORM, "content": ""}, 400, "grant_type is missing"),
        ({"headers": FORM, "params": {"grant_type": GRANT}}, 400, "query string"),
        ({"headers": FORM | {"Authorization": "Basic eDp5"}, "content": "a=1"}, 400, "Authorization"),
        ({"headers": FORM, "content": "a=" + "x" * 65536}, 413, "larger than"),
    ],
    ids=str,
)
async def test_a_request_of_another_shape_is_refused(emulator, request_parts, status, reason):
    """(T20)"""
    async with emulator.client() as client:
        answer = await client.request(**({"method": "POST", "url": "/__api__/token"} | request_parts))

    assert status == answer.status_code
    assert "invalid_request" == answer.json()["error"]
    assert reason in answer.json()["error_description"]


async def test_a_subject_token_twice_is_refused(emulator):
    """(T20)"""
    token = emulator.issuer.token()
    async with emulator.client() as client:
        answer = await client.post(
            "/__api__/token",
            headers=FORM,
            content=f"grant_type={GRANT}&subject_token_type={ID_TOKEN}&subject_token={token}&subject_token={token}",
        )

    assert 400 == answer.status_code


async def test_an_assertion_may_be_exchanged_again_unless_one_use_is_asked_for(make_emulator):
    lenient, strict = make_emulator(), make_emulator(one_use=True)
    token = lenient.issuer.token()

    assert [200, 200] == [(await lenient.exchange(token)).status_code for _ in range(2)]
    assert [200, 400] == [(await strict.exchange(token)).status_code for _ in range(2)]


async def test_a_used_assertion_is_remembered_to_the_end_of_the_leeway(make_emulator):
    """(T23)"""
    emulator = make_emulator(one_use=True)
    token = emulator.issuer.token()
    await emulator.exchange(token)

    emulator.clock.advance(60 + 29)

    assert "exchanged before" in (await emulator.exchange(token)).json()["error_description"]


async def test_one_use_needs_a_jti(make_emulator):
    emulator = make_emulator(one_use=True)

    assert 400 == (await emulator.exchange(emulator.issuer.token(jti=...))).status_code


async def test_the_assertion_of_one_issuer_does_not_use_up_that_of_another(make_emulator, federation):
    """(T22)"""
    other = replace(federation, name="other", issuer="https://other.example.com/")
    emulator = make_emulator(one_use=True, federations=(federation, other))
    issuer = emulator.issuer
    issuer.documents |= {
        "https://other.example.com/.well-known/openid-configuration": issuer.json(
            {"issuer": "https://other.example.com/", "jwks_uri": "https://other.example.com/jwks"}
        ),
        "https://other.example.com/jwks": issuer.json({"keys": [issuer.jwk("rsa", "r1")]}),
    }

    here = await emulator.exchange(issuer.token(jti="same"))
    there = await emulator.exchange(issuer.token(jti="same", iss="https://other.example.com/"))

    assert [200, 200] == [here.status_code, there.status_code]


async def test_a_key_of_one_issuer_signs_nothing_for_another(make_emulator, federation):
    """(T24, T41)"""
    other = replace(federation, name="other", issuer="https://other.example.com/")
    emulator = make_emulator(federations=(federation, other))
    issuer = emulator.issuer
    issuer.documents |= {
        "https://other.example.com/.well-known/openid-configuration": issuer.json(
            {"issuer": "https://other.example.com/", "jwks_uri": "https://other.example.com/jwks"}
        ),
        "https://other.example.com/jwks": issuer.json({"keys": [issuer.jwk("ec", "e1")]}),
    }

    answer = await emulator.exchange(issuer.token(iss="https://other.example.com/"))

    assert "publishes no usable key" in answer.json()["error_description"]


async def test_a_granted_exchange_is_logged_with_names_not_tokens(emulator):
    """(T35)"""
    assertion = emulator.issuer.token(jti="a-77")

    token = (await emulator.exchange(assertion)).json()["access_token"]
    line = emulator.lines[-1]

    assert (
        "2027-01-15T08:00:00Z POST /__api__/token 200 user=alice federation=connect "
        "unique_id=5b5ab6ab-8d9a-4d35-8f0b-5a8a0f2b0001 scopes=repos:read:pypi assertion=a-77 token=t-0 for 3600s"
    ) == line
    assert not any(part in line for part in [*token.split("."), *assertion.split(".")])


async def test_an_error_description_has_no_characters_that_it_cannot_have(emulator):
    """(RFC 6749, 5.2)"""
    answer = await emulator.exchange(emulator.issuer.token(aud='a"b\\c\u00e9\n'))

    description = answer.json()["error_description"]
    assert not set(description) & set('"\\\n')
    assert description.isascii()
