#!/bin/sh
# The whole idea on this machine, with real servers and unmodified package clients: sh deploy/demo.sh [--keep]
set -eu
cd "$(dirname "$0")/.."
. deploy/setup.sh

system_parts
virtual_environment deploy/requirements-demo.txt
rm -f "$log"
trap - EXIT
exec .venv/bin/python deploy/demo.py "$@"
