#!/usr/bin/env bash
# Checks the types and runs the tests in an environment of their own: `test.sh [quick|full] [pytest arguments]`.
# quick takes about four minutes on two cores, full about twice that; `full` lets runs last the 90 s that a release is measured by. The long
# runs mostly wait, so they go on beside the rest: three processes, each long run's group in one of them.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mode=quick
case "${1:-}" in quick | full) mode=$1; shift ;; esac
environment=${EXTENSION_TESTS_ENVIRONMENT:-$here/.venv}
wanted=$(sha256sum "$here/test-requirements.txt" | cut -d' ' -f1)
if [[ $(cat "$environment/requirements.sha256" 2>/dev/null) != "$wanted" ]]; then
  python3 -m venv --clear "$environment"
  "$environment/bin/pip" install --quiet --disable-pip-version-check -r "$here/test-requirements.txt"
  echo "$wanted" > "$environment/requirements.sha256"
fi
cd "$here"
"$environment/bin/mypy"
EXTENSION_TESTS=$mode exec "$environment/bin/python" -m pytest --numprocesses 3 --dist loadgroup "$@"
