#!/usr/bin/env python3
"""Replaces and reloads a serving gateway under load, and counts what got lost.

    replace.py upgrade    --binary .build/release/metaflow-gateway    serve --upgrade, again and again, under 1,000 requests a second
    replace.py activation --binary …                                  restarts behind sockets that a service manager keeps, the same load
    replace.py reloads    --binary …                                  200 reloads in a row under 2,000 requests a second, beside the same without
    replace.py routes     --binary …                                  how long a configuration of 10,000 routes takes: reading, compiling, judging
                                                                       that all of them change, publishing

Requests leave at a steady rate, whatever the answers do, over kept connections and TLS; latencies count from the moment at which a request
should have left, but for those of the first second, which opens the connections. One that is answered otherwise than 200, or whose connection
ends, is lost: nothing is sent twice. The load and the upstream are processes of their own. Needs openssl and Python 3.11; uses no package. Exit code 1: something was lost, or over its limit.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import multiprocessing.synchronize
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

PROCESSES = multiprocessing.get_context("spawn")
# Seconds.
WARM_UP = 1.0
REQUEST = b"GET /work HTTP/1.1\r\nHost: localhost\r\n\r\n"


# --- Load


class Client(asyncio.Protocol):
    """One connection: a request at a time, its answer by Content-Length."""

    def __init__(self, load: Load) -> None:
        self.load, self.buffer, self.due = load, b"", None

    def connection_made(self, transport) -> None:
        self.transport = transport

    def ask(self, due: float) -> None:
        self.due = due
        self.transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.buffer[:end].lower()
        length = int(re.search(rb"\r\ncontent-length: (\d+)", head).group(1))
        if len(self.buffer) < end + 4 + length:
            return
        self.buffer = self.buffer[end + 4 + length :]
        due, self.due = self.due, None
        closes = b"\r\nconnection: close" in head
        self.load.answered(self, due, int(head[9:12]), closes)
        if closes:
            self.transport.close()

    def connection_lost(self, error) -> None:
        self.load.ended(self, error)


class Load:
    """A steady rate over as many connections as it takes, at most `connections`."""

    def __init__(self, port: int, authority: Path, rate: int, connections: int) -> None:
        self.port, self.rate, self.limit = port, rate, connections
        self.authority = authority
        self.idle: list[Client] = []
        self.waiting: list[float] = []
        self.open = 0
        self.sent = 0
        self.good = 0
        self.lost: list[str] = []
        self.latencies: list[float] = []
        self.stopping = False

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        self.context = ssl.create_default_context(cafile=self.authority)
        began, number = loop.time(), 0
        self.warm = began + WARM_UP
        while not self.stopping:
            due = began + number / self.rate
            pause = due - loop.time()
            if pause > 0.001:
                await asyncio.sleep(pause)
                continue
            number += 1
            self.send(due)
            if number % 32 == 0:
                await asyncio.sleep(0)
        deadline = loop.time() + 15
        while self.good + len(self.lost) < self.sent and loop.time() < deadline:
            await asyncio.sleep(0.01)
        for _ in range(self.sent - self.good - len(self.lost)):
            self.lost.append("no answer")

    def send(self, due: float) -> None:
        self.sent += 1
        if self.idle:
            self.idle.pop().ask(due)
        else:
            self.waiting.append(due)
            if self.open < self.limit:
                self.open += 1
                asyncio.get_running_loop().create_task(self.connect())

    async def connect(self) -> None:
        try:
            _, client = await asyncio.get_running_loop().create_connection(
                lambda: Client(self), "127.0.0.1", self.port, ssl=self.context, server_hostname="localhost")
        except OSError as error:
            self.open -= 1
            if self.waiting:
                self.waiting.pop(0)
                self.lost.append(f"connect: {error!r}")
            return
        self.free(client)

    def free(self, client: Client) -> None:
        if self.waiting:
            client.ask(self.waiting.pop(0))
        else:
            self.idle.append(client)

    def answered(self, client: Client, due: float, status: int, closes: bool) -> None:
        if status == 200:
            self.good += 1
            if due >= self.warm:
                self.latencies.append(asyncio.get_running_loop().time() - due)
        else:
            self.lost.append(f"status {status}")
        if not closes:
            self.free(client)

    def ended(self, client: Client, error) -> None:
        self.open -= 1
        if client in self.idle:
            self.idle.remove(client)
        if client.due is not None:
            self.lost.append(f"cut: {error!r}")
        if self.waiting and self.open < self.limit:
            self.open += 1
            asyncio.get_running_loop().create_task(self.connect())

    def report(self, name: str) -> str:
        times = sorted(self.latencies)
        at = lambda share: f"{times[min(len(times) - 1, int(len(times) * share))] * 1000:.1f}" if times else "-"
        return f"{name}: {self.sent} requests, {len(self.lost)} lost; latency in ms: p50 {at(0.5)}, p99 {at(0.99)}, p99.9 {at(0.999)}, longest {at(1)}"


def generate(load: Load, end: multiprocessing.synchronize.Event, results: multiprocessing.Queue) -> None:
    """The load's own process."""
    def stop() -> None:
        end.wait()
        load.stopping = True

    threading.Thread(target=stop, daemon=True).start()
    asyncio.run(load.run())
    results.put((load.sent, load.lost, load.latencies))


