#!/bin/sh
# Fetches the certificate, its chain and its encrypted key from ACM into /work, which is memory. The passphrase lives as long
# as this pod.
set -eu
umask 077
head -c 32 /dev/urandom | base64 | tr -d '\n' > /work/passphrase
# One call, so that the three belong together even while ACM renews.
aws acm export-certificate --certificate-arn "$CERTIFICATE_ARN" --passphrase fileb:///work/passphrase \
    --output text --query "join('', [Certificate, CertificateChain, PrivateKey])" > /work/exported.pem
