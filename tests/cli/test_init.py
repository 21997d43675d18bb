"""
`broker init`: everything or nothing, and a key that is shown once.
"""

import re
import sqlite3
import stat
import tomllib
from contextlib import closing

import pytest

from broker.domain.secrets import Secret
from tests.web.disks import make_read_only, small_disk

ISSUER = "https://broker.example.com/"
KEY = re.compile(r"pcb_[0-9A-Za-z]{49}")


def init(cli, folder, *more, issuer=ISSUER, **environ):
    return cli("init", "--issuer", issuer, "--data-dir", folder, *more, **environ)


def snapshot(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in {".toml", ".json"}}


def test_init_makes_everything_private_and_shows_the_key_once(cli, folder):
    """
    The key is in the output, once, and in no file; what is kept is its SHA-256 (T35).
    """
    said = init(cli, folder)

    assert (0, "") == (said.code, said.err)
    (key,) = KEY.findall(said.out)
    assert 0o700 == stat.S_IMODE(folder.stat().st_mode)
    assert 0o600 == stat.S_IMODE((folder / "signing-keys.json").stat().st_mode)
    assert {"broker.toml", "broker.db", "signing-keys.json"} <= {path.name for path in folder.iterdir()}
    assert [] == [path.name for path in folder.iterdir() if key.encode() in path.read_bytes()]
    with closing(sqlite3.connect(folder / "broker.db")) as database:
        assert [("admin", "administrator", Secret(key).sha256())] == database.execute(
            "SELECT username, users.role, sha256 FROM users JOIN api_keys ON user_guid = guid"
        ).fetchall()


def test_init_says_what_to_do_next(cli, folder):
    said = init(cli, folder)

    assert f"broker serve --data-dir {folder}" in said.out
    assert f"broker federation-config --data-dir {folder}" in said.out


def test_what_init_was_told_is_in_the_settings(cli, folder):
    init(cli, folder, "--host", "0.0.0.0", "--port", "9443", "--allow-loopback", issuer="https://h.example/a/")

    assert {
        "issuer": "https://h.example/a/",
        "host": "0.0.0.0",
        "port": 9443,
        "allow_cleartext": False,
        "allow_loopback": True,
    } == tomllib.loads((folder / "broker.toml").read_text())


def test_without_a_place_the_home_directory_is_used(cli, tmp_path):
    assert 0 == cli("init", "--issuer", ISSUER).code
    assert (tmp_path / "home" / ".local" / "share" / "broker" / "broker.db").exists()


def test_the_place_may_come_from_the_environment(cli, folder):
    assert 0 == cli("init", "--issuer", ISSUER, BROKER_DATA_DIR=folder).code
    assert (folder / "broker.db").exists()


@pytest.mark.parametrize("again", [[], ["--administrator", "eve"], ["--port", "9999"]], ids=str)
def test_a_second_init_changes_nothing_and_shows_no_key(cli, initialised, again):
    before = snapshot(initialised)

    said = init(cli, initialised, *again, issuer="https://other.example.com/")

    assert (1, "") == (said.code, said.out)
    assert said.err.startswith("broker: there is an administrator already")
    assert before == snapshot(initialised)


def test_settings_that_were_there_before_stay_and_that_is_said(cli, folder):
    folder.mkdir(mode=0o700)
    (folder / "broker.toml").write_text('issuer = "https://other.example.com/"\n')

    said = init(cli, folder)

    assert 0 == said.code
    assert "stay as they are" in said.out
    assert 'issuer = "https://other.example.com/"\n' == (folder / "broker.toml").read_text()


def test_every_wrong_setting_is_told_at_once_and_nothing_is_made(cli, folder):
    said = init(cli, folder, "--port", "99999", "--host", "a\nb", issuer="http://broker.example.com")

    assert (78, "") == (said.code, said.out)
    assert "broker: 3 settings are wrong:" == said.err.splitlines()[0]
    assert all(f"  - {name} = " in said.err for name in ("issuer", "port", "host"))
    assert not folder.exists()


