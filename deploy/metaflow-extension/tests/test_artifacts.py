"""Artifacts in S3 with credentials of the identity pool, over runs that outlive them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest
from conftest import PACKAGE, log_in, run_python, stored_profile
from metaflow_extensions.gateway.login.aws_credentials import Credentials, FreshCredentials, botocore_metadata
from metaflow_extensions.gateway.login.clock import Reading
from metaflow_extensions.gateway.login.fresh_tokens import FreshTokens
from metaflow_extensions.gateway.login.problems import LoginRequired, SetupProblem, Unavailable
from scripted_aws import ScriptedAWS
from scripted_stage import ScriptedStage
from test_fresh_tokens import Clock
from test_runs import FLOW, FULL, finish, start


@pytest.fixture
def make_aws(stage: ScriptedStage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[float], ScriptedAWS]]:
    running: list[ScriptedAWS] = []

    def make(seconds: float) -> ScriptedAWS:
        aws = ScriptedAWS(stage, seconds)
        threading.Thread(target=aws.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        running.append(aws)
        stage.config_changes = aws.settings()
        monkeypatch.setenv("AWS_ENDPOINT_URL_COGNITO_IDENTITY", aws.url)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        return aws

    yield make
    for aws in running:
        aws.stop()


def credentials_of(stage: ScriptedStage, clock: Clock, **changes: Any) -> FreshCredentials:
    profile = stored_profile("alpha")
    pool = profile.configuration.identity_pool
    assert pool is not None
    tokens = FreshTokens(profile, clock=clock, pause=clock.pause, tell=lambda _: None, wait=30.0)
    return FreshCredentials(tokens, pool, clock=clock, pause=clock.pause, tell=lambda _: None, **{"wait": 30.0, **changes})


def test_an_id_token_becomes_credentials_that_are_shared_and_private(stage: ScriptedStage, make_aws: Callable[[float], ScriptedAWS]) -> None:
    aws = make_aws(3600)
    log_in(stage)
    first = credentials_of(stage, Clock()).credentials()
    second = credentials_of(stage, Clock()).credentials()
    assert first == second and list(aws.issued) == [first.access_key]
    # The answer's date has whole seconds, and is a little older than what it dates.
    assert 3590 < first.seconds < 3610
    assert os.stat(stored_profile("alpha").credentials_path).st_mode & 0o777 == 0o600
    assert first.secret_key not in repr(first) and first.session_token not in repr(first)


def test_credentials_are_replaced_before_their_end_and_the_identity_is_asked_for_once(stage: ScriptedStage, make_aws: Callable[[float], ScriptedAWS]) -> None:
    aws = make_aws(3600)
    log_in(stage)
    clock = Clock()
    source = credentials_of(stage, clock)
    keys = []
    for age in (0, 2600, 2750, 5500, 5501):
        clock.ahead = age
        keys.append(source.credentials().access_key)
    assert len(set(keys)) == 3 and keys[0] == keys[1] and keys[3] == keys[4]
    assert aws.get_id_calls == 1


def test_an_old_id_token_is_refreshed_first(stage: ScriptedStage, make_aws: Callable[[float], ScriptedAWS]) -> None:
    aws = make_aws(3600)
    log_in(stage)
    clock = Clock()
    clock.ahead = 4000
    credentials_of(stage, clock).credentials()
    assert stage.refreshes == 1 and aws.refused == []


def test_while_the_pool_is_down_credentials_are_used_to_their_end(stage: ScriptedStage, make_aws: Callable[[float], ScriptedAWS]) -> None:
    aws = make_aws(3600)
    log_in(stage)
    clock = Clock()
    source = credentials_of(stage, clock)
    present = source.credentials()
    aws.pool_is_down = True
    clock.ahead = 3500
    assert source.credentials() == present
    clock.ahead = 3700
    with pytest.raises(Unavailable) as caught:
        source.credentials()
    assert aws.pool_id in caught.value.sentence
    aws.pool_is_down = False
    assert source.credentials() != present


def test_a_pool_that_refuses_is_one_sentence(stage: ScriptedStage, make_aws: Callable[[float], ScriptedAWS]) -> None:
    aws = make_aws(3600)
    log_in(stage)
    aws.stage = ScriptedStage("sandbox")
    with pytest.raises(SetupProblem) as caught:
        credentials_of(stage, Clock()).credentials()
    aws.stage.server_close()
    assert "tell the operators" in caught.value.sentence and "\n" not in caught.value.sentence


def test_a_dead_login_is_one_sentence_here_too(stage: ScriptedStage, make_aws: Callable[[float], ScriptedAWS]) -> None:
    make_aws(3600)
    log_in(stage)
    stage.kill_refresh_tokens()
    clock = Clock()
    clock.ahead = 4000
    with pytest.raises(LoginRequired):
        credentials_of(stage, clock).credentials()


def test_credentials_of_another_pool_or_a_damaged_file_are_not_used(stage: ScriptedStage, make_aws: Callable[[float], ScriptedAWS]) -> None:
    aws = make_aws(3600)
    log_in(stage)
    source = credentials_of(stage, Clock())
    source.credentials()
    path = Path(stored_profile("alpha").credentials_path)
    for content in (path.read_text().replace(aws.pool_id, "us-west-2:another"), "{}", '{"format": 2}'):
        path.write_text(content)
        source.credentials()
    assert len(aws.issued) == 4


ASK = """
import os, sys
from metaflow_extensions.gateway.login.aws_credentials import FreshCredentials
from metaflow_extensions.gateway.login.fresh_tokens import FreshTokens
from metaflow_extensions.gateway.login.profile import ProfileStore
import boto3
profile = ProfileStore.of(os.environ).load("alpha")
source = FreshCredentials(FreshTokens(profile), profile.configuration.identity_pool)
print("ready", flush=True)
sys.stdin.readline()
print(source.credentials().access_key, flush=True)
"""


def test_many_processes_at_once_ask_the_pool_once(stage: ScriptedStage, make_aws: Callable[[float], ScriptedAWS]) -> None:
    aws = make_aws(3600)
    log_in(stage)
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE / "source")}
    processes = [
        subprocess.Popen([sys.executable, "-c", ASK], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(20)
    ]
    for process in processes:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    keys = {process.communicate(timeout=60)[0].strip() for process in processes}
    assert keys == set(aws.issued) and len(keys) == 1


def test_botocore_is_told_the_end_in_local_time() -> None:
    from datetime import datetime

    now = Reading(1_000_000.0, "b", 500.0)
    credentials = Credentials("a", "s", "t", expires_at=5_000_000.0, seconds=3600.0, obtained=Reading(999_000.0, "b", 400.0), identity_id="i", pool_id="p")
    told = botocore_metadata(credentials, now)
    assert datetime.fromisoformat(told["expiry_time"]).timestamp() == pytest.approx(1_000_000.0 + 2600.0)


def test_a_run_outlives_its_credentials_and_its_tokens(
    stage: ScriptedStage, make_aws: Callable[[float], ScriptedAWS], installed: Path, tmp_path: Path
) -> None:
    aws = make_aws(16.0)
    stage.access_seconds, stage.clock_skew = 10.0, 5.0
    log_in(stage)
    flow = tmp_path / "flow.py"
    flow.write_text(FLOW)
    output = finish(start(flow, installed, tmp_path, seconds=90 if FULL else 30, tasks=4))
    assert "total is 12" in output
    assert aws.refused == [] and stage.unauthorized == []
    # Those that it began with had ended when the tasks stored what they made; how many more there are is the machine's affair.
    assert len(aws.used) >= 2 and aws.get_id_calls == 1
    assert stage.refused_refreshes == 0
    done = run_python(
        ["-c", "from metaflow import Flow, S3; r = Flow('ParallelFlow').latest_run; print(r.successful, r['end'].task.data.total, S3)"],
        installed=installed,
        cwd=tmp_path,
    )
    assert done.stdout.startswith("True 12")
    print(f"\n{len(aws.used)} sets of credentials used by {aws.s3_requests} S3 requests, {stage.refreshes} refreshes, nothing refused")


STAY = """
import sys, time
from metaflow import S3
with S3(s3root="s3://artifacts/long") as s3:
    deadline = time.monotonic() + float(sys.argv[1])
    n = 0
    while time.monotonic() < deadline or n < 5:
        s3.put_many([(f"{n}-{i}", "x" * 1000) for i in range(3)])
        assert s3.get(f"{n}-0").size == 1000
        n += 1
        time.sleep(1)
