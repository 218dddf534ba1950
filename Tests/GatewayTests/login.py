"""What the tests of the browser's login share: the local platform as a process, a browser that keeps cookies as strictly as one should,
a provider whose answers a test scripts, and the configuration of a gateway between them."""

from __future__ import annotations

import http.client
import html
import json
import re
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from base64 import b64decode
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from certificates import Authority
from gateway import BINARIES, GATEWAY, Gateway, eventually
from provider import Key, base64url, signed
from upstream import Line, Received, Upstream
from wire import Client, Response

PLATFORM = BINARIES / "metaflow-local-platform"
FIRST_POOL, SECOND_POOL = "us-west-2_LocalStage", "us-west-2_SecondStage"
PUBLIC_PORT = 8443
ORIGIN = f"https://localhost:{PUBLIC_PORT}"
SESSION = "__Host-gws"
SESSION_PARTS = [SESSION, f"{SESSION}.1", f"{SESSION}.2"]
TRANSACTION = "__Host-gwtx-"
RECENT = "__Host-gwrecent"
# All of ours have these attributes, set or cleared: a browser ignores a removal that differs.
ATTRIBUTES = "; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age="

Fields = list[tuple[str, str]]
NAVIGATION: Fields = [("Accept", "text/html,application/xhtml+xml"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document"), ("Sec-Fetch-Site", "none")]
FETCH: Fields = [("Accept", "*/*"), ("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty"), ("Sec-Fetch-Site", "same-origin")]
UPGRADE: Fields = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]


class LocalPlatform:
    """metaflow-local-platform: its identity provider plays Cognito."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.process = subprocess.Popen(
            [str(PLATFORM), "serve", "--state", str(folder), "--identity-port", "0", "--metadata-port", "0", "--browser-port", "0", *options],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        assert self.process.stdout is not None
        said = []
        for line in self.process.stdout:
            said.append(line)
            if found := re.search(r"ready identity=(\d+) metadata=(\d+) browser=(\d+)", line):
                self.port, self.metadata, self.browser = map(int, found.groups())
                break
        else:
            raise AssertionError(f"the local platform ended:\n{''.join(said)}")
        self._drain = threading.Thread(target=lambda: [None for _ in self.process.stdout], daemon=True)
        self._drain.start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def tell(self, switch: str, **order) -> dict:
        request = urllib.request.Request(f"{self.endpoint}/development/{switch}", json.dumps(order).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def token(self, **order) -> str:
        return self.tell("token", **order)["token"]

    @property
    def counters(self) -> dict[str, int]:
        with urllib.request.urlopen(f"{self.endpoint}/development/counters", timeout=20) as answer:
            return json.load(answer)

    def identity(self, stage: str, pool: str, secrets: Path) -> dict:
        secret = secrets / f"{stage}-secret"
        secret.write_text(f"{stage}-browser-development-secret")
        return {
            "cognito": {"region": "us-west-2", "user_pool": pool, "endpoint": self.endpoint, "domain": f"{self.endpoint}/{pool}"},
            "browser_client": {"id": f"{stage}-browser-client", "secret": {"file": str(secret)}},
            "clients": [{"id": f"{stage}-command-line-client", "name": "command-line", "token_use": ["access"]}],
        }

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(30)


class HostedLogin:
    """The person at the provider's pages, with the cookies that the provider set."""

    def __init__(self) -> None:
        self.cookies: dict[str, str] = {}

    def _ask(self, method: str, url: str, form: dict[str, str] | None = None) -> tuple[int, str | None, str]:
        parts = urllib.parse.urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
        fields = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} if self.cookies else {}
        body = urllib.parse.urlencode(form) if form else None
        if body:
            fields["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request(method, f"{parts.path}?{parts.query}", body, fields)
        response = connection.getresponse()
        for line in response.msg.get_all("Set-Cookie") or []:
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
            if "max-age=0" in line.lower():
                del self.cookies[name]
        text = response.read().decode()
        connection.close()
        location = response.getheader("Location")
        return response.status, location and urllib.parse.urljoin(url, location), text

    def answer(self, url: str, user: str = "ada", password: str = "metaflow") -> str:
        """From the authorization address to the callback's address, through the login form where it is shown."""
        for _ in range(6):
            status, location, text = self._ask("GET", url)
            if status == 200:
                action = html.unescape(re.search(r'<form[^>]*action="([^"]*)"', text)[1])
                hidden = {name: html.unescape(value) for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', text)}
                status, location, text = self._ask("POST", urllib.parse.urljoin(url, action), hidden | {"username": user, "password": password})
            assert status in (302, 303), (status, text)
            if urllib.parse.urlsplit(location).path == "/oauth2/callback":
                return location
            url = location
        raise AssertionError(f"the provider's pages go in circles at {url}")

    def follow(self, url: str) -> tuple[int, str | None]:
        status, location, _ = self._ask("GET", url)
        return status, location


def query(url: str) -> dict[str, str]:
    pairs = urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query, keep_blank_values=True, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs), f"a parameter stands there twice: {url}"
    return dict(pairs)


def target_of(url: str) -> str:
    """Path and query, as the browser asks for them."""
    parts = urllib.parse.urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


class Browser:
    """Keeps cookies by name, insists on their attributes, follows nothing by itself. A tab shares the cookies and has its own connection."""

    def __init__(self, gateway: Gateway, host: str = "localhost", cookies: dict[str, str] | None = None) -> None:
        self.gateway, self.host = gateway, host
        self.cookies: dict[str, str] = {} if cookies is None else cookies
        self.provider = HostedLogin()
        self._client: Client | None = None

    def tab(self) -> Browser:
        tab = Browser(self.gateway, self.host, self.cookies)
        tab.provider = self.provider
        return tab

    def copy(self, gateway: Gateway | None = None) -> Browser:
        """Another browser with the same cookies, from now on its own: what somebody took, or what stands at another replica."""
        return Browser(gateway or self.gateway, self.host, dict(self.cookies))

    @property
    def cookie_field(self) -> str:
        # Of a copy, which is made at once: other tabs, in threads of their own, add to the jar meanwhile.
        return "; ".join(f"{name}={value}" for name, value in list(self.cookies.items()))

    @property
    def transactions(self) -> list[str]:
        return [name for name in list(self.cookies) if name.startswith(TRANSACTION)]

    @property
    def has_session(self) -> bool:
        return SESSION in self.cookies

    def request(self, method: str, target: str, fields: Fields = NAVIGATION, body: bytes | None = None) -> None:
        if self._client is None:
            self._client = self.gateway.client(server_name=self.host)
        cookie = [("Cookie", self.cookie_field)] if self.cookies else []
        self._client.request(method, target, [*fields, *cookie], body, host=self.host)

    def response(self, *, to: str = "GET") -> Response:
        assert self._client is not None
        response = self._client.response(to=to)
        self.keep(response)
        if response.get("connection") == "close":
            self.leave()
        return response

    def ask(self, method: str, target: str, fields: Fields = NAVIGATION, body: bytes | None = None) -> Response:
        self.request(method, target, fields, body)
        return self.response(to=method)

    def leave(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def keep(self, response: Response) -> None:
        names = []
        for line in response.all("set-cookie"):
            name, value, _ = set_cookie(line)
            assert name not in names, f"{name} is set twice in one answer"
            names.append(name)
            if value is None:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value

    def navigate(self, target: str = "/") -> Response:
        return self.ask("GET", target)

    def fetch(self, target: str = "/", method: str = "GET", body: bytes | None = None) -> Response:
        return self.ask(method, target, FETCH, body)

    def start_login(self, target: str = "/") -> str:
        """The provider's address to which the gateway leads."""
        response = self.navigate(target)
        assert response.status == 302, (response.status, response.body)
        return response.get("location")

    def come_back(self, url: str) -> Response:
        assert urllib.parse.urlsplit(url).path == "/oauth2/callback", url
        return self.navigate(target_of(url))

    def log_in(self, user: str = "ada", target: str = "/") -> Response:
        """Through the provider's pages; the callback's answer."""
        response = self.come_back(self.provider.answer(self.start_login(target), user))
        assert response.status == 302, (response.status, response.body)
        assert self.has_session
        return response

    def who(self) -> dict:
        response = self.fetch("/oauth2/session")
        assert response.status == 200, (response.status, response.body)
        return response.json()


def set_cookie(line: str) -> tuple[str, str | None, int]:
    """Name, value (None: removed) and Max-Age of one Set-Cookie of ours."""
    pair, found, age = line.partition(ATTRIBUTES)
    name, equals, value = pair.partition("=")
    assert found and equals and age.isdigit() and ";" not in pair, f"not the attributes that every cookie of ours has: {line}"
    assert name in (*SESSION_PARTS, RECENT, "__Host-gwout") or re.fullmatch(r"__Host-gwtx-[0-9a-f]{8}", name), name
    assert len(line) <= 4096
    assert (value == "") == (age == "0"), line
    return name, value or None, int(age)


# The gateway reckons the time of day from its loop's clock in whole milliseconds, so it may be two of them behind this process.
CLOCKS_APART = 0.02


def wait_until(moment: float) -> None:
    """Until the wall clock shows it, the gateway's too."""
    eventually(lambda: time.time() >= moment + CLOCKS_APART, f"the wall clock to show {moment}")


# --- A provider whose token answers a test scripts


class ScriptedProvider:
    """Shaped like Cognito: a key set, and a token endpoint that answers with what `tokens` makes of the form. The test plays the
    login page itself, by calling back with a code that it registers with its nonce."""

    pool = FIRST_POOL
    client = "local-browser-client"

    def __init__(self) -> None:
        self.key = Key("scripted-1")
        self.other_keys: list[Key] = []
        self.header: dict = {}
        self.codes: dict[str, str] = {}
        self.forms: list[dict[str, str]] = []
        self.revoked: list[str] = []
        self.basic: list[str] = []
        self.answer: Callable[[dict[str, str]], tuple[int, bytes]] = lambda form: (200, json.dumps(self.tokens(form)).encode())
        self.changes: dict = {}
        self.access_changes: dict = {}
        self.after: Callable[[dict], dict] = lambda tokens: tokens
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _say(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self) -> None:
                self._say(200, json.dumps({"keys": [key.public for key in (provider.key, *provider.other_keys)]}).encode())

            def do_POST(self) -> None:
                form = query("?" + self.rfile.read(int(self.headers["Content-Length"])).decode())
                if self.path.endswith("/oauth2/revoke"):
                    provider.revoked.append(form["token"])
                    return self._say(200, b"")
                provider.basic.append(b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode())
                provider.forms.append(form)
                self._say(*provider.answer(form))

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """A gateway that has read enough leaves in the middle of an answer."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    identity = LocalPlatform.identity

    def tokens(self, form: dict[str, str]) -> dict:
        import hashlib

        now = int(time.time())
        both = {
            "sub": "5c1fe9a0-1111-4a2b-9c3d-000000000001", "iss": f"{self.endpoint}/{self.pool}", "origin_jti": "origin-1", "auth_time": now,
            "exp": now + 3600, "iat": now, "cognito:groups": ["science"],
        } | self.changes
        access = signed(self.key, both | {"client_id": self.client, "token_use": "access", "scope": "openid", "username": "ada", "jti": "a"} | self.access_changes, header=self.header)
        identity = both | {
            "aud": self.client, "token_use": "id", "cognito:username": "ada", "email": "ada@example.com", "jti": "i",
            "at_hash": base64url(hashlib.sha256(access.encode()).digest()[:16]),
        }
        if "code" in form:
            identity["nonce"] = self.codes[form["code"]]
        identity |= self.changes
        return self.after({
            "access_token": access, "id_token": signed(self.key, {name: value for name, value in identity.items() if value is not None}, header=self.header),
            "refresh_token": "refresh-1", "expires_in": 3600, "token_type": "Bearer",
        })

    def callback(self, authorization: str, code: str = "code-1") -> str:
        """The way back for this authorization request, with a code that the token endpoint knows."""
        asked = query(authorization)
        self.codes[code] = asked["nonce"]
        return f"{asked['redirect_uri']}?" + urllib.parse.urlencode({"code": code, "state": asked["state"]})

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


# --- The gateway between them


def ring_file(folder: Path) -> Path:
    """A first key ring, as an operator makes it."""
    file = folder / "login-keys.json"
    subprocess.run([str(GATEWAY), "keys", "rotate", "--output", str(file)], check=True, capture_output=True, timeout=60)
    return file


def configuration(folder: Path, certificate: dict[str, str], upstream: Upstream | str, provider: LocalPlatform | ScriptedProvider, *, keys: Path | None = None, **more) -> dict:
    """Stage `local` on localhost, with routes for what the tests ask; stage `second` on second.localhost, with a user pool of its own."""
    address = upstream if isinstance(upstream, str) else upstream.address
    login = {"credentials": ["login_session"]}

    def route(path: str, **more) -> dict:
        return {"path": path, "upstream": "main"} | login | more

    routes = [
        route("/"),
        route("/api/metadata", credentials=["bearer", "login_session"], failures="metaflow"),
        route("/api", credentials=["login_session", "bearer"]),
        route("/admins", policy={"groups": ["ml-admins", "operators"]}),
        route("/writers", policy={"scopes": ["metaflow/write"]}),
        {"path": "/public", "upstream": "main", "public": "tests"},
    ]

    def stage(name: str, host: str, pool: str, routes: list[dict]) -> dict:
        return {
            "stage": name, "host": host, "public_url": f"https://{host}:{PUBLIC_PORT}", "identity": provider.identity(name, pool, folder),
            "upstreams": {"main": {"endpoints": [address], "idle_timeout": "30s"}}, "routes": routes,
        }

    return {
        "listeners": [{"address": "127.0.0.1:0", "tls": {"certificates": [certificate]}, "public_port": PUBLIC_PORT}],
        "health": {"address": "127.0.0.1:0"},
        "admin": {"socket": str(folder / "admin.sock"), "metrics_address": "127.0.0.1:0"},
        "access_log": {"path": str(folder / "access.log")},
        "log": {"level": "debug"},
        # Tests say themselves when a file is taken up.
        "reload": {"watch_files": False},
        "state_directory": str(folder / "state"),
        "drain": {"accept_for": "0s", "finish_for": "2s"},
        "event_loops": 2,
        "login_sessions": {"keys": {"file": str(keys or ring_file(folder))}},
        "stages": [stage("local", "localhost", FIRST_POOL, routes), stage("second", "second.localhost", SECOND_POOL, [route("/")])],
    } | more


def switches_protocols(line: Line, request: Received) -> None:
    """An upstream that answers an upgrade, then waits for the end."""
    line.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
    line.read_to_end()


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalPlatform]:
    """Tokens live an hour; nobody may turn its switches."""
    platform = LocalPlatform(tmp_path_factory.mktemp("platform"))
    yield platform
    platform.close()


@pytest.fixture
def start_platform(tmp_path: Path) -> Iterator[Callable[..., LocalPlatform]]:
    """Platforms of one test, whose switches it may turn."""
    started: list[LocalPlatform] = []

    def start_platform(*options: str) -> LocalPlatform:
        platform = LocalPlatform(tmp_path / f"platform-{len(started)}", *options)
        started.append(platform)
        return platform

    yield start_platform
    for platform in started:
        platform.close()


@pytest.fixture
def scripted() -> Iterator[ScriptedProvider]:
    provider = ScriptedProvider()
    yield provider
    provider.close()


@pytest.fixture(scope="session")
def login_certificate(authority: Authority) -> dict[str, str]:
    return authority.leaf("login", "localhost", "second.localhost", "127.0.0.1")


@pytest.fixture(scope="session")
def login_gateway(tmp_path_factory: pytest.TempPathFactory, authority: Authority, login_certificate: dict[str, str], upstream: Upstream, platform: LocalPlatform) -> Iterator[Gateway]:
    """The shared one, before the shared platform."""
    folder = tmp_path_factory.mktemp("login")
    upstream.script["/ws"] = switches_protocols
    gateway = Gateway(folder / "gateway", configuration(folder, login_certificate, upstream, platform), authority.path)
    yield gateway
    gateway.stop()


@pytest.fixture
def start_login_gateway(tmp_path: Path, authority: Authority, login_certificate: dict[str, str], upstream: Upstream) -> Iterator[Callable[..., Gateway]]:
    """Gateways of one test before a provider of its own."""
    started: list[Gateway] = []

    def start_login_gateway(provider: LocalPlatform | ScriptedProvider, *, change: Callable[[dict], None] = lambda _: None, **more) -> Gateway:
        folder = tmp_path / f"login-{len(started)}"
        folder.mkdir()
        upstream.script["/ws"] = switches_protocols
        made = configuration(folder, login_certificate, upstream, provider, **more)
        change(made)
        gateway = Gateway(folder / "gateway", made, authority.path)
        started.append(gateway)
        return gateway

    yield start_login_gateway
    for gateway in started:
        gateway.stop()


@pytest.fixture
def browser(login_gateway: Gateway) -> Iterator[Browser]:
    """Nobody is logged in yet."""
    browser = Browser(login_gateway)
    yield browser
    browser.leave()


@pytest.fixture
def ada(browser: Browser) -> Browser:
    """Logged in as ada, who is in the group science."""
    browser.log_in("ada")
    return browser
