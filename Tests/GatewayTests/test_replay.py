"""`metaflow-gateway check --replay`: a recorded access log, run through a configuration that nobody serves yet."""

import copy
import json
import subprocess
import sys

import pytest
from conftest import POOL
from gateway import GATEWAY, Gateway, check, eventually

ROUTES = [
    {"path": "/secure", "upstream": "main", "credentials": ["bearer"], "failures": "metaflow"},
    {"path": "/science", "upstream": "main", "credentials": ["bearer"], "policy": {"groups": ["science"]}, "failures": "metaflow"},
    {"path": "/gone", "respond": 410},
    {"path": "/", "upstream": "main", "public": "tests"},
]


@pytest.fixture
def recorded(start, surroundings, provider):
    """A gateway that has served some requests, the configuration that it served, and its log."""
    configuration = surroundings.configuration(routes=ROUTES, upstreams={"other": {"endpoints": [surroundings.upstream.address]}})
    gateway = start(configuration)
    token = [("Authorization", f"Bearer {provider.token(POOL)}")]
    guest = [("Authorization", f"Bearer {provider.token(POOL, **{'cognito:groups': ['guests']})}")]
    requests = [
        ("/secure/a", token), ("/secure/b", token), ("/secure/c", []), ("/science/a", token), ("/science/b", guest), ("/gone/x", []), ("/page", []),
        ("/page?secret=hunter2", []), ("/a//b", []), ("/a%2Fb", []), ("/oauth2x", []),
    ]
    for target, fields in requests:
        gateway.ask("GET", target, fields)
    eventually(lambda: len(gateway.log()) == len(requests), "every line")
    return gateway, configuration, len(requests)


class Changed:
    """Another configuration in a folder of its own."""

    def __init__(self, folder, configuration: dict) -> None:
        folder.mkdir()
        self.gateway = Gateway.__new__(Gateway)
        self.gateway.folder, self.gateway.file = folder, folder / "gateway.yaml"
        self.gateway.write(configuration)

    def replay(self, log, *more: str) -> dict:
        _, output = check(self.gateway.file, "--replay", str(log), "--format", "json", *more)
        return json.loads(output)["replay"]


def changed(tmp_path, configuration: dict, **routes: dict | None) -> Changed:
    """With some routes replaced, or gone."""
    configuration = copy.deepcopy(configuration)
    stage = configuration["stages"][0]
    for path, route in routes.items():
        stage["routes"] = [old for old in stage["routes"] if old["path"] != f"/{path}"]
        if route is not None:
            stage["routes"].insert(0, {"path": f"/{path}"} | route)
    return Changed(tmp_path / "changed", configuration)


def groups(report: dict) -> set:
    return {(entry["count"], entry["was"], entry["becomes"], entry["depends_on"]) for entry in report["groups"]}


def test_under_the_same_configuration_everything_stays_as_it_was(recorded, tmp_path):
    gateway, configuration, count = recorded
    report = changed(tmp_path, configuration).replay(gateway.log_path)
    assert (report["requests"], report["same"], report["groups"]) == (count, count, []), report


def test_another_upstream_and_another_route_are_counted(recorded, tmp_path):
    gateway, configuration, _ = recorded
    report = changed(tmp_path, configuration, secure={"upstream": "other", "credentials": ["bearer"], "failures": "metaflow"}).replay(gateway.log_path)
    assert groups(report) == {(2, "upstream main by /secure", "upstream other by /secure", None)}
    assert report["groups"][0]["stage"] == "first" and report["groups"][0]["method"] == "GET" and report["groups"][0]["example"] == "/secure/a"


def test_a_route_that_is_refused_or_gone_is_counted(recorded, tmp_path):
    gateway, configuration, _ = recorded
    report = changed(tmp_path, configuration, page={"respond": 404}, gone=None).replay(gateway.log_path)
    assert groups(report) == {
        (2, "upstream main by /", "404 configured_response", None), (1, "410 configured_response", "upstream main by /", None),
    }


def test_who_passed_a_policy_as_strict_passes_and_otherwise_it_depends(recorded, tmp_path):
    gateway, configuration, _ = recorded
    stricter = changed(tmp_path, configuration, secure={"upstream": "main", "credentials": ["bearer"], "policy": {"groups": ["science"]}, "failures": "metaflow"})
    report = stricter.replay(gateway.log_path)
    # /science had the policy already, and the log says that its caller passed; what /secure's callers are in, it does not.
    assert groups(report) == {(2, "upstream main by /secure", "upstream main by /secure", "groups")}
    assert report["depends"] == 2


