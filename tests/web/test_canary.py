"""
No API key and no token leaves by a side door (T35).
"""

import base64
import logging
from dataclasses import replace
from urllib.parse import quote

import pytest

from broker.domain.package_manager import RepositoryToken
from broker.domain.secrets import Secret
from broker.errors import AssertionRefused
from tests.fakes.package_manager import jwt
from tests.web.site import PPM, V1

TOKEN = jwt({"canary": "the repository token"})


def traces(secret):
    """
    Every form in which a secret is looked for.
    """
    encoded = base64.b64encode(secret.encode()).decode()
    return {
        secret,
        secret[-12:],
        secret[: len(secret) // 2],
        encoded[8:40],
        quote(secret, safe=""),
        *secret.split(".")[1:],
    }


def found_in(text, *secrets):
    return [trace for secret in secrets for trace in traces(secret) if trace in text]


@pytest.fixture
def log(caplog):
    """
    Everything that any logger says, at its chattiest, with exceptions and arguments.
    """
    caplog.set_level(logging.DEBUG)
    for name in list(logging.root.manager.loggerDict):
        caplog.set_level(logging.DEBUG, name)
    formatter = logging.Formatter("%(message)s")

    def text(*, but=()):
        # The client of the test logs its own requests.
        records = [record for record in caplog.records if not record.name.startswith(("httpx", *but))]
        return "\n".join(f"{formatter.format(record)} {record.args!r} {vars(record)!r}" for record in records)

    return text


def secrets_of(broker):
    return [*broker.world.keys.values(), TOKEN, *(each.assertion.reveal() for each in broker.package_manager.received)]


async def test_a_build_leaves_no_secret_in_any_log(broker, log):
    """
    Opened, refused, failed and finished; the token is in the answer and nowhere else (T35).
    """
    broker.package_manager.give(PPM, RepositoryToken(Secret(TOKEN), None))

    opened = await broker.build()
    await broker.build({"owner_username": "vic"})
    await broker.build({"owner_username": "pam"}, by="paul")
    await broker.send("DELETE", f"/builds/{opened.json()['guid']}")
    broker.package_manager.fail(PPM, AssertionRefused("refused (400)"))
    failed = await broker.build({"owner_username": "pam", "on_problem": "fail"})

    assert TOKEN == opened.json()["credentials"][0]["password"]
    assert [] == found_in(log(), *secrets_of(broker))
    assert [] == found_in(failed.text, *secrets_of(broker))
    assert "POST /__api__/v1/builds 200" in log()


async def test_a_defect_after_the_exchange_leaves_no_secret(broker, log):
    """
    500 pages and stack traces are where tokens show up first (T35).
    """

    class Torn:
        async def exchange(self, _url, assertion):
            raise RuntimeError(f"torn while holding {assertion} and {Secret(TOKEN)!r}")

    broker.replace(open_build=replace(broker.services.open_build, package_manager=Torn()))

    failed = await broker.build()

    assert 500 == failed.status_code
    assert [] == found_in(failed.text, *secrets_of(broker))
    assert "torn while holding <secret> and <secret>" in log()
    assert [] == found_in(log(), *secrets_of(broker))


async def test_the_database_keeps_no_secret(broker):
    """
    Keys and tokens only as SHA-256 (T35).
    """
    broker.package_manager.give(PPM, RepositoryToken(Secret(TOKEN), None))
    await broker.build()

    with broker.engine.connect() as connection:
        dump = "\n".join(connection.connection.driver_connection.iterdump())

    assert Secret(TOKEN).sha256() in dump
    assert [] == found_in(dump, *secrets_of(broker))


def misplaced(key):
    """
    Requests with a key where no key belongs.
    """
    return {
        "half a header": {"method": "GET", "url": f"{V1}/user", "headers": {"Authorization": f"Key {key}x"}},
        "other scheme": {"method": "GET", "url": f"{V1}/user", "headers": {"Authorization": f"Bearer {key}"}},
        "no scheme": {"method": "GET", "url": f"{V1}/user", "headers": {"Authorization": key}},
        "query": {"method": "GET", "url": f"{V1}/user?key={key}"},
        "user name": {"method": "POST", "url": f"{V1}/builds", "json": {"owner_username": key}},
        "unknown value": {"method": "POST", "url": f"{V1}/builds", "json": {"owner_username": "x", "on_problem": key}},
        "broken JSON": {"method": "POST", "url": f"{V1}/builds", "content": f'{{"owner_username":"{key}'},
        "broken JSON for the administration": {"method": "POST", "url": f"{V1}/groups", "content": f'{{"name":"{key}'},
        "wrong field": {"method": "POST", "url": f"{V1}/users", "json": {"username": "x", "user_role": key}},
        "password": {"method": "POST", "url": f"{V1}/users", "json": {"username": "x y", "password": key}},
        "wrong type": {"method": "POST", "url": f"{V1}/groups", "json": {"name": [key]}},
        "config": {"method": "POST", "url": f"{V1}/oauth/integrations",
                   "json": {"template": "ppm", "name": "x",
                            "config": {"ppm_url": f"https://u:{key}@h", "scopes": "repos:read:*"}}},
        "correlation id": {"method": "GET", "url": "/healthz", "headers": {"X-Correlation-ID": f"{key} "}},
        "content type": {"method": "POST", "url": f"{V1}/groups", "headers": {"Content-Type": key}},
        "content length": {"method": "POST", "url": f"{V1}/groups", "headers": {"Content-Length": key}},
        "etag": {"method": "GET", "url": "/openid/v1/jwks", "headers": {"If-None-Match": key}},
        "cookie": {"method": "GET", "url": f"{V1}/nowhere", "headers": {"Cookie": key}},
        "token endpoint": {"method": "POST", "url": "/oauth/token", "data": {"subject_token": key}},
        "authorization endpoint": {"method": "GET", "url": f"/oauth/authorize?state={key}"},
    }  # fmt: skip


ECHOED = {"user name"}
"""An owner who does not exist is named in the answer and in the audit, so the statement for the audit has it."""


@pytest.mark.parametrize("where", misplaced("x"))
async def test_a_key_in_the_wrong_place_is_not_repeated(shared, log, where):
    """
    Neither in the answer nor in the log (T35).
    """
    key = shared.world.keys["admin"]
    request = misplaced(key)[where]
    request["headers"] = {"Authorization": f"Key {key}", **request.get("headers", {})}

    answered = await shared.http.request(**request)

    assert [] == found_in(log(but=["sqlalchemy.engine"] if where in ECHOED else []), key)
    if where not in ECHOED:
        assert [] == found_in(answered.text + str(answered.headers), key)
