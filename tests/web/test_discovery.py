"""
The issuer as verifiers see it: the conditions of the OpenID suite's oidcc-discovery-endpoint-verification, locally.

Each condition runs for an issuer at the root and for one below a path, with a proxy that strips the path and without.
"""

import json
from urllib.parse import urlsplit

import jwt
import pytest
from joserfc import jws as joserfc_jws
from joserfc.jwk import KeySet

from broker.issuer import Issuer
from broker.web.documents import CLAIMS
from keys import Algorithm
from keys.backends.memory import MemoryKeyStore
from tests.fakes.clock import ManualClock
from tests.web.site import ISSUER, PREFIXED, Broker, copy_of, refusal

DISCOVERY = ".well-known/openid-configuration"
PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class Front:
    """A browser's view: takes URLs below the issuer, and hands the server the path that its proxy leaves."""

    def __init__(self, broker, issuer, strips):
        self.broker, self.issuer, self.strips = broker, issuer, strips

    async def get(self, url, method="GET", **more):
        assert url.startswith(self.issuer), f"{url} is not below {self.issuer}"
        path = urlsplit(url).path
        if self.strips:
            path = path.removeprefix(urlsplit(self.issuer).path.rstrip("/"))
        return await self.broker.http.request(method, path, **more)

    async def document(self):
        return (await self.get(self.issuer + DISCOVERY)).json()


@pytest.fixture(
    scope="module",
    params=[(ISSUER, False), (PREFIXED, False), (PREFIXED, True)],
    ids=["root", "path kept", "path stripped by a proxy"],
)
async def front(request, apps, ring, populated, tmp_path_factory):
    issuer, strips = request.param
    database, world = populated
    folder = copy_of(database, tmp_path_factory.mktemp("front") / "data")
    async with Broker(apps, folder, ring, world, issuer=issuer).running() as broker:
        yield Front(broker, issuer, strips)


# --- the document: one test for each condition of the suite ---------------------------------------------------------
async def test_the_document_is_answered_with_200(front):
    assert 200 == (await front.get(front.issuer + DISCOVERY)).status_code


async def test_the_document_is_json(front):
    assert "application/json" == (await front.get(front.issuer + DISCOVERY)).headers["content-type"]


async def test_the_issuer_is_byte_for_byte_the_configured_one(front):
    """
    Discovery 4.3: verifiers take the URL they fetched, minus the well-known part, and compare; the slash stays.
    """
    raw = (await front.get(front.issuer + DISCOVERY)).content

    assert b'"issuer":"' + front.issuer.encode() + b'"' in raw


@pytest.mark.parametrize("member", [*ENDPOINTS, "response_types_supported", "subject_types_supported"])
async def test_a_required_member_is_there(front, member):
    assert (await front.document())[member]


async def test_rs256_is_among_the_signing_algorithms(front):
    assert "RS256" in (await front.document())["id_token_signing_alg_values_supported"]


async def test_no_symmetric_and_no_empty_algorithm_is_announced(front):
    announced = (await front.document())["id_token_signing_alg_values_supported"]

    assert [] == [name for name in announced if name.startswith("HS") or name.lower() == "none"]


async def test_the_subject_type_is_public(front):
    assert ["public"] == (await front.document())["subject_types_supported"]


async def test_the_response_type_suits_an_issuer_of_id_tokens(front):
    assert ["id_token"] == (await front.document())["response_types_supported"]


async def test_grant_types_are_named_since_leaving_them_out_would_mean_more(front):
    """
    RFC 8414 2: an absent list means authorization_code and implicit.
    """
    assert ["implicit"] == (await front.document())["grant_types_supported"]


async def test_the_scope_openid_is_supported(front):
    assert "openid" in (await front.document())["scopes_supported"]


async def test_every_endpoint_is_https_and_below_the_issuer(front):
    document = await front.document()
    urls = [value for name, value in document.items() if name.endswith(("_endpoint", "_uri"))]

    assert 3 == len(urls)
    assert [] == [url for url in urls if not url.startswith(front.issuer)]
    assert [] == [url for url in urls if "//" in urlsplit(url).path]


async def test_no_list_is_empty(front):
    """
    RFC 8414 3.2: a member with zero values is left out.
    """
    assert [] == [name for name, value in (await front.document()).items() if value in ([], "", None)]


async def test_what_is_not_there_is_not_announced(front):
    document = await front.document()

    assert not {"registration_endpoint", "userinfo_endpoint", "end_session_endpoint"} & set(document)


async def test_every_claim_of_a_real_assertion_is_announced(front):
    broker = front.broker
    await broker.build()
    claims = jwt.decode(broker.package_manager.received[-1].assertion.reveal(), options={"verify_signature": False})

    document = await front.document()
    assert list(CLAIMS) == document["claims_supported"]
    assert set() == set(claims) - set(document["claims_supported"])
    assert front.issuer == claims["iss"]