def test_without_what_it_was_recorded_under_every_group_is_a_question(recorded, tmp_path):
    gateway, configuration, _ = recorded
    configuration = configuration | {"state_directory": str(tmp_path / "elsewhere")}
    report = changed(tmp_path, configuration).replay(gateway.log_path)
    assert {entry["depends_on"] for entry in report["groups"]} == {"groups"}
    # The configuration can be named instead.
    again = Changed(tmp_path / "again", configuration).replay(gateway.log_path, "--against", str(gateway.file))
    assert again["groups"] == []


def test_a_route_that_becomes_protected_depends_on_what_the_request_carried(recorded, tmp_path):
    gateway, configuration, _ = recorded
    report = changed(tmp_path, configuration, page={"upstream": "main", "credentials": ["bearer"]}).replay(gateway.log_path)
    assert groups(report) == {(2, "upstream main by /", "upstream main by /page", "credentials")}


def test_a_client_that_is_no_longer_listed_would_be_refused(recorded, tmp_path):
    gateway, configuration, _ = recorded
    configuration = copy.deepcopy(configuration)
    configuration["stages"][0]["identity"]["clients"] = configuration["stages"][0]["identity"]["clients"][1:]
    report = Changed(tmp_path / "changed", configuration).replay(gateway.log_path)
    assert groups(report) == {(2, "upstream main by /secure", "401 client_not_allowed", None), (1, "upstream main by /science", "401 client_not_allowed", None)}


def test_bad_lines_are_counted_and_stop_nothing(recorded, tmp_path):
    gateway, configuration, count = recorded
    log = tmp_path / "log"
    bad = [b"", b"{", b"no json", b'{"kind":"access"', b"\xff\xfe", b'"text"', b"a" * 200_000]
    others = [b'{"ts":"x","v":1,"kind":"reload"}', b'{"kind":"access","status":400}']
    log.write_bytes(b"\n".join([*bad, *others]) + b"\n" + gateway.log_path.read_bytes() + b'{"cut off')
    report = changed(tmp_path, configuration).replay(log)
    assert (report["requests"], report["same"], report["bad_lines"], report["other_lines"]) == (count, count, len(bad) - 1 + 1, len(others))


def test_the_log_can_come_from_a_pipe_and_the_text_is_for_people(recorded, tmp_path):
    gateway, configuration, count = recorded
    other = changed(tmp_path, configuration, page={"respond": 404})
    with gateway.log_path.open("rb") as log:
        result = subprocess.run([str(GATEWAY), "check", "--config", str(other.gateway.file), "--replay", "-"], stdin=log, capture_output=True, text=True, timeout=60)
    assert f"Replayed {count} requests: {count - 2} as before, 2 would change, 0 depend on what the log does not tell" in result.stdout
    assert '  2 × first GET: upstream main by / → 404 configured_response, as "/page"' in result.stdout
    assert "hunter2" not in result.stdout


def test_memory_stays_the_same_however_long_the_log_is(recorded, tmp_path):
    gateway, configuration, count = recorded
    other = changed(tmp_path, configuration)
    lines = gateway.log_path.read_bytes()

    def peak(times: int) -> int:
        log = tmp_path / "long"
        log.write_bytes(lines * times)
        measures = "import resource,subprocess,sys; ended = subprocess.run(sys.argv[1:]); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(ended.returncode)"
        command = [sys.executable, "-c", measures, str(GATEWAY), "check", "--config", str(other.gateway.file), "--replay", str(log)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert result.returncode == 0 and f"Replayed {count * times} requests: " in result.stdout, result
        return int(result.stdout.splitlines()[-1])

    small, large = peak(10), peak(1000)
    print(f"{small} KiB for 110 lines, {large} KiB for 11,000")
    assert large < small + 8 * 1024


def test_a_log_that_is_not_there_is_an_input_fault(recorded, tmp_path):
    _, configuration, _ = recorded
    code, output = check(changed(tmp_path, configuration).gateway.file, "--replay", str(tmp_path / "none"))
    assert code == 2 and "Name an access log" in output
