#!/usr/bin/env bash
# Makes the certificates of a gateway on this machine: a local authority and a leaf for localhost and its stages.
#
#   certs/make-local.sh [--directory DIR] [--name NAME]... [--days N] [--force]
#
# It writes ca.pem (give it to clients: REQUESTS_CA_BUNDLE, curl --cacert), chain.pem and key.pem (the listener's). A second run
# keeps what is good for another 30 days and names every host. The authority may vouch for nothing but names below localhost and for
# loopback addresses, and its private key is thrown away as soon as it has signed, so that whoever trusts ca.pem trusts this one leaf.
set -euo pipefail
umask 077

directory="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/local"
names=(localhost second.localhost "*.localhost" alpha.localhost sandbox.localhost prod.localhost)
days=825          # what Apple's and Google's programs accept at most
renew_days=30
force=no

fail() { printf 'certs/make-local.sh: %s\n' "$1" >&2; exit 1; }

while (($#)); do
    case "$1" in
        --directory) [[ $# -ge 2 ]] || fail "--directory wants a folder."; directory=$2; shift 2 ;;
        --name)
            [[ $# -ge 2 ]] || fail "--name wants a host name."
            [[ $2 =~ ^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$ && ${2,,} =~ (^|\.)localhost$ ]] ||
                fail "--name is \"$2\"; this authority vouches for localhost and names below it only."
            names+=("${2,,}"); shift 2 ;;
        --days)
            [[ $# -ge 2 && $2 =~ ^[1-9][0-9]{0,2}$ && $2 -le 825 ]] || fail "--days wants a whole number from 1 to 825."
            days=$2; shift 2 ;;
        --force) force=yes; shift ;;
        -h|--help) sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
        *) fail "\"$1\" is not known; --directory, --name, --days and --force are." ;;
    esac
done

command -v openssl >/dev/null || fail "openssl is missing: apt-get install openssl."
mkdir -p "$directory"

# Whether what is there matches, lasts, and names every host.
is_good() {
    local leaf="$directory/chain.pem" authority="$directory/ca.pem" key="$directory/key.pem" text name
    [[ -r $leaf && -r $authority && -r $key ]] || return 1
    openssl x509 -in "$leaf" -noout -checkend $((renew_days * 86400)) >/dev/null 2>&1 || return 1
    openssl x509 -in "$authority" -noout -checkend $((renew_days * 86400)) >/dev/null 2>&1 || return 1
    # As strictly as Python 3.13 and later: an authority that does not say what its key is for is none to them.
    openssl verify -x509_strict -CAfile "$authority" "$leaf" >/dev/null 2>&1 || return 1
    [[ "$(openssl x509 -in "$leaf" -noout -pubkey 2>/dev/null)" == "$(openssl pkey -in "$key" -pubout 2>/dev/null)" ]] || return 1
    text=", $(openssl x509 -in "$leaf" -noout -ext subjectAltName 2>/dev/null | tail -n +2 | sed 's/^ *//'),"
    for name in "${names[@]}"; do [[ $text == *" DNS:$name,"* ]] || return 1; done
}

if [[ $force == no ]] && is_good; then
    printf 'certificates: good until %s (%s)\n' "$(openssl x509 -in "$directory/chain.pem" -noout -enddate | cut -d= -f2)" "$directory"
    exit 0
fi

work=$(mktemp -d "$directory/.making.XXXXXX")
trap 'rm -rf "$work"' EXIT

alternatives=$(printf 'DNS:%s,' "${names[@]}")IP:127.0.0.1,IP:::1
cat > "$work/settings" <<SETTINGS
[authority]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
nameConstraints = critical, permitted;DNS:localhost, permitted;IP:127.0.0.0/255.0.0.0, permitted;IP:0:0:0:0:0:0:0:1/FFFF:FFFF:FFFF:FFFF:FFFF:FFFF:FFFF:FFFF
[leaf]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = $alternatives
[request]
distinguished_name = subject
[subject]
SETTINGS

quietly() { local said; said=$("$@" 2>&1) || fail "$* failed: $said"; }
serial() { openssl rand -hex 16 | sed 's/^./4/'; }

quietly openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/ca.key"
quietly openssl req -new -x509 -config "$work/settings" -extensions authority -key "$work/ca.key" -sha256 -days "$days" \
    -set_serial "0x$(serial)" -subj "/CN=metaflow-gateway local authority $(date -u +%Y-%m-%d)" -out "$work/ca.pem"
quietly openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/key.pem"
quietly openssl req -new -config "$work/settings" -key "$work/key.pem" -subj /CN=localhost -out "$work/request"
quietly openssl x509 -req -in "$work/request" -CA "$work/ca.pem" -CAkey "$work/ca.key" -extfile "$work/settings" -extensions leaf \
    -sha256 -days "$days" -set_serial "0x$(serial)" -out "$work/chain.pem"
quietly openssl verify -x509_strict -CAfile "$work/ca.pem" "$work/chain.pem"

# Only the key is secret; clients of other users may read the rest.
chmod 644 "$work/ca.pem" "$work/chain.pem"
chmod 755 "$directory"
for file in key.pem chain.pem ca.pem; do mv -f "$work/$file" "$directory/$file"; done
printf 'certificates: made for %s, good for %s days (%s)\n' "${names[*]}" "$days" "$directory"
