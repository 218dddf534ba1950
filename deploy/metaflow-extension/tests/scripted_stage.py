"""A whole stage on loopback for tests: the gateway's `/cli` and bearer check, a login provider shaped like Cognito, and
enough of Metaflow's metadata service for real runs. Every switch that a test needs is an attribute."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import re
import secrets
import socket
import ssl
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Optional, cast
from urllib.parse import parse_qs, urlencode, urlsplit

KEY = b"the scripted provider's signing key"
CLIENT_ID = "scripted-command-line-client"
USER = "ada"


def encode(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def sign(claims: dict[str, Any]) -> str:
    head = encode(b'{"alg":"HS256","kid":"scripted"}') + "." + encode(json.dumps(claims).encode())
    return head + "." + encode(hmac.new(KEY, head.encode(), hashlib.sha256).digest())


def verify(token: str) -> Optional[dict[str, Any]]:
    head, _, signature = token.rpartition(".")
    if not hmac.compare_digest(signature, encode(hmac.new(KEY, head.encode(), hashlib.sha256).digest())):
        return None
    payload = head.split(".")[1]
    return cast("dict[str, Any]", json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))


def reserved_ports(count: int) -> list[socket.socket]:
    """Their ports are given to nobody else while they are open; whoever asks for such a port itself, as a login does, gets it."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        each.bind(("127.0.0.1", 0))
    return sockets


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for each in sockets:
        each.close()
    return ports


