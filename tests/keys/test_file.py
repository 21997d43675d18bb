"""
Keys in one file: private, whole, made once.
"""

import fcntl
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import traceback
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec

from keys import Algorithm, KeyFault
from keys.backends.file import FileKeyStore
from tests.contract.key_store import KeyStoreContract
from tests.fakes.clock import NOON

ES256 = [Algorithm.ES256]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "signing-keys.json"


@pytest.fixture
def store(path):
    return FileKeyStore(path)


class TestFileKeyStore(KeyStoreContract):
    @pytest.fixture
    def open_store(self, path):
        return lambda: FileKeyStore(path)


def document(path):
    return json.loads(path.read_text())


def pem_of(private, password=None):
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock).decode()


# --- who can read it --------------------------------------------------------------------------------------------------
@pytest.fixture
def no_umask():
    before = os.umask(0)
    yield
    os.umask(before)


def test_the_file_and_its_lock_are_private_even_under_umask_0(store, path, no_umask):
    """
    (T47)
    """
    store.ensure(ES256, NOON)

    assert {0o600} == {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    assert {path.name, f"{path.name}.lock"} == {each.name for each in path.parent.iterdir()}


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o601, 0o620, 0o660, 0o777])
def test_a_file_that_others_can_use_is_refused_with_the_remedy(store, path, mode):
    """
    (T47)
    """
    store.ensure(ES256, NOON)
    path.chmod(mode)

    with pytest.raises(KeyFault, match=f"mode {mode:04o}.*chmod 600"):
        store.load()
    with pytest.raises(KeyFault):
        store.ensure([Algorithm.EDDSA], NOON)


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_that_only_its_owner_can_use_is_loaded(store, path, mode):
    kid = store.ensure(ES256, NOON).keys[0].kid
    path.chmod(mode)

    assert kid == store.load().keys[0].kid


def _symlink(path):
    path.with_name("elsewhere").write_text("{}")
    path.symlink_to("elsewhere")


def _socket(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


@pytest.mark.timeout(5)
@pytest.mark.parametrize(
    ("put", "words"),
    [
        (_symlink, "symbolic link"),
        (lambda path: path.symlink_to("nowhere"), "symbolic link"),
        (lambda path: os.mkfifo(path, 0o600), "not a regular file"),
        (lambda path: path.mkdir(0o700), "not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "symbolic link"),
        (_socket, "cannot be read"),
    ],
    ids=["symbolic link", "dangling link", "FIFO", "directory", "device", "socket"],
)
def test_what_is_no_regular_file_is_refused_at_once(store, path, put, words):
    """
    (T47)
    """
    put(path)

    with pytest.raises(KeyFault, match=words):
        store.load()
    with pytest.raises(KeyFault, match=words):
        store.ensure(ES256, NOON)


def test_a_lock_that_is_a_symbolic_link_is_not_followed(store, path):
    """
    (T47)
    """
    path.with_name(f"{path.name}.lock").symlink_to("victim")

    with pytest.raises(KeyFault, match="cannot be written"):
        store.ensure(ES256, NOON)
    assert not path.with_name("victim").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
def test_what_root_changes_stays_the_file_of_whoever_owns_the_folder(store, path):
    """
    `sudo broker keys rotate` must not lock the broker out of its own keys.
    """
    os.chown(path.parent, 4242, 4343)
    store.ensure(ES256, NOON)

    store.update(lambda ring: ring.completed([Algorithm.EDDSA], NOON))

    assert {(4242, 4343, 0o100600)} == {(s.st_uid, s.st_gid, s.st_mode) for s in map(Path.stat, path.parent.iterdir())}


# --- where it lies ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "make", [lambda git: git.mkdir(), lambda git: git.write_text("gitdir: x")], ids=["clone", "tree"]
)
def test_no_key_is_made_where_git_could_pick_it_up(tmp_path, make):
    make(tmp_path / ".git")
    (tmp_path / "data" / "deep").mkdir(parents=True)

    with pytest.raises(KeyFault, match="git work tree"):
        FileKeyStore(tmp_path / "data" / "deep" / "keys.json").ensure(ES256, NOON)
    assert [] == list((tmp_path / "data" / "deep").iterdir())


def test_a_link_into_a_git_work_tree_does_not_hide_it(tmp_path):
    (tmp_path / "checkout" / ".git").mkdir(parents=True)
    (tmp_path / "data").symlink_to("checkout")

    with pytest.raises(KeyFault, match="git work tree"):
        FileKeyStore(tmp_path / "data" / "keys.json").ensure(ES256, NOON)


def test_a_relative_path_is_looked_at_from_where_it_starts(tmp_path, monkeypatch):
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)

    with pytest.raises(KeyFault, match="git work tree"):
        FileKeyStore(Path("keys.json")).ensure(ES256, NOON)


