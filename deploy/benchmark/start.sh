#!/usr/bin/env bash
# Starts the gateway for a benchmark run, in the foreground: writes a configuration for the given port, upstream, certificate and key set,
# then becomes the gateway. One event loop, JSON access log on, tokens checked: what the peers are given too.
#
#   start.sh BINARY DIRECTORY PORT UPSTREAM_HOST:PORT CERTIFICATE KEY KEY_SET ISSUER CLIENT_ID ACCESS_LOG
set -euo pipefail
if [ "$#" -ne 10 ]; then
  sed -n '2,5s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
binary=$1 directory=$2 port=$3 upstream=$4 certificate=$5 key=$6 key_set=$7 issuer=$8 client=$9 log=${10}
mkdir -p "$directory/state"
region=${issuer#https://cognito-idp.} region=${region%%.*}

cat >"$directory/gateway.yaml" <<YAML
listeners:
  - address: "127.0.0.1:$port"
    tls: { certificates: [{ chain: $certificate, key: $key }], minimum_version: "1.3" }
    public_port: $port
health: { address: "127.0.0.1:0" }
admin: { socket: $directory/admin.sock, metrics_address: "127.0.0.1:0" }
access_log: { path: $log }
log: { level: warning }
state_directory: $directory/state
event_loops: ${EVENT_LOOPS:-1}
limits: { connections: 20000, requests_per_connection: off, connection_age: off }
stages: [stage-name.yaml, stage-address.yaml]
YAML

# The load generators call the gateway by its address, the checks by its name.
stage() { # NAME HOST
  cat >"$directory/stage-$1.yaml" <<YAML
stage: $1
host: $2
public_url: https://$2:$port
identity:
  cognito: { region: $region, user_pool: ${issuer##*/} }
  key_set_file: $key_set
  clients: [{ id: $client, name: benchmark, token_use: [access] }]
upstreams:
  up: { endpoints: ["http://$upstream"], failures: metaflow, connections_max: 1024, pending_max: 4096, idle_timeout: 60s }
routes:
  - { path: /, upstream: up, credentials: [bearer] }
YAML
}
stage name gateway.test
stage address 127.0.0.1

exec "$binary" serve --config "$directory/gateway.yaml"
