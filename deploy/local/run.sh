#!/usr/bin/env bash
# The whole on one machine: the local platform (identity provider, metadata service, run browser) and the gateway in front of it.
#
#   bash deploy/local/run.sh [--port N] [--state DIR] [--binaries DIR]
#
#   --port N        where the gateway listens on loopback; 8443 by default. The other ports are chosen free.
#   --state DIR     where recorded runs, signing keys and logs in progress live; a second start keeps them.
#                   By default ~/.local/state/metaflow-local-platform, or below $XDG_STATE_HOME.
#   --binaries DIR  start the programs of this folder and build nothing, for example .build/debug.
#
# It installs what is missing (Debian 12; Ubuntu untested), builds, makes certificates and the wheel that /cli gives out, and starts both
# in the foreground. The lines that follow are the gateway's access log. Ctrl-C stops both at once and leaves nothing behind but the state.
set -euo pipefail
umask 077

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
# shellcheck source=deploy/local/machine.sh
. "$root/deploy/local/machine.sh"

port=8443
state="${XDG_STATE_HOME:-${HOME:-/tmp}/.local/state}/metaflow-local-platform"
state_is_chosen=no
binaries=

while (($#)); do
    case "$1" in
        --port)
            [[ $# -ge 2 && $2 =~ ^[0-9]{1,5}$ ]] && (($2 >= 1 && $2 <= 65535)) || fail "--port wants a number from 1 to 65535."
            port=$((10#$2)); shift 2 ;;
        --state)
            [[ $# -ge 2 && -n $2 ]] || fail "--state wants a folder."
            state=$2 state_is_chosen=yes; shift 2 ;;
        --binaries)
            [[ $# -ge 2 && -x $2/metaflow-gateway && -x $2/metaflow-local-platform ]] || fail "--binaries wants a folder with metaflow-gateway and metaflow-local-platform."
            binaries="$(cd "$2" && pwd)"; shift 2 ;;
        -h|--help) sed -n '2,13s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
        *) fail "\"$1\" is not known; --port, --state, --binaries and --help are." ;;
    esac
done

# Before anything takes time: what cannot work is said now.
port_is_free "$port" || fail "port $port is taken. Stop what listens there, or choose another one: --port N."
mkdir -p "$state" 2>/dev/null || fail "the state folder $state cannot be made. Choose another one: --state DIR."
state="$(cd "$state" && pwd)"
exec 8<"$state"
if command -v flock >/dev/null; then flock -n 8 || fail "another run.sh uses the state in $state. Stop it, or choose another folder: --state DIR."; fi

platform_pid="" gateway_pid="" admin_folder=""
# Ends both, by id, gently first; afterwards neither is there.
stop_both() {
    trap '' INT TERM HUP
    local pid waited
    [[ -z $gateway_pid ]] || kill -INT "$gateway_pid" 2>/dev/null || true
    [[ -z $platform_pid ]] || kill -TERM "$platform_pid" 2>/dev/null || true
    for pid in $gateway_pid $platform_pid; do
        for ((waited = 0; waited < 100; waited++)); do kill -0 "$pid" 2>/dev/null || break; sleep 0.05; done
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    [[ -z $admin_folder ]] || rm -rf "$admin_folder"
}
trap 'stop_both; say; say "stopped; the recorded runs are kept in $state"; exit 130' INT
trap 'stop_both; exit 143' TERM
trap 'stop_both; exit 129' HUP
trap stop_both EXIT

if [[ -z $binaries ]]; then
    need_packages "${machine_build_packages[@]}"
    need_swift
    say "building (the first time takes several minutes)"
    for product in metaflow-gateway metaflow-local-platform; do
        swift build --package-path "$root" -c release --product "$product" || fail "the build of $product failed; see above."
    done
    binaries="$(swift build --package-path "$root" -c release --show-bin-path)"
fi
bash "$root/certs/make-local.sh"

# What command-line users install from /cli. The same sources give the same bytes, so a second start changes nothing for them.
command -v python3 >/dev/null || need_packages "${machine_extension_packages[@]}"
mkdir -p "$state/gateway/.local"
wheel=$(python3 "$root/deploy/metaflow-extension/build_wheel.py" --out "$state/gateway/.local") || fail "the Metaflow extension's wheel could not be built; see above."
wheel=${wheel##*/}

# --- Ports. The identity provider's is part of the issuer, so a second start takes the same ones where it can.

remembered="$state/gateway/ports"
taken=("$port")
# choose_port NAME PREFERRED
choose_port() {
    local candidate last
    last=$(sed -n "s/^$1=\([0-9]\{1,5\}\)\$/\1/p" "$remembered" 2>/dev/null | head -n 1 || true)
    for candidate in ${last:-} $(seq "$2" $(($2 + 200))); do
        [[ " ${taken[*]} " == *" $candidate "* ]] && continue
        port_is_free "$candidate" || continue
        taken+=("$candidate")
        printf -v "$1_port" %s "$candidate"
        return
    done
    fail "no port from $2 to $(($2 + 200)) is free."
}
mkdir -p "$state/gateway/config/local" "$state/gateway/.local/gateway"
identity_port="" metadata_port="" browser_port="" redirect_port="" health_port="" metrics_port=""
choose_port identity 9000
choose_port metadata 9001
choose_port browser 9002
choose_port redirect 8080
choose_port health 8086
choose_port metrics 9090
printf '%s\n' "identity=$identity_port" "metadata=$metadata_port" "browser=$browser_port" "redirect=$redirect_port" \
    "health=$health_port" "metrics=$metrics_port" > "$remembered"

# --- The configuration: config/local.yaml with these ports. Its relative paths lead to the same files from here.

# The path of a UNIX socket has at most 107 bytes: beside a state that lies deep, the one of the operators' commands lies elsewhere.
admin_socket="../.local/admin.sock"
if (($(printf %s "$(cd "$state/gateway/.local" && pwd -P)/admin.sock" | wc -c) > 107)); then
    admin_folder=$(mktemp -d)
    admin_socket="$admin_folder/admin.sock"
fi

adapt() {
    sed -e "s#socket: \.\./\.local/admin\.sock#socket: $admin_socket#" -e "s/:8443\b/:$port/g; s/public_port: 8443\b/public_port: $port/g" -e "s/:8080\b/:$redirect_port/g" \
        -e "s/:8086\b/:$health_port/g" -e "s/:9090\b/:$metrics_port/g" -e "s/:9000\b/:$identity_port/g" \
        -e "s/:9001\b/:$metadata_port/g" -e "s/:9002\b/:$browser_port/g" "$1"
}
ln -sfn "$root/certs" "$state/gateway/certs"
configuration="$state/gateway/config/local.yaml"
if has_ipv6_loopback; then
    adapt "$root/config/local.yaml" > "$configuration"
else
    # Without ::1 its listeners would not start: take their entries out, the lines that belong to them too.
    adapt "$root/config/local.yaml" | awk '
        /^  - / { skips = index($0, "\"[::1]:") > 0 }
        /^[^ ]/ { skips = 0 }
        !skips' > "$configuration"
fi
for file in "$root"/config/local/*; do
    case "$file" in
        *.yaml) adapt "$file" > "$state/gateway/config/local/${file##*/}" ;;
        *) cp -f "$file" "$state/gateway/config/local/${file##*/}" ;;
    esac
done
checked=$("$binaries/metaflow-gateway" check --config "$configuration" 2>&1) || fail "the configuration was refused:"$'\n'"$checked"

# --- Start. If this script is killed without a chance to clean up, the kernel ends what it has started.

together=()
if command -v setpriv >/dev/null && setpriv --pdeathsig TERM true 2>/dev/null; then together=(setpriv --pdeathsig TERM); fi

# Waits until something is true, as long as the process is there. await PID NAME CONDITION...
await() {
    local pid=$1 name=$2 waited
    shift 2
    for ((waited = 0; waited < 600; waited++)); do
        "$@" && return
        kill -0 "$pid" 2>/dev/null || { wait "$pid" || fail "$name ended with status $? before it was ready; see above."; fail "$name ended before it was ready; see above."; }
        sleep 0.05
    done
    fail "$name was not ready within 30 s; see above."
}
accepts() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
is_ready() {
    local line
    { exec 3<>"/dev/tcp/127.0.0.1/$health_port"; } 2>/dev/null || return 1
    printf 'GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
    IFS= read -r -t 2 line <&3 || line=
    exec 3>&-
    [[ $line == *" 200 "* ]]
}

"${together[@]}" "$binaries/metaflow-local-platform" serve --state "$state" --stages local,second \
    --identity-port "$identity_port" --metadata-port "$metadata_port" --browser-port "$browser_port" 8<&- >/dev/null &
platform_pid=$!
for service in "$identity_port" "$metadata_port" "$browser_port"; do await "$platform_pid" metaflow-local-platform accepts "$service"; done
# Ports and with them issuers may be others than at the last start: on a laptop that is nothing to approve.
"${together[@]}" "$binaries/metaflow-gateway" serve --config "$configuration" --accept-weaker 8<&- &
gateway_pid=$!
await "$gateway_pid" metaflow-gateway is_ready

where=
[[ $state_is_chosen == no ]] || where=" --state '$state'"
cat <<READY

ready https://localhost:$port

Try next, in another terminal:

  cd $root
  TOKEN=\$($binaries/metaflow-local-platform token$where)
  curl --cacert certs/local/ca.pem -H "Authorization: Bearer \$TOKEN" https://localhost:$port/api/metadata/ping

  # a flow, as a scientist runs it: the extension from the gateway, one login (ada, password metaflow), and then any run
  python3 -m venv v && v/bin/pip install metaflow && v/bin/pip install --cert certs/local/ca.pem https://localhost:$port/cli/$wheel
  export REQUESTS_CA_BUNDLE=$root/certs/local/ca.pem
  v/bin/metaflow-gateway-login https://localhost:$port
  v/bin/python Tests/EndToEnd/flows/first.py run

  # is it well? reload, explain, revoke and the other operators' commands take the same --config
  $binaries/metaflow-gateway status --config '$configuration'

The recorded runs: http://127.0.0.1:$browser_port    Metrics: http://127.0.0.1:$metrics_port/metrics
Ctrl-C stops both. Below is the gateway's access log, one line for each request.

READY

# Asked and waited for in one command: between two of them bash forgets what has ended, and `wait -n` would wait for the other alone.
status=0
if ! kill -0 "$platform_pid" 2>/dev/null; then
    wait "$platform_pid" || status=$?
elif ! kill -0 "$gateway_pid" 2>/dev/null; then
    wait "$gateway_pid" || status=$?
else
    wait -n "$platform_pid" "$gateway_pid" || status=$?
fi
if kill -0 "$platform_pid" 2>/dev/null; then
    gateway_pid='' ; fail "metaflow-gateway ended by itself with status $status; the platform was stopped."
else
    platform_pid='' ; fail "metaflow-local-platform ended by itself with status $status; the gateway was stopped."
fi