print("done", n)
"""


def test_one_process_and_its_workers_outlive_their_credentials(
    stage: ScriptedStage, make_aws: Callable[[float], ScriptedAWS], installed: Path, tmp_path: Path
) -> None:
    """One S3 client for the whole time, and Metaflow's separate S3 worker processes."""
    # Replaced with four seconds to go: a busy machine may take its time between asking for them and using them.
    aws = make_aws(16.0)
    stage.clock_skew = 5.0
    log_in(stage)
    done = run_python(["-c", STAY, "60" if FULL else "36"], installed=installed, cwd=tmp_path)
    assert "done" in done.stdout
    assert aws.refused == [] and len(aws.used) >= 3


def test_without_a_pool_or_when_switched_off_credentials_are_the_users_own(
    stage: ScriptedStage, make_aws: Callable[[float], ScriptedAWS], installed: Path, tmp_path: Path
) -> None:
    show = (
        "from metaflow.plugins.aws.aws_client import get_aws_client; c = get_aws_client('s3'); "
        "k = c._request_signer._credentials.get_frozen_credentials(); print(k.access_key, c.meta.region_name)"
    )
    own = {"AWS_ACCESS_KEY_ID": "mine", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "eu-west-1"}
    aws = make_aws(3600)
    log_in(stage)
    key, region = run_python(["-c", show], installed=installed, cwd=tmp_path).stdout.split()
    assert key in aws.issued and region == "us-west-2"
    key, region = run_python(["-c", show], installed=installed, cwd=tmp_path, environment=own).stdout.split()
    assert key in aws.issued and region == "eu-west-1"
    for environment in ({"METAFLOW_GATEWAY_AWS": "off"}, {"METAFLOW_GATEWAY_PROFILE": "off"}, {"METAFLOW_KUBERNETES_WORKLOAD": "1"}):
        assert run_python(["-c", show], installed=installed, cwd=tmp_path, environment={**own, **environment}).stdout.split()[0] == "mine"
    stage.config_changes["identity_pool"] = None
    log_in(stage)
    assert run_python(["-c", show], installed=installed, cwd=tmp_path, environment=own).stdout.split()[0] == "mine"


def test_a_role_is_assumed_with_the_pools_credentials(
    stage: ScriptedStage, make_aws: Callable[[float], ScriptedAWS], installed: Path, tmp_path: Path
) -> None:
    aws = make_aws(3600)
    log_in(stage)
    show = (
        "from metaflow.plugins.aws.aws_client import get_aws_client; "
        "c, e = get_aws_client('s3', with_error=True, role_arn='arn:aws:iam::123456789012:role/science', client_params={'config': {'retries': {'max_attempts': 2}}}); "
        "print(c._request_signer._credentials.get_frozen_credentials().access_key, e.__name__, c.meta.config.retries)"
    )
    done = run_python(["-c", show], installed=installed, cwd=tmp_path, environment={"AWS_ENDPOINT_URL_STS": aws.url})
    key, error, *_ = done.stdout.split()
    assert key.startswith("ASIA") and key not in aws.issued and error == "ClientError"
    assert len(aws.used) == 1, "STS must be called with the pool's credentials"