def under_load(load: Load, work) -> None:
    """Runs `work` while the load flows."""
    end, results = PROCESSES.Event(), PROCESSES.Queue()
    process = PROCESSES.Process(target=generate, args=(load, end, results), daemon=True)
    process.start()
    try:
        time.sleep(WARM_UP + 0.5)
        work()
    finally:
        end.set()
        load.sent, load.lost, load.latencies = results.get(timeout=60)
        process.join(30)
    for reason in sorted(set(load.lost)):
        print(f"  lost: {load.lost.count(reason)} × {reason}")


# --- The gateway


class UpstreamConnection(asyncio.Protocol):
    """Answers 200 to everything."""

    ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            _, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
            self.transport.write(self.ANSWER)


def serve_upstream(ready: multiprocessing.Queue) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(UpstreamConnection, "127.0.0.1", 0)
        ready.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


def upstream_port() -> int:
    """Of an upstream in a process of its own, which ends with this one."""
    ready = PROCESSES.Queue()
    PROCESSES.Process(target=serve_upstream, args=(ready,), daemon=True).start()
    return ready.get(timeout=30)


class Setting:
    """A folder with a certificate and a configuration."""

    def __init__(self, folder: Path, upstream: int, port: int = 0, health: int = 0) -> None:
        self.folder, self.upstream, self.port, self.health = folder, upstream, port, health
        self.certificate, self.key = folder / "certificate.pem", folder / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
             "-keyout", self.key, "-out", self.certificate], check=True, capture_output=True)
        (folder / "keys.json").write_text(json.dumps({"keys": [
            {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "1", "e": "AQAB", "n": self.modulus()}]}))
        self.file = folder / "gateway.yaml"
        self.write(1)

    def modulus(self) -> str:
        import base64

        text = subprocess.run(["openssl", "x509", "-in", self.certificate, "-noout", "-modulus"], check=True, capture_output=True, text=True).stdout
        return base64.urlsafe_b64encode(bytes.fromhex(text.strip().split("=")[1])).rstrip(b"=").decode()

    def write(self, routes: int, mark: str = "a") -> None:
        """`mark` makes one configuration differ from the next."""
        lines = "\n".join(f"  - {{ path: /{mark}/area{number % 100}/route{number}, upstream: up, public: benchmark }}" for number in range(routes - 1))
        (self.folder / "stage.yaml").write_text(f"""stage: benchmark
host: localhost
public_url: https://localhost
identity:
  cognito: {{ region: us-west-2, user_pool: us-west-2_Benchmark }}
  key_set_file: keys.json
  clients: [{{ id: benchmark, name: benchmark, token_use: [access] }}]
upstreams:
  up: {{ endpoints: ["http://127.0.0.1:{self.upstream}"], idle_timeout: 60s, connections_max: 512, pending_max: 4096 }}
routes:
{lines}
  - {{ path: /, upstream: up, public: benchmark }}
""")
        self.file.write_text(f"""listeners:
  - address: "127.0.0.1:{self.port}"
    tls: {{ certificates: [{{ chain: certificate.pem, key: key.pem }}] }}
health: {{ address: "127.0.0.1:{self.health}" }}
admin: {{ socket: admin.sock, metrics_address: off }}
access_log: {{ path: access.log }}
state_directory: state
drain: {{ accept_for: {DRAIN[0]}, finish_for: {DRAIN[1]} }}
limits: {{ requests_per_connection: off, connection_age: off }}
stages: [stage.yaml]
""")


DRAIN = ("3s", "20s")


class Gateway:
    def __init__(self, binary: str, setting: Setting, *options: str, sockets: list[socket.socket] | None = None) -> None:
        self.lines: list[str] = []
        command = [binary, "serve", "--config", str(setting.file), *options]
        more: dict = {}
        if sockets:
            # As sd_listen_fds(3) has it: from 3 on, and the process's own number.
            command = [sys.executable, "-c", ACTIVATOR, *command]
            more = {"pass_fds": [each.fileno() for each in sockets], "env": os.environ | {"PASS": ",".join(str(each.fileno()) for each in sockets)}}
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **more)
        threading.Thread(target=lambda: self.lines.extend(line.rstrip() for line in self.process.stderr), daemon=True).start()

    def wait_for(self, text: str, count: int = 1, patience: float = 60) -> str:
        deadline = time.monotonic() + patience
        while len(found := [line for line in list(self.lines) if text in line]) < count:
            if time.monotonic() > deadline or (self.process.poll() is not None and "ready" in text):
                raise SystemExit(f"waited for {text!r}:\n" + "\n".join(self.lines[-20:]))
            time.sleep(0.002)
        return found[count - 1]

    @property
    def port(self) -> int:
        return int(re.search(r"address=\S*:(\d+)", self.wait_for("setting=listeners[0].address")).group(1))

    def end(self, number: signal.Signals = signal.SIGINT) -> None:
        self.process.send_signal(number)
        self.process.wait(60)


