"""What is written, as the real reader understands it where that is cheap."""

import netrc
import shutil
import subprocess
from pathlib import Path

import pytest

from broker.runner.answers import parse_build
from broker.runner.contents import contents
from tests.fakes import build_api

D = Path("/run/build-1")


def written(*credentials, environ=None, directory=D):
    build = parse_build(build_api.build(*credentials))
    items = contents(directory, build, environ or {"PATH": ""})
    return {f"{item.folder}/{item.name}": getattr(item, "text", None) for item in items}


def text(files, name):
    return files[name].reveal()


def test_the_netrc_is_what_the_standard_library_reads_back(tmp_path):
    """(T45)"""
    file = tmp_path / "netrc"
    file.write_text(
        text(written(build_api.credential(), build_api.credential("b.example.com", password="b")), "/netrc")
    )

    assert {
        "packages.example.com": ("__token__", "", build_api.TOKEN),
        "b.example.com": ("__token__", "", "b"),
    } == netrc.netrc(str(file)).hosts


def test_no_credential_is_an_empty_netrc():
    """Every reader takes that as no credentials; a missing file is an error for some."""
    assert "" == text(written(), "/netrc")


def test_only_https_hosts_are_pinned_to_https():
    """A host that speaks http only would become unreachable; an address is never pinned (RFC 6797, 8.3)."""
    files = written(
        build_api.credential("a.example.com"),
        build_api.credential("b.example.com", ppm_url="http://b.example.com"),
        build_api.credential("192.0.2.7", ppm_url="https://192.0.2.7"),
    )

    assert 'a.example.com "20991231 00:00:00"\n' == text(files, "home/hsts")
    assert 'hsts = "/run/build-1/home/hsts"\n' in text(files, "home/.curlrc")


def test_without_https_there_is_no_hsts_file():
    files = written(build_api.credential("b.example.com", ppm_url="http://b.example.com"))

    assert "home/hsts" not in files
    assert "hsts" not in text(files, "home/.curlrc")


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        (("HOME",), "HOME/.curlrc"),
        (("HOME", "XDG_CONFIG_HOME"), "XDG_CONFIG_HOME/.curlrc"),
        (("HOME", "XDG_CONFIG_HOME", "CURL_HOME"), "CURL_HOME/.curlrc"),
    ],
)
def test_the_users_own_curl_configuration_is_included_from_where_curl_would_have_found_it(tmp_path, variables, found):
    environ = {"PATH": ""}
    for name in variables:
        (tmp_path / name).mkdir()
        (tmp_path / name / ".curlrc").write_text("silent\n")
        environ[name] = str(tmp_path / name)

    lines = text(written(environ=environ), "home/.curlrc").splitlines()

    assert f'config = "{tmp_path / found}"' == lines[1]
    assert lines.index(f'config = "{tmp_path / found}"') < lines.index('netrc-file = "/run/build-1/netrc"')


def test_a_curl_configuration_that_is_not_there_is_not_included():
    assert "config" not in text(written(environ={"PATH": "", "HOME": "/does/not/exist"}), "home/.curlrc")


@pytest.mark.needs("curl")
def test_paths_are_quoted_as_curl_reads_them(tmp_path):
    home = tmp_path / 'a "b" \\n c'
    home.mkdir()
    (home / ".curlrc").write_text('write-out = "read the user\'s file"\n')
    environ = {"PATH": "", "HOME": str(home)}
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".curlrc").write_text(text(written(environ=environ, directory=home), "home/.curlrc"))

    answer = subprocess.run(
        ["curl", "--silent", "file:///dev/null"],
        env={"PATH": "/usr/bin:/bin", "CURL_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=True,
    )

    assert ("read the user's file", "") == (answer.stdout, answer.stderr)


@pytest.fixture
def wget(tmp_path):
    """A wget that tells what it was given."""
    folder = tmp_path / "it's a bin"
    folder.mkdir()
    program = folder / "wget"
    program.write_text('#!/bin/sh\necho "$HOME|$WGETRC|$*"\n')
    program.chmod(0o700)
    return program


def call(script, tmp_path, **environ):
    wrapper = tmp_path / "wrapper"
    wrapper.write_text(script)
    return subprocess.run(
        ["sh", wrapper, "-q", "a b"], env=environ, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_wget_gets_the_home_with_the_netrc_and_keeps_its_own_settings(wget, tmp_path):
    (tmp_path / ".wgetrc").write_text("")
    environ = {"PATH": str(wget.parent), "HOME": str(tmp_path)}

    script = text(written(environ=environ), "bin/wget")

    assert f"/run/build-1/home|{tmp_path}/.wgetrc|--no-hsts -q a b" == call(script, tmp_path)


def test_a_wgetrc_that_the_user_named_stays(wget, tmp_path):
    (tmp_path / ".wgetrc").write_text("")
    environ = {"PATH": str(wget.parent), "HOME": str(tmp_path), "WGETRC": "/mine"}

    script = text(written(environ=environ), "bin/wget")

    assert "/run/build-1/home|/mine|--no-hsts -q a b" == call(script, tmp_path, WGETRC="/mine")


def test_without_wget_there_is_no_wrapper(tmp_path):
    assert "bin/wget" not in written(environ={"PATH": str(tmp_path)})


def test_busybox_is_not_wrapped(tmp_path):
    """It reads no netrc and refuses --no-hsts."""
    (tmp_path / "busybox").write_text("#!/bin/sh\n")
    (tmp_path / "busybox").chmod(0o700)
    (tmp_path / "wget").symlink_to("busybox")

    assert "bin/wget" not in written(environ={"PATH": str(tmp_path)})


def test_inside_another_build_the_wrapper_of_that_one_is_passed_by(wget, tmp_path):
    """It would put the outer build's HOME back."""
    outer = tmp_path / "outer"
    outer.mkdir()
    (outer / "wget").write_text(text(written(environ={"PATH": str(wget.parent)}), "bin/wget"))
    shutil.copymode(wget, outer / "wget")

    script = text(written(environ={"PATH": f"{outer}:{wget.parent}"}), "bin/wget")

    assert "/run/build-1/home||--no-hsts -q a b" == call(script, tmp_path)
