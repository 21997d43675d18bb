"""
What stands in the files of a build, one for each kind of client (docs/running-builds.md says which reads what).
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from broker.domain.secrets import Secret
from broker.runner.answers import Build, Credential
from broker.runner.commands import search
from broker.runner.files import File, Link
from broker.runner.paths import is_file

_MARK = b"written by `broker run` for one build"
_MARK_WITHIN = 200

_CURLRC_PLACES = (("CURL_HOME", ""), ("XDG_CONFIG_HOME", ""), ("HOME", ""), ("HOME", ".config"))
"""Where curl looks for .curlrc, in its order (curl's source, tool_findfile.c)."""

_FAR_FUTURE = "20991231 00:00:00"


def contents(directory: Path, build: Build, environ: Mapping[str, str]) -> list[File | Link]:
    """Return the files for `build` in `directory`; `environ` is the user's, where their own settings are looked up."""
    https_hosts = [each.entry.machine for each in build.credentials if _speaks_https_only(each)]
    items: list[File | Link] = [
        File("", "netrc", build.netrc),
        File("", "Rprofile", Secret(Path(__file__).with_name("Rprofile.R").read_text(encoding="utf-8"))),
        File("home", ".curlrc", Secret(_curlrc(directory, _user_curlrc(environ), has_hsts=bool(https_hosts)))),
        Link("home", ".netrc", "../netrc"),
    ]
    if https_hosts:
        items.append(File("home", "hsts", Secret(_hsts(https_hosts))))
    wget = _user_wget(environ)
    if wget:
        items.append(File("bin", "wget", Secret(_wget(directory, wget, _user_wgetrc(environ))), mode=0o700))
    return items


def is_ours(path: str) -> bool:
    """Whether a `broker run` around this one wrote the file: its content is not the user's own setting."""
    try:
        with Path(path).open("rb") as file:
            return _MARK in file.read(_MARK_WITHIN)
    except OSError:
        return False


def _speaks_https_only(credential: Credential) -> bool:
    # HSTS knows names only (RFC 6797, 8.3: an address is never a known HSTS host).
    return not credential.ppm_url.is_cleartext and credential.ppm_url.literal_address is None


def _curlrc(directory: Path, users: Path | None, *, has_hsts: bool) -> str:
    lines = [f"# {_MARK.decode()}"]
    if users:
        # CURL_HOME replaces the user's file, so ours includes it; first, so that our netrc-file is the last word.
        lines.append(f"config = {_curl_quoted(users)}")
    # A missing netrc-file without netrc-optional is an error for every URL in curl 8.14.
    lines += ["netrc-optional", f"netrc-file = {_curl_quoted(directory / 'netrc')}"]
    if has_hsts:
        # Without it curl would send the token in clear to http:// of the same host, also after a redirect.
        lines.append(f"hsts = {_curl_quoted(directory / 'home' / 'hsts')}")
    return "\n".join([*lines, ""])


def _curl_quoted(path: Path) -> str:
    r"""Quote for a curl configuration: inside double quotes `\` and `"` are escaped (curl's manual, -K)."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _hsts(hosts: Sequence[str]) -> str:
    return "".join(f'{host} "{_FAR_FUTURE}"\n' for host in hosts)


def _user_curlrc(environ: Mapping[str, str]) -> Path | None:
    places = (Path(environ[name], below, ".curlrc") for name, below in _CURLRC_PLACES if environ.get(name))
    return next((place for place in places if _is_safe_to_include(place)), None)


def _is_safe_to_include(place: Path) -> bool:
    return is_file(place) and os.access(place, os.R_OK) and str(place).isprintable()


def _wget(directory: Path, wget: Path, wgetrc: Path | None) -> str:
    """Return the wrapper: wget finds a netrc only through HOME, and every other program shall keep the real HOME."""
    lines = ["#!/bin/sh", f"# {_MARK.decode()}"]
    if wgetrc:
        lines.append(f"export WGETRC={_shell_quoted(wgetrc)}")
    return "\n".join(
        [
            *lines,
            f"export HOME={_shell_quoted(directory / 'home')}",
            f'exec {_shell_quoted(wget)} --no-hsts "$@"',  # else it saves an HSTS file in this HOME
            "",
        ]
    )


def _shell_quoted(path: Path) -> str:
    escaped = str(path).replace("'", "'\\''")
    return f"'{escaped}'"


def _user_wget(environ: Mapping[str, str]) -> Path | None:
    """Return the user's wget: not the wrapper of an outer build, and not busybox, which reads no netrc."""
    for program in search("wget", environ):
        if program.resolve().name != "busybox" and not is_ours(str(program)):
            return program.absolute()
    return None


def _user_wgetrc(environ: Mapping[str, str]) -> Path | None:
    """Return ~/.wgetrc, which the wrapper's HOME would hide; a WGETRC of the user's own stays as it is."""
    if environ.get("WGETRC") or not environ.get("HOME"):
        return None
    place = Path(environ["HOME"], ".wgetrc")
    return place.absolute() if is_file(place) else None
