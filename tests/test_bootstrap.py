"""
The composition root: what is made before the first request, once, whoever makes it.
"""

import json
import multiprocessing
import sqlite3
import stat
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing

import pytest

from broker import bootstrap, config
from broker.errors import AlreadyInitialised, FileFault, NotInitialised, RecordUnavailable, SettingsFault
from keys.backends.file import FileKeyStore
from tests.fakes.clock import ManualClock

ISSUER = "https://broker.example.com/"


@pytest.fixture
def settings(tmp_path):
    return config.check({"issuer": ISSUER, "data_dir": tmp_path / "data"})


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def kids(settings):
    return [key.kid for key in FileKeyStore(settings.key_file).load().keys]


def rows(settings, query):
    with closing(sqlite3.connect(settings.data_dir / "broker.db")) as database:
        return database.execute(query).fetchall()


# --- prepare --------------------------------------------------------------------------------------------------------
def test_preparing_makes_a_private_folder_with_one_key_and_the_schema(settings):
    bootstrap.prepare(settings)

    assert (0o700, 0o600) == (mode(settings.data_dir), mode(settings.key_file))
    assert 1 == len(kids(settings))
    assert [(1,)] == rows(settings, "SELECT count(*) FROM policy")


def test_preparing_again_changes_nothing(settings):
    bootstrap.prepare(settings)
    before = kids(settings), rows(settings, "SELECT * FROM policy")

    bootstrap.prepare(settings)

    assert before == (kids(settings), rows(settings, "SELECT * FROM policy"))


def test_a_new_algorithm_gets_its_key_and_the_others_keep_theirs(settings):
    bootstrap.prepare(settings)
    (first,) = kids(settings)

    bootstrap.prepare(settings.model_copy(update={"signing_algorithms": ["RS256", "ES256"]}))

    assert 2 == len(kids(settings))
    assert first in kids(settings)


def test_four_processes_that_start_at_once_make_one_key_and_one_schema(settings):
    """
    As the workers of one server, or the replicas on one disk, do.
    """
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["broker.bootstrap"])

    with ProcessPoolExecutor(4, processes) as pool:
        done = list(pool.map(bootstrap.prepare, [settings] * 8))

    assert [None] * 8 == done
    assert 1 == len(kids(settings))
    assert [(1,)] == rows(settings, "SELECT count(*) FROM policy")
    assert [(1,)] == rows(settings, "SELECT count(*) FROM alembic_version")


@pytest.mark.parametrize("how", ["folder", "file"])
def test_nothing_is_made_in_a_git_work_tree(tmp_path, how):
    """
    A key that can be committed will be. A linked work tree has a file of that name.
    """
    (tmp_path / ".git").mkdir() if how == "folder" else (tmp_path / ".git").write_text("gitdir: elsewhere")
    settings = config.check({"issuer": ISSUER, "data_dir": tmp_path / "below" / "data"})

    with pytest.raises(FileFault, match="git work tree"):
        bootstrap.prepare(settings)

    assert [tmp_path / ".git"] == list(tmp_path.iterdir())


