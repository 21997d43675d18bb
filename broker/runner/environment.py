"""
The variables of the command: where its clients find the files, and nothing that is secret.

docs/running-builds.md tells the person who builds about each. HOME is never moved (caches and libraries live there),
and no token is put into a variable: every compiler and test of the build could print it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from broker.domain.secrets import Secret
from broker.runner.answers import Credential
from broker.runner.contents import is_ours
from broker.runner.paths import is_file

ORIGINAL_R_PROFILE = "BROKER_ORIG_R_PROFILE"
SET = (
    "NETRC",
    "R_DEFAULT_NETRC",
    "CURL_HOME",
    "PKG_NETRC_PATH",
    "R_PROFILE",
    ORIGINAL_R_PROFILE,
    "PATH",
    "PIP_NO_INPUT",
    "PIP_KEYRING_PROVIDER",
    "GIT_TERMINAL_PROMPT",
)
"""Every variable that a build may find changed; a test looks each up in the documentation."""

_OURS = "BROKER_"
_INDEX_VARIABLES = (
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "UV_INDEX",
    "UV_DEFAULT_INDEX",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "RENV_CONFIG_REPOS_OVERRIDE",
    "CRAN",
)


def child_environment(
    environ: Mapping[str, str], directory: Path, api_key: Secret, *, has_wget: bool
) -> dict[str, str]:
    """
    Return the environment of the command: the user's, plus what leads clients to `directory`, minus the broker's own.

    Every BROKER_ variable goes (settings may hold passwords), and so does the API key under whatever name it came.
    """
    kept = {
        name: value for name, value in environ.items() if not name.startswith(_OURS) and api_key.reveal() not in value
    }
    netrc = str(directory / "netrc")
    return {
        **kept,
        "NETRC": netrc,  # pip, uv, poetry, pipenv, conda; curl from 8.16 and git with it
        "R_DEFAULT_NETRC": netrc,  # R from 4.6
        "PKG_NETRC_PATH": netrc,  # pak 0.8
        "CURL_HOME": str(directory / "home"),  # curl of any version; renv, packrat and R through it
        "PIP_NO_INPUT": "1",  # a refused token ends in an error, not in a prompt that nobody sees
        "PIP_KEYRING_PROVIDER": "disabled",  # a stray keyring would be asked, and may prompt
        "GIT_TERMINAL_PROMPT": "0",
        **_r_profile(environ, directory),
        **({"PATH": _path(environ, directory)} if has_wget else {}),
    }


def warnings_about(environ: Mapping[str, str], credentials: Sequence[Credential]) -> list[str]:
    """Return a sentence for each index URL in `environ` that would spoil or leak a granted token."""
    secure = {each.entry.machine: not each.ppm_url.is_cleartext for each in credentials}
    return [
        f"{name} {fault}"
        for name in _INDEX_VARIABLES
        for url in environ.get(name, "").split()
        for fault in _faults(url.rpartition("=")[2] if "://" in url.rpartition("=")[2] else url, secure)
    ]


def hides_a_netrc(environ: Mapping[str, str]) -> bool:
    """Whether the user has a netrc that clients do not look at while NETRC names ours."""
    home = environ.get("HOME")
    places = [environ.get("NETRC"), f"{home}/.netrc" if home else None]
    return any(place and is_file(Path(place)) for place in places)


def _faults(url: str, secure: Mapping[str, bool]) -> list[str]:
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        user, password = parts.username, parts.password
    except ValueError:
        return []
    if host not in secure:
        return []
    faults = []
    if password is not None or user not in {None, "__token__"}:
        faults.append(
            f"has a user name or password for {host} in its URL, which clients prefer to the token of this build; "
            "remove it from the URL"
        )
    if parts.scheme == "http" and secure[host]:
        faults.append(f"names {host} with http://, where the token would be sent in clear; write https://")
    return faults


def _r_profile(environ: Mapping[str, str], directory: Path) -> dict[str, str]:
    """R_PROFILE hides the site's profile, or the one that was named there; the last lines of ours read that one."""
    mine = {"R_PROFILE": str(directory / "Rprofile")}
    theirs = environ.get("R_PROFILE")
    if theirs is not None and is_ours(theirs):
        # Inside another `broker run`: what that one replaced is what the user wanted; ours would read itself for ever.
        theirs = environ.get(ORIGINAL_R_PROFILE)
    return mine if theirs is None else {**mine, ORIGINAL_R_PROFILE: theirs}


def _path(environ: Mapping[str, str], directory: Path) -> str:
    return ":".join(filter(None, [str(directory / "bin"), environ.get("PATH", "/usr/local/bin:/usr/bin:/bin")]))
