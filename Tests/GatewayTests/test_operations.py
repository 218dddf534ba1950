"""Start, reload, drain, stop: what operators do, while requests run (A10, F1, F4)."""

import copy
import json
import signal
import threading
import time

import pytest
from conftest import POOL
from gateway import GATEWAY, IS_FULL, Gateway, eventually
from upstream import answer
from wire import Client, Cut


class Traffic:
    """Clients that ask without a pause; every request must be answered, whatever the gateway is told meanwhile. A client that made a pause, since
    the machine stood still, may meet the end of a connection that was idle for half a second: that is no loss."""

    PAUSE = 0.4

    def __init__(self, gateway: Gateway, threads: int = 4, target: str = "/open/traffic") -> None:
        self.gateway, self.target = gateway, target
        self.stopping = threading.Event()
        self.answered, self.problems = 0, []
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]

    def _run(self) -> None:
        # When the last request but one and the last went out on this connection.
        client, before, asked = None, None, None
        while not self.stopping.is_set():
            before, asked = asked, None
            try:
                if client is None:
                    client, before = self.gateway.client(), None
                client.request("GET", self.target)
                asked = time.monotonic()
                response = client.response()
                with self.lock:
                    self.answered += 1
                    if response.status != 200:
                        self.problems.append(response.status)
                if response.get("connection") == "close":
                    client.close()
                    client = None
            except Exception as error:  # each is a lost request
                if before is None or (asked or time.monotonic()) - before < self.PAUSE:
                    with self.lock:
                        self.problems.append(repr(error))
                client = None
                if len(self.problems) > 20:
                    return
        if client:
            client.close()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        eventually(lambda: self.answered > 20, "the traffic to flow")
        return self

    def more(self, count: int = 100) -> None:
        aim = self.answered + count
        eventually(lambda: self.answered >= aim or self.problems, f"{count} more answers")

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join(20)


# --- Reload


def test_an_accepted_reload_changes_the_routes_and_loses_no_request(start, surroundings):
    configuration = surroundings.configuration()
    configuration["stages"][0]["approve"] = ["/new becomes public"]
    gateway = start(configuration)
    version = gateway.entry(gateway.ask("GET", "/open/x").get("x-request-id"))["config_version"]
    changed = copy.deepcopy(configuration)
    changed["stages"][0]["routes"].append({"path": "/new", "respond": 410})
    with Traffic(gateway) as traffic:
        assert gateway.ask("GET", "/new").status == 200
        gateway.write(changed)
        gateway.signal(signal.SIGHUP)
        eventually(lambda: gateway.ask("GET", "/new").status == 410, "the new route")
        traffic.more()
        gateway.write(configuration)
        gateway.signal(signal.SIGHUP)
        eventually(lambda: gateway.ask("GET", "/new").status == 200, "the old routes")
        traffic.more()
    assert traffic.problems == []
    eventually(lambda: gateway.metrics()['gw_config_reload_total{result="accepted"}'] == 2, "both reloads to be counted")
    assert gateway.entry(gateway.ask("GET", "/open/x").get("x-request-id"))["config_version"] == version


def refused(change):
    def make(configuration: dict) -> dict:
        configuration = copy.deepcopy(configuration)
        change(configuration)
        return configuration

    return make


REFUSED = {
    "an unknown setting": (refused(lambda c: c["drain"].update(acept_for="1s")), "acept_for"),
    "a route without credentials": (refused(lambda c: c["stages"][0]["routes"].append({"path": "/naked", "upstream": "main"})), "asks for no credentials"),
    "a certificate that is gone": (refused(lambda c: c["listeners"][0]["tls"]["certificates"][0].update(chain="/nowhere/chain.pem")), "/nowhere/chain.pem"),
    "another listener address": (refused(lambda c: c["listeners"][0].update(address="127.0.0.1:1")), "127.0.0.1:1 takes a restart; a reload cannot change it"),
    "another number of loops": (refused(lambda c: c.update(event_loops=7)), "7 takes a restart; a reload cannot change it"),
    "one bad stage of two": (refused(lambda c: c["stages"][1].update(host="not a host")), "not a host"),
}