ACTIVATOR = """
import fcntl, os, sys
copies = [fcntl.fcntl(int(each), fcntl.F_DUPFD, 100) for each in os.environ.pop("PASS").split(",")]
for number, descriptor in enumerate(copies):
    os.dup2(descriptor, 3 + number, inheritable=True)
os.environ.update(LISTEN_FDS=str(len(copies)), LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[1], sys.argv[1:])
"""


# --- What is measured


def upgrade(options, setting: Setting) -> bool:
    gateway = Gateway(options.binary, setting)
    gateway.wait_for("ready")
    load = Load(gateway.port, setting.certificate, options.rate or 1000, options.connections)

    def work() -> None:
        nonlocal gateway
        time.sleep(2)
        for number in range(options.count or 10):
            began = time.monotonic()
            successor = Gateway(options.binary, setting, "--upgrade")
            gateway.wait_for("upgrade done")
            handed = time.monotonic()
            gateway.process.wait(60)
            print(f"  upgrade {number + 1}: serving after {(handed - began) * 1000:.0f} ms, the old process ended after {time.monotonic() - began:.1f} s")
            gateway = successor
        time.sleep(2)

    under_load(load, work)
    gateway.end()
    print(load.report("upgrade"))
    return not load.lost


def activation(options, setting: Setting) -> bool:
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        setting.port = listener.getsockname()[1]
        setting.write(1)
        gateway = Gateway(options.binary, setting, sockets=[listener])
        gateway.wait_for("ready")
        load = Load(setting.port, setting.certificate, options.rate or 1000, options.connections)

        def work() -> None:
            nonlocal gateway
            time.sleep(2)
            for number in range(options.count or 5):
                began = time.monotonic()
                gateway.end(signal.SIGTERM)
                ended = time.monotonic()
                gateway = Gateway(options.binary, setting, sockets=[listener])
                gateway.wait_for("ready")
                print(f"  restart {number + 1}: drained for {ended - began:.1f} s, nobody served for {(time.monotonic() - ended) * 1000:.0f} ms")
                time.sleep(1)

        under_load(load, work)
        gateway.end()
    print(load.report("activation"))
    return not load.lost


def reloads(options, setting: Setting) -> bool:
    gateway = Gateway(options.binary, setting)
    gateway.wait_for("ready")
    count, rate = options.count or 200, options.rate or 2000

    def work() -> None:
        for number in range(count):
            setting.write(2 + number % 2, "ab"[number % 2])
            gateway.process.send_signal(signal.SIGHUP)
            gateway.wait_for("configuration accepted", number + 1)

    began = time.monotonic()
    with_reloads = Load(gateway.port, setting.certificate, rate, options.connections)
    under_load(with_reloads, work)
    seconds = time.monotonic() - began
    without = Load(gateway.port, setting.certificate, rate, options.connections)
    under_load(without, lambda: time.sleep(max(10, seconds)))
    gateway.end()
    print(with_reloads.report(f"{count} reloads in {seconds:.1f} s"))
    print(without.report("without reloads"))
    return not with_reloads.lost and not without.lost


def routes(options, setting: Setting) -> bool:
    setting.write(10_000)
    gateway = Gateway(options.binary, setting)
    gateway.wait_for("ready")
    longest = 0.0
    for number in range(options.count or 7):
        setting.write(10_000, "ab"[number % 2])
        gateway.process.send_signal(signal.SIGHUP)
        line = gateway.wait_for("configuration accepted", number + 1)
        times = {name: float(value) for name, value in re.findall(r"(\w+)_ms=([\d.]+)", line)}
        print(f"  10,000 routes: read {times['read']:.0f} ms, compile {times['compile']:.0f} ms, judge {times['judge']:.0f} ms, publish {times['publish']:.0f} ms")
        longest = max(longest, times["compile"] + times["judge"] + times["publish"])
    gateway.end()
    print(f"compile, judge and publish, longest of {options.count or 7}: {longest:.0f} ms (limit 100)")
    return longest <= 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = {work.__name__: work for work in (upgrade, activation, reloads, routes)}
    parser.add_argument("kind", choices=kinds)
    parser.add_argument("--binary", default=str(Path(__file__).resolve().parents[2] / ".build/release/metaflow-gateway"))
    parser.add_argument("--rate", type=int, help="requests a second")
    parser.add_argument("--count", type=int, help="upgrades, restarts or reloads")
    parser.add_argument("--connections", type=int, default=64)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(0 if kinds[options.kind](options, Setting(Path(folder), upstream_port())) else 1)


if __name__ == "__main__":
    main()
