#!/bin/sh
# Liveness: fails once the mounted password is no longer the one this process began with, so that Kubernetes starts it anew.
# The gateway answers 503 with Retry-After meanwhile, which Metaflow's client repeats.
exec cmp -s /secrets/database/password /tmp/password-in-use
