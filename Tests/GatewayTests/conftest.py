"""Fixtures: one gateway that most tests share, with a scripted upstream and a provider behind it, and as many more as a test wants."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from certificates import Authority
from gateway import GATEWAY, Gateway
from provider import Provider
from upstream import Upstream

pytest_plugins = ["login"]

POOL, SECOND_POOL = "us-west-2_FirstStage", "us-west-2_SecondStage"


def pytest_configure(config: pytest.Config) -> None:
    if not GATEWAY.exists():
        raise pytest.UsageError(f"{GATEWAY} is not built. bash Tests/run.sh gateway builds it; METAFLOW_GATEWAY_BINARIES names another folder.")


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    upstream = Upstream()
    yield upstream
    upstream.close()
    assert upstream.problems == []


@pytest.fixture(scope="session")
def provider() -> Iterator[Provider]:
    provider = Provider([POOL, SECOND_POOL])
    yield provider
    provider.close()


@pytest.fixture(scope="session")
def refusing_port() -> Iterator[int]:
    """A port on which nobody accepts: it is bound, so that no one else gets it, and does not listen."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@dataclass
class Surroundings:
    """What a configuration is made of."""

    folder: Path
    authority: Authority
    upstream: Upstream
    provider: Provider
    refusing_port: int
    certificate: dict[str, str]

    def identity(self, pool: str) -> dict:
        return {
            "cognito": {"region": "us-west-2", "user_pool": pool, "endpoint": self.provider.endpoint},
            "clients": [
                {"id": f"{pool}-command-line", "name": "command-line", "token_use": ["access"]},
                {"id": f"{pool}-portal", "name": "portal", "token_use": ["access", "id"]},
                {"id": f"{pool}-nightly", "name": "nightly-jobs", "token_use": ["access"], "scopes": ["metaflow/write"]},
            ],
        }

    def stage(self, name: str, host: str, pool: str, routes: list[dict], **upstreams: dict) -> dict:
        return {
            "stage": name, "host": host, "public_url": f"https://{host}:8443", "identity": self.identity(pool),
            "upstreams": {"main": {"endpoints": [self.upstream.address], "idle_timeout": "30s"}} | upstreams, "routes": routes,
        }

    def configuration(self, *, routes: list[dict] | None = None, upstreams: dict | None = None, listeners: list[dict] | None = None, **more) -> dict:
        """A gateway with one stage on localhost and another on second.localhost."""
        tls = {"address": "127.0.0.1:0", "tls": {"certificates": [self.certificate]}, "public_port": 8443}
        open_route = {"path": "/", "upstream": "main", "public": "tests"}
        return {
            "listeners": listeners or [tls],
            "health": {"address": "127.0.0.1:0"},
            "admin": {"socket": str(self.folder / "admin.sock"), "metrics_address": "127.0.0.1:0"},
            "access_log": {"path": str(self.folder / "access.log")},
            "log": {"level": "debug"},
            # Tests say themselves when a file is taken up.
            "reload": {"watch_files": False},
            "state_directory": str(self.folder / "state"),
            "drain": {"accept_for": "0s", "finish_for": "5s"},
            "stages": [
                self.stage("first", "localhost", POOL, routes or [open_route], **(upstreams or {})),
                self.stage("second", "second.localhost", SECOND_POOL, [open_route | {"path": "/open"}, {"path": "/secure", "upstream": "main", "credentials": ["bearer"], "failures": "metaflow"}]),
            ],
        } | more


@pytest.fixture
def surroundings(tmp_path: Path, authority: Authority, upstream: Upstream, provider: Provider, refusing_port: int) -> Surroundings:
    return Surroundings(tmp_path, authority, upstream, provider, refusing_port, authority.leaf("all", "localhost", "second.localhost", "127.0.0.1"))


@pytest.fixture
def start(surroundings: Surroundings) -> Iterator[Callable[..., Gateway]]:
    """Starts gateways that end with the test."""
    started: list[Gateway] = []

    def start(configuration: dict, **more) -> Gateway:
        gateway = Gateway(surroundings.folder / f"gateway-{len(started)}", configuration, surroundings.authority.path, **more)
        started.append(gateway)
        return gateway

    yield start
    for gateway in started:
        gateway.stop()


TRUSTED, UNTRUSTED = ["127.0.0.0/8"], ["10.0.0.0/8"]
PEER, REDIRECT, PROXY, PROXY_OF_OTHERS, FORWARDED, ONLY_13, NAMES = range(7)


