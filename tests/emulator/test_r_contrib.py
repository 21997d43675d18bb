"""
An R repository in the CRAN layout.
"""

import gzip
import hashlib

import pytest

from broker.emulator.samples import make_r_package

pytestmark = pytest.mark.anyio


@pytest.fixture
async def get(emulator):
    token = await emulator.token("repos:read:cran")

    async def get(path):
        return await emulator.get(path, token)

    return get


async def test_packages_is_the_index_that_r_would_write(get, packages):
    tarball = packages / "cran" / "sampler_1.2.0.tar.gz"
    md5 = hashlib.md5(tarball.read_bytes()).hexdigest()

    answer = await get("/cran/latest/src/contrib/PACKAGES")

    assert f"Package: sampler\nVersion: 1.2.0\nLicense: MIT\nMD5sum: {md5}\nNeedsCompilation: no\n\n" == answer.text


async def test_the_compressed_index_is_the_same(get):
    plain = await get("/cran/latest/src/contrib/PACKAGES")
    compressed = await get("/cran/latest/src/contrib/PACKAGES.gz")

    assert plain.content == gzip.decompress(compressed.content)
    assert "content-encoding" not in compressed.headers


async def test_the_newest_version_is_listed_and_older_ones_are_kept(get, packages):
    make_r_package(packages / "cran", "sampler", "1.10.0")
    make_r_package(packages / "cran", "sampler", "1.9-3", imports=["utils"])

    index = (await get("/cran/latest/src/contrib/PACKAGES")).text
    direct = await get("/cran/latest/src/contrib/sampler_1.9-3.tar.gz")
    archived = await get("/cran/latest/src/contrib/Archive/sampler/sampler_1.9-3.tar.gz")

    assert 1 == index.count("Package:")
    assert "Version: 1.10.0" in index
    assert [200, 200] == [direct.status_code, archived.status_code]


async def test_dependencies_are_in_the_index(get, packages):
    make_r_package(packages / "cran", "other", "1.0", imports=["sampler", "utils"])

    assert "Imports: sampler, utils\n" in (await get("/cran/latest/src/contrib/PACKAGES")).text


@pytest.mark.parametrize(
    "prefix", ["latest", "2026-01-31", "42", "__linux__/jammy/latest", "__linux__/manylinux_2_28/2026-01-31"]
)
async def test_every_address_of_the_repository_serves_the_package(get, packages, prefix):
    answer = await get(f"/cran/{prefix}/src/contrib/sampler_1.2.0.tar.gz")

    assert (packages / "cran" / "sampler_1.2.0.tar.gz").read_bytes() == answer.content


@pytest.mark.parametrize(
    "path",
    [
        "/cran/latest/src/contrib/PACKAGES.rds",
        "/cran/latest/src/contrib/",
        "/cran/latest/src/contrib",
        "/cran/latest/src/contrib/unknown_1.0.tar.gz",
        "/cran/latest/src/contrib/Archive/other/sampler_1.2.0.tar.gz",
        "/cran/latest/bin/windows/contrib/4.5/PACKAGES",
        "/cran/__linux__/beos/latest/src/contrib/PACKAGES",
        "/cran/__linux__/jammy",
        "/cran/__linux__",
        "/cran/__linux__/jammy/__linux__/jammy/latest/src/contrib/PACKAGES",
        "/cran/latest/simple/",
        "/cran/latest/src/contrib/..%2Fcontrib%2FPACKAGES",
        "/cran/latest/src/contrib/../contrib/%2e%2e/PACKAGES",
    ],
)
async def test_what_is_not_there_is_404(get, path):
    assert 404 == (await get(path)).status_code
