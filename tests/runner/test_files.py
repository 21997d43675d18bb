import ctypes
import os
import resource
import struct

import pytest

from broker.domain.secrets import Secret
from broker.errors import BuildFilesFault
from broker.runner.files import File, Link, create
from broker.runner.removal import sweep
from tests.runner.conftest import tree

NAME = "0123456789abcdef" * 2
NOBODY = 65534
ITEMS = [
    File("", "netrc", Secret("machine a login b password c\n")),
    File("home", ".curlrc", Secret("x")),
    Link("home", ".netrc", "../netrc"),
    File("bin", "wget", Secret("#!/bin/sh\n"), mode=0o700),
]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to somebody else")


@pytest.fixture
def build(root):
    directory = create(root, NAME)
    yield directory
    directory.remove()


@pytest.fixture
def dead(root):
    """What a killed runner leaves: its lock went with it."""
    directory = create(root, NAME)
    directory.write(ITEMS)
    os.close(directory._owner_fd)
    os.close(directory._fd)
    return directory.path


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_files_are_private_under_any_umask(root, umask):
    """Directories 0700, files 0600, the wrapper 0700 (T47)."""
    before = os.umask(umask)
    try:
        build = create(root, NAME)
        build.write(ITEMS)
    finally:
        os.umask(before)

    modes = {name: (build.path / name).lstat().st_mode for name in [".", *tree(build.path)] if name != "home/.netrc"}
    build.remove()
    assert {
        ".": 0o40700,
        "owner": 0o100600,
        "netrc": 0o100600,
        "home": 0o40700,
        "home/.curlrc": 0o100600,
        "bin": 0o40700,
        "bin/wget": 0o100700,
    } == modes


def test_nothing_is_left(root, build):
    build.write(ITEMS)

    assert [] == build.remove()
    assert [] == tree(root.path)


@pytest.fixture
def happenings(build):
    """From now on, what happens to names in the build's directory, as the kernel tells it (inotify(7))."""
    build.write(ITEMS[:1])
    libc = ctypes.CDLL(None)
    fd = libc.inotify_init1(os.O_CLOEXEC)
    moved_to, deleted = 0x80, 0x200
    libc.inotify_add_watch(fd, os.fsencode(build.path), moved_to | deleted)

    def told():
        data, found = os.read(fd, 100_000), []
        while data:
            _watch, mask, _cookie, length = struct.unpack_from("iIII", data)
            name = data[16 : 16 + length].rstrip(b"\0").decode()
            found.append({moved_to: f"+{name}", deleted: f"-{name}"}.get(mask, "end"))
            data = data[16 + length :]
        return found

    yield told
    os.close(fd)


def test_an_empty_netrc_takes_the_place_of_the_real_one_before_it_goes(build, happenings):
    """What should still run finds no credentials; a missing file would be an error for every URL in curl 8.14."""
    build.remove()

    assert ["+netrc", "-netrc", "-owner", "end"] == happenings()


@pytest.mark.parametrize("plant", ["symlink", "hard link", "file", "directory"])
def test_what_stands_in_the_way_is_neither_followed_nor_overwritten(build, tmp_path, plant):
    """O_EXCL: the token goes into a file of our own making or nowhere (T47)."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    place = build.path / "netrc.new"
    {
        "symlink": lambda: place.symlink_to(victim),
        "hard link": lambda: place.hardlink_to(victim),
        "file": lambda: place.write_text("theirs"),
        "directory": place.mkdir,
    }[plant]()

    with pytest.raises(BuildFilesFault, match="netrc cannot be written: File exists"):
        build.write(ITEMS)

    assert "precious" == victim.read_text()
    assert not (build.path / "netrc").exists()


def test_a_folder_that_was_replaced_by_a_link_is_not_entered(build, tmp_path):
    """(T47)"""
    (build.path / "home").symlink_to(tmp_path)

    with pytest.raises(BuildFilesFault, match=r"home/\.curlrc cannot be written"):
        build.write(ITEMS)

    assert not (tmp_path / ".curlrc").exists()


@pytest.mark.parametrize("impostor", ["directory", "symlink"])
def test_a_swapped_directory_loses_the_token_and_keeps_the_impostor(root, build, tmp_path, impostor):
    """Clean-up works on what was made, by descriptor; what took its name is left alone and told (T47)."""
    build.write(ITEMS)
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "netrc").write_text("theirs")
    build.path.rename(tmp_path / "moved")
    (precious.rename if impostor == "directory" else build.path.symlink_to)(
        build.path if impostor == "directory" else precious
    )

    told = build.remove()

    assert [f"{build.path} is not removed: it is no longer the directory that was made"] == told
    assert [] == tree(tmp_path / "moved")
    assert "theirs" == (build.path / "netrc").read_text()


def test_a_directory_that_was_moved_away_loses_the_token(build, tmp_path):
    build.write(ITEMS)
    build.path.rename(tmp_path / "moved")

    told = build.remove()

    assert [f"{build.path} was moved away while the build ran"] == told
    assert [] == tree(tmp_path / "moved")


def test_files_that_clients_add_to_their_folders_go_too(root, build):
    """Whatever curl saves beside its HSTS file."""
    build.write(ITEMS)
    (build.path / "home" / "hsts.4711.tmp").write_text("")

    assert [] == build.remove()
    assert [] == tree(root.path)


def test_what_no_runner_makes_is_kept_and_told(build):
    """The token goes all the same."""
    build.write(ITEMS)
    (build.path / "thesis.tex").write_text("years of work")

    told = build.remove()

    assert [f"{build.path} is not removed: it still holds 'thesis.tex'"] == told
    assert ["owner", "thesis.tex"] == tree(build.path)


@pytest.fixture
def no_space():
    """Files can be made, but nothing fits into them: a full disk as the kernel plays it for one process."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_without_space_no_directory_is_left(root, no_space):
    with pytest.raises(BuildFilesFault, match=r"no build directory can be made in .*: File too large"):
        create(root, NAME)

    assert [] == tree(root.path)


