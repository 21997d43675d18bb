#!/bin/sh
# Set up what is missing, then check and test: sh tests/run.sh [lint|types|unit|e2e|bench|all] [pytest arguments]
set -eu
cd "$(dirname "$0")/.."
. deploy/setup.sh

part=${1:-all}
[ $# -eq 0 ] || shift

virtual_environment deploy/requirements-dev.txt
PATH=$PWD/.venv/bin:$PATH
export PATH

lint() {
    ruff check .
    ruff format --check --quiet .
    lint-imports
}
types() { mypy; }
# Two workers: the machine that this is meant for has two cores, and servers of the e2e tests wait more than they work.
tests() { python -m pytest -n "${TEST_WORKERS:-2}" --dist loadgroup "$@"; }

case $part in
    lint) lint ;;
    types) types ;;
    unit) tests -m "not e2e" "$@" ;;
    e2e) system_parts && tests -m e2e "$@" ;;
    bench) python -m tests.bench "$@" ;;
    all)
        system_parts
        lint
        types
        tests "$@"
        ;;
    *)
        echo "usage: sh tests/run.sh [lint|types|unit|e2e|bench|all] [pytest arguments]" >&2
        exit 2
        ;;
esac