# --- what is in it ----------------------------------------------------------------------------------------------------
CANARY = "canary-c2VjcmV0"
PEM_LABEL = "PRIVATE KEY"


def _entry(**changes):
    entry = {
        "algorithm": "ES256",
        "created": NOON.isoformat(),
        "signs_from": NOON.isoformat(),
        "signs_until": None,
        "forgotten_at": None,
        "private_key": pem_of(ec.generate_private_key(ec.SECP256R1())),
    }
    return json.dumps({"format": 1, "keys": [{**entry, **changes}]})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "5",
        f'"{CANARY}"',
        f'{{"format": 1, "keys": [{{"private_key": "{CANARY}"',
        "\xff\xfe",
        "[" * 100_000,
        "{}",
        '{"format": 1}',
        '{"format": 1, "keys": null}',
        '{"format": 1, "keys": 5}',
        '{"format": 1, "keys": {"a": 1}}',
        '{"format": 1, "keys": [null]}',
        '{"format": 1, "keys": [[]]}',
        '{"format": 1, "keys": [{}]}',
        _entry(private_key=CANARY),
        _entry(private_key=""),
        _entry(private_key=None),
        _entry(private_key=5),
        _entry(private_key=f"-----BEGIN {PEM_LABEL}-----\n{CANARY}\n-----END {PEM_LABEL}-----\n"),
        _entry(private_key=pem_of(ec.generate_private_key(ec.SECP256R1()), b"password")),
        _entry(private_key=pem_of(dsa.generate_private_key(1024))),
        _entry(algorithm="HS256"),
        _entry(algorithm=None),
        _entry(created="yesterday"),
        _entry(created=None),
        _entry(created=5),
        _entry(signs_from="2026-11-21T12:00:00"),
        _entry(signs_until="2026-11-21T12:00:00"),
        _entry(forgotten_at=[1]),
    ],
    ids=range(32),
)
def test_a_damaged_file_is_refused_with_a_remedy_and_without_its_text(store, path, text):
    """
    (T35)
    """
    path.write_bytes(text.encode("latin-1"))
    path.chmod(0o600)

    with pytest.raises(KeyFault, match=r"damaged; restore it") as refused:
        store.load()

    assert "canary" not in "".join(traceback.format_exception(refused.value))
    with pytest.raises(KeyFault):
        store.ensure(ES256, NOON)
    assert text.encode("latin-1") == path.read_bytes()


def test_a_key_of_another_kind_than_its_algorithm_is_refused(store, path):
    path.write_text(_entry(algorithm="EdDSA"))
    path.chmod(0o600)

    with pytest.raises(KeyFault, match="not one for EdDSA"):
        store.load()


@pytest.mark.parametrize("number", [2, 0, "1", CANARY * 10, None])
def test_a_file_of_a_newer_version_is_refused_and_not_overwritten(store, path, number):
    path.write_text(json.dumps({"format": number, "keys": [], "new": 1}))
    path.chmod(0o600)

    with pytest.raises(KeyFault, match="this version reads 1") as refused:
        store.ensure(ES256, NOON)
    assert CANARY not in str(refused.value)
    assert "new" in document(path)


def test_the_file_says_its_format_and_the_life_of_each_key(store, path):
    store.ensure(ES256, NOON)
    (entry,) = document(path)["keys"]

    assert 1 == document(path)["format"]
    assert ("ES256", NOON.isoformat(), NOON.isoformat(), None, None) == (
        entry["algorithm"],
        entry["created"],
        entry["signs_from"],
        entry["signs_until"],
        entry["forgotten_at"],
    )


