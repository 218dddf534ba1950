"""What a configuration may change: a start and a reload refuse what makes something weaker, unless approve names it (DESIGN §8)."""

import copy
import json
import re
import signal
import subprocess

import pytest
from gateway import GATEWAY, Gateway, check, eventually

PROTECTED = {"path": "/private", "upstream": "main", "credentials": ["bearer"]}
OPEN = {"path": "/private", "upstream": "main", "public": "tests"}


@pytest.fixture
def protected(surroundings) -> dict:
    """/private asks for a token."""
    return surroundings.configuration(routes=[PROTECTED, {"path": "/", "upstream": "main", "public": "tests"}])


def opened(configuration: dict, *approvals: str) -> dict:
    configuration = copy.deepcopy(configuration)
    configuration["stages"][0]["routes"][0] = OPEN
    if approvals:
        configuration["stages"][0]["approve"] = list(approvals)
    return configuration


def reload(gateway: Gateway, result: str) -> None:
    before = gateway.metrics()[f'gw_config_reload_total{{result="{result}"}}']
    gateway.signal(signal.SIGHUP)
    eventually(lambda: gateway.metrics()[f'gw_config_reload_total{{result="{result}"}}'] > before, f"the reload to be {result}")


def started(file, *more: str) -> subprocess.Popen:
    return subprocess.Popen([str(GATEWAY), "serve", "--config", str(file), *more], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_a_reload_that_makes_something_weaker_is_refused_and_the_old_one_goes_on(start, protected):
    gateway = start(protected)
    gateway.write(opened(protected))
    reload(gateway, "refused")
    line = gateway.wait_for_line("first: /private becomes public")
    assert re.search(r"first\.yaml:\d+:\d+: routes\[0\]: ", line)
    assert 'approve: ["/private becomes public"]' in line
    assert gateway.ask("GET", "/private").status == 401
    # Named in the stage's file, it passes; the approval is then live, and is told to go.
    gateway.write(opened(protected, "/private becomes public"))
    reload(gateway, "accepted")
    assert gateway.ask("GET", "/private").status == 200
    assert "approves nothing" not in gateway.output
    reload(gateway, "accepted")
    assert re.search(r"first\.yaml:\d+:\d+: warning: approve\[0\]: approves nothing", gateway.wait_for_line("approves nothing"))


def test_an_approval_of_another_change_does_not_do(start, protected):
    gateway = start(protected)
    gateway.write(opened(protected, "/other becomes public", "/private becomes publicly"))
    reload(gateway, "refused")
    assert gateway.ask("GET", "/private").status == 401


def test_a_start_is_measured_by_what_was_accepted_last(start, protected):
    gateway = start(protected)
    gateway.stop()
    gateway.write(opened(protected))
    result = subprocess.run([str(GATEWAY), "serve", "--config", str(gateway.file)], capture_output=True, text=True, timeout=30)
    assert result.returncode == 1
    assert re.search(r"first\.yaml:\d+:\d+: routes\[0\]: first: /private becomes public", result.stderr), result.stderr
    # The same configuration starts again, and so does a stronger one.
    gateway.write(protected)
    again = Gateway(gateway.folder, protected, gateway.authority)
    again.stop()
    stronger = copy.deepcopy(protected)
    stronger["stages"][0]["routes"][0] = PROTECTED | {"policy": {"groups": ["operators"]}}
    again = Gateway(gateway.folder, stronger, gateway.authority)
    again.stop()
    # Which is then what the next one is measured by.
    gateway.write(protected)
    result = subprocess.run([str(GATEWAY), "serve", "--config", str(gateway.file)], capture_output=True, text=True, timeout=30)
    assert result.returncode == 1 and "/private no longer requires group operators" in result.stderr


def test_an_approved_change_passes_a_start(start, protected):
    gateway = start(protected)
    gateway.stop()
    again = Gateway(gateway.folder, opened(protected, "/private becomes public"), gateway.authority)
    try:
        assert again.ask("GET", "/private").status == 200
    finally:
        again.stop()


def test_in_an_emergency_an_operator_can_start_it_all_the_same_and_it_is_loud(start, protected):
    gateway = start(protected)
    gateway.stop()
    gateway.write(opened(protected))
    process = started(gateway.file, "--accept-weaker")
    try:
        said = []
        for line in process.stdout:
            said.append(line)
            if "] ready" in line:
                break
        assert any("warning" in line and "accepted without approval" in line and "/private becomes public" in line for line in said), said
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    # It is what the next start is measured by.
    again = Gateway(gateway.folder, opened(protected), gateway.authority)
    again.stop()


def test_the_accepted_configuration_is_kept_for_its_owner_alone_and_holds_no_secret(start, protected, tmp_path):
    secret = tmp_path / "browser-secret"
    secret.write_text("hunter2-of-the-browser")
    protected["stages"][0]["identity"]["cognito"]["domain"] = protected["stages"][0]["identity"]["cognito"]["endpoint"]
    protected["stages"][0]["identity"]["browser_client"] = {"id": "browser", "secret": {"file": str(secret)}}
    gateway = start(protected)
    file = gateway.folder.parent / "state" / "accepted-configuration.json"
    eventually(file.exists, "the accepted configuration")
    assert file.stat().st_mode & 0o777 == 0o600
    kept = json.loads(file.read_text())
    assert kept["path"] == str(gateway.file) and kept["v"] == 1
    assert [entry["path"] for entry in kept["files"]] == [str(gateway.file), *(str(gateway.folder / f"{stage['stage']}.yaml") for stage in protected["stages"])]
    assert "hunter2" not in file.read_text()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"v":1}', '{"v":2,"version":"a","accepted_at":1,"path":"x","files":[]}', '{"v":1,"version":"a","accepted_at":1,"path":"x","files":[{"path":"x","text":"nonsense: {"}]}'])
