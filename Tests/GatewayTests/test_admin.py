"""The operators' socket and the commands that ask it."""

import copy
import fcntl
import hashlib
import json
import os
import pty
import signal
import socket
import stat
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from conftest import POOL
from gateway import GATEWAY, Gateway, eventually
from wire import Client


def alone(surroundings, configuration: dict, name: str) -> subprocess.CompletedProcess:
    """Runs a gateway that is expected not to start."""
    writer = Gateway.__new__(Gateway)
    writer.folder, writer.file = surroundings.folder, surroundings.folder / f"{name}.yaml"
    writer.write(configuration)
    return subprocess.run([str(GATEWAY), "serve", "--config", str(writer.file)], capture_output=True, text=True, timeout=30)


# --- The socket


def test_the_socket_is_its_owners_alone_whatever_the_umask_and_goes_with_the_gateway(start, surroundings):
    old = os.umask(0)
    try:
        gateway = start(surroundings.configuration())
    finally:
        os.umask(old)
    status = gateway.admin_socket.lstat()
    assert stat.S_ISSOCK(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o600
    assert gateway.stop() == 0
    assert not gateway.admin_socket.exists()


def test_a_dead_gateways_socket_is_replaced(start, surroundings):
    configuration = surroundings.configuration()
    gateway = start(configuration)
    gateway.process.kill()
    gateway.process.wait()
    assert gateway.admin_socket.exists()
    again = Gateway(gateway.folder, configuration, surroundings.authority.path)
    try:
        assert again.admin("GET", "/status").status == 200
    finally:
        again.stop()


def test_a_live_gateways_socket_is_left_alone(start, surroundings):
    gateway = start(surroundings.configuration())
    result = subprocess.run([str(GATEWAY), "serve", "--config", str(gateway.file)], capture_output=True, text=True, timeout=30)
    assert result.returncode == 1
    assert f"admin.socket: cannot listen on {gateway.admin_socket}: another gateway serves there." in result.stderr
    assert gateway.admin("GET", "/status").status == 200


@pytest.mark.parametrize("make, complaint", [
    (lambda folder: (folder / "admin.sock").write_text("precious"), "something that is no socket stands there"),
    (lambda folder: None, "has at most 107"),
], ids=["a file", "a long path"])
def test_a_path_that_cannot_be_a_socket_is_one_clear_line(surroundings, make, complaint):
    make(surroundings.folder)
    configuration = surroundings.configuration()
    writer = Gateway.__new__(Gateway)
    writer.folder, writer.file = surroundings.folder, surroundings.folder / "alone.yaml"
    writer.write(configuration)
    if "107" in complaint:
        document = json.loads(writer.file.read_text())
        document["admin"]["socket"] = str(surroundings.folder / ("long" * 30))
        writer.file.write_text(json.dumps(document))
    result = subprocess.run([str(GATEWAY), "serve", "--config", str(writer.file)], capture_output=True, text=True, timeout=30)
    assert result.returncode == 1
    assert [line for line in result.stderr.splitlines() if "admin.socket" in line and complaint in line], result.stderr
    if "107" not in complaint:
        assert (surroundings.folder / "admin.sock").read_text() == "precious"


@pytest.mark.parametrize("method, target, status", [
    ("GET", "/", 404), ("GET", "/metrics", 404), ("POST", "/status", 405), ("DELETE", "/routes", 405), ("GET", "/reload", 405), ("GET", "/revoke", 405), ("PUT", "/loglevel", 405),
])
def test_what_the_socket_does_not_know_it_says(gateway, method, target, status):
    answer = gateway.admin(method, target)
    assert answer.status == status
    assert (answer.get("allow") is not None) == (status == 405)
    assert answer.json()["message"]


@pytest.mark.parametrize("raw, status", [
    (b"POST /loglevel HTTP/1.1\r\nHost: g\r\nContent-Length: 70000\r\n\r\n", 413),
    (b"POST /loglevel HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
    (b"POST /loglevel HTTP/1.1\r\n\r\n", 400),
    (b"GET /status HTTP/1.1\nHost: g\n\n", 400),
])
def test_the_socket_has_limits_and_strict_ears(gateway, raw, status):
    with Client(0, unix=gateway.admin_socket) as client:
        client.send(raw)
        assert client.response().status == status
        assert client.is_closed()


def test_no_port_that_a_browser_reaches_answers_for_the_socket(gateway):
    for setting in ("health.address", "admin.metrics_address"):
        with Client(gateway.port(setting)) as client:
            assert client.ask("GET", "/configuration").status == 404
    assert gateway.ask("GET", "/configuration").status == 404


# --- Questions


def test_status_says_that_it_is_well_and_why_not(start, surroundings):
    configuration = surroundings.configuration()
    gateway = start(configuration)
    gateway.ask("GET", "/open/x")
    status = gateway.admin("GET", "/status").json()
    assert status["well"] is True and status["troubles"] == [] and status["ready"] is True
    assert status["pid"] == gateway.process.pid and status["requests"] >= 1
    assert [upstream["name"] for upstream in status["upstreams"]] == ["main", "main"]
    assert status["certificates"][0]["days_left"] in (89, 90)
    screen = gateway.command("status")
    assert screen.returncode == 0 and screen.stdout.startswith("well\n")
    for word in (f"pid {gateway.process.pid}", "requests/s", "p99", "first/main", "1 of 1 up", "days left", "key set", "connections"):
        assert word in screen.stdout, screen.stdout
    assert max(map(len, screen.stdout.splitlines())) < 240
    bad = copy.deepcopy(configuration)
    bad["drain"]["finish_for"] = "soon"
    gateway.write(bad)
    assert gateway.command("reload").returncode == 1
    screen = gateway.command("status")
    assert screen.returncode == 3 and screen.stdout.startswith("NOT WELL: the last reload was refused\n")
    assert "drain.finish_for" in screen.stdout
    document = gateway.command("status", "--format", "json")
    assert document.returncode == 3 and json.loads(document.stdout)["reloads"]["last"]["result"] == "refused"


def test_status_names_an_endpoint_that_is_down(start, surroundings):
    endpoints = [surroundings.upstream.address, f"http://127.0.0.1:{surroundings.refusing_port}"]
    health = {"path": "/open/ping", "interval": "1s", "timeout": "1s", "unhealthy_after": 1, "healthy_after": 1}
    gateway = start(surroundings.configuration(upstreams={"two": {"endpoints": endpoints, "health": health}}))
    name = f"127.0.0.1:{surroundings.refusing_port}"
    eventually(lambda: f"first/two: {name} is down" in gateway.admin("GET", "/status").json()["troubles"], "the endpoint to be found down")
    assert f"{name} is DOWN: its health check fails" in gateway.command("status").stdout

    def standing() -> dict[str, bool]:
        return {e["endpoint"]: e["up"] for u in gateway.admin("GET", "/upstreams").json() if u["name"] == "two" for e in u["endpoints"]}

    # A check that a busy machine answered too late takes the good one out until the next.
    eventually(lambda: standing() == {surroundings.upstream.address.removeprefix("http://"): True, name: False}, "one to be up and one down")


def test_watching_status_goes_on_until_it_is_interrupted(start, surroundings):
    gateway = start(surroundings.configuration())
    process = subprocess.Popen([str(GATEWAY), "status", "--watch", "--socket", str(gateway.admin_socket)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        seen = 0
        while seen < 2:
            line = process.stdout.readline()
            assert line and "\x1b" not in line
            seen += line == "well\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(10) in (0, -signal.SIGINT, 130)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextmanager
def watched(gateway: Gateway, columns: int | None = None, rows: int | None = None) -> Iterator[tuple[subprocess.Popen, int]]:
    """`status --watch` on a terminal, and the end of it that its screen is read from."""
    main, side = pty.openpty()
    if columns is not None:
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    process = subprocess.Popen([str(GATEWAY), "status", "--watch", "--socket", str(gateway.admin_socket)], stdout=side)
    os.close(side)
    try:
        yield process, main
    finally:
        process.kill()
        process.wait()
        os.close(main)


def test_watching_status_on_a_terminal_redraws_and_gives_the_cursor_back(start, surroundings):
    text = b""
    with watched(start(surroundings.configuration())) as (process, main):
        while text.count(b"\x1b[Hwell") < 2:
            text += os.read(main, 65_536)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        while not text.endswith(b"\x1b[?25h\r\n"):
            text += os.read(main, 65_536)
    assert text.startswith(b"\x1b[?25l")


@pytest.mark.parametrize("columns, rows", [(80, 24), (40, 8), (300, 100)])
def test_watching_status_stays_within_the_terminal_and_its_answer_in_sight(start, surroundings, columns, rows):
    # More upstreams than a small terminal has lines.
    more = {f"upstream-{number}": {"endpoints": [surroundings.upstream.address]} for number in range(20)}
    gateway = start(surroundings.configuration(upstreams=more))
    text = b""
    with watched(gateway, columns, rows) as (_, main):
        while text.count(b"\x1b[H") < 2:
            text += os.read(main, 65_536)
    frame = text.split(b"\x1b[H")[1].split(b"\x1b[J")[0].decode().replace("\x1b[K", "").replace("\r", "").split("\n")
    assert frame[0] == "well" and len(frame) <= rows
    assert all(len(line) <= columns for line in frame), frame
    if rows == 100:
        assert frame[-1].startswith("log ") and not any("…" in line for line in frame)
    else:
        assert len(frame) == rows and " more lines" in frame[-1]


def test_routes_certificates_and_key_sets_are_listed(start, surroundings, provider):
    gateway = start(surroundings.configuration())
    routes = gateway.admin("GET", "/routes").json()
    secure = next(route for route in routes if route["path"] == "/secure")
    assert (secure["stage"], secure["credentials"], secure["upstream"], secure["public"]) == ("second", ["bearer"], "main", None)
    assert secure["at"].endswith(tuple("0123456789")) and "second.yaml:" in secure["at"]
    [certificate] = gateway.admin("GET", "/certificates").json()
    assert certificate["names"] == ["localhost", "second.localhost"] and len(certificate["sha256"]) == 64 and certificate["listeners"] == ["127.0.0.1:0"]
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    with open(certificate["chain"], "rb") as file:
        assert certificate["sha256"] == x509.load_pem_x509_certificate(file.read()).fingerprint(hashes.SHA256()).hex()
    sets = {entry["issuer"]: entry for entry in gateway.admin("GET", "/key-sets").json()}
    assert sets[f"{provider.endpoint}/{POOL}"]["kids"] and sets[f"{provider.endpoint}/{POOL}"]["age_seconds"] < 60


def test_the_configuration_is_shown_with_its_defaults_and_without_its_secrets(start, surroundings, tmp_path):
    secret = tmp_path / "client-secret"
    secret.write_text("canary-0123456789-canary")
    configuration = surroundings.configuration()
    identity = configuration["stages"][0]["identity"]
    identity["browser_client"] = {"id": "browser", "secret": {"file": str(secret)}}
    identity["cognito"]["domain"] = "https://login.example.com"
    gateway = start(configuration)
    answer = gateway.admin("GET", "/configuration")
    assert b"canary" not in answer.body
    shown = answer.json()
    first = shown["stages"][0]["identity"]
    assert first["browser_client"]["secret"]["value"] == "sha256:" + hashlib.sha256(b"canary-0123456789-canary").hexdigest()[:16]
    assert shown["limits"]["head_bytes"] == "60KiB" and shown["drain"] == {"accept_for": "0s", "finish_for": "5s", "quiet_for": "30s"}
    assert shown["reload"] == {"watches_files": False}
    assert first["clients"][0]["token_use"] == ["access"]


# --- Orders


def test_reload_says_what_came_of_it(start, surroundings):
    configuration = surroundings.configuration()
    gateway = start(configuration)
    changed = copy.deepcopy(configuration)
    changed["stages"][0]["routes"].append({"path": "/new", "respond": 410})
    gateway.write(changed)
    result = gateway.command("reload")
    assert result.returncode == 0 and "accepted, version " in result.stdout, result
    assert gateway.ask("GET", "/new").status == 410
    told = result.stdout.splitlines()[:-1]
    assert told and all("/new" in line for line in told)
    for line in told:
        gateway.wait_for_line(f"changed: {line}")
    # The same again is no change, and that is said.
    assert gateway.command("reload").stdout.splitlines()[0] == "no setting, route or certificate has changed"
    bad = copy.deepcopy(configuration)
    bad["drain"]["acept_for"] = "1s"
    bad["stages"][0]["routes"].append({"path": "/naked", "upstream": "main"})
    gateway.write(bad)
    result = gateway.command("reload")
    assert result.returncode == 1
    lines = result.stdout.splitlines()
    assert any("gateway.json.yaml:" in line and "acept_for" in line for line in lines), lines
    assert any("first.yaml:" in line and "/naked" in line or "asks for no credentials" in line for line in lines), lines
    assert lines[-1] == "refused: the old configuration goes on serving"
    assert gateway.ask("GET", "/new").status == 410
    result = gateway.command("reload", "--format", "json")
    assert result.returncode == 1 and all({"file", "line", "column"} <= fault.keys() for fault in json.loads(result.stdout)["faults"])
    recent = gateway.admin("GET", "/reloads").json()
    assert [(entry["cause"], entry["result"]) for entry in recent] == [("command", word) for word in ("refused", "refused", "accepted", "accepted")]
    assert recent[0]["diagnostics"] and recent[2]["diagnostics"] == [] and recent[3]["changes"] == told


def test_the_record_of_reloads_is_bounded(start, surroundings):
    gateway = start(surroundings.configuration())
    for _ in range(20):
        assert gateway.admin("POST", "/reload").status == 200
    assert len(gateway.admin("GET", "/reloads").json()) == 16
    assert gateway.metrics()['gw_config_reload_total{result="accepted"}'] == 20


def test_the_log_level_changes_while_it_runs(start, surroundings):
    gateway = start(surroundings.configuration(log={"level": "info"}))
    assert gateway.command("log-level").stdout == "info\n"
    assert gateway.command("log-level", "debug").stdout == "debug\n"
    assert gateway.command("log-level").stdout == "debug\n"
    result = gateway.command("log-level", "loud")
    assert result.returncode == 1 and "debug, info, notice, warning, error" in result.stderr
    assert gateway.command("log-level", "error").returncode == 0
    assert gateway.command("reload").returncode == 0
    assert gateway.command("log-level").stdout == "error\n", "the same file says the same as before"
    assert not [line for line in gateway.lines if "configuration accepted" in line], "a notice is below error"


def test_drain_does_what_sigterm_does(start, surroundings):
    # Time for two commands, two questions and a request, on a busy machine too.
    gateway = start(surroundings.configuration(drain={"accept_for": "6s", "finish_for": "5s"}))
    result = gateway.command("drain")
    assert (result.returncode, result.stdout) == (0, "draining has begun\n")
    eventually(lambda: gateway.readiness()[0] == 503, "readiness to fail")
    again = gateway.command("drain")
    assert (again.returncode, again.stdout) == (0, "it is draining already\n"), "a second word must not stop it at once"
    assert gateway.admin("GET", "/status").json()["troubles"] == ["draining"]
    assert gateway.ask("GET", "/open/x").status == 200
    assert gateway.process.wait(20) == 0


def test_orders_are_answered_in_json_too(start, surroundings):
    gateway = start(surroundings.configuration(log={"level": "info"}))
    for command, member in ((["log-level"], "level"), (["log-level", "debug"], "level"), (["revoke", "--sub", "somebody"], "message"), (["drain"], "message")):
        result = gateway.command(*command, "--format", "json")
        assert result.returncode == 0 and json.loads(result.stdout)[member], result
    assert gateway.process.wait(20) == 0


def test_a_revoked_person_is_refused_at_once_and_after_a_restart(start, surroundings, provider, bearer):
    configuration = surroundings.configuration(routes=[{"path": "/secure", "upstream": "main", "credentials": ["bearer"], "failures": "metaflow"}])
    gateway = start(configuration)
    good, other = bearer(sub="somebody"), bearer(sub="somebody-else")
    assert gateway.ask("GET", "/secure/x", good).status == 200
    result = gateway.command("revoke", "--sub", "somebody", "--hours", "1", "--reason", "laptop \"lost\"")
    assert result.returncode == 0 and "refused here from now on" in result.stdout, result
    answer = eventually(lambda: (a := gateway.ask("GET", "/secure/x", good)).status == 401 and a, "the refusal")
    assert answer.json()["code"] == "token_revoked"
    assert gateway.ask("GET", "/secure/x", other).status == 200
    assert gateway.metrics()["gw_sessions_ended_total"] == 1
    gateway.stop()
    kept = surroundings.folder / "state" / "ended-logins.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    again = Gateway(gateway.folder, configuration, surroundings.authority.path)
    try:
        assert again.ask("GET", "/secure/x", good).status == 401
        assert again.ask("GET", "/secure/x", other).status == 200
    finally:
        again.stop()


def test_what_was_issued_before_a_moment_is_refused_and_what_comes_after_it_not(start, surroundings, bearer):
    gateway = start(surroundings.configuration(routes=[{"path": "/secure", "upstream": "main", "credentials": ["bearer"]}]))
    now = int(time.time())
    old, new = bearer(sub="somebody", iat=now - 100), bearer(sub="somebody", iat=now)
    assert gateway.command("revoke", "--sub", "somebody", "--not-before", str(now - 50)).returncode == 0
    eventually(lambda: gateway.ask("GET", "/secure/x", old).status == 401, "the refusal")
    assert gateway.ask("GET", "/secure/x", new).status == 200


@pytest.mark.parametrize("body, complaint", [
    ("", "one entry"), ("[]", "object"), ('{"sub":"a"}', "until"), ('{"sub":"a","jti":"b","until":99}', "more than one"), ('{"until":99}', "none of"),
    ('{"sub":"a","until":99,"untill":1}', "untill"), ('{"sub":"a","until":99},{"sub":"b","until":99}', "one entry"), ('{"sub":"a","until":99}],"version":2,"entries":[', ""),
])
def test_a_revocation_that_is_not_clear_is_refused(gateway, body, complaint):
    answer = gateway.admin("POST", "/revoke", body)
    assert answer.status == 400 and complaint in answer.json()["message"], answer


@pytest.mark.parametrize("arguments", [[], ["--sub", "a", "--jti", "b"], ["--jti", "a", "--not-before", "now"], ["--sub", "a", "--not-before", "soon"], ["--sub", "a", "--hours", "0"]])
def test_a_revoke_command_that_is_not_clear_says_so(gateway, arguments):
    result = gateway.command("revoke", *arguments)
    assert result.returncode == 64 and "Error: " in result.stderr


# --- Nobody there


COMMANDS = [["status"], ["reload"], ["drain"], ["log-level"], ["revoke", "--sub", "a"]]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_command_says_in_one_line_that_nobody_listens(tmp_path, command):
    result = subprocess.run([str(GATEWAY), *command, "--socket", str(tmp_path / "admin.sock")], capture_output=True, text=True, timeout=30)
    assert result.returncode == 1 and result.stdout == ""
    assert len(result.stderr.splitlines()) == 1 and f"{tmp_path}/admin.sock: no gateway listens there." in result.stderr


def test_a_command_finds_the_socket_by_the_configuration(start, surroundings):
    gateway = start(surroundings.configuration())
    result = subprocess.run([str(GATEWAY), "status", "--config", str(gateway.file)], capture_output=True, text=True, timeout=30)
    assert result.returncode == 0 and result.stdout.startswith("well\n")
    result = subprocess.run([str(GATEWAY), "status", "--config", "/nowhere/gateway.yaml"], capture_output=True, text=True, timeout=30)
    assert result.returncode == 1 and len(result.stderr.splitlines()) == 1 and "--socket" in result.stderr


SPOILT = {
    "a misspelt setting": lambda text: text.replace('"finish_for"', '"finnish_for"'),
    "a stage that is gone": lambda text: text.replace("first.yaml", "fist.yaml"),
    "a value that cannot be": lambda text: text.replace('"debug"', '"loud"'),
    "settings of a newer version": lambda text: text.replace('"log":', '"invented": {"later": 1}, "log":'),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT.keys())
def test_commands_find_the_gateway_whose_file_has_just_been_spoilt(start, surroundings, spoil):
    """The moment in which an operator asks."""
    gateway = start(surroundings.configuration())
    good = gateway.file.read_text()
    gateway.file.write_text(spoil(good))
    assert gateway.file.read_text() != good

    def command(*arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run([str(GATEWAY), *arguments, "--config", str(gateway.file)], capture_output=True, text=True, timeout=30)

    result = command("reload")
    assert result.returncode == 1 and result.stdout.splitlines()[-1] == "refused: the old configuration goes on serving", result
    result = command("status")
    assert result.returncode == 3 and result.stdout.startswith("NOT WELL: the last reload was refused\n"), result
    assert command("log-level").stdout == "debug\n"
    gateway.file.write_text(good)
    assert command("reload").returncode == 0 and command("status").stdout.startswith("well\n")


def test_a_file_that_is_no_yaml_does_not_tell_and_the_remedy_is_said(start, surroundings):
    gateway = start(surroundings.configuration())
    gateway.file.write_text(gateway.file.read_text() + "\n  - [")
    result = subprocess.run([str(GATEWAY), "status", "--config", str(gateway.file)], capture_output=True, text=True, timeout=30)
    assert result.returncode == 1 and len(result.stderr.splitlines()) == 1 and "--socket" in result.stderr
    assert gateway.command("status").returncode == 0


def test_a_socket_that_is_no_gateways_is_told(tmp_path):
    import threading

    path = tmp_path / "other.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def answer() -> None:
            connection, _ = server.accept()
            connection.recv(65_536)
            connection.sendall(b"hello\r\n")
            connection.close()

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        result = subprocess.run([str(GATEWAY), "status", "--socket", str(path)], capture_output=True, text=True, timeout=30)
        thread.join(10)
    assert result.returncode == 1 and "no gateway" in result.stderr


@pytest.mark.parametrize("command", [["status"], ["reload"], ["drain"], ["log-level"], ["revoke"], ["check"], ["serve"], ["keys", "rotate"], ["keys"], ["explain"], ["doctor"]], ids=" ".join)
def test_every_commands_help_has_an_example_that_can_be_pasted(command):
    result = subprocess.run([str(GATEWAY), *command, "--help"], capture_output=True, text=True, timeout=30)
    overview = result.stdout.split("USAGE:")[0]
    assert result.returncode == 0 and f"metaflow-gateway {' '.join(command)}" in overview.split("Example")[1]
    # None was broken in two by the width of a terminal, and no paragraph stops in the middle of a line.
    assert all(line.startswith("  ") for line in overview.split("Example")[1].splitlines()[1:] if line)
    for paragraph in overview.split("Example")[0].split("\n\n"):
        lines = paragraph.splitlines()
        for line, following in zip(lines, lines[1:]):
            assert len(line) + 1 + len(following.split()[0]) > 76 or line.endswith((".", ":")), line
