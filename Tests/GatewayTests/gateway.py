"""The built gateway as a process: its configuration, its ports, its log, its memory, and the signals that it is sent."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wire import Client, trusting

ROOT = Path(__file__).resolve().parents[2]
BINARIES = Path(os.environ.get("METAFLOW_GATEWAY_BINARIES", ROOT / ".build/debug"))
GATEWAY = BINARIES / "metaflow-gateway"
IS_FULL = os.environ.get("TEST_MODE") == "full"
PATIENCE = 30.0


def eventually(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Waits until the condition holds, and gives what it gave."""
    deadline = time.monotonic() + patience
    while not (result := condition()):
        assert time.monotonic() < deadline, f"waited {patience} s for: {what}"
        time.sleep(0.01)
    return result


class Gateway:
    """Starts at once and is ready when the constructor returns, unless it is told not to wait."""

    def __init__(
        self, folder: Path, configuration: dict, authority: Path, *, waits: bool = True, environment: dict | None = None, options: tuple[str, ...] = (), **process
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.file = folder / "gateway.json.yaml"
        self.authority = authority
        self.write(configuration)
        self.lines: list[str] = []
        self._ended = threading.Event()
        began = time.monotonic()
        self.process = subprocess.Popen(
            [str(GATEWAY), "serve", "--config", str(self.file), *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            env={**os.environ, **(environment or {})}, **process,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if waits:
            try:
                self.wait_ready()
            except BaseException:
                self.kill()
                raise
        self.seconds_to_ready = time.monotonic() - began

    # --- Configuration

    def write(self, configuration: dict) -> None:
        """Every JSON document is YAML; stages go to files of their own."""
        configuration = dict(configuration)
        stages = []
        for stage in configuration["stages"]:
            file = self.folder / f"{stage['stage']}.yaml"
            self._put(file, json.dumps(stage, indent=1))
            stages.append(str(file))
        configuration["stages"] = stages
        # Several gateways of one test have a socket each.
        self.admin_socket = self.folder / "admin.sock"
        configuration["admin"] = {**configuration["admin"], "socket": str(self.admin_socket)}
        self._put(self.file, json.dumps(configuration, indent=1))
        self.log_path = Path(configuration["access_log"]["path"])

    @staticmethod
    def _put(file: Path, text: str) -> None:
        """At once: a gateway that follows its files must not read half of one."""
        made = file.with_name(f"{file.name}.made")
        made.write_text(text)
        made.replace(file)

    # --- Messages

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
        self._ended.set()

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def port(self, setting: str) -> int:
        """The port that was bound for a setting, such as `listeners[0].address`."""

        def find() -> int | None:
            for line in list(self.lines):
                if "] listening" in line and f"setting={setting}" in line:
                    return int(re.search(r"address=\S*:(\d+)", line).group(1))
            assert self.process.poll() is None, f"the gateway ended with {self.process.returncode}:\n{self.output}"
            return None

        return eventually(find, f"{setting} to listen")

    def wait_ready(self) -> None:
        port = self.port("health.address")
        eventually(lambda: self.readiness(port)[0] == 200, f"readiness\n{self.output}")

    def readiness(self, port: int | None = None) -> tuple[int, str]:
        return self.health("/readyz", port)

    def health(self, path: str, port: int | None = None) -> tuple[int, str]:
        with Client(port or self.port("health.address")) as client:
            answer = client.ask("GET", path)
            return answer.status, answer.body.decode()

    def exposition(self) -> str:
        with Client(self.port("admin.metrics_address")) as client:
            return client.ask("GET", "/metrics").body.decode()

    def metrics(self) -> dict[str, float]:
        """Every sample by its name and labels, as they are written."""
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in self.exposition().splitlines() if not line.startswith("#"))}

    def total(self, name: str, **labels: str) -> float:
        """The sum of a family's samples that have these labels."""
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        return sum(value for sample, value in self.metrics().items() if sample.split("{")[0] == name and all(label in sample for label in wanted))

    # --- The operators' socket and commands

    def admin(self, method: str, target: str, body: str | None = None, **more):
        with Client(0, unix=self.admin_socket) as client:
            return client.ask(method, target, None, body.encode() if body is not None else None, **more)

    def command(self, *arguments: str, **more) -> subprocess.CompletedProcess:
        """Runs one of the operators' commands against this gateway."""
        return subprocess.run([str(GATEWAY), *arguments, "--socket", str(self.admin_socket)], capture_output=True, text=True, timeout=60, **more)

    # --- Clients

    def client(self, listener: int = 0, *, server_name: str | None = "localhost", alpn: list[str] | None = None, **more) -> Client:
        context = trusting(self.authority, alpn=alpn)
        if server_name is None:
            context.check_hostname = False
        return Client(self.port(f"listeners[{listener}].address"), tls=context, server_name=server_name, **more)

    def ask(self, method: str, target: str, fields: list[tuple[str, str]] | None = None, body: bytes | None = None, **more):
        with self.client() as client:
            return client.ask(method, target, fields, body, **more)

    # --- The access log

    def log(self) -> list[dict]:
        """Every whole line so far: each must be one JSON object."""
        if not self.log_path.exists():
            return []
        return [json.loads(line) for line in self.log_path.read_bytes().split(b"\n")[:-1]]

    def entry(self, request_id: str) -> dict:
        """The line of this request; it is written soon after the answer."""
        entries = eventually(lambda: [entry for entry in self.log() if entry["request_id"] == request_id], f"the log line of {request_id}")
        assert len(entries) == 1, entries
        return entries[0]

    # --- The process

    def status(self, name: str) -> int:
        """A size of /proc/PID/status, in KiB."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"^{name}:\s+(\d+)", text, re.M).group(1))

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait_for_line(self, text: str, count: int = 1) -> str:
        return eventually(lambda: [line for line in list(self.lines) if text in line][count - 1 : count], f"{text!r} in\n{self.output}")[0]

    def stop(self) -> int:
        """Ends it at once; whatever is connected is cut."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            code = self.process.wait(30)
        finally:
            self.kill()
        self._ended.wait(5)
        return code

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def check(file: Path | str, *more: str) -> tuple[int, str]:
    """`metaflow-gateway check`: its exit code and what it printed."""
    result = subprocess.run([str(GATEWAY), "check", "--config", str(file), *more], capture_output=True, text=True, timeout=60)
    return result.returncode, result.stdout + result.stderr