@pytest.fixture(scope="session")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, upstream: Upstream, provider: Provider, refusing_port: int
) -> Iterator[Gateway]:
    """The shared one: every kind of listener, route and upstream that the tests of single requests need."""
    folder = tmp_path_factory.mktemp("shared")
    around = Surroundings(folder, authority, upstream, provider, refusing_port, authority.leaf("all", "localhost", "second.localhost", "127.0.0.1"))

    def tls(certificates: list[dict] | None = None, **more) -> dict:
        version = {"minimum_version": more.pop("minimum_version")} if "minimum_version" in more else {}
        return {"address": "127.0.0.1:0", "tls": {"certificates": certificates or [around.certificate]} | version, "public_port": 8443} | more

    def route(path: str, name: str = "main", **more) -> dict:
        return {"path": path, "upstream": name} | ({} if "credentials" in more else {"public": "tests"}) | more

    dead = {"endpoints": [f"http://127.0.0.1:{refusing_port}"]}
    bearer = {"credentials": ["bearer"], "failures": "metaflow"}
    routes = [
        route("/open"),
        route("/open/deeper", methods=["GET"]),
        route("/strip", strip_prefix=True),
        route("/api", strip_prefix=True),
        route("/api/metadata", strip_prefix=True, failures="metaflow", **{"credentials": ["bearer"]}),
        {"path": "/api/metadata/auth/token", "respond": 404},
        {"path": "/moved", "redirect": "/open"},
        route("/secure", **bearer),
        route("/science", policy={"groups": ["science", "operators"]}, **bearer),
        route("/writers", policy={"scopes": ["metaflow/write"]}, **bearer),
        route("/key", credentials=["bearer", "api_key"], failures="metaflow"),
        route("/hand-on", forward_authorization=True, **bearer),
        route("/page"),
        route("/small", body_bytes="1KiB"),
        route("/big", body_bytes="8GiB"),
        route("/get-only", methods=["GET"]),
        route("/parameters", allow_path_parameters=True, **bearer),
        route("/trailers", allow_trailers=["x-checksum"]),
        route("/dead", "dead", failures="metaflow"),
        route("/dead-page", "dead"),
        route("/late", failures="metaflow", timeout="300ms"),
        route("/late-page", timeout="300ms"),
        route("/faults", failures="metaflow"),
    ]
    configuration = around.configuration(
        routes=routes, upstreams={"dead": dead},
        listeners=[
            tls(), {"address": "127.0.0.1:0", "redirect_to_https": True, "public_port": 8443},
            tls(client_address={"proxy_protocol": {"trusted": TRUSTED}}, trace_context_from=["203.0.113.0/24"]), tls(client_address={"proxy_protocol": {"trusted": UNTRUSTED}}),
            tls(client_address={"x_forwarded_for": {"trusted": TRUSTED}}, trace_context_from=TRUSTED), tls(minimum_version="1.3"),
            tls([authority.leaf("first", "localhost"), authority.leaf("second", "second.localhost"), authority.leaf("wild", "*.wild.localhost")]),
        ],
        event_loops=2, limits={"body_bytes": "64MiB"},
        timeouts={"send_idle": "30s"},
    )
    gateway = Gateway(folder / "gateway", configuration, authority.path)
    yield gateway
    gateway.stop()


@pytest.fixture(scope="session")
def hurried(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, upstream: Upstream, provider: Provider, refusing_port: int
) -> Iterator[Gateway]:
    """One that waits a second for anything, for tests of just that: the shared one must not cut off a test whose machine is busy."""
    folder = tmp_path_factory.mktemp("hurried")
    around = Surroundings(folder, authority, upstream, provider, refusing_port, authority.leaf("hurried", "localhost", "second.localhost"))
    tls = {"address": "127.0.0.1:0", "tls": {"certificates": [around.certificate]}, "public_port": 8443}
    listeners = [tls, tls | {"client_address": {"proxy_protocol": {"trusted": TRUSTED}}}]
    timeouts = {"head": "1s", "handshake": "1s", "proxy_protocol": "1s", "body_idle": "1s"}
    gateway = Gateway(folder / "gateway", around.configuration(listeners=listeners, timeouts=timeouts), authority.path)
    yield gateway
    gateway.stop()


_numbers = itertools.count(1)


@pytest.fixture
def path() -> str:
    """A path of the open route that no other test uses."""
    return f"/open/{next(_numbers)}"


@pytest.fixture
def bearer(provider: Provider) -> Callable[..., list[tuple[str, str]]]:
    """The field of a good token."""
    return lambda pool=POOL, **changes: [("Authorization", f"Bearer {provider.token(pool, **changes)}")]
