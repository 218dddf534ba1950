"""Real Metaflow runs through TLS, token and prefix, read back with Metaflow's own Client API."""

import json
import os
import signal

import pytest
from stack import Client, Stack, eventually, run_id


@pytest.fixture(scope="module")
def everything(client):
    """One run of everything; the tests below look at it from their sides."""
    code, output = client.run("everything.py", "run", "--tag", "from-the-start", "--max-workers", "4")
    assert code == 0, output
    return run_id(output)


def heartbeats(stack: Stack, path: str) -> list[int]:
    return [entry["status"] for entry in stack.log() if entry["method"] == "POST" and entry["path"].startswith(path) and entry["path"].endswith("/heartbeat")]


def test_the_run_is_successful_and_every_task_of_it(client, everything):
    run = client.read("EverythingFlow", everything)
    assert run["successful"] is True and run["finished"] is True and run["end"]
    assert set(run["steps"]) == {"start", "square", "gather", "long", "end"}
    assert len(run["steps"]["square"]) == 8
    assert all(task["successful"] and task["finished"] for tasks in run["steps"].values() for task in tasks)


def test_artifacts_load_as_they_were(client, everything):
    steps = client.read("EverythingFlow", everything)["steps"]
    assert steps["gather"][0]["artifacts"]["results"] == [0, 1, 4, 9, 16, 25, 36, 49]
    assert steps["long"][0]["artifacts"]["message"] == "höher, weiter — ünïcødé"
    assert steps["long"][0]["artifacts"]["payload"] == 200_000


def test_the_attempt_that_failed_was_retried_and_the_second_one_counts(client, everything):
    steps = client.read("EverythingFlow", everything)["steps"]
    attempts = steps["gather"][0]["artifacts"]["attempts"]
    assert {int(item): attempt for item, attempt in attempts.items()} == {item: int(item == 3) for item in range(8)}
    assert sorted(task["current_attempt"] for task in steps["square"]) == [0] * 7 + [1]


def test_heartbeats_of_the_run_and_of_the_long_task_were_recorded(stack, client, everything):
    long = client.read("EverythingFlow", everything)["steps"]["long"][0]["id"]
    of_run = heartbeats(stack, f"/api/metadata/flows/EverythingFlow/runs/{everything}/heartbeat")
    of_task = heartbeats(stack, f"/api/metadata/flows/EverythingFlow/runs/{everything}/steps/long/tasks/{long}/heartbeat")
    # A beat that follows another too closely is 404 by the service itself, and a task's counts as its run's too, so that all of the run's
    # own may be; no other answer is in order.
    assert of_run and of_task.count(200) >= 3, (of_run, of_task)
    assert set(of_run + of_task) <= {0, 200, 404}
    for path in (f"/flows/EverythingFlow/runs/{everything}", f"/flows/EverythingFlow/runs/{everything}/steps/long/tasks/{long}"):
        status, text = stack.ask("/api/metadata" + path, stack.token())
        assert status == 200
        recorded = json.loads(text)
        assert recorded["last_heartbeat_ts"] * (1 if recorded["last_heartbeat_ts"] > 10**11 else 1000) > recorded["ts_epoch"] + 25_000


def test_tags_are_added_and_removed(client, everything):
    assert "from-the-start" in client.read("EverythingFlow", everything)["tags"]
    code, output = client.run("everything.py", "tag", "add", "--run-id", everything, "good", "better")
    assert code == 0, output
    assert {"good", "better", "from-the-start"} <= set(client.read("EverythingFlow", everything)["tags"])
    code, output = client.run("everything.py", "tag", "remove", "--run-id", everything, "good", "from-the-start")
    assert code == 0, output
    tags = client.read("EverythingFlow", everything)["tags"]
    assert "better" in tags and "good" not in tags and "from-the-start" not in tags


def test_every_request_of_a_run_was_served_logged_and_whose_it_was(stack, everything):
    entries = [entry for entry in stack.log() if entry.get("path", "").startswith(f"/api/metadata/flows/EverythingFlow/runs/{everything}")]
    print(f"\n{len(entries)} requests of the run; statuses {sorted({entry['status'] for entry in entries})}, methods {sorted({entry['method'] for entry in entries})}")
    assert len(entries) > 100
    assert {entry["method"] for entry in entries} >= {"GET", "POST", "PATCH"}
    assert all(entry["auth"]["decision"] == "allowed" and entry["auth"]["client"] == "command-line" for entry in entries)
    assert not [entry for entry in entries if entry["status"] >= 500]
    assert {entry["route"] for entry in entries} == {"/api/metadata"}


def test_a_failed_run_is_resumed_from_the_step_that_failed(client):
    code, output = client.run("fragile.py", "run", FRAGILE="1")
    assert code != 0 and "broken on purpose" in output
    failed = run_id(output)
    before = client.read("FragileFlow", failed)
    assert before["successful"] is False
    code, output = client.run("fragile.py", "resume", "--origin-run-id", failed)
    assert code == 0, output
    run = client.read("FragileFlow", run_id(output))
    assert run["successful"] is True
    assert run["pathspec"] != before["pathspec"]
    mark = before["steps"]["start"][0]["artifacts"]["mark"]
    assert run["steps"]["middle"][0]["artifacts"]["seen"] == mark
    assert run["steps"]["start"][0]["origin"] == f"FragileFlow/{failed}/start/{before['steps']['start'][0]['id']}"


