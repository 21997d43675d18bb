"""
A Python repository as pip and uv ask for it.
"""

import hashlib
import html
import json
import re

import pytest

from broker.emulator.python_index import HTML, JSON, TEXT_HTML, negotiate
from broker.emulator.samples import make_wheel

pytestmark = pytest.mark.anyio

WHEEL = "sample_pkg-1.0.0-py3-none-any.whl"


@pytest.fixture
async def get(emulator):
    token = await emulator.token("repos:read:*")

    async def get(path, **headers):
        return await emulator.get(path, token, **headers)

    return get


@pytest.mark.parametrize("path", ["/pypi/latest/simple/", "/pypi/latest/simple"])
async def test_the_index_lists_normalised_names_with_and_without_a_slash(get, path):
    answer = await get(path)

    assert 200 == answer.status_code
    assert "text/html" in answer.headers["content-type"]
    assert ["sample-dep", "sample-pkg"] == re.findall(r'<a href="/pypi/latest/simple/([^"]+)/">', answer.text)


@pytest.mark.parametrize("project", ["sample-pkg/", "sample-pkg", "Sample.Pkg/", "sample_pkg/", "SAMPLE--PKG/"])
async def test_a_project_is_found_by_any_spelling_without_a_redirect(get, project):
    answer = await get(f"/pypi/latest/simple/{project}")

    assert 200 == answer.status_code
    assert WHEEL in answer.text


async def test_a_link_carries_hash_metadata_and_python(get, packages):
    page = (await get("/pypi/latest/simple/sample-pkg/")).text
    wheel = (packages / "pypi" / WHEEL).read_bytes()
    href, attributes = re.search(r'<a href="([^"]+)" ([^>]+)>', page).groups()
    file = await get(href.partition("#")[0])
    metadata = await get(href.partition("#")[0] + ".metadata")

    assert f"/pypi/latest/packages/{WHEEL}#sha256={hashlib.sha256(wheel).hexdigest()}" == href
    assert wheel == file.content
    assert f'data-core-metadata="sha256={hashlib.sha256(metadata.content).hexdigest()}"' in attributes
    assert 'data-requires-python=">=3.8"' in html.unescape(attributes)
    assert "Requires-Dist: sample-dep" in metadata.text


async def test_the_json_form_says_the_same(get, packages):
    index = await get("/pypi/latest/simple/", Accept=JSON)
    answer = await get("/pypi/2026-01-31/simple/sample-pkg/", Accept=JSON)
    wheel = (packages / "pypi" / WHEEL).read_bytes()
    (file,) = answer.json()["files"]

    assert [{"name": "sample-dep"}, {"name": "sample-pkg"}] == index.json()["projects"]
    assert JSON == answer.headers["content-type"]
    assert "Accept" == answer.headers["vary"]
    assert ("sample-pkg", ["1.0.0"]) == (answer.json()["name"], answer.json()["versions"])
    assert WHEEL == file["filename"]
    assert f"/pypi/2026-01-31/packages/{WHEEL}" == file["url"]
    assert {"sha256": hashlib.sha256(wheel).hexdigest()} == file["hashes"]
    assert (len(wheel), ">=3.8") == (file["size"], file["requires-python"])


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", TEXT_HTML),
        ("*/*", TEXT_HTML),
        ("text/html", TEXT_HTML),
        (JSON, JSON),
        (HTML, HTML),
        ("application/vnd.pypi.simple.latest+json", JSON),
        (f"{JSON}, {HTML}; q=0.1, text/html; q=0.01", JSON),
        (f"{JSON};q=0.2, {HTML};q=0.9, text/html;q=0.01", HTML),
        (f"{JSON};q=0, */*;q=0.1", TEXT_HTML),
        ("application/json", None),
        ("image/png", None),
        (f"{JSON};q=nan", None),
        (f"{JSON};q=2", None),
    ],
)
def test_the_form_is_negotiated(accept, expected):
    assert expected == negotiate(accept)


async def test_a_form_that_nobody_has_is_406(get):
    assert 406 == (await get("/pypi/latest/simple/", Accept="image/png")).status_code