@pytest.mark.parametrize(
    "issuer",
    [
        "",
        "x",
        "https://h",
        "http://h/",
        "https://u:p@h/",
        "https://H/",
        "https://h/\n/",
        'https://h/"/',
        "https://h/\udcff/",
    ],
)
def test_a_wrong_issuer_is_told_and_nothing_is_made(cli, folder, issuer):
    said = init(cli, folder, issuer=issuer)

    assert 78 == said.code
    assert "issuer = " in said.err
    assert not folder.exists()


@pytest.mark.parametrize("name", ["", " ", "a b", "-x", "x" * 65, "a\nb", "\u0430dmin", "\udcff"])
def test_an_impossible_administrator_is_told_and_nothing_is_made(cli, folder, name):
    """
    Found out late, this would leave a broker without an administrator.
    """
    said = init(cli, folder, f"--administrator={name}")

    assert 1 == said.code
    assert "a user name has 1 to 64 characters" in said.err
    assert not folder.exists()


@pytest.mark.parametrize("where", ["", "below", "below/deeper"])
def test_inside_a_git_work_tree_nothing_is_made(cli, tmp_path, where):
    """
    A key that can be committed will be.
    """
    repository = tmp_path / "repository"
    (repository / ".git").mkdir(parents=True)

    said = init(cli, repository / where)

    assert (1, "") == (said.code, said.out)
    assert "lies in the git work tree" in said.err
    assert [repository / ".git"] == list(repository.iterdir())


@pytest.mark.parametrize(
    ("place", "code", "says"),
    [
        ("file", 1, "File exists"),
        ("file/below", 1, "Not a directory"),
        ("x" * 300, 1, "File name too long"),
        ("/proc/broker", 1, "No such file or directory"),
        ("a?b", 78, "question marks"),
        ("a\nb", 78, "cannot be printed"),
        ("\udcff", 78, "cannot be printed"),
    ],
    ids=ascii,
)
def test_a_place_that_cannot_be_is_told(cli, tmp_path, place, code, says):
    (tmp_path / "file").touch()

    said = init(cli, tmp_path / place)

    assert (code, "") == (said.code, said.out)
    assert says in said.err
    assert [tmp_path / "file"] == [path for path in tmp_path.iterdir() if path.name != "home"]


def test_a_folder_that_is_open_to_others_is_refused_with_the_remedy(cli, folder):
    folder.mkdir(mode=0o755)

    said = init(cli, folder)

    assert 1 == said.code
    assert f"run: chmod 700 {folder}" in said.err
    assert [] == list(folder.iterdir())


@pytest.mark.needs("mount")
@pytest.mark.parametrize("size", ["4k", "8k", "16k", "32k", "64k", "128k", "192k"])
def test_a_full_disk_is_told_and_once_there_is_room_init_works(cli, tmp_path, size):
    """
    At whatever step it runs full: no key is shown that does not work, and nothing stands in the way of the next try.
    """
    with small_disk(tmp_path / "disk", size) as disk:
        full = init(cli, disk / "data")
        left = [path.name for path in (disk / "data").iterdir()] if (disk / "data").exists() else []
    with small_disk(tmp_path / "larger") as disk:
        again = init(cli, disk / "data")

    assert 1 == full.code
    assert "" == full.out
    assert any(reason in full.err for reason in ("No space left on device", "full", "disk I/O error", "unable to open"))
    assert [] == [name for name in left if name.startswith(".")]
    assert 0 == again.code


@pytest.mark.needs("mount")
def test_after_a_full_disk_the_same_folder_can_be_used(cli, tmp_path):
    with small_disk(tmp_path / "disk", "400k") as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(b"x" * 320 * 1024)
        full = init(cli, disk / "data")
        ballast.unlink()
        again = init(cli, disk / "data")

    assert (1, "") == (full.code, full.out)
    assert 0 == again.code, again.err
    assert 1 == len(KEY.findall(again.out))


@pytest.mark.needs("mount")
def test_a_read_only_disk_is_told(cli, tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        make_read_only(disk)
        said = init(cli, disk / "data")

    assert (1, "") == (said.code, said.out)
    assert "Read-only file system" in said.err