# --- RFC 8414 -------------------------------------------------------------------------------------------------------
async def test_the_metadata_stands_behind_the_issuer_as_well(front):
    found = await front.get(front.issuer + ".well-known/oauth-authorization-server")

    assert (200, await front.document()) == (found.status_code, found.json())


@pytest.mark.parametrize("name", ["oauth-authorization-server", "openid-configuration"])
async def test_the_metadata_is_found_by_path_insertion(front, name):
    """
    RFC 8414 3.1: the well-known part comes between host and path, so no proxy strips anything here.
    """
    path = urlsplit(front.issuer).path.rstrip("/")

    found = await front.broker.http.get(f"/.well-known/{name}{path}")

    assert (200, await front.document()) == (found.status_code, found.json())


async def test_another_inserted_path_is_not_found(front):
    found = await front.broker.http.get("/.well-known/openid-configuration/other")

    assert (404, 4) == refusal(found)


async def test_a_prefix_is_taken_off_once_and_only_where_it_ends_a_segment(front):
    paths = [
        f"/connect/connect/{DISCOVERY}",
        f"/connection/{DISCOVERY}",
        f"/CONNECT/{DISCOVERY}",
        f"/other/{DISCOVERY}",
    ]
    statuses = [(await front.broker.http.get(path)).status_code for path in paths]

    assert [404, 404, 404, 404] == statuses


# --- who asks changes nothing ---------------------------------------------------------------------------------------
NASTY_HEADERS = [
    {"Host": "evil.example"},
    {"Host": "evil.example/path?query#fragment"},
    {"Host": "["},
    {"Host": ""},
    {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http", "X-Forwarded-Prefix": "/evil"},
    {"Forwarded": "host=evil.example;proto=http"},
    {"X-Original-URL": "/evil", "X-Rewrite-URL": "/evil", "X-HTTP-Method-Override": "DELETE"},
    {"Origin": "https://evil.example"},
    {"Authorization": "Key nonsense"},
]


@pytest.mark.parametrize("headers", NASTY_HEADERS, ids=str)
async def test_no_header_changes_the_documents(front, headers):
    """
    The issuer comes from the settings: whoever could choose it by a header would choose where keys are fetched (T12).
    """
    document = await front.document()
    for url in (front.issuer + DISCOVERY, document["jwks_uri"]):
        plain, asked = await front.get(url), await front.get(url, headers=headers)

        assert plain.content == asked.content
        assert plain.headers == asked.headers


@pytest.mark.parametrize("headers", NASTY_HEADERS, ids=str)
async def test_no_header_makes_an_error_a_defect(front, headers):
    assert (404, 4) == refusal(await front.broker.http.get("/nowhere", headers=headers))


# --- caching --------------------------------------------------------------------------------------------------------
@pytest.fixture(params=["discovery", "metadata", "jwks"])
async def url(request, front):
    return {
        "discovery": front.issuer + DISCOVERY,
        "metadata": front.issuer + ".well-known/oauth-authorization-server",
        "jwks": (await front.document())["jwks_uri"],
    }[request.param]


async def test_a_document_may_be_cached_by_anyone_for_the_configured_time(front, url):
    """
    The JWKS says how long it may be kept (T42).
    """
    headers = (await front.get(url)).headers

    assert "public, max-age=300" == headers["cache-control"]
    assert "*" == headers["access-control-allow-origin"]
    assert headers["etag"].startswith('"')


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', '"other",W/{} ', "*"])
async def test_what_the_caller_knows_is_not_sent_again(front, url, form):
    etag = (await front.get(url)).headers["etag"]

    unchanged = await front.get(url, headers={"If-None-Match": form.format(etag)})

    assert (304, b"", etag) == (unchanged.status_code, unchanged.content, unchanged.headers["etag"])
    assert "public, max-age=300" == unchanged.headers["cache-control"]


@pytest.mark.parametrize("form", ['"other"', "", "nonsense", ",,,", "W/", '"'])
async def test_what_the_caller_does_not_know_is_sent(front, url, form):
    found = await front.get(url, headers={"If-None-Match": form})

    assert 200 == found.status_code


async def test_head_says_what_get_says_without_a_body(front, url):
    got, head = await front.get(url), await front.get(url, "HEAD")

    assert (200, b"") == (head.status_code, head.content)
    assert got.headers == head.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_a_document_can_only_be_read(front, url, method):
    refused = await front.get(url, method)

    assert (405, 9005) == refusal(refused)
    assert "GET, HEAD" == refused.headers["allow"]


# --- the keys -------------------------------------------------------------------------------------------------------
@pytest.fixture
async def keys(front):
    found = await front.get((await front.document())["jwks_uri"])
    assert "application/jwk-set+json" == found.headers["content-type"]
    return found.json()["keys"]


async def test_there_is_at_least_one_key_for_signatures(keys):
    assert {("RS256", "sig", "RSA")} == {(key["alg"], key["use"], key["kty"]) for key in keys}


async def test_no_key_is_private_or_symmetric(keys):
    """
    Only public members leave (T42).
    """
    assert [] == [key["kid"] for key in keys if set(key) & PRIVATE_MEMBERS or key["kty"] == "oct"]


async def test_each_kid_is_the_thumbprint_and_there_is_no_second_of_it(keys):
    """
    RFC 7638, computed by a library that we do not sign with (T42).
    """
    kids = [key["kid"] for key in keys]

    assert kids == [key.thumbprint() for key in KeySet.import_key_set({"keys": keys})]
    assert len(kids) == len(set(kids))


async def test_rsa_keys_are_long_enough(keys):
    assert [] == [key.key_id for key in jwt.PyJWKSet.from_dict({"keys": keys}).keys if key.key.key_size < 2048]


async def test_two_libraries_verify_a_real_assertion_with_the_published_keys(front, keys):
    await front.broker.build()
    token = front.broker.package_manager.received[-1].assertion.reveal()
    now = ManualClock().now().timestamp()

    kid = jwt.get_unverified_header(token)["kid"]
    by_joserfc = json.loads(joserfc_jws.deserialize_compact(token, KeySet.import_key_set({"keys": keys})).payload)
    by_pyjwt = jwt.decode(
        token,
        jwt.PyJWKSet.from_dict({"keys": keys})[kid].key,
        algorithms=["RS256"],
        audience="package-manager",
        issuer=front.issuer,
        options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},  # the clock of the test stands
    )

    assert by_joserfc == by_pyjwt
    assert now == by_pyjwt["iat"]


