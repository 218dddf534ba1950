"""One process takes the place of another without losing a request: `serve --upgrade`, SIGUSR2, and sockets that a service manager passes."""

from __future__ import annotations

import copy
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from frames import CLOSE, TEXT, Peer, close_payload, frame, open_raw, read_frame
from gateway import GATEWAY, Gateway, eventually
from test_operations import Traffic
from test_websocket import GOING_AWAY
from wire import Client, trusting


@pytest.fixture
def quick(surroundings):
    """A drain that ends soon, once nobody is connected any more."""
    return lambda **more: surroundings.configuration(drain={"accept_for": "2s", "finish_for": "10s"}, **more)


@pytest.mark.parametrize("before, after", [(2, 2), (1, 3), (3, 1)])
def test_an_upgrade_under_load_loses_no_request(start, quick, before, after):
    old = start(quick(event_loops=before))
    with Traffic(old, threads=8) as traffic:
        new = start(quick(event_loops=after), options=("--upgrade",))
        for setting in ("listeners[0].address", "health.address", "admin.metrics_address"):
            assert new.port(setting) == old.port(setting)
        old.wait_for_line("upgrade done")
        assert old.process.wait(30) == 0
        traffic.more(200)
    assert traffic.problems == []
    assert new.readiness()[0] == 200
    assert sum(value for name, value in new.metrics().items() if name.startswith("gw_requests_total")) >= 100
    # The successor can be succeeded in its turn.
    with Traffic(new) as traffic:
        newest = start(quick(), options=("--upgrade",))
        new.wait_for_line("upgrade done")
        assert new.process.wait(30) == 0
        traffic.more(100)
    assert traffic.problems == []
    assert newest.readiness()[0] == 200


def test_what_is_under_way_ends_in_the_old_process(start, quick, upstream, path):
    go_on = threading.Event()

    def waits(line, request):
        line.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
        assert go_on.wait(30)
        line.send(b"half")

    upstream.script[path] = waits
    old = start(quick())
    with old.client() as client:
        client.request("GET", path)
        client.read_until(b"half")
        new = start(quick(), options=("--upgrade",))
        old.wait_for_line("upgrade done")
        assert new.ask("GET", "/open/x").status == 200
        assert old.process.poll() is None
        go_on.set()
        assert client.read_exactly(4) == b"half"
    assert old.process.wait(30) == 0


def test_an_upgrade_sends_a_web_socket_to_the_successor(start, quick, upstream, path):
    """The old process says on both sides that it goes; who connects again meets the new one."""
    peers = [Peer(), Peer()]
    for number, peer in enumerate(peers):
        upstream.script[f"{path}/{number}"] = peer.script()
    old = start(quick())
    client, _ = open_raw(old, f"{path}/0")
    line = peers[0].wait()
    new = start(quick(), options=("--upgrade",))
    for side in (client, line):
        assert read_frame(side) == (CLOSE, close_payload(1001, GOING_AWAY))
    line.send(frame(close_payload(1001), CLOSE))
    client.send(frame(close_payload(1001), CLOSE, mask=True))
    assert client.is_closed() and line.is_closed()
    peers[0].is_over.set()
    assert old.process.wait(30) == 0
    again, _ = open_raw(new, f"{path}/1")
    peers[1].wait().send(frame(b"hello again"))
    assert read_frame(again) == (TEXT, b"hello again")
    peers[1].is_over.set()
    again.close()


def faulty(configuration: dict) -> dict:
    configuration["listeners"][0]["tls"]["certificates"][0]["chain"] = "/nowhere/chain.pem"
    return configuration


def test_a_successor_that_cannot_start_leaves_the_old_one_serving_and_both_say_why(start, quick):
    old = start(quick())
    with Traffic(old) as traffic, socket.create_server(("127.0.0.1", 0)) as taken:
        configuration = quick()
        configuration["listeners"].append({"address": f"127.0.0.1:{taken.getsockname()[1]}", "redirect_to_https": True})
        new = start(configuration, options=("--upgrade",), waits=False)
        assert new.process.wait(30) == 1
        eventually(lambda: "cannot listen on" in new.output, "the new one's reason")
        assert "cannot listen on" in old.wait_for_line("this process goes on serving")
        traffic.more(100)
    assert traffic.problems == []
    # And is ready for the next attempt.
    better = start(quick(), options=("--upgrade",))
    assert old.process.wait(30) == 0
    assert better.ask("GET", "/open/x").status == 200


