# shellcheck shell=bash disable=SC2034
# What this machine must have before anything is built; sourced by deploy/local/run.sh and Tests/run.sh. Only what is missing is
# installed, and each thing says what it is for. Debian 12 is what it is written for; Ubuntu takes the same way, untested.

# package|what it is for
machine_build_packages=(
    "ca-certificates|to trust the hosts that sources come from"
    "git|fetches the Swift packages"
    "pkg-config|finds the C libraries"
    "openssl|makes the local certificates"
    "libssl-dev|TLS, and the signatures of tokens"
    "libjwt-dev|claims of tokens, and signing them"
    "libcurl4-openssl-dev|fetches key sets from identity providers"
    "libnghttp2-dev|HTTP/2 frames"
    "zlib1g-dev|gzip for text on its way to clients"
    "libsqlite3-dev|the local metadata service's database"
)
machine_extension_packages=("python3|builds the Metaflow extension's wheel")
machine_test_packages=("python3|runs the whole-program tests" "python3-venv|keeps their packages apart from the system's" "procps|process states"
    "strace|shows with which mode files are made")

swift_minimum=6.2
swift_wanted=6.3

say() { printf '%s\n' "$*"; }
fail() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

is_installed() { [[ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" == installed ]]; }

# need_packages "name|reason"...
need_packages() {
    local entry name missing=()
    if ! command -v dpkg-query >/dev/null; then
        say "This is neither Debian nor Ubuntu: make sure that these are installed, by whatever name: $(printf '%s ' "${@%%|*}")"
        return
    fi
    for entry in "$@"; do
        name=${entry%%|*}
        is_installed "$name" && continue
        say "missing: $name (${entry#*|})"
        missing+=("$name")
    done
    ((${#missing[@]})) || return 0
    local as_root=()
    if ((EUID != 0)); then
        command -v sudo >/dev/null || fail "${missing[*]} must be installed, and there is no sudo. As root: apt-get install ${missing[*]}"
        as_root=(sudo)
    fi
    say "installing: ${missing[*]}"
    "${as_root[@]}" apt-get update -qq || fail "apt-get update failed; see above."
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends --no-remove "${missing[@]}" ||
        fail "apt-get could not install ${missing[*]}; see above."
}

# True when version $1 is at least $2.
is_at_least() { [[ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" == "$2" ]]; }

need_swift() {
    local found=
    # A toolchain that swiftly installed, in a shell that has not read its profile yet.
    if ! command -v swift >/dev/null && [[ -r ${SWIFTLY_HOME_DIR:-$HOME/.local/share/swiftly}/env.sh ]]; then
        # shellcheck disable=SC1091
        . "${SWIFTLY_HOME_DIR:-$HOME/.local/share/swiftly}/env.sh"
    fi
    command -v swift >/dev/null || install_swift
    found=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9.]*\).*/\1/p' | head -n 1)
    [[ -n $found ]] || fail "swift is there ($(command -v swift)) but does not say its version. Reinstall it: https://www.swift.org/install/linux/"
    is_at_least "$found" "$swift_minimum" ||
        fail "Swift $found is too old; $swift_minimum or newer is needed. With swiftly: swiftly install $swift_wanted && swiftly use $swift_wanted"
    say "swift $found ($(command -v swift))"
}

# The official installer, believed only when its signature is Swift's own.
install_swift() {
    local by_hand="install Swift $swift_wanted as https://www.swift.org/install/linux/ says, then start this again."
    local machine work archive
    machine=$(uname -m)
    [[ $machine == x86_64 || $machine == aarch64 ]] || fail "swift is missing and there is no installer for $machine: $by_hand"
    need_packages "curl|fetches the Swift installer" "gnupg|checks its signature" "ca-certificates|to trust its host"
    say "missing: swift; fetching swiftly, its official installer"
    work=$(mktemp -d)
    archive="$work/swiftly.tar.gz"
    local fetch=(curl --proto '=https' --tlsv1.2 --fail --silent --show-error --location --connect-timeout 10 --retry 2)
    if ! { "${fetch[@]}" -o "$archive" "https://download.swift.org/swiftly/linux/swiftly-$machine.tar.gz" &&
        "${fetch[@]}" -o "$archive.sig" "https://download.swift.org/swiftly/linux/swiftly-$machine.tar.gz.sig" &&
        "${fetch[@]}" -o "$work/keys.asc" https://www.swift.org/keys/all-keys.asc; }; then
        rm -rf "$work"
        fail "swift is missing and swift.org cannot be reached: $by_hand"
    fi
    mkdir -m 700 "$work/gnupg"
    if ! { gpg --homedir "$work/gnupg" --batch --quiet --import "$work/keys.asc" &&
        gpg --homedir "$work/gnupg" --batch --quiet --verify "$archive.sig" "$archive"; }; then
        rm -rf "$work"
        fail "the installer's signature is not Swift's own, so it was not run: $by_hand"
    fi
    if ! { tar -xzf "$archive" -C "$work" &&
        "$work/swiftly" init --assume-yes --quiet-shell-followup --skip-install; }; then
        rm -rf "$work"
        fail "swiftly could not be set up; see above. Or $by_hand"
    fi
    # shellcheck disable=SC1091
    . "${SWIFTLY_HOME_DIR:-$HOME/.local/share/swiftly}/env.sh"
    if ! swiftly install --assume-yes --use "$swift_wanted" --post-install-file "$work/post-install"; then
        rm -rf "$work"
        fail "swiftly could not install Swift $swift_wanted; see above. Or $by_hand"
    fi
    if [[ -s $work/post-install ]]; then
        say "installing what the toolchain needs"
        local as_root=()
        ((EUID == 0)) || as_root=(sudo)
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive bash "$work/post-install" || { rm -rf "$work"; fail "the toolchain's packages could not be installed; see above."; }
    fi
    rm -rf "$work"
    hash -r
    command -v swift >/dev/null || fail "swiftly has run, but there is no swift on the path. Open a new shell and start this again."
}

# Whether nobody listens on this port of either loopback address. A connection asks, since the gateway's own sockets share ports.
port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && ! (exec 3<>"/dev/tcp/::1/$1") 2>/dev/null; }

# Whether this machine has ::1; containers often do not.
has_ipv6_loopback() { grep -qs '^0\{31\}1 ' /proc/net/if_inet6; }
