#!/bin/sh
# Runs a command with the database's user and password, as the secrets store mounted them, in its environment.
set -eu
cp /secrets/database/password /tmp/password-in-use
MF_METADATA_DB_USER="$(cat /secrets/database/username)"
MF_METADATA_DB_PSWD="$(cat /secrets/database/password)"
export MF_METADATA_DB_USER MF_METADATA_DB_PSWD
exec "$@"