def test_a_successor_with_a_faulty_configuration_never_asks(start, quick):
    old = start(quick())
    new = start(faulty(copy.deepcopy(quick())), options=("--upgrade",), waits=False)
    assert new.process.wait(30) == 1
    eventually(lambda: "/nowhere/chain.pem" in new.output, "the reason")
    assert old.ask("GET", "/open/x").status == 200
    # What it was asked would stand in its messages before its word on this reload.
    reloaded = old.command("reload")
    assert reloaded.returncode == 0, reloaded.stdout + reloaded.stderr
    assert "upgrade begins" not in old.output


def test_a_successor_that_is_killed_half_way_changes_nothing(start, quick, surroundings):
    old = start(quick())
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.connect(str(surroundings.folder / "state/upgrade.sock"))
        sock.send(b"metaflow-gateway upgrade 1")
        passed = []
        while True:
            text, descriptors, _, _ = socket.recv_fds(sock, 4096, 4)
            passed += descriptors
            if text == b"end":
                break
    for descriptor in passed:
        os.close(descriptor)
    old.wait_for_line("this process goes on serving")
    for _ in range(20):
        assert old.ask("GET", "/open/x").status == 200


def test_the_upgrade_socket_is_its_users_alone_and_goes_with_the_process(start, quick, surroundings):
    gateway = start(quick())
    place = surroundings.folder / "state/upgrade.sock"
    assert place.stat().st_mode & 0o777 == 0o600
    gateway.stop()
    assert not place.exists()


def test_what_is_no_successor_is_not_given_a_socket(start, quick, surroundings):
    gateway = start(quick())
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.connect(str(surroundings.folder / "state/upgrade.sock"))
        sock.send(b"give me everything")
        text, descriptors, _, _ = socket.recv_fds(sock, 4096, 4)
        assert (text, descriptors) == (b"", [])
    assert gateway.ask("GET", "/open/x").status == 200


def test_an_upgrade_without_a_running_gateway_is_one_clear_line(start, quick):
    new = start(quick(), options=("--upgrade",), waits=False)
    assert new.process.wait(30) == 1
    eventually(lambda: "no gateway answers at" in new.output, "the reason")


def test_a_second_gateway_of_the_same_state_directory_does_not_take_the_upgrade_socket(start, quick, surroundings):
    first = start(quick())
    second = start(quick(admin={"socket": str(surroundings.folder / "second.sock"), "metrics_address": "off"}))
    second.wait_for_line("another gateway runs with this state directory")
    second.stop()
    third = start(quick(), options=("--upgrade",))
    assert third.port("listeners[0].address") == first.port("listeners[0].address")
    assert first.process.wait(30) == 0


# --- The service manager


class Manager:
    """Hears what a service tells its manager (sd_notify)."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(str(self.path))
        self.sock.settimeout(30)

    def hear(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.sock.recv(4096).decode().splitlines())


@pytest.fixture
def manager(tmp_path):
    manager = Manager(tmp_path)
    yield manager
    manager.sock.close()


def test_the_service_manager_hears_of_readiness_reloads_and_the_end(start, quick, manager):
    gateway = start(quick(), environment={"NOTIFY_SOCKET": str(manager.path)})
    heard = manager.hear()
    assert heard["READY"] == "1" and "serving" in heard["STATUS"]
    gateway.signal(signal.SIGHUP)
    heard = manager.hear()
    assert heard["RELOADING"] == "1" and int(heard["MONOTONIC_USEC"]) > 0
    assert manager.hear()["READY"] == "1"
    gateway.signal(signal.SIGTERM)
    assert manager.hear()["STOPPING"] == "1"
    gateway.process.wait(30)


def test_sigusr2_starts_the_file_anew_as_the_services_main_process(start, quick, manager):
    gateway = start(quick(), environment={"NOTIFY_SOCKET": str(manager.path)})
    gateway.wait_ready()
    assert manager.hear()["READY"] == "1"
    successor = None
    try:
        with Traffic(gateway) as traffic:
            gateway.signal(signal.SIGUSR2)
            successor = int(manager.hear()["MAINPID"])
            assert successor != gateway.process.pid
            assert manager.hear()["READY"] == "1"
            assert gateway.process.wait(30) == 0
            assert b"--upgrade" in Path(f"/proc/{successor}/cmdline").read_bytes().split(b"\0")
            traffic.more(100)
        assert traffic.problems == []
    finally:
        if successor is not None:
            os.kill(successor, signal.SIGINT)
            eventually(lambda: not Path(f"/proc/{successor}/exe").exists(), "the successor to end")


ACTIVATOR = """
import fcntl, os, sys
fds = [int(x) for x in os.environ.pop("PASS").split(",")]
copies = [fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in fds]
for number, fd in enumerate(copies):
    os.dup2(fd, 3 + number, inheritable=True)
