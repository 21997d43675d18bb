# Sourced by deploy/demo.sh and tests/run.sh: a virtual environment with pinned packages, and the system parts.
# Needs Python >= 3.11 with venv; the rest it brings. Runs again in a moment, because it remembers what it did.

say() { printf '%s\n' "$*" >&2; }

is_root_on_debian() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; }

# apt_install PACKAGE...: install from Debian where we may, else say loudly what will be skipped.
apt_install() {
    if is_root_on_debian; then
        say "installing $* ..."
        { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@"; } \
            >"$log" 2>&1 || { say "apt-get could not install $*:"; tail -n 5 "$log" >&2; return 1; }
    else
        say "NOTE: not installed: $* (this script installs system packages only as root on Debian); what needs it is skipped"
    fi
}

system_parts() {
    missing=
    command -v curl >/dev/null 2>&1 || missing="$missing curl ca-certificates"
    command -v wget >/dev/null 2>&1 || missing="$missing wget"
    command -v Rscript >/dev/null 2>&1 || missing="$missing r-base-core"
    # shellcheck disable=SC2086 # a list of words
    [ -z "$missing" ] || apt_install $missing || [ "${CI:-}" != true ]
}

find_python() {
    for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11; do
        [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 || continue
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    say "Python 3.11 or newer is needed; install it, or name it with PYTHON=/path/to/python3"
    return 1
}

# virtual_environment REQUIREMENTS: make .venv, or bring it up to date where the requirements changed.
virtual_environment() {
    stamp=.venv/installed-${1##*/}
    wanted=$(cat "$1" pyproject.toml deploy/setup.sh | cksum)
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && return
    python=$(find_python)
    if [ ! -x .venv/bin/python ]; then
        say "making .venv with $("$python" --version) ..."
        "$python" -m venv .venv >"$log" 2>&1 || {
            rm -rf .venv
            apt_install python3-venv && "$python" -m venv .venv
        }
    fi
    say "installing packages (about a minute, once) ..."
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "$1"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
    printf '%s\n' "$wanted" >"$stamp"
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