@pytest.mark.parametrize("bits", [0o755, 0o770, 0o701, 0o740])
def test_a_folder_that_is_open_to_others_is_refused_with_the_remedy(settings, bits):
    settings.data_dir.mkdir()
    settings.data_dir.chmod(bits)

    with pytest.raises(FileFault, match=f"chmod 700 {settings.data_dir}"):
        bootstrap.prepare(settings)

    assert [] == list(settings.data_dir.iterdir())


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("file", "File exists"),
        ("file/below", "Not a directory"),
        ("x" * 300, "File name too long"),
        ("/proc/broker", "No such file"),
    ],
)
def test_a_place_where_no_folder_can_be_is_named(tmp_path, place, says):
    (tmp_path / "file").touch()
    settings = config.check({"issuer": ISSUER, "data_dir": tmp_path / place})

    with pytest.raises(FileFault, match=says) as caught:
        bootstrap.prepare(settings)

    assert place in caught.value.message


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("nonsense", SettingsFault),
        ("", RecordUnavailable),
        ("://canary", SettingsFault),
        ("nosuch://u:canary@h/d", SettingsFault),
        ("postgresql+nosuch://u:canary@h/d", SettingsFault),
        ("postgresql://u:canary@h:port/d", SettingsFault),
        ("sqlite:////nonexistent/canary/broker.db", RecordUnavailable),
    ],
)
def test_a_database_that_cannot_be_is_refused_without_its_url(settings, url, kind):
    """
    It may hold a password (T35).
    """
    if not url:
        url = f"sqlite:///{settings.data_dir.parent}"

    with pytest.raises(kind) as caught:
        bootstrap.prepare(settings.model_copy(update={"database_url": url}))

    assert "canary" not in caught.value.message
    assert None is caught.value.__cause__
    assert caught.value.__suppress_context__ or None is caught.value.__context__


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(settings):
    bootstrap.prepare(settings)
    (settings.data_dir / "broker.db").write_bytes(b"precious" * 1000)

    with pytest.raises(RecordUnavailable):
        bootstrap.prepare(settings)

    assert b"precious" * 1000 == (settings.data_dir / "broker.db").read_bytes()


def test_a_database_of_a_newer_broker_is_refused(settings):
    bootstrap.prepare(settings)
    with closing(sqlite3.connect(settings.data_dir / "broker.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(FileFault, match="newer broker"):
        bootstrap.prepare(settings)


def test_a_key_file_that_others_can_read_is_refused_with_the_remedy(settings):
    bootstrap.prepare(settings)
    settings.key_file.chmod(0o644)

    with pytest.raises(FileFault, match="chmod 600"):
        bootstrap.prepare(settings)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"format": 2, "keys": []}', b"\xff", b'{"keys": [{"canary": 1}]}']
)
def test_a_damaged_key_file_is_refused_and_not_replaced(settings, content):
    """
    A new key in its place would take every verifier by surprise.
    """
    bootstrap.prepare(settings)
    settings.key_file.write_bytes(content)

    with pytest.raises(FileFault) as caught:
        bootstrap.prepare(settings)

    assert "canary" not in caught.value.message
    assert content == settings.key_file.read_bytes()


# --- initialise -----------------------------------------------------------------------------------------------------
def test_the_first_administrator_is_made_once(settings):
    bootstrap.prepare(settings)

    key = bootstrap.initialise(settings, "root")

    assert [("root", "administrator")] == rows(settings, "SELECT username, role FROM users")
    assert [(key.sha256(),)] == rows(settings, "SELECT sha256 FROM api_keys")
    assert [("broker.initialised", "system")] == rows(settings, "SELECT action, actor FROM audit")
    with pytest.raises(AlreadyInitialised):
        bootstrap.initialise(settings, "other")
    assert [(1, 1)] == rows(settings, "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM api_keys)")


def test_a_folder_without_keys_holds_no_broker(settings):
    with pytest.raises(NotInitialised, match="broker init --data-dir"):
        bootstrap.must_be_initialised(settings)


def test_a_folder_that_cannot_be_looked_into_is_named(tmp_path):
    settings = config.check({"issuer": ISSUER, "data_dir": tmp_path / ("x" * 300)})

    with pytest.raises(FileFault, match="File name too long"):
        bootstrap.must_be_initialised(settings)


# --- open_services --------------------------------------------------------------------------------------------------
async def test_everything_opens_inside_a_loop_and_closes_again(settings):
    """
    Warnings are errors here: a socket, thread or connection that stays open fails the test.
    """
    bootstrap.prepare(settings)
    begun = time.monotonic()

    async with bootstrap.open_services(settings) as services:
        published = json.loads(services.issuer.jwks(ManualClock().now()).body)

    assert kids(settings) == [key["kid"] for key in published["keys"]]
    assert time.monotonic() - begun < 10


async def test_a_storage_that_does_not_open_is_one_of_our_errors(settings):
    bootstrap.prepare(settings)
    (settings.data_dir / "broker.db").write_bytes(b"x" * 10_000)

    with pytest.raises(RecordUnavailable):
        async with bootstrap.open_services(settings):
            pass
