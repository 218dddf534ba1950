#!/bin/sh
# Turns what export.sh fetched into the manifest of a Kubernetes TLS secret. Refuses a key that is not the certificate's.
set -eu
umask 077
cd "${1:-/work}"
sed -n '/-----BEGIN CERTIFICATE-----/,/-----END CERTIFICATE-----/p' exported.pem > tls.crt
sed -n '/-----BEGIN ENCRYPTED PRIVATE KEY-----/,/-----END ENCRYPTED PRIVATE KEY-----/p' exported.pem > encrypted.key
openssl pkey -in encrypted.key -passin file:passphrase -out tls.key
openssl x509 -in tls.crt -noout -pubkey > of-certificate
openssl pkey -in tls.key -pubout > of-key
cmp -s of-certificate of-key || {
    echo "certificate-export: the exported key is not the certificate's; nothing was changed. Run the job again." >&2
    exit 1
}
cat > secret.yaml <<MANIFEST
apiVersion: v1
kind: Secret
metadata: { name: gateway-certificate, namespace: metaflow-gateway }
type: kubernetes.io/tls
data:
  tls.crt: $(base64 -w 0 tls.crt)
  tls.key: $(base64 -w 0 tls.key)
MANIFEST
rm -f passphrase exported.pem encrypted.key tls.key of-certificate of-key
openssl x509 -in tls.crt -noout -subject -enddate