@pytest.mark.parametrize("change, reason", REFUSED.values(), ids=REFUSED.keys())
def test_a_refused_reload_says_why_and_the_old_configuration_goes_on(start, surroundings, change, reason):
    configuration = surroundings.configuration(event_loops=2)
    gateway = start(configuration)
    bad = change(configuration)
    bad["stages"][0]["routes"].append({"path": "/new", "respond": 410})
    with Traffic(gateway, threads=2) as traffic:
        gateway.write(bad)
        gateway.signal(signal.SIGHUP)
        gateway.wait_for_line("the old one goes on serving")
        gateway.wait_for_line(reason)
        assert gateway.ask("GET", "/new").status == 200, "part of a refused configuration is in force"
        traffic.more(30)
    assert traffic.problems == []
    assert gateway.metrics()['gw_config_reload_total{result="refused"}'] == 1


def test_a_request_ends_under_the_configuration_that_it_began_with(start, surroundings, upstream, path):
    go_on = threading.Event()

    def waits(line, request):
        line.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
        assert go_on.wait(20)
        line.send(b"half")

    upstream.script[path] = waits
    configuration = surroundings.configuration()
    gateway = start(configuration)
    gone = copy.deepcopy(configuration)
    gone["stages"][0]["routes"] = [{"path": "/", "respond": 410}]
    gone["stages"][0].pop("upstreams")
    with gateway.client() as client:
        client.request("GET", path)
        client.read_until(b"half")
        gateway.write(gone)
        gateway.signal(signal.SIGHUP)
        eventually(lambda: gateway.ask("GET", "/x").status == 410, "the new configuration")
        go_on.set()
        assert client.read_exactly(4) == b"half"
        # This connection's loop may have heard of it later than the other one.
        eventually(lambda: client.ask("GET", "/x").status == 410, "the new configuration on this connection")


def test_a_renewed_certificate_holds_for_new_connections_and_old_ones_live(start, surroundings, authority):
    old = authority.leaf("renewed", "localhost", "second.localhost", "old.localhost")
    configuration = surroundings.configuration()
    configuration["listeners"][0]["tls"]["certificates"] = [old]
    gateway = start(configuration)

    def names() -> list[str]:
        with gateway.client() as client:
            return [value for _, value in client.sock.getpeercert()["subjectAltName"]]

    with gateway.client() as client:
        assert client.ask("GET", "/open/x").status == 200
        assert "old.localhost" in names()
        authority.leaf("renewed", "localhost", "second.localhost", "new.localhost")
        gateway.signal(signal.SIGHUP)
        eventually(lambda: "new.localhost" in names(), "the new certificate")
        assert client.ask("GET", "/open/x").status == 200


def test_a_hundred_reloads_in_a_row_neither_fail_nor_grow(start, surroundings):
    configuration = surroundings.configuration()
    configuration["stages"][0]["approve"] = ["/new becomes public"]
    gateway = start(configuration)
    other = copy.deepcopy(configuration)
    other["stages"][0]["routes"].append({"path": "/new", "respond": 410})

    def reload(number: int) -> None:
        gateway.write(other if number % 2 else configuration)
        gateway.signal(signal.SIGHUP)
        eventually(lambda: gateway.metrics()['gw_config_reload_total{result="accepted"}'] >= number, f"reload {number}")

    for number in range(1, 21):
        reload(number)
    before = gateway.status("RssAnon")
    for number in range(21, 101):
        reload(number)
    growth = gateway.status("RssAnon") - before
    print(f"80 reloads: {growth} KiB more")
    assert growth < 4096


# --- Drain and stop


def is_let_go(client: Client) -> bool:
    """Whether this answer was the connection's last; who makes a pause of half a second, on a machine that stands still, finds it closed."""
    try:
        response = client.ask("GET", "/open/x")
    except (Cut, OSError):
        return True
    assert response.status == 200 and response.get("connection") in (None, "close")
    return response.get("connection") == "close"