@pytest.mark.parametrize("snapshot", ["latest", "2026-01-31", "1", "123456"])
async def test_every_snapshot_that_can_be_is_served(get, snapshot):
    assert 200 == (await get(f"/pypi/{snapshot}/simple/")).status_code


@pytest.mark.parametrize(
    "path",
    [
        # snapshots
        "/pypi/newest/simple/",
        "/pypi/2026-02-30/simple/",
        "/pypi/2026-1-1/simple/",
        "/pypi/20260101x/simple/",
        "/pypi/-1/simple/",
        "/pypi/Latest/simple/",
        "/pypi/\u0661/simple/",
        "/pypi//simple/",
        "/pypi/__linux__/jammy/latest/simple/",
        # things that are not there
        "/pypi",
        "/pypi/",
        "/pypi/latest",
        "/pypi/latest/simple/unknown/",
        "/pypi/latest/simple//sample-pkg/",
        "/pypi/latest/simple/sample-pkg/x",
        "/pypi/latest/packages/",
        "/pypi/latest/packages/unknown-1.0-py3-none-any.whl",
        "/pypi/latest/packages/.metadata",
        f"/pypi/latest/packages/{WHEEL}.metadata.metadata",
        "/pypi/latest/src/contrib/PACKAGES",
        "/PyPI/latest/simple/",
        "/nothing/latest/simple/",
        "/__api__/other",
        "//pypi/latest/simple/",
    ],
)
async def test_what_is_not_there_is_404(get, path):
    assert 404 == (await get(path)).status_code


@pytest.mark.parametrize(
    "path",
    [
        "/pypi/latest/packages/..%2F..%2Frepositories.toml",
        "/pypi/latest/packages/%2e%2e/%2e%2e/repositories.toml",
        "/pypi/latest/packages/..%2Fsecret.whl",
        "/pypi/latest/packages/%2Fetc%2Fpasswd",
        "/pypi/latest/packages/..%5Csecret.whl",
        "/pypi/latest/packages/secret.whl%00.whl",
        "/..%2Frepositories/pypi/latest/simple/",
        "/%2e%2e/latest/simple/",
        "/pypi/../internal/latest/simple/",
        "/pypi%2f..%2finternal/latest/simple/",
    ],
)
async def test_no_path_leaves_the_repository(emulator, packages, path):
    (packages / "repositories.toml").write_text("")
    (packages / "secret.whl").write_text("secret")
    token = await emulator.token("repos:read:pypi")

    answer = await emulator.get(path, token)

    # 403: the client itself resolved the dots, and the other repository is not covered by the token.
    assert answer.status_code in {403, 404}
    assert "secret" not in answer.text


async def test_a_file_that_is_added_is_there_without_a_restart(get, packages):
    make_wheel(packages / "pypi", "sample-pkg", "1.1.0")

    versions = (await get("/pypi/latest/simple/sample-pkg/", Accept=JSON)).json()["versions"]

    assert ["1.0.0", "1.1.0"] == versions


async def test_a_file_that_changes_gets_its_new_hash(get, packages):
    before = (await get("/pypi/latest/simple/sample-dep/", Accept=JSON)).json()["files"][0]["hashes"]
    make_wheel(packages / "pypi", "sample-dep", "2.1", requires=["something-longer"])

    after = (await get("/pypi/latest/simple/sample-dep/", Accept=JSON)).json()["files"][0]["hashes"]

    assert before != after


async def test_names_are_escaped_in_pages(get, packages):
    (packages / "pypi" / "x<script>-1.0-py3-none-any.whl").write_text("")

    assert "<script>" not in (await get("/pypi/latest/simple/")).text


async def test_answers_are_private_to_the_credential(get):
    answer = await get("/pypi/latest/simple/")

    assert "private, no-cache" == answer.headers["cache-control"]


async def test_head_is_answered_like_get(emulator):
    token = await emulator.token("repos:read:*")
    async with emulator.client() as client:
        answer = await client.head(f"/pypi/latest/packages/{WHEEL}", auth=("__token__", token))

    assert 200 == answer.status_code
    assert json.loads(answer.headers["content-length"]) > 0