def test_two_runs_at_once_do_not_meet(client):
    processes = [client.start("first.py", "run") for _ in range(2)]
    for process in processes:
        assert process.process.wait(120) == 0, process.output
        process.reader.join(5)
    ids = {run_id(process.output) for process in processes}
    assert len(ids) == 2
    for identifier in ids:
        assert client.read("FirstFlow", identifier)["steps"]["add"][0]["artifacts"]["total"] == 45


# --- Tokens that must not pass


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (("--expires-in", "-300"), "Your login expired 5 minutes ago"),
        (("--stage", "second"), "This is a second login; you are calling local"),
        (("--client", "foreign"), "The program that made this login is not one that local accepts"),
        (("--token-use", "id"), "This is an ID token; local wants an access token here"),
        (None, "This address wants a login"),
    ],
    ids=["expired", "of another stage", "of a foreign client", "an ID token", "none"],
)
def test_a_run_with_a_token_that_must_not_pass_ends_at_once_and_says_why(stack, somebody, arguments, sentence):
    client = somebody(None if arguments is None else stack.token(*arguments))
    before = len(stack.log())
    code, output = client.run("first.py", "run", patience=60)
    assert code != 0
    assert sentence in output, output
    assert "metaflow-gateway-login" in output
    # 401 is not retried, so nobody waits half a minute for it. The log is written soon after the answer.
    refused = eventually(lambda: [entry for entry in stack.log()[before:] if entry["status"] == 401], "the refusal in the log")
    assert len(refused) < 5 and all(entry["details"] for entry in refused), refused


def test_a_netrc_entry_that_replaces_the_token_is_named(stack, somebody):
    client = somebody(stack.token())
    (client.home / ".netrc").write_text("machine localhost login ada password secret\n")
    os.chmod(client.home / ".netrc", 0o600)
    code, output = client.run("first.py", "run", patience=60)
    assert code != 0 and "~/.netrc entry for localhost" in output, output


def test_a_machines_token_runs_a_flow(stack, somebody):
    code, output = somebody(stack.token("--client", "machine")).run("first.py", "run")
    assert code == 0, output


def test_the_endpoint_that_gives_away_keys_is_closed(stack):
    assert stack.ask("/api/metadata/auth/token", stack.token())[0] == 404


# --- Outages


def test_a_run_survives_the_death_of_the_metadata_service(tmp_path):
    stack = Stack(tmp_path)
    try:
        client = Client(stack, tmp_path / "home", stack.token())
        meeting = tmp_path / "meeting"
        meeting.mkdir()
        flow = client.start("patient.py", "run", PATIENT=str(meeting))
        eventually(lambda: (meeting / "runs").exists() or flow.process.poll() is not None, f"the step to run\n{flow.output}")
        # Killed, not asked to stop; and the step's results are posted while nobody is there.
        stack.platform.end(signal.SIGKILL)
        (meeting / "go-on").touch()
        eventually(lambda: [entry for entry in stack.log() if entry["status"] == 503 and entry["method"] == "POST" and not entry["path"].endswith("/heartbeat")], "a request to fail")
        stack.platform = stack.start_platform()
        assert flow.process.wait(120) == 0, flow.output
        flow.reader.join(5)
        run = client.read("PatientFlow", run_id(flow.output))
        assert run["successful"] is True
        assert run["steps"]["start"][0]["artifacts"]["kept"] == "through the outage"
        answers = [entry["status"] for entry in stack.log()]
        print(f"\n{answers.count(503)} of {len(answers)} requests were answered with 503")
        assert set(answers) <= {0, 200, 201, 404, 409, 503}
    finally:
        stack.close()


def test_a_run_survives_a_restart_of_the_gateway(tmp_path):
    """The client retries refused connections as it retries 503."""
    from stack import GATEWAY, Process

    stack = Stack(tmp_path)
    try:
        client = Client(stack, tmp_path / "home", stack.token())
        meeting = tmp_path / "meeting"
        meeting.mkdir()
        flow = client.start("patient.py", "run", PATIENT=str(meeting))
        eventually(lambda: (meeting / "runs").exists() or flow.process.poll() is not None, f"the step to run\n{flow.output}")
        assert stack.gateway.end(signal.SIGTERM) == 0
        (meeting / "go-on").touch()
        stack.gateway = Process(GATEWAY, "serve", "--config", stack.file)
        eventually(stack.is_ready, "readiness")
        assert flow.process.wait(120) == 0, flow.output
        flow.reader.join(5)
        assert client.read("PatientFlow", run_id(flow.output))["successful"] is True
    finally:
        stack.close()


def test_a_run_survives_an_outage_of_the_identity_provider(stack, client):
    """Its token was signed by keys that the gateway knows."""
    import urllib.request

    def outage(seconds: int) -> None:
        request = urllib.request.Request(
            f"http://127.0.0.1:{stack.identity}/development/outage", data=json.dumps({"seconds": seconds}).encode(), headers={"Content-Type": "application/json"}, method="POST"
        )
        urllib.request.urlopen(request, timeout=10).close()

    outage(600)
    try:
        code, output = client.run("first.py", "run")
        assert code == 0, output
    finally:
        outage(0)
