"""
Who sees which repository, and what never reaches the log.
"""

import base64

import pytest

from broker.emulator.scopes import may_read

pytestmark = pytest.mark.anyio

INDEX = "/pypi/latest/simple/"


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        (["repos:read:*"], True),
        (["repos:read:pypi"], True),
        (["repos:read:cran,pypi"], True),
        (["metadata:admin", "repos:read:pypi"], True),
        ([], False),
        (["repos:read:"], False),
        (["repos:read:PyPI"], False),
        (["repos:read:pypi2"], False),
        (["repos:read:pyp"], False),
        (["repos:read:cran, pypi"], False),
        (["repos:read:*,x"], False),
        (["repos:read:pypi*"], False),
        (["repos:write:pypi"], False),
        (["sources:write:pypi"], False),
        (["global:admin"], False),
        (["repos:read"], False),
        (["REPOS:READ:pypi"], False),
        (["xrepos:read:pypi"], False),
    ],
)
def test_a_scope_opens_what_it_names(scopes, allowed):
    assert allowed is may_read(scopes, "pypi")


async def test_a_token_opens_its_repositories_and_no_others(emulator):
    token = await emulator.token("repos:read:pypi,cran")

    answers = [await emulator.get(path, token) for path in (INDEX, "/cran/latest/src/contrib/PACKAGES")]
    denied = await emulator.get("/internal/latest/simple/", token)

    assert [200, 200] == [answer.status_code for answer in answers]
    assert 403 == denied.status_code
    assert "www-authenticate" not in denied.headers
    assert "scope: expected 'repos:read:internal or repos:read:*', got 'repos:read:pypi,cran'" == denied.json()["error"]


async def test_every_path_of_a_repository_needs_the_credential(emulator):
    paths = [
        INDEX,
        "/pypi/latest/simple/sample-pkg/",
        "/pypi/latest/packages/sample_pkg-1.0.0-py3-none-any.whl",
        "/pypi/latest/packages/sample_pkg-1.0.0-py3-none-any.whl.metadata",
        "/pypi/nonsense",
        "/pypi",
        "/cran/latest/src/contrib/PACKAGES.gz",
        "/cran/__linux__/jammy/latest/src/contrib/sampler_1.2.0.tar.gz",
    ]

    answers = [await emulator.get(path) for path in paths]

    assert {401} == {answer.status_code for answer in answers}
    assert all(answer.headers["www-authenticate"].startswith("Basic realm=") for answer in answers)


async def test_bearer_works_as_well(emulator):
    token = await emulator.token("repos:read:pypi")

    assert 200 == (await emulator.get(INDEX, Authorization=f"Bearer {token}")).status_code


def basic(text):
    return f"Basic {base64.b64encode(text.encode()).decode()}"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda token: basic(f"alice:{token}"), "login"),
        (lambda token: basic(f"__TOKEN__:{token}"), "login"),
        (lambda token: basic(f":{token}"), "login"),
        (lambda token: basic("__token__"), "login"),
        (lambda token: basic("__token__:"), "password is empty"),
        (lambda token: basic(f"__token__:{token[:-1]}"), "not a token of this server"),
        (lambda token: basic(f"__token__:{token}x"), "not a token of this server"),
        (lambda token: basic(f"__token__:{token} "), "not a token of this server"),
        (lambda token: basic(f"__token__:{token[: token.rindex('.')]}."), "not a token of this server"),
        (lambda token: basic("__token__:" + "a" * 20_000), "longer than"),
        (lambda token: "Basic !!!", "not base64"),
        (lambda token: "Basic /w==", "not base64"),
        (lambda token: "Basic", "login"),
        (lambda token: f"Key {token}", "neither Basic nor Bearer"),
        (lambda token: token, "neither Basic nor Bearer"),
        (lambda token: "Bearer ", "empty"),
        (lambda token: "Bearer a.b.c", "not a token of this server"),
    ],
    ids=range(17),
)
async def test_an_unusable_credential_is_401_with_the_reason_and_without_itself(emulator, make, reason):
    """(T31, T35)"""
    token = await emulator.token("repos:read:*")
    header = make(token)

    answer = await emulator.get(INDEX, Authorization=header)

    assert 401 == answer.status_code
    assert reason in answer.json()["error"]
    assert reason in emulator.lines[-1]
    assert token[-12:] not in answer.text + emulator.lines[-1]


async def test_two_credentials_are_refused(emulator):
    token = await emulator.token("repos:read:*")
    async with emulator.client() as client:
        answer = await client.get(INDEX, headers=[("Authorization", f"Bearer {token}"), ("Authorization", "Basic x")])

    assert 401 == answer.status_code


async def test_a_token_ends_with_its_last_second(emulator):
    token = await emulator.token("repos:read:*")

    emulator.clock.advance(3599)
    before = await emulator.get(INDEX, token)
    emulator.clock.advance(1)
    after = await emulator.get(INDEX, token)

    assert [200, 401] == [before.status_code, after.status_code]
    assert "the token of alice expired 0 s ago" == after.json()["error"]


async def test_the_token_of_another_emulator_and_the_assertion_itself_open_nothing(make_emulator):
    first, second = make_emulator(), make_emulator()
    token = await first.token("repos:read:*")

    assert 401 == (await second.get(INDEX, token)).status_code
    assert 401 == (await first.get(INDEX, first.issuer.token(roles=["repos:read:*"]))).status_code


async def test_the_root_is_fine_without_a_credential_and_with_a_valid_one_only(emulator):
    token = await emulator.token("repos:read:nothing")

    assert 200 == (await emulator.get("/")).status_code
    assert 200 == (await emulator.get("/", token)).status_code
    assert 401 == (await emulator.get("/", "wrong")).status_code


async def test_the_log_names_the_user_of_a_request(emulator):
    token = await emulator.token("repos:read:pypi")
    await emulator.get(INDEX, token)

    assert emulator.lines[-1].endswith(f"GET {INDEX} 200 user=alice")


async def test_no_token_is_in_the_log_wherever_it_is_put(emulator):
    """(T35)"""
    assertion = emulator.issuer.token()
    token = await emulator.token("repos:read:*")
    pair = base64.b64encode(f"__token__:{token}".encode()).decode()
    for secret in (assertion, token, pair):
        await emulator.get(f"/{secret}/latest/simple/")
        await emulator.get(f"/pypi/latest/simple/{secret}/", token)
        await emulator.get(f"/pypi/latest/simple/?token={secret}", token)
        await emulator.get(INDEX, Authorization=f"Basic {secret}x")
        await emulator.exchange(secret, grant_type=secret)
        await emulator.exchange(emulator.issuer.token(aud=secret, iss=secret))
        await emulator.exchange(emulator.issuer.token(aud=[secret]))
        await emulator.exchange(emulator.issuer.token(preferred_username=secret[:200]))

    log = "\n".join(emulator.lines)
    for secret in (assertion, token, pair):
        assert secret not in log
        assert secret[-12:] not in log
        assert secret[:20] not in log


async def test_a_path_cannot_forge_a_line_of_the_log(emulator):
    await emulator.get("/pypi%0A2027-01-15T08:00:00Z%20GET%20/secret%20200")

    assert "\n" not in emulator.lines[-1]
    assert "\\n2027" in emulator.lines[-1]