async def test_replicas_serve_the_same_bytes(ring):
    """
    Two processes with the same keys are one issuer for a cache (T42).
    """
    now = ManualClock().now()

    assert Issuer(ring).jwks(now) == Issuer(type(ring).of(reversed(ring.keys))).jwks(now)


async def test_every_configured_algorithm_is_announced_and_has_its_key(make_broker, populated):
    algorithms = ["RS256", "ES256", "EdDSA"]
    broker = make_broker(signing_algorithms=algorithms)
    broker.ring = MemoryKeyStore().ensure([Algorithm(name) for name in algorithms], broker.clock.now())
    async with broker.running():
        document = (await broker.http.get(f"/{DISCOVERY}")).json()
        keys = (await broker.http.get("/openid/v1/jwks")).json()["keys"]

    assert algorithms == document["id_token_signing_alg_values_supported"]
    assert set(algorithms) == {key["alg"] for key in keys}
    assert [] == [key["kid"] for key in keys if set(key) & PRIVATE_MEMBERS]
    assert {key["kid"] for key in keys} == {key.thumbprint() for key in KeySet.import_key_set({"keys": keys})}


# --- endpoints that the documents must name -------------------------------------------------------------------------
@pytest.mark.parametrize("response_type", [None, "", "id_token", "code", "token", "none", "id_token code", "\r\nX: y"])
@pytest.mark.parametrize("redirect", [None, "https://evil.example/", "//evil.example", "javascript:alert(1)", "/"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_authorization_endpoint_refuses_and_never_redirects(front, method, response_type, redirect):
    """
    No client is registered here, so an answer to a redirect_uri would be an open redirector (RFC 9700 4.11).
    """
    asked = {"response_type": response_type, "redirect_uri": redirect, "client_id": "x", "state": "canary"}
    asked = {name: value for name, value in asked.items() if value is not None}
    more = {"params": asked} if method == "GET" else {"data": asked}

    refused = await front.get((await front.document())["authorization_endpoint"], method, **more)

    assert 400 == refused.status_code
    assert "unsupported_response_type" == refused.json()["error"]
    assert "location" not in refused.headers
    assert "refresh" not in refused.headers
    assert not any(word in refused.text for word in ("evil", "canary"))


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"grant_type": "authorization_code", "code": "x"},
        {"grant_type": "client_credentials"},
        {"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": "x"},
        {"grant_type": "password", "username": "admin", "password": "admin"},
    ],
    ids=str,
)
async def test_the_token_endpoint_refuses_in_the_form_of_oauth(front, form):
    """
    RFC 6749 5.2.
    """
    refused = await front.get((await front.document())["token_endpoint"], "POST", data=form)

    assert 400 == refused.status_code
    assert ["error", "error_description"] == sorted(refused.json())
    assert "unsupported_grant_type" == refused.json()["error"]
    assert "no-store" == refused.headers["cache-control"]
