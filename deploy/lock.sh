#!/bin/sh
# Write deploy/requirements*.txt anew: every package with its hashes, none newer than a week, no address of an index.
set -eu
cd "$(dirname "$0")/.."
uv=${UV:-.venv/bin/uv}
before=$(date -u -d '7 days ago' +%Y-%m-%d)
for groups in "requirements.txt:build" "requirements-demo.txt:demo" "requirements-dev.txt:dev"; do
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
        --exclude-newer "$before" --group "${groups#*:}" --output-file "deploy/${groups%%:*}" pyproject.toml
done
