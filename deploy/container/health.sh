#!/bin/bash
# Succeeds while the gateway's health port answers 200 to /livez. Bash speaks TCP by itself: the image needs no HTTP client.
set -eu
# A server that hangs up early is a failed check, not a signal.
trap "" PIPE
exec 3<> "/dev/tcp/127.0.0.1/${1:-8086}"
printf 'GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
IFS=' ' read -r -t 2 _ status _ <&3
[[ $status == 200 ]]