def test_sigterm_fails_readiness_first_and_still_accepts(start, surroundings, upstream, path):
    go_on = threading.Event()

    def waits(line, request):
        assert go_on.wait(20)
        line.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    upstream.script[path] = waits
    gateway = start(surroundings.configuration(drain={"accept_for": "8s", "finish_for": "20s"}))
    health = gateway.port("health.address")
    with gateway.client() as busy, gateway.client() as idle:
        busy.request("GET", path)
        upstream.wait_for(path)
        assert idle.ask("GET", "/open/x").get("connection") is None
        gateway.signal(signal.SIGTERM)
        status, reason = eventually(lambda: (r := gateway.readiness(health))[0] == 503 and r, "readiness to fail")
        assert "draining" in reason
        assert gateway.health("/livez", health)[0] == 200
        # New connections are served, and told at some moment not to stay.
        with gateway.client() as late:
            assert late.ask("GET", "/open/x").status == 200
            eventually(lambda: is_let_go(late), "the connection to end")
        # What is in flight outlasts the listeners, and its answer is whole.

        def refuses() -> bool:
            try:
                with gateway.client() as late:
                    late.ask("GET", "/open/x")
                return False
            except (OSError, Cut):
                return True

        eventually(refuses, "the listeners to close")
        assert gateway.process.poll() is None
        go_on.set()
        response = busy.response()
        assert (response.status, response.body, response.get("connection")) == (200, b"ok", "close")
        assert busy.is_closed()
        assert idle.is_closed()
    assert gateway.process.wait(20) == 0
    gateway.wait_for_line("drained: nothing is under way any more")


def test_a_drain_loses_no_request(start, surroundings):
    gateway = start(surroundings.configuration(drain={"accept_for": "7s", "finish_for": "10s"}))
    with Traffic(gateway) as traffic:
        gateway.signal(signal.SIGTERM)
        gateway.wait_for_line("draining")
        traffic.more(50)
        traffic.stopping.set()
    assert traffic.problems == []
    assert gateway.process.wait(30) == 0


def test_a_drain_spreads_the_ends_of_its_connections_over_its_window(start, surroundings):
    """Clients that all came back in one moment would be a storm for the other instances. Those that ask seldom are told too, and not cut while
    they think: a request could cross that end."""
    gateway = start(surroundings.configuration(drain={"accept_for": "6s", "finish_for": "10s"}))
    clients = [gateway.client() for _ in range(24)]
    for client in clients:
        assert client.ask("GET", "/open/x").get("connection") is None
    gateway.signal(signal.SIGTERM)
    eventually(lambda: gateway.readiness()[0] == 503, "readiness to fail")
    began, ends = time.monotonic(), []
    while clients:
        for client in list(clients):
            try:
                response = client.ask("GET", "/open/x")
            except (Cut, OSError):
                assert time.monotonic() - began > 5, "cut, and not told"
                response = None
            if response is None or response.get("connection") == "close":
                ends.append(time.monotonic() - began)
                client.close()
                clients.remove(client)
        # Longer than the half second for which an answered one is waited for.
        time.sleep(0.7)
    # In any one second of six, about four; all of them by chance never.
    assert all(sum(second <= end < second + 2 for end in ends) < 20 for second in range(5)), ends
    assert gateway.process.wait(30) == 0


def test_an_exchange_that_does_not_end_is_cut_when_its_time_is_over(start, surroundings, upstream, path):
    over = threading.Event()
    upstream.script[path] = lambda line, request: over.wait(30)
    gateway = start(surroundings.configuration(drain={"accept_for": "0s", "finish_for": "1s"}))
    with gateway.client() as client:
        client.request("GET", path)
        upstream.wait_for(path)
        gateway.signal(signal.SIGTERM)
        with pytest.raises((Cut, OSError)):
            client.response()
    assert gateway.process.wait(20) == 0
    assert " connections=1 requests=1 tunnels=0 " in gateway.wait_for_line("drain.finish_for is over: what is not finished is cut")
    over.set()


@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGTERM, signal.SIGTERM], [signal.SIGTERM, signal.SIGINT]], ids=str)
def test_sigint_or_a_second_signal_stops_at_once(start, surroundings, upstream, path, signals):
    over = threading.Event()
    upstream.script[path] = lambda line, request: over.wait(30)
    gateway = start(surroundings.configuration(drain={"accept_for": "300s", "finish_for": "300s"}))
    client = gateway.client()
    client.request("GET", path)
    upstream.wait_for(path)
    gateway.signal(signals[0])
    if len(signals) > 1:
        gateway.wait_for_line("draining")
        gateway.signal(signals[1])
    assert gateway.process.wait(10) == 0
    over.set()
    client.close()