def test_a_kept_configuration_that_is_broken_is_told_and_stops_nobody(start, protected, text):
    gateway = start(protected)
    gateway.stop()
    file = gateway.folder.parent / "state" / "accepted-configuration.json"
    file.write_text(text)
    again = Gateway(gateway.folder, opened(protected), gateway.authority)
    try:
        again.wait_for_line("this start is measured by nothing")
        assert again.ask("GET", "/private").status == 200
    finally:
        again.stop()


def test_check_compares_with_the_running_one(start, protected, tmp_path):
    gateway = start(protected)
    code, output = check(gateway.file, "--against", "running")
    assert code == 0 and "Nothing changes against the configuration" in output, output
    other = tmp_path / "other"
    writer = Gateway.__new__(Gateway)
    other.mkdir()
    writer.folder, writer.file = other, other / "gateway.yaml"
    writer.write(opened(protected))
    code, output = check(writer.file, "--against", "running")
    assert code == 2 and "  weaker: first: /private becomes public" in output.splitlines(), output
    # Checking accepts nothing.
    code, output = check(writer.file, "--against", "running")
    assert code == 2


def test_check_foretells_that_a_reload_would_refuse_what_takes_a_restart(start, protected):
    gateway = start(protected)
    changed = copy.deepcopy(protected)
    changed["event_loops"] = 3
    changed["admin"]["metrics_address"] = "off"
    gateway.write(changed)
    code, output = check(gateway.file, "--against", "running")
    assert code == 0, "a start would take it"
    foretold = [line for line in output.splitlines() if "warning: " in line and "takes a restart" in line]
    assert [setting for line in foretold for setting in ("event_loops", "admin.metrics_address") if f" {setting}: " in line], output
    assert len(foretold) == 2
    result = gateway.command("reload")
    assert result.returncode == 1
    assert all(line.replace("warning: ", "") in result.stdout.splitlines() for line in foretold), result.stdout
    # Against a file there is no process that would have to be restarted.
    assert "takes a restart" not in check(gateway.file, "--against", str(gateway.file))[1]