def test_without_space_half_a_netrc_is_not_left(build, no_space):
    """A truncated entry would be sent as a wrong password by some readers."""
    with pytest.raises(BuildFilesFault, match="netrc cannot be written: File too large"):
        build.write(ITEMS)

    assert ["owner"] == tree(build.path)


def test_a_dead_runners_directory_is_swept(root, dead):
    told = sweep(root)

    assert [f"{dead} of a killed `broker run` was removed"] == told
    assert [] == tree(root.path)


def test_a_living_runners_directory_is_not(root, build):
    build.write(ITEMS)

    assert [] == sweep(root)
    assert (build.path / "netrc").exists()


def test_a_runner_that_died_before_it_signed_is_swept(root):
    (root.path / f"build-{NAME}").mkdir(mode=0o700)

    assert 1 == len(sweep(root))
    assert [] == tree(root.path)


@pytest.mark.parametrize("name", ["build-x", "thesis", f"build-{NAME}x", f"BUILD-{NAME}", f"build-{NAME}\n"])
def test_other_names_are_not_touched(root, name):
    (root.path / name).mkdir()
    (root.path / name / "netrc").write_text("theirs")

    assert [] == sweep(root)
    assert "theirs" == (root.path / name / "netrc").read_text()


def test_a_link_under_our_name_is_not_followed(root, tmp_path):
    """(T47)"""
    (tmp_path / "precious").mkdir(mode=0o700)
    (tmp_path / "precious" / "netrc").write_text("theirs")
    (root.path / f"build-{NAME}").symlink_to(tmp_path / "precious")

    told = sweep(root)

    assert [f"{root.path}/build-{NAME} is left alone: Not a directory"] == told
    assert "theirs" == (tmp_path / "precious" / "netrc").read_text()


def test_a_file_under_our_name_is_left(root):
    (root.path / f"build-{NAME}").write_text("x")

    assert "is left alone" in sweep(root)[0]
    assert (root.path / f"build-{NAME}").exists()


@pytest.mark.parametrize("name", ["netrc", "Rprofile", "home", "home/.curlrc", "bin/wget"])
def test_links_inside_lose_themselves_and_not_their_target(root, dead, tmp_path, name):
    """(T47)"""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "netrc").write_text("precious")
    place = dead / name
    if place.is_dir():
        place.rename(tmp_path / "moved")
    else:
        place.unlink(missing_ok=True)
    place.symlink_to(victim)

    sweep(root)

    assert "precious" == (victim / "netrc").read_text()
    assert not (dead / "netrc").exists()


def test_a_hard_link_loses_its_name_only(root, dead, tmp_path):
    """(T47)"""
    (tmp_path / "victim").write_text("precious")
    (dead / "netrc").unlink()
    (dead / "netrc").hardlink_to(tmp_path / "victim")

    sweep(root)

    assert "precious" == (tmp_path / "victim").read_text()
    assert [] == tree(root.path)


def planted_owner(kind, dead, tmp_path):
    owner = dead / "owner"
    owner.unlink()
    {
        "symlink": lambda: owner.symlink_to("/etc/passwd"),
        "hard link": lambda: (
            (tmp_path / "v").write_text("x"),
            owner.hardlink_to(tmp_path / "v"),
        ),
        "fifo": lambda: os.mkfifo(owner, 0o600),
        "directory": owner.mkdir,
    }[kind]()


@pytest.mark.parametrize("kind", ["symlink", "hard link", "fifo", "directory"])
def test_an_owner_file_that_no_runner_made_is_a_reason_to_keep_away(root, dead, tmp_path, kind):
    """A fifo must not make the sweep hang either (T47)."""
    planted_owner(kind, dead, tmp_path)

    told = sweep(root)

    assert "is left alone" in told[0]
    assert (dead / "netrc").exists()


def test_a_directory_with_other_rights_is_left(root, dead):
    dead.chmod(0o755)

    assert [f"{dead} is left alone: its mode is 0755, and ours is 0700"] == sweep(root)


@as_root
def test_a_directory_of_another_user_is_left(root, dead):
    """(T47)"""
    os.chown(dead, NOBODY, NOBODY)

    assert [f"{dead} is left alone: it belongs to user 65534"] == sweep(root)
    assert (dead / "netrc").exists()
