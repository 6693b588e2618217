#!/usr/bin/env bash
# Proves the package of the Python client as its users get it: installs the wheel into an empty environment, and runs the five lines of its
# README as they are written. KEYWARD_SERVER and KEYWARD_TOKEN name the service and its key.
#
#   bash .ci/python-package.sh WHEEL
set -euo pipefail
cd "$(dirname "$0")/.."

work="$(mktemp -d)"
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/empty"
"$work/empty/bin/pip" install --quiet --disable-pip-version-check "$1"
"$work/empty/bin/pip" list --disable-pip-version-check --exclude pip --exclude setuptools

awk '/^```python$/ { inside = 1; next } /^```$/ { inside = 0 } inside' clients/python/README.md >"$work/first_verdict.py"
printed="$("$work/empty/bin/python" "$work/first_verdict.py")"
if [ "$printed" != 'False UNKNOWN' ]; then
  echo "the README of the Python client prints: $printed" >&2
  exit 1
fi
echo 'The wheel installs into an empty environment, and gives a first verdict in five lines.'
