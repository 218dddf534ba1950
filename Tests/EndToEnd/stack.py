"""The local platform and the gateway as processes, and the environment in which the real Metaflow client calls them."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BINARIES = Path(os.environ.get("METAFLOW_GATEWAY_BINARIES", ROOT / ".build/debug"))
GATEWAY, PLATFORM = BINARIES / "metaflow-gateway", BINARIES / "metaflow-local-platform"
AUTHORITY = ROOT / "certs/local/ca.pem"


def eventually(condition: Callable[[], Any], what: str, patience: float = 60) -> Any:
    deadline = time.monotonic() + patience
    while not (result := condition()):
        assert time.monotonic() < deadline, f"waited {patience} s for: {what}"
        time.sleep(0.02)
    return result


def free_ports(count: int) -> list[int]:
    """Ports that nobody has at this moment, all different."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


class Process:
    """A program and what it has printed."""

    def __init__(self, *command: str | Path, environment: dict[str, str] | None = None, folder: Path | None = None) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=environment, cwd=folder, start_new_session=True,
            # Whoever runs the tests may ignore SIGHUP, as nohup does, or SIGINT, as a shell's background does; a shell cannot trap what it
            # was started to ignore.
            preexec_fn=lambda: [signal.signal(number, signal.SIG_DFL) for number in (signal.SIGHUP, signal.SIGINT)],
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def wait_for(self, text: str, patience: float = 60) -> str:
        def look() -> str | None:
            found = [line for line in list(self.lines) if text in line]
            if not found:
                assert self.process.poll() is None, f"ended with {self.process.returncode} before {text!r}:\n{self.output}"
            return found[0] if found else None

        return eventually(look, f"{text!r} in\n{self.output}", patience)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.reader.join(5)
        return self.process.returncode