def test_a_log_reader_that_goes_away_does_not_end_the_gateway(surroundings):
    import os
    import subprocess

    configuration = surroundings.configuration(access_log={"path": "stdout"}, health={"address": "127.0.0.1:0"})
    read, write = os.pipe()
    folder = surroundings.folder / "pipe"
    folder.mkdir()
    # The file only: the process is this test's own, with a pipe for its standard output.
    writer = Gateway.__new__(Gateway)
    writer.folder, writer.file = folder, folder / "gateway.yaml"
    writer.write(configuration)
    process = subprocess.Popen([str(GATEWAY), "serve", "--config", str(writer.file)], stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    lines: list[str] = []
    threading.Thread(target=lambda: [lines.append(line) for line in process.stderr], daemon=True).start()
    try:
        import re

        def port() -> int | None:
            found = [line for line in list(lines) if "setting=listeners[0].address" in line]
            return int(re.search(r"address=\S*:(\d+)", found[0]).group(1)) if found else None

        number = eventually(port, "the listener")
        os.close(read)
        from wire import trusting

        for _ in range(5):
            with Client(number, tls=trusting(surroundings.authority.path)) as client:
                assert client.ask("GET", "/open/x").status == 200
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


# --- Start


def test_it_is_ready_soon_and_small(start, surroundings):
    """The fastest of three: a machine that stalls once says nothing about the program."""
    gateways = [start(surroundings.configuration()) for _ in range(3)]
    for gateway in gateways:
        assert gateway.readiness()[0] == 200
    seconds, resident = min(gateway.seconds_to_ready for gateway in gateways), min(gateway.status("VmRSS") for gateway in gateways)
    print(f"\nready after {seconds * 1000:.0f} ms; idle: {resident} KiB resident, {gateways[0].status('RssAnon')} KiB of it its own")
    # Of a debug build neither is promised.
    if IS_FULL and GATEWAY.parent.name == "release":
        assert seconds < 0.3 and resident < 40 * 1024


@pytest.mark.parametrize("path, status", [("/livez", 200), ("/readyz", 200), ("/healthz", 200), ("/", 404), ("/metrics", 404)])
def test_the_health_port_says_what_probes_ask_and_no_more(gateway, path, status):
    assert gateway.health(path)[0] == status


def test_a_taken_port_is_one_clear_line(start, surroundings):
    import socket
    import subprocess

    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        configuration = surroundings.configuration()
        configuration["listeners"][0]["address"] = f"127.0.0.1:{number}"
        writer = Gateway.__new__(Gateway)
        writer.folder, writer.file = surroundings.folder, surroundings.folder / "taken.yaml"
        writer.write(configuration)
        result = subprocess.run([str(GATEWAY), "serve", "--config", str(writer.file)], capture_output=True, text=True, timeout=30)
    assert result.returncode == 1
    complaints = [line for line in result.stderr.splitlines() if "cannot listen" in line]
    assert len(complaints) == 1 and f"127.0.0.1:{number}" in complaints[0] and "listeners[0].address" in complaints[0]


def test_a_port_that_another_gateway_serves_is_taken_too(start, surroundings):
    import subprocess

    configuration = surroundings.configuration()
    gateway = start(configuration)
    number = gateway.port("listeners[0].address")
    configuration["listeners"][0]["address"] = f"127.0.0.1:{number}"
    writer = Gateway.__new__(Gateway)
    writer.folder, writer.file = surroundings.folder, surroundings.folder / "again.yaml"
    writer.write(configuration)
    result = subprocess.run([str(GATEWAY), "serve", "--config", str(writer.file)], capture_output=True, text=True, timeout=30)
    assert result.returncode == 1 and f"cannot listen on 127.0.0.1:{number}" in result.stderr
    assert gateway.ask("GET", "/open/x").status == 200


def test_a_configuration_with_faults_does_not_start(start, surroundings):
    import subprocess

    configuration = surroundings.configuration()
    configuration["drain"]["finish_for"] = "soon"
    writer = Gateway.__new__(Gateway)
    writer.folder, writer.file = surroundings.folder, surroundings.folder / "faulty.yaml"
    writer.write(configuration)
    result = subprocess.run([str(GATEWAY), "serve", "--config", str(writer.file)], capture_output=True, text=True, timeout=30)
    assert result.returncode == 1
    assert "faulty.yaml:" in result.stderr and "drain.finish_for" in result.stderr and "soon" in result.stderr