class ScriptedStage(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, stage: str = "alpha", *, tls: Optional[tuple[str, str]] = None, host: str = "127.0.0.1") -> None:
        super().__init__((host, 0), _Handler)
        self.stage = stage
        self.scheme = "https" if tls else "http"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.lock = threading.RLock()

        self.access_seconds = 3600.0
        self.rotates = True
        self.rotation_grace = 0.0
        """Seconds for which a spent refresh token is still taken, as Cognito's RetryGracePeriodSeconds."""
        self.clock_skew = 0.0
        """Seconds for which a token is still taken after its end, as the gateway's setting of this name: a busy machine may hold a request up
        between its header and the check."""
        self.token_hold: Optional[threading.Event] = None
        """What the token endpoint waits for before it goes on."""
        self.token_delay = 0.0
        self.outage_ends = 0.0
        """`time.monotonic()` until which the provider answers 503."""
        self.token_answer: Optional[tuple[int, str, bytes]] = None
        """What the token endpoint answers instead of its own."""
        self.config_changes: dict[str, Any] = {}
        self.config_answer: Optional[tuple[int, str, bytes]] = None
        self.whoami_answer: Optional[tuple[int, dict[str, Any]]] = None
        self.date_offset = 0.0
        self.gives_refresh_token = True
        self.wrong_nonce = False
        self.groups = ["science"]
        self._reserved = reserved_ports(3)
        self.redirect_ports = [int(each.getsockname()[1]) for each in self._reserved]

        self.verify: Callable[[str], Optional[dict[str, Any]]] = verify
        self.metadata_port: Optional[int] = None
        """A real metadata service on loopback that answers behind the bearer check, instead of the scripted one."""

        self.refreshes = 0
        self.refused_refreshes = 0
        self.redemptions = 0
        self.revoked: list[str] = []
        self.unauthorized: list[str] = []
        """Metadata requests that this stage answered 401, with the reason."""
        self.metadata_requests = 0
        self.heartbeats = 0
        self.seen_tokens: set[str] = set()
        self.seen_paths: list[str] = []

        self._codes: dict[str, dict[str, str]] = {}
        self._refresh_tokens: dict[str, float] = {}
        """Live refresh tokens, each with the moment until which it is taken."""
        self.metadata = ScriptedMetadata()

    def server_close(self) -> None:
        super().server_close()
        for each in self._reserved:
            each.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up (a sidecar at a run's end) is no fault."""

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def host_name(self) -> str:
        return "localhost" if self.scheme == "https" else "127.0.0.1"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host_name}:{self.port}"

    @property
    def issuer(self) -> str:
        return f"{self.url}/pool-{self.stage}"

    def config(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "stage": self.stage,
            "issuer": self.issuer,
            "client_id": CLIENT_ID,
            "authorization_endpoint": f"{self.issuer}/oauth2/authorize",
            "token_endpoint": f"{self.issuer}/oauth2/token",
            "revocation_endpoint": f"{self.issuer}/oauth2/revoke",
            "scopes": ["openid", "profile"],
            "redirect_ports": self.redirect_ports,
            "manual_redirect_uri": f"{self.url}/cli/callback",
            "settings": {"METAFLOW_SERVICE_URL": f"{self.url}/api/metadata", "METAFLOW_DEFAULT_METADATA": "service"},
            "identity_pool": None,
            "minimum_extension_version": "1.0.0",
            "wheel": {"name": "metaflow_gateway_extension-1.0.0-py3-none-any.whl", "sha256": "0" * 64},
        }
        document.update(self.config_changes)
        return document

    # The provider

    def authorize(self, query: dict[str, str]) -> str:
        """The code for a request, as if its user had just logged in; the redirect's address."""
        with self.lock:
            code = secrets.token_urlsafe(16)
            self._codes[code] = query
        return query["redirect_uri"] + "?" + urlencode({"code": code, "state": query["state"]})

    def token(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if form.get("client_id") != CLIENT_ID:
            return 400, {"error": "invalid_client"}
        with self.lock:
            if form["grant_type"] == "authorization_code":
                asked = self._codes.pop(form["code"], None)
                digest = encode(hashlib.sha256(form["code_verifier"].encode()).digest())
                if asked is None or asked["redirect_uri"] != form["redirect_uri"] or asked["code_challenge"] != digest:
                    return 400, {"error": "invalid_grant"}
                self.redemptions += 1
                return 200, self._tokens(asked["nonce"], with_refresh=self.gives_refresh_token)
            present = form["refresh_token"]
            if self._refresh_tokens.get(present, 0.0) < time.monotonic():
                self.refused_refreshes += 1
                return 400, {"error": "invalid_grant"}
            self.refreshes += 1
            if self.rotates:
                self._refresh_tokens[present] = time.monotonic() + self.rotation_grace - 0.001
            return 200, self._tokens("", with_refresh=self.rotates)

    def _tokens(self, nonce: str, with_refresh: bool) -> dict[str, Any]:
        now = time.time() - self.date_offset
        common = {"sub": "subject-of-ada", "iss": self.issuer, "iat": now, "exp": now + self.access_seconds, "jti": secrets.token_hex(8)}
        answer: dict[str, Any] = {
            "access_token": sign({**common, "client_id": CLIENT_ID, "token_use": "access", "username": USER, "cognito:groups": self.groups}),
            "id_token": sign({**common, "aud": CLIENT_ID, "token_use": "id", "nonce": "another" if self.wrong_nonce else nonce}),
            "token_type": "Bearer",
            "expires_in": self.access_seconds,
        }
        if with_refresh:
            answer["refresh_token"] = secrets.token_urlsafe(32)
            self._refresh_tokens[answer["refresh_token"]] = float("inf")
        return answer

    def kill_refresh_tokens(self) -> None:
        with self.lock:
            self._refresh_tokens.clear()

    def provider_is_down(self) -> bool:
        return time.monotonic() < self.outage_ends

    def check_bearer(self, authorization: Optional[str]) -> tuple[Optional[dict[str, Any]], str]:
        if authorization is None or not authorization.startswith("Bearer "):
            return None, f"no bearer token but {authorization and authorization.split()[0]!r}"
        claims = self.verify(authorization[len("Bearer ") :])
        if claims is None:
            return None, "bad signature"
        if claims["iss"] != self.config()["issuer"]:
            return None, f"a token of {claims['iss']}"
        if claims["token_use"] != "access":
            return None, "not an access token"
        late = time.time() - self.date_offset - float(claims["exp"])
        if late > self.clock_skew:
            return None, f"expired {late:.2f} s ago"
        return claims, ""


class ScriptedMetadata:
    """The metadata service's objects, in memory; its bodies are those of the real one where Metaflow looks at them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.objects: dict[str, dict[str, Any]] = {}
        self.lists: dict[str, list[dict[str, Any]]] = {}
        self.counter = 0

    def handle(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        with self.lock:
            if method == "GET":
                return self._get(path)
            if method == "POST":
                return self._post(path, body or {})
            return 405, {"message": "method not allowed"}

    def _get(self, path: str) -> tuple[int, Any]:
        if path in self.objects:
            return 200, self.objects[path]
        collection = re.sub(r"/(runs|steps|tasks|artifacts|metadata)$", "", path)
        if path.endswith(("/artifacts", "/metadata")):
            return 200, self.lists.get(path, [])
        if path == "/flows" or collection in self.objects:
            depth = path.count("/") + 1
            return 200, [o for p, o in self.objects.items() if p.startswith(path + "/") and p.count("/") == depth]
        if (match := re.match(r"(.*)/attempt/(\d+)/artifacts$", path)) is not None:
            return 200, [a for a in self.lists.get(f"{match[1]}/artifacts", []) if str(a["attempt_id"]) == match[2]]
        if (match := re.match(r"(.*/artifacts)/([^/]+)(?:/attempt/\d+)?$", path)) is not None:
            found = [a for a in self.lists.get(match[1], []) if a["name"] == match[2]]
            return (200, found[-1]) if found else (404, {"message": "not found"})
        return 404, {"message": "not found"}

    def _post(self, path: str, body: Any) -> tuple[int, Any]:
        parts = path.strip("/").split("/")
        moment = int(time.time() * 1000)
        base: dict[str, Any] = {"user_name": USER, "ts_epoch": moment, "tags": [], "system_tags": []}
        if isinstance(body, dict):
            base.update({k: body[k] for k in ("user_name", "tags", "system_tags") if k in body})
        if len(parts) == 2:
            return self._create(path, {**base, "flow_id": parts[1]})
        if parts[-1] == "run":
            self.counter += 1
            number = str(self.counter)
            return self._create(f"/flows/{parts[1]}/runs/{number}", {**base, "flow_id": parts[1], "run_number": int(number), "run_id": None, "last_heartbeat_ts": None})
        if parts[-1] == "step":
            ids = {"flow_id": parts[1], "run_number": int(parts[3]), "step_name": parts[5]}
            return self._create(path.rsplit("/", 1)[0], {**base, **ids})
        if parts[-1] == "task":
            self.counter += 1
            ids = {"flow_id": parts[1], "run_number": int(parts[3]), "step_name": parts[5], "task_id": self.counter}
            return self._create(path.rsplit("/", 1)[0] + f"/tasks/{self.counter}", {**base, **ids})
        if parts[-1] in ("artifact", "metadata"):
            name = "artifacts" if parts[-1] == "artifact" else "metadata"
            ids = {"flow_id": parts[1], "run_number": int(parts[3]), "step_name": parts[5], "task_id": int(parts[7]), "ts_epoch": moment}
            stored = self.lists.setdefault(path.rsplit("/", 1)[0] + "/" + name, [])
            for entry in body:
                entry = {**entry, **ids, "id": len(stored)}
                if name == "metadata":
                    entry["field_name"] = entry.get("field_name")
                stored.append(entry)
            return 200, {name + "_created": len(body)}
        return 404, {"message": "not found"}

    def _create(self, path: str, value: dict[str, Any]) -> tuple[int, Any]:
        if path in self.objects:
            return 409, {"message": "already exists"}
        self.objects[path] = value
        return 200, value


class _Handler(BaseHTTPRequestHandler):
    server: ScriptedStage
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self) -> None:
        self._dispatch("GET")

    def do_POST(self) -> None:
        self._dispatch("POST")

    def do_PATCH(self) -> None:
        self._dispatch("PATCH")

    def _dispatch(self, method: str) -> None:
        stage = self.server
        parts = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with stage.lock:
            stage.seen_paths.append(parts.path)
        pool = urlsplit(stage.issuer).path
        if parts.path == "/cli/config":
            if stage.config_answer is not None:
                self._answer(*stage.config_answer)
            else:
                self._json(200, stage.config())
        elif parts.path == "/cli/whoami":
            self._whoami()
        elif parts.path.startswith(pool + "/oauth2/"):
            self._provider(parts.path.rsplit("/", 1)[1], parts.query, raw)
        elif parts.path.startswith("/api/metadata"):
            self._metadata(method, parts.path[len("/api/metadata") :], raw)
        else:
            self._json(404, {"message": "Nothing here."})

    def _provider(self, endpoint: str, query: str, raw: bytes) -> None:
        stage = self.server
        if stage.provider_is_down():
            self._answer(503, "text/plain", b"provider is down")
        elif endpoint == "authorize":
            fields = {name: values[0] for name, values in parse_qs(query).items()}
            self._answer(302, "text/plain", b"", ("Location", stage.authorize(fields)))
        elif endpoint == "token":
            if stage.token_hold is not None:
                stage.token_hold.wait(60)
            if stage.token_delay:
                time.sleep(stage.token_delay)
            if stage.token_answer is not None:
                self._answer(*stage.token_answer)
            else:
                self._json(*stage.token({name: values[0] for name, values in parse_qs(raw.decode()).items()}))
        elif endpoint == "revoke":
            token = parse_qs(raw.decode())["token"][0]
            with stage.lock:
                stage.revoked.append(token)
                stage._refresh_tokens.pop(token, None)
            self._answer(200, "text/plain", b"")
        else:
            self._json(404, {"error": "not_found"})

    def _whoami(self) -> None:
        claims, reason = self.server.check_bearer(self.headers.get("Authorization"))
        if self.server.whoami_answer is not None:
            self._json(*self.server.whoami_answer)
        elif claims is None:
            self._json(401, {"message": f"Not logged in: {reason}.", "code": "invalid_token"})
        else:
            self._json(
                200,
                {
                    "subject": claims["sub"],
                    "user_name": claims["username"],
                    "groups": claims["cognito:groups"],
                    "stage": self.server.stage,
                    "seconds_left": int(claims["exp"] - time.time()),
                },
            )

    def _metadata(self, method: str, path: str, raw: bytes) -> None:
        stage = self.server
        authorization = self.headers.get("Authorization")
        claims, reason = stage.check_bearer(authorization)
        with stage.lock:
            stage.metadata_requests += 1
            if claims is None:
                stage.unauthorized.append(f"{method} {path}: {reason}")
            elif authorization is not None:
                stage.seen_tokens.add(authorization)
        if claims is None:
            self._json(401, {"message": f"Your login is not accepted here: {reason}."})
        elif stage.metadata_port is not None:
            self._forward(method, path, raw, stage.metadata_port)
        elif path == "/ping":
            self._answer(200, "text/plain", b"pong")
        elif path.endswith("/heartbeat"):
            with stage.lock:
                stage.heartbeats += 1
            self._answer(200, "text/plain", json.dumps(json.dumps({"wait_time_in_seconds": 2})).encode())
        else:
            status, value = stage.metadata.handle(method, path.rstrip("/"), json.loads(raw) if raw else None)
            self._json(status, value)

    def _forward(self, method: str, path: str, raw: bytes, port: int) -> None:
        with self.server.lock:
            self.server.heartbeats += path.endswith("/heartbeat")
        query = urlsplit(self.path).query
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        headers = {"Content-Type": self.headers["Content-Type"]} if "Content-Type" in self.headers else {}
        connection.request(method, path + (f"?{query}" if query else ""), body=raw or None, headers=headers)
        answer = connection.getresponse()
        self._answer(answer.status, answer.getheader("Content-Type") or "text/plain", answer.read())
        connection.close()

    def _json(self, status: int, value: Any) -> None:
        self._answer(status, "application/json", json.dumps(value).encode())

    def _answer(self, status: int, content_type: str, body: bytes, *fields: tuple[str, str]) -> None:
        self.send_response_only(status)
        self.send_header("Date", formatdate(time.time() - self.server.date_offset, usegmt=True))
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("METADATA_SERVICE_VERSION", "2.5.1")
        for name, value in fields:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass
