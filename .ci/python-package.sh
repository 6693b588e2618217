#!/usr/bin/env bash
# Proves the package of the Python client as its users get it: installs the wheel into an empty environment, and runs the five lines of its
# README as they are written, against a service of its own.
#
#   bash .ci/python-package.sh WHEEL
set -euo pipefail
cd "$(dirname "$0")/.."

work="$(mktemp -d)"
chmod 755 "$work"
server_pid=''
clean_up() {
  if [ -n "$server_pid" ] && kill "$server_pid"; then wait "$server_pid" || true; fi
  rm -rf "$work"
}
trap clean_up EXIT

python3 -m venv "$work/empty"
"$work/empty/bin/pip" install --quiet --disable-pip-version-check "$1"
"$work/empty/bin/pip" list --disable-pip-version-check --exclude pip --exclude setuptools

port="$(node -e 'const server = require("net").createServer().listen(0, "127.0.0.1", () => {
  console.log(server.address().port); server.close(); })')"
export KEYWARD_SERVER="127.0.0.1:$port"
KEYWARD_DATA_DIR="$work/data" KEYWARD_LISTEN="$KEYWARD_SERVER" KEYWARD_HTTP_LISTEN='' \
  node --enable-source-maps dist/cli/main.js serve &
server_pid=$!
for _ in $(seq 120); do
  if node dist/cli/main.js health --server "$KEYWARD_SERVER" >/dev/null 2>&1; then break; fi
  sleep 0.5
done
KEYWARD_TOKEN="$(cat "$work/data/admin-token")"
export KEYWARD_TOKEN

awk '/^```python$/ { inside = 1; next } /^```$/ { inside = 0 } inside' clients/python/README.md >"$work/first_verdict.py"
printed="$("$work/empty/bin/python" "$work/first_verdict.py")"
if [ "$printed" != 'False UNKNOWN' ]; then
  echo "the README of the Python client prints: $printed" >&2
  exit 1
fi
echo 'The wheel installs into an empty environment, and gives a first verdict in five lines.'