class Stack:
    """Both programs on ports of their own, with config/local.yaml as it is but for the ports. `options` are the local platform's; with
    `provider_alone` its identity provider is a process of its own, which can be away while the metadata service stays."""

    def __init__(self, folder: Path, *options: str, provider_alone: bool = False) -> None:
        self.folder, self.state, self.options = folder, folder / "state", options
        # Those that nobody asks for are chosen too: a port that the system chose at a later start might be one of the others.
        self.identity, self.metadata, self.browser, self.port, self.redirect, self.health, self.metrics, *self.unasked = free_ports(10)
        subprocess.run(["bash", str(ROOT / "certs/make-local.sh")], check=True, capture_output=True)
        subprocess.run([sys.executable, str(ROOT / "deploy/metaflow-extension/build_wheel.py"), "--out", str(folder / ".local")], check=True, capture_output=True)
        self.provider = self.start_provider() if provider_alone else None
        self.platform = self.start_platform()
        self.file = self.configure()
        self.log_path = folder / "access.log"
        self.gateway = Process(GATEWAY, "serve", "--config", self.file)
        eventually(lambda: self.is_ready() or self.gateway.process.poll() is not None, f"readiness\n{self.gateway.output}")
        assert self.gateway.process.poll() is None, self.gateway.output

    def start_platform(self) -> Process:
        state, identity = (self.state, self.identity) if self.provider is None else (self.folder / "state-without-provider", self.unasked[0])
        return self._serve(state, identity, self.metadata, self.browser)

    def start_provider(self) -> Process:
        return self._serve(self.state, self.identity, *self.unasked[1:])

    def _serve(self, state: Path, identity: int, metadata: int, browser: int) -> Process:
        platform = Process(
            PLATFORM, "serve", "--state", state, "--identity-port", str(identity), "--metadata-port", str(metadata), "--browser-port", str(browser), *self.options
        )
        platform.wait_for("ready ")
        return platform

    def counters(self) -> dict[str, int]:
        """What the identity provider has been asked for since it started."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.identity}/development/counters", timeout=30) as answer:
            return json.loads(answer.read())

    def configure(self) -> Path:
        (self.folder / "config/local").mkdir(parents=True)
        (self.folder / ".local/gateway").mkdir(parents=True)
        (self.folder / "certs").symlink_to(ROOT / "certs")
        ports = {8443: self.port, 8080: self.redirect, 8086: self.health, 9090: self.metrics, 9000: self.identity, 9001: self.metadata, 9002: self.browser}
        for source in [ROOT / "config/local.yaml", *(ROOT / "config/local").iterdir()]:
            text = source.read_text()
            for old, new in ports.items():
                text = re.sub(rf"(:|public_port: ){old}\b", rf"\g<1>{new}", text)
            if source.name == "local.yaml" and source.parent.name == "config":
                text = text.replace("access_log: { path: stdout }", f"access_log: {{ path: {self.folder / 'access.log'} }}")
                if not has_ipv6_loopback():
                    text = re.sub(r'^  - (?:\{ )?address: "\[::1\].*\n(?:    .*\n)*', "", text, flags=re.M)
            target = self.folder / "config" / source.relative_to(ROOT / "config")
            target.write_text(text)
        return self.folder / "config/local.yaml"

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.health}/readyz", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def token(self, *arguments: str) -> str:
        result = subprocess.run([str(PLATFORM), "token", "--state", str(self.state), *arguments], capture_output=True, text=True, timeout=30)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    def ask(self, path: str, token: str | None = None, method: str = "GET") -> tuple[int, str]:
        request = urllib.request.Request(self.url + path, method=method, headers={"Authorization": f"Bearer {token}"} if token else {})
        try:
            with urllib.request.urlopen(request, timeout=30, context=ssl.create_default_context(cafile=AUTHORITY)) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read().decode()

    def log(self) -> list[dict]:
        """Every whole line so far. One of a client that left before its answer has no status; it counts as 0 here."""
        if not self.log_path.exists():
            return []
        return [{"status": 0} | json.loads(line) for line in self.log_path.read_bytes().split(b"\n")[:-1]]

    def close(self) -> None:
        self.gateway.end(signal.SIGINT)
        self.platform.end()
        if self.provider is not None:
            self.provider.end()


def has_ipv6_loopback() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
        return True
    except OSError:
        return False


class Client:
    """A person's machine: a home of its own, the real metaflow, and a token."""

    def __init__(self, stack: Stack, home: Path, token: str | None) -> None:
        self.home, self.stack = home, stack
        home.mkdir(parents=True, exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "LC_ALL", "TMPDIR")}
        self.environment = kept | {
            "HOME": str(home), "USERNAME": "ada", "METAFLOW_HOME": str(home / ".metaflowconfig"), "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(home / "store"),
            "METAFLOW_DEFAULT_METADATA": "service", "METAFLOW_DEFAULT_DATASTORE": "local", "METAFLOW_SERVICE_URL": stack.url + "/api/metadata",
            "REQUESTS_CA_BUNDLE": str(AUTHORITY), "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1",
        }
        if token is not None:
            self.environment["METAFLOW_SERVICE_HEADERS"] = json.dumps({"Authorization": f"Bearer {token}"})

    def start(self, flow: str, *arguments: str, **environment: str) -> Process:
        return Process(sys.executable, HERE / "flows" / flow, *arguments, environment=self.environment | environment, folder=self.home)

    def run(self, flow: str, *arguments: str, patience: float = 240, **environment: str) -> tuple[int, str]:
        process = self.start(flow, *arguments, **environment)
        try:
            code = process.process.wait(patience)
        finally:
            process.end(signal.SIGKILL)
        return code, process.output

    def read(self, flow: str, run: str) -> dict:
        result = subprocess.run([sys.executable, str(HERE / "read_back.py"), flow, run], capture_output=True, text=True, env=self.environment, cwd=self.home, timeout=120)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)


def run_id(output: str) -> str:
    return re.search(r"run-id (\d+)|\[(\d+)/start/", output).group(0).strip("[").replace("run-id ", "").split("/")[0]
