"""
The folder with the repositories.
"""

import io
import tarfile

import pytest

from broker.emulator.archives import Kind, fields
from broker.emulator.samples import make_r_package, make_wheel
from broker.emulator.shelves import Shelves

pytestmark = pytest.mark.anyio


def make_tar(path, **files):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


def test_the_kind_of_a_repository_comes_from_its_content(tmp_path):
    make_wheel(tmp_path / "wheels", "a", "1.0")
    make_tar(tmp_path / "sdists" / "a-1.0.tar.gz", **{"a-1.0/PKG-INFO": "Name: a\n"})
    make_tar(tmp_path / "odd" / "a_1.0-2.tar.gz", **{"a_1.0-2/PKG-INFO": "Name: a\n"})
    make_r_package(tmp_path / "r", "ab", "1.0")
    (tmp_path / "empty").mkdir()
    shelves = Shelves(tmp_path)

    kinds = {name: shelves.find(name).kind for name in shelves.names()}

    assert {"wheels": Kind.PYTHON, "sdists": Kind.PYTHON, "odd": Kind.PYTHON, "r": Kind.R, "empty": None} == kinds


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("broken-1.0-py3-none-any.whl", b"not a zip"),
        ("broken-1.0.tar.gz", b"not a tar"),
        ("broken_1.0.tar.gz", b"\x1f\x8b"),
        ("noname.whl", b""),
        ("a b-1.0-py3-none-any.whl", b""),
    ],
)
def test_a_file_that_is_no_package_is_left_out_with_the_reason(tmp_path, name, content):
    make_wheel(tmp_path / "pypi", "good", "1.0")
    (tmp_path / "pypi" / name).write_bytes(content)

    repository = Shelves(tmp_path).find("pypi")

    assert 1 == len(repository.files)
    assert [f"{name}: not a readable wheel, sdist or R source package"] == list(repository.left_out)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path):
    outside = make_wheel(tmp_path / "outside", "secret", "1.0")
    make_wheel(tmp_path / "root" / "pypi", "good", "1.0")
    (tmp_path / "root" / "pypi" / outside.name).symlink_to(outside)
    (tmp_path / "root" / "linked").symlink_to(tmp_path / "outside")
    shelves = Shelves(tmp_path / "root")

    assert ["pypi"] == shelves.names()
    assert ["good-1.0-py3-none-any.whl"] == [file.name for file in shelves.find("pypi").files]


def test_a_link_within_the_folder_is(tmp_path):
    inside = make_wheel(tmp_path / "store", "shared", "1.0")
    (tmp_path / "pypi").mkdir()
    (tmp_path / "pypi" / inside.name).symlink_to(inside)

    assert [inside.name] == [file.name for file in Shelves(tmp_path).find("pypi").files]


def test_a_loop_of_links_is_nothing(tmp_path):
    make_wheel(tmp_path / "pypi", "good", "1.0")
    (tmp_path / "pypi" / "loop-1.0-py3-none-any.whl").symlink_to("loop-1.0-py3-none-any.whl")

    assert 1 == len(Shelves(tmp_path).find("pypi").files)


@pytest.mark.parametrize("name", [".hidden", "__api__", "__control__", "a b", "-x", "x" * 101, "é"])
def test_a_folder_with_another_name_is_no_repository(tmp_path, name):
    (tmp_path / name).mkdir()

    assert [] == Shelves(tmp_path).names()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[pypi", "repositories.toml: "),
        ("[other]\nauth = false", "there is no folder 'other'; there are pypi"),
        ("[pypi]\nkind = 'perl'", "must be"),
        ("[pypi]\nauth = 'no'", "must be true or false"),
        ("[pypi]\nautht = false", "unknown autht; a repository has kind and auth"),
        ("pypi = 1", "not a table"),
    ],
)
def test_a_wrong_options_file_is_refused(tmp_path, text, fault):
    make_wheel(tmp_path / "pypi", "good", "1.0")
    (tmp_path / "repositories.toml").write_text(text)

    faults = Shelves(tmp_path).faults()

    assert fault in faults[0]


def test_python_and_r_in_one_folder_are_refused_unless_the_kind_is_said(tmp_path):
    make_wheel(tmp_path / "mixed", "good", "1.0")
    make_r_package(tmp_path / "mixed", "sampler", "1.0")

    assert "a repository has one kind" in Shelves(tmp_path).faults()[0]
    (tmp_path / "repositories.toml").write_text('[mixed]\nkind = "r"')
    assert [] == Shelves(tmp_path).faults()


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    assert "is not a folder" in Shelves(tmp_path / "nothing").faults()[0]


async def test_an_open_repository_needs_no_credential_and_the_others_still_do(emulator, packages):
    (packages / "repositories.toml").write_text("[pypi]\nauth = false\n")

    answers = [await emulator.get(f"/{name}/latest/simple/") for name in ("pypi", "internal")]

    assert [200, 401] == [answer.status_code for answer in answers]


async def test_an_empty_repository_has_no_kind_and_nothing_in_it(emulator, packages):
    (packages / "empty").mkdir()

    answer = await emulator.get("/empty/latest/simple/", await emulator.token("repos:read:*"))

    assert 404 == answer.status_code
    assert "no kind yet" in answer.json()["error"]


async def test_while_the_options_are_edited_wrongly_the_last_good_ones_count(emulator, packages):
    """Options that cannot be read open nothing (T38)."""
    options = packages / "repositories.toml"
    options.write_text("[pypi]\nauth = false\n")
    await emulator.get("/pypi/latest/simple/")
    options.write_text("[internal]\nauth = false\n[pypi")

    answers = [await emulator.get(f"/{name}/latest/simple/") for name in ("pypi", "internal")]

    assert [200, 401] == [answer.status_code for answer in answers]


async def test_the_status_and_the_repositories_are_public(emulator):
    status = (await emulator.get("/__api__/status")).json()
    repositories = (await emulator.get("/__api__/repos")).json()

    assert {"name", "os", "binaryURL", "binaries", "distribution", "release", "arch"} == set(status["distros"][0])
    assert "jammy" in [distro["binaryURL"] for distro in status["distros"]]
    assert status["version"]
    assert "4.5" in status["r_versions"]
    assert [
        {"id": 1, "name": "cran", "type": "R", "auth": True},
        {"id": 2, "name": "internal", "type": "Python", "auth": True},
        {"id": 3, "name": "pypi", "type": "Python", "auth": True},
    ] == repositories


def test_folded_fields_become_one_line():
    text = b"Imports: a,\n    b,\n\tc\nTitle:  Two  words \r\nEmpty:\nImports: later\n\nNot: this\n"

    assert {"Imports": "a, b, c", "Title": "Two  words", "Empty": ""} == fields(text)
