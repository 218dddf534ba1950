#!/bin/sh
# The steps of the gateway's image, as root on Debian 12.
#
#   image.sh dependencies-for-build      what `build` needs beside the Swift toolchain
#   image.sh build SOURCE OUT PROGRAM    compiles one program of SOURCE; OUT receives the files of its image
#   image.sh dependencies-for-wheel      what `wheel` needs
#   image.sh wheel EXTENSION OUT         packs the Metaflow extension, which the gateway hands out at /cli
#   image.sh dependencies-for-run        the shared libraries, the user and the folders of the running program
set -eu

install() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -qq --yes --no-install-recommends "$@" > /dev/null
    rm -rf /var/lib/apt/lists/*
}

case "${1:-}" in
    dependencies-for-build)
        install ca-certificates git pkg-config libc6-dev libstdc++-12-dev zlib1g-dev \
            libssl-dev libjwt-dev libcurl4-openssl-dev libnghttp2-dev libsqlite3-dev
        ;;
    build)
        source="$2" out="$3" program="$4"
        # The Swift runtime goes into the program; OpenSSL, libjwt and libcurl do not, so that Debian's updates reach them.
        swift build --package-path "$source" --configuration release --static-swift-stdlib --product "$program"
        mkdir -p "$out/usr/bin"
        built="$(swift build --package-path "$source" --configuration release --static-swift-stdlib --show-bin-path)"
        strip --strip-debug -o "$out/usr/bin/$program" "$built/$program"
        chmod 0755 "$out/usr/bin/$program"
        ;;
    dependencies-for-wheel)
        install python3
        ;;
    wheel)
        extension="$2" out="$3"
        # The same bytes wherever it is built: the stage files name it by version, pip checks its SHA-256.
        python3 "$extension/build_wheel.py" --out "$out/usr/share/metaflow-gateway"
        chmod 0644 "$out"/usr/share/metaflow-gateway/*.whl
        ;;
    dependencies-for-run)
        # openssl, the command: the certificate jobs of deploy/kubernetes use this image too.
        install ca-certificates openssl libssl3 libjwt0 libcurl4 libnghttp2-14 zlib1g libstdc++6 libsqlite3-0
        groupadd --system --gid 65532 gateway
        useradd --system --uid 65532 --gid 65532 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin gateway
        mkdir -p /etc/metaflow-gateway
        for folder in /var/lib/metaflow-gateway /run/metaflow-gateway; do
            mkdir -p "$folder"
            chown 65532:65532 "$folder"
            chmod 0700 "$folder"
        done
        ;;
    *)
        sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
        exit 2
        ;;
esac
