"""Real runs of the real Metaflow: no 401, each refresh once, through an outage, on two stages at once.

`EXTENSION_TESTS=full` lengthens them to what a release is measured by (90 s).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ScriptedTerminal, log_in, run_python
from scripted_stage import ScriptedStage

FULL = os.environ.get("EXTENSION_TESTS") == "full"
SECONDS = 90 if FULL else 22
TASKS = 12 if FULL else 6

FLOW = """
import os, time
from metaflow import FlowSpec, Parameter, step

class ParallelFlow(FlowSpec):
    seconds = Parameter("seconds", default=1.0)
    tasks = Parameter("tasks", default=2)

    @step
    def start(self):
        self.items = list(range(self.tasks))
        self.next(self.work, foreach="items")

    @step
    def work(self):
        deadline = time.monotonic() + self.seconds
        while time.monotonic() < deadline:
            time.sleep(0.2)
        self.value = self.input * 2
        self.stage = os.environ.get("METAFLOW_GATEWAY_PROFILE")
        self.next(self.join)

    @step
    def join(self, inputs):
        self.total = sum(i.value for i in inputs)
        self.stages = sorted({i.stage for i in inputs})
        self.next(self.end)

    @step
    def end(self):
        print("total is", self.total, "on", self.stages)

if __name__ == "__main__":
    ParallelFlow()
