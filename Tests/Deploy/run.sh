#!/usr/bin/env bash
# The tests of deploy/: templates, manifests, scripts, image. One command, all of its own set-up; about 2 minutes after the first.
#
#   bash Tests/Deploy/run.sh [pytest arguments]
#
#   METAFLOW_GATEWAY=PATH   the built gateway: its `check` must accept each stage's configuration, and it must start in the image
#   DEPLOY_FULL=1           also compiles the gateway in a clean Debian folder, as the image does (many minutes)
#   DEPLOY_TESTS_VENV=DIR   where the Python environment lives; default Tests/Deploy/.venv
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
venv="${DEPLOY_TESTS_VENV:-$here/.venv}"

# shellcheck source=deploy/local/machine.sh
. "$here/../../deploy/local/machine.sh"
need_packages "${machine_test_packages[@]}" "shellcheck|reads the scripts" "debootstrap|makes the clean folder in which the image's steps run" \
    "graphviz|draws the diagram of deploy/README.md" "openssl|makes certificates" "jq|reads what AWS and the cluster answer, in the scripts"
if [[ ! -x $venv/bin/pytest ]] || ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
    echo "making the Python environment"
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
    cp "$here/requirements.txt" "$venv/requirements.txt"
fi
# Debian's package would also start a Prometheus: only its promtool is wanted.
if ! command -v promtool > /dev/null && [[ ! -x $venv/bin/promtool ]]; then
    echo "fetching promtool, which runs the alerts"
    download="$(mktemp -d)"
    trap 'rm -rf "$download"' EXIT
    fetch() { (cd "$download" && apt-get download -qq -o APT::Sandbox::User=root prometheus > /dev/null); }
    if ! fetch 2> /dev/null; then
        # The lists are missing, or older than what they name.
        as_root=()
        ((EUID == 0)) || as_root=(sudo)
        "${as_root[@]}" apt-get update -qq
        fetch
    fi
    dpkg-deb --fsys-tarfile "$download"/prometheus_*.deb | tar --extract --to-stdout ./usr/bin/promtool > "$download/promtool"
    install -m 0755 "$download/promtool" "$venv/bin/promtool"
    rm -rf "$download"
fi
cd "$here"
exec "$venv/bin/pytest" -p no:cacheprovider -q "$@"
