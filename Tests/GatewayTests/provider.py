"""An identity provider whose keys, answers and tokens the tests decide, forged ones included."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Key:
    """An RSA key with its name."""

    def __init__(self, name: str, bits: int = 2048) -> None:
        self.name = name
        self.private = rsa.generate_private_key(public_exponent=65_537, key_size=bits)

    @property
    def public(self) -> dict:
        numbers = self.private.public_key().public_numbers()
        return {
            "kty": "RSA", "alg": "RS256", "use": "sig", "kid": self.name,
            "n": base64url(numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")), "e": base64url(numbers.e.to_bytes(3, "big")),
        }

    @property
    def pem(self) -> bytes:
        return self.private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def sign(self, data: bytes) -> bytes:
        return self.private.sign(data, padding.PKCS1v15(), hashes.SHA256())


_TOKENS: set[str] = set()


def signed(key: Key, claims: dict | str, *, header: dict | None = None, signature: bytes | None = None) -> str:
    """A token; its header and signature can be what they must not."""
    full = {"alg": "RS256", "kid": key.name, "typ": "JWT"} | (header or {})
    full = {name: value for name, value in full.items() if value is not None}
    text = claims if isinstance(claims, str) else json.dumps(claims)
    data = f"{base64url(json.dumps(full).encode())}.{base64url(text.encode())}"
    if signature is None:
        match full.get("alg"):
            case "none":
                signature = b""
            case "HS256":
                signature = hmac.digest(key.pem, data.encode(), hashlib.sha256)
            case "ES256":
                signature = ec.generate_private_key(ec.SECP256R1()).sign(data.encode(), ec.ECDSA(hashes.SHA256()))
            case _:
                signature = key.sign(data.encode())
    token = f"{data}.{base64url(signature)}"
    _TOKENS.add(token)
    return token


def minted_tokens() -> set[str]:
    """Every token that was made in this process: none may stand in any log."""
    return set(_TOKENS)


class Provider:
    """Serves key sets of user pools. `down` makes it answer 503; `keys[pool]` is what it publishes."""

    def __init__(self, pools: list[str], port: int = 0) -> None:
        self.keys = {pool: [Key(f"{pool}-1"), Key(f"{pool}-2")] for pool in pools}
        self.down = False
        self.fetches: dict[str, int] = {pool: 0 for pool in pools}
        self.lock = threading.Lock()
        self._start(port)

    def _start(self, port: int) -> None:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                pool = self.path.strip("/").split("/")[0]
                with provider.lock:
                    known = pool in provider.keys and self.path.endswith("/.well-known/jwks.json")
                    if known:
                        provider.fetches[pool] += 1
                    status = 503 if provider.down else 200 if known else 404
                    body = json.dumps({"keys": [key.public for key in provider.keys.get(pool, [])]}).encode() if status == 200 else b"no"
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            allow_reuse_address = True
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, *_: object) -> None:
                """A gateway that stops leaves in the middle of an answer."""

        self._server = Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def issuer(self, pool: str) -> str:
        return f"{self.endpoint}/{pool}"

    def claims(self, pool: str, **changes) -> dict:
        """Of a Cognito access token of the command line's client, as fresh as can be; None takes a claim out."""
        now = int(time.time())
        claims = {
            "sub": "5c1fe9a0-1111-4a2b-9c3d-000000000001", "iss": self.issuer(pool), "client_id": f"{pool}-command-line", "origin_jti": str(uuid.uuid4()),
            "event_id": str(uuid.uuid4()), "token_use": "access", "scope": "openid email", "auth_time": now, "exp": now + 3600, "iat": now,
            "jti": str(uuid.uuid4()), "username": "ada", "cognito:groups": ["science"], "version": 2,
        }
        claims |= changes
        return {name: value for name, value in claims.items() if value is not None}

    def id_claims(self, pool: str, **changes) -> dict:
        return self.claims(
            pool, client_id=None, scope=None, username=None, **({"aud": f"{pool}-command-line", "token_use": "id", "cognito:username": "ada", "email": "ada@example.com"} | changes)
        )

    def token(self, pool: str, **changes) -> str:
        return signed(self.keys[pool][0], self.claims(pool, **changes))

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    close = stop