"""


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    path = tmp_path / "flow.py"
    path.write_text(FLOW)
    return path


def start(flow: Path, installed: Path, folder: Path, *, seconds: float, tasks: int, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(flow), "--quiet", "run", "--seconds", str(seconds), "--tasks", str(tasks), "--max-workers", str(tasks)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(installed), "USER": "ada", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(run: subprocess.Popen[str]) -> str:
    output, _ = run.communicate(timeout=600)
    assert run.returncode == 0, output
    return output


def refreshes_are_single(stage: ScriptedStage, seconds: float) -> None:
    """Each token is 10 s of life, refreshed at 8 s: as many refreshes as that, and none refused as a spent token."""
    assert stage.unauthorized == []
    assert stage.refused_refreshes == 0
    assert 1 <= stage.refreshes <= seconds / 8 + 1
    assert len(stage.seen_tokens) <= stage.refreshes + 1


def has_begun(stage: ScriptedStage) -> bool:
    """A run of this test has registered itself and is alive; a heartbeat alone may come from a run of another test that had this port before."""
    return stage.heartbeats > 0 and any(path.endswith("/run") for path in list(stage.seen_paths))


def test_a_parallel_run_outlives_its_tokens(stage: ScriptedStage, installed: Path, tmp_path: Path, flow: Path) -> None:
    stage.access_seconds, stage.clock_skew = 10.0, 5.0
    log_in(stage)
    began = time.monotonic()
    output = finish(start(flow, installed, tmp_path, seconds=SECONDS, tasks=TASKS))
    lasted = time.monotonic() - began
    assert f"total is {sum(range(TASKS)) * 2}" in output
    assert stage.refreshes >= 2 and stage.heartbeats > TASKS
    refreshes_are_single(stage, lasted)
    print(f"\n{lasted:.0f} s, {stage.metadata_requests} requests, {stage.heartbeats} heartbeats, {stage.refreshes} refreshes, 0 of them refused, 0 answers 401")


def test_a_run_outlives_twenty_seconds_without_the_provider(stage: ScriptedStage, installed: Path, tmp_path: Path, flow: Path) -> None:
    stage.access_seconds, stage.clock_skew = 10.0, 5.0
    log_in(stage)
    run = start(flow, installed, tmp_path, seconds=SECONDS, tasks=TASKS)
    deadline = time.monotonic() + 60
    while not has_begun(stage):
        assert time.monotonic() < deadline and run.poll() is None
        time.sleep(0.05)
    stage.outage_ends = time.monotonic() + 20
    output = finish(run)
    assert "total is" in output
    assert time.monotonic() > stage.outage_ends, "the run must last longer than the outage"
    assert stage.unauthorized == [] and stage.refused_refreshes == 0 and stage.refreshes >= 1


def test_two_stages_at_once_do_not_mix(stage: ScriptedStage, second_stage: ScriptedStage, installed: Path, tmp_path: Path, flow: Path) -> None:
    """The second login happens in the middle of the first run, whose later tasks must stay where they began."""
    stage.access_seconds = second_stage.access_seconds = 10.0
    stage.clock_skew = second_stage.clock_skew = 5.0
    log_in(stage)
    # Side by side: Metaflow keeps artifacts in the nearest .metaflow of the folders above, and both runs have the number 1.
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    first = start(flow, installed, here, seconds=6, tasks=3)
    deadline = time.monotonic() + 60
    while not has_begun(stage):
        assert time.monotonic() < deadline and first.poll() is None
        time.sleep(0.05)
    log_in(second_stage)
    second = start(flow, installed, there, seconds=6, tasks=3)
    assert "on ['alpha']" in finish(first)
    assert "on ['sandbox']" in finish(second)
    assert stage.unauthorized == second_stage.unauthorized == []
    assert sum("/join/tasks" in path for path in stage.metadata.objects) == 1
    assert sum("/join/tasks" in path for path in second_stage.metadata.objects) == 1


def test_a_recorded_run_is_read_back_with_the_client(stage: ScriptedStage, installed: Path, tmp_path: Path, flow: Path) -> None:
    log_in(stage)
    finish(start(flow, installed, tmp_path, seconds=0, tasks=2))
    done = run_python(
        ["-c", "from metaflow import Flow; r = Flow('ParallelFlow').latest_run; print(r.successful, r['end'].task.data.total)"],
        installed=installed,
        cwd=tmp_path,
    )
    assert done.stdout.strip() == "True 2"


@pytest.mark.parametrize(
    ("break_it", "sentence", "seconds_max"),
    [
        # Less than the 31 s for which Metaflow goes on trying; and what it tries five times is not waited for 120 s each.
        ("dead", "has ended; run: metaflow-gateway-login", 30),
        ("logged out", "You are not logged in to alpha; run: metaflow-gateway-login", 30),
        ("netrc", "remove it, or export NETRC=/dev/null", 30),
        ("down", "The login provider of alpha does not work at the moment", 110),
    ],
)
def test_a_run_that_cannot_go_on_ends_with_the_remedy(
    stage: ScriptedStage, installed: Path, tmp_path: Path, home: Path, flow: Path, break_it: str, sentence: str, seconds_max: float
) -> None:
    from metaflow_gateway_login.command_line import main

    environment: dict[str, str] = {}
    if break_it in ("dead", "down"):
        stage.access_seconds = 0.0
        # The stage calls a token of no life expired, and the command says so; the login is stored all the same.
        assert main([stage.url], ScriptedTerminal().terminal()) == 1
    else:
        log_in(stage)
    if break_it == "dead":
        stage.kill_refresh_tokens()
    elif break_it == "logged out":
        assert main(["--logout"]) == 0
        environment["METAFLOW_PROFILE"] = "alpha"
    elif break_it == "netrc":
        (home / ".netrc").write_text("machine 127.0.0.1 login a password b")
        (home / ".netrc").chmod(0o600)
    else:
        stage.outage_ends = float("inf")
        environment["METAFLOW_GATEWAY_WAIT_SECONDS"] = "1"
    began = time.monotonic()
    done = run_python([str(flow), "run"], installed=installed, cwd=tmp_path, check=False, environment=environment)
    assert done.returncode != 0
    assert sentence in done.stderr + done.stdout, done.stderr + done.stdout
    assert time.monotonic() - began < seconds_max
    assert stage.unauthorized == [], "a request that is bound to fail must not be sent"


def test_a_login_that_dies_in_the_middle_ends_the_run_with_the_remedy_and_resume_goes_on(
    stage: ScriptedStage, installed: Path, tmp_path: Path, flow: Path
) -> None:
    # A token that cannot be renewed is used to its very end, so that its last request is checked after it.
    stage.access_seconds, stage.clock_skew = 6.0, 5.0
    log_in(stage)
    run = start(flow, installed, tmp_path, seconds=10, tasks=2)
    deadline = time.monotonic() + 60
    while not has_begun(stage):
        assert time.monotonic() < deadline and run.poll() is None
        time.sleep(0.05)
    stage.kill_refresh_tokens()
    output, _ = run.communicate(timeout=120)
    assert run.returncode != 0
    assert f"run: metaflow-gateway-login {stage.url}" in output and "FLOW.py resume" in output, output
    assert stage.unauthorized == []
    stage.access_seconds = 3600.0
    log_in(stage)
    done = run_python([str(flow), "resume"], installed=installed, cwd=tmp_path)
    assert "total is 2" in done.stdout