def test_a_whole_life_is_read(store, path):
    path.write_text(_entry(signs_until="2027-01-01T00:00:00Z", forgotten_at="2027-02-01T01:00:00+01:00"))
    path.chmod(0o600)
    life = store.load().keys[0].life

    assert ("2027-01-01T00:00:00+00:00", "2027-02-01T01:00:00+01:00") == (
        life.signs_until.isoformat(),
        life.forgotten_at.isoformat(),
    )
    store.ensure([Algorithm.EDDSA], NOON)
    assert life == store.load().signing(Algorithm.ES256, NOON).life


# --- how it is written ------------------------------------------------------------------------------------------------
def test_a_start_with_every_key_there_writes_nothing(store, path):
    store.ensure(ES256, NOON)
    path.with_name(f"{path.name}.lock").unlink()
    before = path.stat()

    store.ensure(ES256, NOON)

    assert (before.st_ino, before.st_mtime_ns) == (path.stat().st_ino, path.stat().st_mtime_ns)
    assert [path] == list(path.parent.iterdir())


@pytest.mark.parametrize("folder", ["/sys", "/nonexistent", "/dev/null"])
@pytest.mark.needs("linux")
def test_a_folder_that_takes_no_file_is_named(folder):
    """
    `/sys` takes none from anybody, so this holds for root as well.
    """
    with pytest.raises(KeyFault, match=rf"the key file {folder}/keys.json cannot be"):
        FileKeyStore(Path(folder, "keys.json")).ensure(ES256, NOON)


def test_what_cannot_be_replaced_is_told_and_left_alone(store, path):
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.mkdir()

    with pytest.raises(KeyFault, match="cannot be written"):
        store.ensure(ES256, NOON)
    assert draft.is_dir()
    assert not path.exists()


def test_whoever_comes_second_uses_the_key_of_the_first_and_writes_nothing(path):
    class Overtaken(FileKeyStore):
        @contextmanager
        def _locked(self):
            FileKeyStore(path).ensure(ES256, NOON)
            with super()._locked():
                yield

    second = Overtaken(path).ensure(ES256, NOON)

    assert [key.kid for key in FileKeyStore(path).load().keys] == [key.kid for key in second.keys]
    assert 1 == len(second.keys)


def test_whoever_comes_while_another_one_writes_waits_for_it(store, path):
    made = []
    with open(f"{path}.lock", "w") as lock:  # noqa: PTH123 - the name is the file's and .lock
        fcntl.flock(lock, fcntl.LOCK_EX)
        thread = threading.Thread(target=lambda: made.append(store.ensure(ES256, NOON)))
        thread.start()
        thread.join(0.3)
        written_meanwhile = path.exists()
    thread.join(10)

    assert not written_meanwhile
    assert 1 == len(made[0].keys)


def test_a_change_that_changes_nothing_writes_nothing(store, path):
    store.ensure(ES256, NOON)
    before = path.stat()

    store.update(lambda ring: ring)

    assert (before.st_ino, before.st_mtime_ns) == (path.stat().st_ino, path.stat().st_mtime_ns)


def test_a_file_that_nobody_changed_is_not_parsed_again(store, path):
    """
    An RSA key costs a hundred signatures to load, and a server looks every minute.
    """
    store.ensure(ES256, NOON)
    first = store.load()
    same = store.load()
    FileKeyStore(path).ensure([Algorithm.EDDSA], NOON)

    assert first is same
    assert {Algorithm.ES256, Algorithm.EDDSA} == store.load().algorithms()


def test_what_was_read_before_does_not_open_a_file_that_others_can_read(store, path):
    """
    (T47)
    """
    store.ensure(ES256, NOON)
    store.load()
    path.chmod(0o640)

    with pytest.raises(KeyFault, match="chmod 600"):
        store.load()


def test_a_file_that_was_taken_away_is_an_empty_ring_again(store, path):
    store.ensure(ES256, NOON)
    store.load()
    path.unlink()

    assert () == store.load().keys


START = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from keys import Algorithm, KeyFault
from keys.backends.file import FileKeyStore
{prepare}
sys.stdin.readline()
try:
    ring = FileKeyStore(Path(sys.argv[1])).ensure([Algorithm(name) for name in sys.argv[2:]], datetime.now(UTC))
except KeyFault as fault:
    sys.exit(str(fault))
print(*sorted(key.kid for key in ring.keys))
"""


@pytest.fixture
def start(path, request):
    """
    Start a process that makes keys as soon as it reads a line.
    """
    started = []

    def start(*algorithms, prepare="", program=START):
        process = subprocess.Popen(
            [sys.executable, "-c", program.format(prepare=prepare), str(path), *algorithms],
            cwd=request.config.rootpath,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_several_processes_that_start_at_once_make_one_key(start, store):
    processes = [start("ES256", "EdDSA") for _ in range(4)]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()

    said = {process.communicate(timeout=30)[0].strip() for process in processes}

    assert {" ".join(sorted(key.kid for key in store.load().keys))} == said
    assert 2 == len(store.load().keys)


ROTATE = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from keys import Algorithm
from keys.backends.file import FileKeyStore
from keys.schedule import Rules, Schedule
now = datetime.now(UTC) + timedelta(days=90)
rules = Rules(timedelta(days=90), timedelta(hours=26), timedelta(minutes=5), timedelta(minutes=1))
schedule = Schedule(rules, frozenset([Algorithm.ES256, Algorithm.EDDSA]))
sys.stdin.readline()
ring = FileKeyStore(Path(sys.argv[1])).update(lambda ring: schedule.due(ring, now))
print(*sorted(key.kid for key in ring.keys))
"""


def test_several_processes_that_rotate_at_once_make_one_successor(start, store):
    """
    (T42)
    """
    store.ensure([Algorithm.ES256, Algorithm.EDDSA], datetime.now(UTC))
    processes = [start(program=ROTATE) for _ in range(4)]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()

    said = {process.communicate(timeout=30)[0].strip() for process in processes}

    assert {" ".join(sorted(key.kid for key in store.load().keys))} == said
    assert 4 == len(store.load().keys)


LITTLE_ROOM = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
"""


def test_a_full_disk_is_told_and_leaves_the_old_file(start, store, path):
    kid = store.ensure(ES256, NOON).keys[0].kid
    before = path.read_bytes()

    process = start("EdDSA", prepare=LITTLE_ROOM)
    _, said = process.communicate("go\n", timeout=30)

    assert 1 == process.returncode
    assert f"the key file {path} cannot be written" in said
    assert "Traceback" not in said
    assert before == path.read_bytes()
    assert kid == store.load().keys[0].kid
    assert {path.name, f"{path.name}.lock"} == {each.name for each in path.parent.iterdir()}


def test_a_process_that_is_killed_while_it_writes_does_no_harm(start, store, path):
    """
    It leaves half a draft, 0600 under another name; the old file is whole and the lock is free.
    """
    store.ensure(ES256, NOON)
    before = path.read_bytes()

    process = start("EdDSA", prepare=f"{LITTLE_ROOM}import signal; signal.signal(signal.SIGXFSZ, signal.SIG_DFL)")
    process.communicate("go\n", timeout=30)
    drafts = [each for each in path.parent.iterdir() if each.name.startswith(".")]

    assert -signal.SIGXFSZ == process.returncode
    assert before == path.read_bytes()
    assert [0o600] == [stat.S_IMODE(draft.stat().st_mode) for draft in drafts]
    assert 2 == len(store.ensure([Algorithm.ES256, Algorithm.EDDSA], NOON).keys)


def test_the_draft_of_an_earlier_process_with_our_number_is_not_written_through(store, path):
    """
    Process numbers come round again, and a draft could be a link that somebody laid (T47).
    """
    victim = path.with_name("victim")
    path.with_name(f".{path.name}.{os.getpid()}").symlink_to(victim)

    store.ensure(ES256, NOON)

    assert not victim.exists()
    assert 1 == len(store.load().keys)
