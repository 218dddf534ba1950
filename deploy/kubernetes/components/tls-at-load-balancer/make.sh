#!/bin/sh
# Makes a key and a certificate for STAGE_HOST that lives 90 days, as the manifest of a Kubernetes TLS secret.
set -eu
umask 077
cd "${1:-/work}"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout tls.key -out tls.crt -days 90 \
    -subj "/CN=$STAGE_HOST" -addext "subjectAltName=DNS:$STAGE_HOST,DNS:*.$STAGE_HOST" 2>/dev/null
cat > secret.yaml <<MANIFEST
apiVersion: v1
kind: Secret
metadata: { name: gateway-certificate, namespace: metaflow-gateway }
type: kubernetes.io/tls
data:
  tls.crt: $(base64 -w 0 tls.crt)
  tls.key: $(base64 -w 0 tls.key)
MANIFEST
rm -f tls.key
openssl x509 -in tls.crt -noout -subject -enddate