os.environ.update(LISTEN_FDS=str(len(fds)), LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[1], sys.argv[1:])
"""


@contextmanager
def activated(folder: Path, configuration: dict, sockets: list[socket.socket], names: list[str]):
    """A gateway that is started as systemd starts one with sockets."""
    folder.mkdir(exist_ok=True)
    writer = Gateway.__new__(Gateway)
    writer.folder, writer.file = folder, folder / "gateway.yaml"
    writer.write(configuration)
    lines: list[str] = []
    # The copies go to 3 and up: what is passed must lie above them.
    passed = [os.dup(sock.fileno()) for sock in sockets]
    environment = {**os.environ, "PASS": ",".join(map(str, passed)), "LISTEN_FDNAMES": ":".join(names)}
    process = subprocess.Popen(
        [sys.executable, "-c", ACTIVATOR, str(GATEWAY), "serve", "--config", str(writer.file)], env=environment, pass_fds=passed,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    for descriptor in passed:
        os.close(descriptor)
    reader = threading.Thread(target=lambda: lines.extend(line.rstrip() for line in process.stderr), daemon=True)
    reader.start()
    try:
        yield process, lines, writer
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(20)
        reader.join(5)


class Clients(Traffic):
    """The same, before there is a gateway to ask for its port."""

    def __init__(self, port: int, authority: Path, threads: int = 4) -> None:
        class There:
            def client(self):
                return Client(port, tls=trusting(authority))

        super().__init__(There(), threads)


def test_sockets_that_a_service_manager_keeps_lose_no_request_over_a_restart(surroundings, quick):
    address = ("127.0.0.1", 0)
    with socket.create_server(address, backlog=4096) as listener, socket.create_server(address) as health:
        port = listener.getsockname()[1]
        configuration = surroundings.configuration(drain={"accept_for": "0s", "finish_for": "10s"}, event_loops=2)
        configuration["listeners"][0]["address"] = f"127.0.0.1:{port}"
        with activated(surroundings.folder / "first", configuration, [listener, health], ["edge", "health"]) as (first, said, _):
            eventually(lambda: any("taken_over=1" in line for line in list(said)), "the sockets")
            with Clients(port, surroundings.authority.path, threads=8) as traffic:
                # As systemctl restart does it: the new process starts when the old one has ended.
                first.send_signal(signal.SIGTERM)
                assert first.wait(30) == 0
                with activated(surroundings.folder / "second", configuration, [listener, health], ["edge", "health"]):
                    traffic.more(200)
                    traffic.stopping.set()
                    for thread in traffic.threads:
                        thread.join(20)
            assert traffic.problems == []
            assert traffic.answered > 200


def test_a_socket_that_no_setting_asks_for_is_one_clear_line(surroundings, quick):
    with socket.create_server(("127.0.0.1", 0)) as stray:
        with activated(surroundings.folder / "stray", quick(), [stray], ["unknown"]) as (process, said, _):
            assert process.wait(30) == 1
        assert any(f"a socket on 127.0.0.1:{stray.getsockname()[1]}, named unknown, which no setting asks for" in line for line in said), said


# --- The early end of a drain


def test_a_drain_ends_early_when_the_load_balancer_and_the_clients_have_left(start, surroundings):
    gateway = start(surroundings.configuration(drain={"accept_for": "300s", "finish_for": "300s", "quiet_for": "500ms"}))
    health = gateway.port("health.address")
    # As long as a client is here, it does not end before anybody has looked.
    with gateway.client():
        gateway.signal(signal.SIGTERM)
        gateway.wait_for_line("draining")
        eventually(lambda: gateway.readiness(health)[0] == 503, "readiness to fail")
    assert gateway.process.wait(30) == 0
    gateway.wait_for_line("the drain ends early")


def test_a_client_keeps_a_drain_from_ending_early(start, surroundings, upstream, path):
    go_on = threading.Event()

    def waits(line, request):
        assert go_on.wait(30)
        line.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    upstream.script[path] = waits
    gateway = start(surroundings.configuration(drain={"accept_for": "300s", "finish_for": "300s", "quiet_for": "200ms"}))
    with gateway.client() as client:
        client.request("GET", path)
        upstream.wait_for(path)
        gateway.signal(signal.SIGTERM)
        gateway.wait_for_line("draining")
        with pytest.raises(subprocess.TimeoutExpired):
            gateway.process.wait(1)
        go_on.set()
        assert client.response().body == b"ok"
    assert gateway.process.wait(30) == 0
