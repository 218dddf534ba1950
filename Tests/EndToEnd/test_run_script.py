"""deploy/local/run.sh: one command that starts both and, at Ctrl-C, leaves nothing behind."""

import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from stack import AUTHORITY, BINARIES, ROOT, Process, eventually, free_ports

SCRIPT = ROOT / "deploy/local/run.sh"


def start(state: Path, port: int, binaries: Path = BINARIES) -> Process:
    return Process("bash", SCRIPT, "--port", str(port), "--state", state, "--binaries", binaries)


def programs_with(state: Path) -> list[int]:
    """Processes whose command names this state folder, the script's own included."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                if str(state).encode() in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
            except OSError:
                pass
    return found


def ask(port: int, token: str, path: str) -> tuple[int, str]:
    import ssl
    import urllib.error
    import urllib.request

    request = urllib.request.Request(f"https://localhost:{port}{path}", headers={"Authorization": f"Bearer {token}"})
    if path.endswith("/flows/Kept"):
        request.data = b'{"user_name": "ada", "tags": [], "system_tags": []}'
        request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=10, context=ssl.create_default_context(cafile=AUTHORITY)) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode()


def token(state: Path) -> str:
    result = subprocess.run([str(BINARIES / "metaflow-local-platform"), "token", "--state", str(state)], capture_output=True, text=True, timeout=30)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_both_at_once_and_leaves_nothing_running(tmp_path, number):
    state, (port,) = tmp_path / "state", free_ports(1)
    script = start(state, port)
    try:
        script.wait_for(f"ready https://localhost:{port}")
        assert ask(port, token(state), "/api/metadata/ping") == (200, "pong")
        assert len(programs_with(state)) >= 3
        # To the script alone; a terminal would send Ctrl-C to all of them.
        script.process.send_signal(number)
        assert script.process.wait(20) == 128 + number
        eventually(lambda: programs_with(state) == [], "every process to be gone")
        with socket.create_server(("127.0.0.1", port)):
            pass
    finally:
        script.end(signal.SIGTERM)


def test_ctrl_c_in_a_terminal_reaches_all_of_them_and_still_ends_in_order(tmp_path):
    state, (port,) = tmp_path / "state", free_ports(1)
    script = start(state, port)
    try:
        script.wait_for("ready https://")
        os.killpg(script.process.pid, signal.SIGINT)
        assert script.process.wait(20) == 130
        script.reader.join(5)
        assert "stopped; the recorded runs are kept in" in script.output
        assert programs_with(state) == []
    finally:
        script.end(signal.SIGTERM)


def test_a_second_start_with_the_same_state_keeps_what_was_recorded(tmp_path):
    state, ports = tmp_path / "state", free_ports(2)
    for turn, port in enumerate(ports):
        script = start(state, port)
        try:
            script.wait_for("ready https://")
            if turn == 0:
                first = token(state)
                assert ask(port, first, "/api/metadata/flows/Kept")[0] in (200, 201)
            status, text = ask(port, token(state), "/api/metadata/flows")
            assert status == 200 and "Kept" in text
            if turn == 1:
                # Same keys and same issuer: a login outlives the restart.
                assert ask(port, first, "/api/metadata/flows")[0] == 200
        finally:
            script.end(signal.SIGINT)


def test_what_it_prints_to_try_next_works_as_printed(tmp_path):
    state, (port,) = tmp_path / "state", free_ports(1)
    script = start(state, port)
    try:
        script.wait_for("Ctrl-C stops both")
        lines = [line.strip() for line in script.lines]
        commands = [line for line in lines if re.match(r"(cd|TOKEN=|curl) ?", line)]
        assert len(commands) == 3, script.output
        curl = shutil.which("curl")
        if curl is None:
            pytest.skip("this machine has no curl")
        result = subprocess.run(["bash", "-ec", "\n".join(commands).replace("curl ", "curl --silent --show-error ")], capture_output=True, text=True, timeout=30)
        assert (result.returncode, result.stdout) == (0, "pong"), result.stderr
        entry = script.wait_for('"path":"/api/metadata/ping"')
        assert '"status":200' in entry and '"sub":' in entry
        (status,) = [line for line in lines if " status --config " in line]
        result = subprocess.run(["bash", "-ec", status], capture_output=True, text=True, timeout=30)
        assert result.returncode == 0, result.stdout + result.stderr
        page = next(line for line in lines if line.startswith("The recorded runs:")).split()[3]
        import urllib.request

        with urllib.request.urlopen(page, timeout=10) as answer:
            assert answer.status == 200 and b"<html" in answer.read()
    finally:
        script.end(signal.SIGINT)


def test_a_taken_port_is_one_clear_line(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = subprocess.run(["bash", str(SCRIPT), "--port", str(port), "--state", str(tmp_path / "state"), "--binaries", str(BINARIES)], capture_output=True, text=True, timeout=30)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr == f"run.sh: port {port} is taken. Stop what listens there, or choose another one: --port N.\n"


def test_two_at_once_need_two_states(tmp_path):
    state, ports = tmp_path / "state", free_ports(3)
    first = start(state, ports[0])
    try:
        first.wait_for("ready https://")
        result = subprocess.run(["bash", str(SCRIPT), "--port", str(ports[1]), "--state", str(state), "--binaries", str(BINARIES)], capture_output=True, text=True, timeout=30)
        assert result.returncode == 1 and result.stderr.startswith("run.sh: another run.sh uses the state in")
        second = start(tmp_path / "other", ports[2])
        try:
            second.wait_for("ready https://")
            assert ask(ports[0], token(state), "/api/metadata/ping")[0] == 200
            assert ask(ports[2], token(tmp_path / "other"), "/api/metadata/ping")[0] == 200
        finally:
            second.end(signal.SIGINT)
        assert ask(ports[0], token(state), "/api/metadata/ping")[0] == 200
    finally:
        first.end(signal.SIGINT)


@pytest.mark.parametrize("program, other", [("metaflow-gateway", "platform"), ("metaflow-local-platform", "gateway")])
def test_when_one_dies_the_script_says_which_and_stops_the_other(tmp_path, program, other):
    state, (port,) = tmp_path / "state", free_ports(1)
    script = start(state, port)
    try:
        script.wait_for("ready https://")
        victim = next(pid for pid in programs_with(state) if Path(os.readlink(f"/proc/{pid}/exe")).name == program)
        os.kill(victim, signal.SIGKILL)
        assert script.process.wait(20) == 1
        script.reader.join(5)
        assert f"run.sh: {program} ended by itself with status 137; the {other} was stopped." in script.output
        assert programs_with(state) == []
    finally:
        script.end(signal.SIGTERM)


def test_killing_the_script_ends_what_it_started(tmp_path):
    if shutil.which("setpriv") is None:
        pytest.skip("this machine has no setpriv")
    state, (port,) = tmp_path / "state", free_ports(1)
    script = start(state, port)
    script.wait_for("ready https://")
    script.process.kill()
    script.process.wait()
    eventually(lambda: programs_with(state) == [], "both to be gone")


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--prot", "1"], '"--prot" is not known'), (["--port"], "--port wants a number"), (["--port", "0"], "--port wants a number"), (["--port", "70000"], "--port wants a number"),
        (["--port", "x"], "--port wants a number"), (["--state"], "--state wants a folder"), (["--state", "/dev/null/x"], "cannot be made"), (["--binaries", "/nowhere"], "--binaries wants a folder"),
    ],
)
def test_a_wrong_option_is_one_clear_line(tmp_path, arguments, words):
    (port,) = free_ports(1)
    default = [] if "--port" in arguments else ["--port", str(port)]
    result = subprocess.run(["bash", str(SCRIPT), *default, *arguments], capture_output=True, text=True, timeout=30)
    assert result.returncode == 1
    assert words in result.stderr and result.stderr.count("\n") == 1


def test_help_says_what_every_option_does():
    result = subprocess.run(["bash", str(SCRIPT), "--help"], capture_output=True, text=True, timeout=30)
    assert result.returncode == 0
    for option in ("--port", "--state", "--binaries"):
        assert option in result.stdout


def test_the_state_is_its_owners_alone(tmp_path):
    state, (port,) = tmp_path / "state", free_ports(1)
    script = start(state, port)
    try:
        script.wait_for("ready https://")
        open_to_others = []
        for path in [state, *state.rglob("*")]:
            try:
                if not path.is_symlink() and path.stat().st_mode & 0o077:
                    open_to_others.append(path)
            except FileNotFoundError:
                # Both programs run: what one of them replaces is gone meanwhile.
                pass
        assert open_to_others == []
    finally:
        script.end(signal.SIGINT)
