import os
import stat

import pytest

from broker.errors import BuildFilesFault
from broker.runner.root import open_root

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to somebody else")


def opened_path(explicit, environ):
    with open_root(explicit, environ) as root:
        return root.path


@pytest.fixture(params=[0o000, 0o022, 0o777])
def umask(request):
    before = os.umask(request.param)
    yield
    os.umask(before)


def test_the_directory_is_private_under_any_umask(tmp_path, umask):
    """Whatever the user's umask takes away or leaves (T47)."""
    path = opened_path(str(tmp_path / "run"), {})

    assert 0o40700 == path.stat().st_mode


@pytest.fixture
def run_time(tmp_path):
    path = tmp_path / "xdg"
    path.mkdir(mode=0o700)
    return path


def test_the_run_time_directory_of_the_user_is_preferred(run_time):
    assert run_time / "broker-builds" == opened_path(None, {"XDG_RUNTIME_DIR": str(run_time)})


def test_what_was_told_beats_the_run_time_directory(run_time, tmp_path):
    assert tmp_path / "told" == opened_path(str(tmp_path / "told"), {"XDG_RUNTIME_DIR": str(run_time)})


@as_root
def test_the_run_time_directory_of_another_user_is_not_used(run_time):
    """After `sudo -E` the variable still names that of the user before."""
    os.chown(run_time, NOBODY, NOBODY)

    assert run_time not in opened_path(None, {"XDG_RUNTIME_DIR": str(run_time)}).parents


@pytest.mark.parametrize("useless", ["", "relative/path", "/does/not/exist"])
def test_without_a_run_time_directory_the_name_in_the_shared_one_is_the_users(useless):
    path = opened_path(None, {"XDG_RUNTIME_DIR": useless})

    assert path.name in {f"broker-builds-{os.geteuid()}", "broker-builds"}
    assert os.geteuid() == path.stat().st_uid


def test_a_symbolic_link_under_our_name_is_refused(tmp_path):
    """Its owner would choose where tokens are written (T47)."""
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(BuildFilesFault, match="not a symbolic link"):
        opened_path(str(tmp_path / "run"), {})

    assert [] == list((tmp_path / "elsewhere").iterdir())


def test_a_symbolic_link_on_the_way_is_resolved_once(tmp_path):
    """/var/run is one; the path that clients get has none in it."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")

    assert tmp_path / "real" / "run" == opened_path(str(tmp_path / "link" / "run"), {})


def test_a_file_under_our_name_is_refused(tmp_path):
    (tmp_path / "run").write_text("")

    with pytest.raises(BuildFilesFault, match="Not a directory"):
        opened_path(str(tmp_path / "run"), {})


@as_root
def test_somebody_elses_directory_is_refused(tmp_path):
    """Who was there first could read what is written (T47)."""
    (tmp_path / "run").mkdir(mode=0o700)
    os.chown(tmp_path / "run", NOBODY, NOBODY)

    with pytest.raises(BuildFilesFault, match="belongs to user 65534"):
        opened_path(str(tmp_path / "run"), {})


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701, 0o1777])
def test_a_directory_that_others_can_look_into_is_refused_and_not_repaired(tmp_path, mode):
    (tmp_path / "run").mkdir()
    (tmp_path / "run").chmod(mode)

    with pytest.raises(BuildFilesFault, match="chmod 700"):
        opened_path(str(tmp_path / "run"), {})

    assert mode == stat.S_IMODE((tmp_path / "run").stat().st_mode)


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o722])
def test_a_place_where_others_could_swap_our_directory_is_refused(tmp_path, mode):
    """Clients find the files by path, whatever descriptor we hold (T47)."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(mode)

    with pytest.raises(BuildFilesFault, match="can be changed by, other users"):
        opened_path(str(tmp_path / "shared" / "run"), {})


def test_a_sticky_place_is_fine(tmp_path):
    """In /tmp nobody can rename what is ours."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o1777)

    assert tmp_path / "shared" / "run" == opened_path(str(tmp_path / "shared" / "run"), {})


@as_root
def test_a_place_that_belongs_to_somebody_else_is_refused(tmp_path):
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", NOBODY, NOBODY)

    with pytest.raises(BuildFilesFault, match="owner 65534"):
        opened_path(str(tmp_path / "theirs" / "run"), {})


@pytest.mark.parametrize("name", ["a:b", "a\nb", "a\x1bb"])
def test_a_path_that_path_lists_or_scripts_cannot_carry_is_refused(tmp_path, name):
    with pytest.raises(BuildFilesFault, match="colon or control characters"):
        opened_path(str(tmp_path / name), {})

    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(("explicit", "words"), [("/", "root of the file system"), ("/does/not/exist", "No such file")])
def test_a_place_that_cannot_be(explicit, words):
    with pytest.raises(BuildFilesFault, match=words):
        opened_path(explicit, {})


def test_a_runner_that_hangs_in_the_lock_is_told(tmp_path):
    with (
        open_root(str(tmp_path / "run"), {}) as one,
        open_root(str(tmp_path / "run"), {}) as other,
        one.locked(),
        pytest.raises(BuildFilesFault, match="is it stopped"),
        other.locked(patience=0.05),
    ):
        pass
