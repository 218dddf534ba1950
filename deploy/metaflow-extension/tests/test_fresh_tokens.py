"""One refresh at a time, through outages, rotations, deaths and logouts; against a provider on loopback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Callable, Optional

import pytest
from conftest import PACKAGE, log_in, stored_profile
from metaflow_extensions.gateway.login import fresh_tokens
from metaflow_extensions.gateway.login.clock import Reading, read_clocks
from metaflow_extensions.gateway.login.fresh_tokens import WAIT_VARIABLE, FreshTokens, wait_seconds
from metaflow_extensions.gateway.login.problems import LoginRequired, SetupProblem, Unavailable
from metaflow_extensions.gateway.login.process_lock import lock_for
from metaflow_extensions.gateway.login.profile import Profile
from metaflow_extensions.gateway.login.provider import LoginProvider
from metaflow_extensions.gateway.login.tokens import TokenResponse, Tokens
from metaflow_extensions.gateway.login.uninterrupted import run_uninterrupted
from metaflow_gateway_login.command_line import main
from scripted_stage import ScriptedStage


class Clock:
    """The real clocks, moved forward by as much as the test says."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.stopped: Optional[Reading] = None

    def stop(self) -> None:
        """From now on nothing moves it but the test."""
        self.stopped = read_clocks()

    def __call__(self) -> Reading:
        now = self.stopped or read_clocks()
        return Reading(now.wall + self.ahead, now.boot, now.since_boot + self.ahead)

    def pause(self, seconds: float) -> None:
        self.ahead += seconds


def fresh(profile: Profile, clock: Optional[Clock] = None, *, wait: float = 60.0, said: Optional[list[str]] = None) -> FreshTokens:
    ticking = clock or Clock()
    told: list[str] = said if said is not None else []
    return FreshTokens(profile, clock=ticking, pause=ticking.pause, tell=told.append, wait=wait)


def test_a_young_token_needs_no_request(stage: ScriptedStage, profile: Profile) -> None:
    tokens = fresh(profile)
    assert tokens.access_token() == profile.load_tokens().access_token
    assert tokens.id_token() == profile.load_tokens().id_token
    assert stage.refreshes == 0


@pytest.mark.parametrize("rotates", [True, False])
@pytest.mark.parametrize("age", [3400, 3595, 100_000])
def test_an_old_token_is_refreshed_once_and_stored(stage: ScriptedStage, profile: Profile, rotates: bool, age: float) -> None:
    stage.rotates = rotates
    clock = Clock()
    clock.ahead = age
    tokens = fresh(profile, clock)
    before = profile.load_tokens()
    first, second = tokens.access_token(), tokens.access_token()
    assert first == second != before.access_token
    assert stage.refreshes == 1
    after = profile.load_tokens()
    assert after.access_token == first
    assert (after.refresh_token != before.refresh_token) is rotates
    assert os.stat(profile.tokens_path).st_mode & 0o777 == 0o600


def test_refreshes_go_on_for_days(stage: ScriptedStage, profile: Profile) -> None:
    clock = Clock()
    tokens = fresh(profile, clock)
    for _ in range(72):
        clock.ahead += 3600
        tokens.access_token()
    assert stage.refreshes == 72 and stage.refused_refreshes == 0


def test_while_the_provider_is_down_the_token_is_used_to_its_end(stage: ScriptedStage, profile: Profile) -> None:
    stage.outage_ends = float("inf")
    clock = Clock()
    clock.ahead = 3400
    # The next try is due after less than half a second.
    clock.stop()
    tokens = fresh(profile, clock)
    present = profile.load_tokens().access_token
    assert tokens.access_token() == present
    assert stage.seen_paths.count("/pool-alpha/oauth2/token") == 2
    for _ in range(100):
        assert tokens.access_token() == present
    assert stage.seen_paths.count("/pool-alpha/oauth2/token") == 2, "a failed refresh must not be tried again at once"
    assert profile.load_tokens().failures == 1


def test_a_try_that_takes_longer_than_the_token_lives_is_followed_by_a_wait(stage: ScriptedStage, profile: Profile) -> None:
    clock = Clock()
    clock.ahead = 3580
    present = profile.load_tokens().access_token

    class Slow(LoginProvider):
        def refresh(self, refresh_token: str) -> TokenResponse:
            clock.ahead += 30
            if clock.ahead < 3640:
                raise Unavailable("too slow")
            return super().refresh(refresh_token)

    tokens = FreshTokens(profile, provider=Slow(profile.configuration), clock=clock, pause=clock.pause, tell=lambda _: None, wait=600.0)
    assert tokens.access_token() != present


def test_a_request_waits_for_a_provider_that_comes_back(stage: ScriptedStage, profile: Profile) -> None:
    clock, said = Clock(), list[str]()
    clock.ahead = 4000

    def pause(seconds: float) -> None:
        clock.ahead += seconds
        if clock.ahead > 4020:
            stage.outage_ends = 0.0

    stage.outage_ends = float("inf")
    tokens = FreshTokens(profile, clock=clock, pause=pause, tell=said.append, wait=60.0)
    assert tokens.access_token() == profile.load_tokens().access_token
    assert stage.refreshes == 1
    assert 3 <= stage.seen_paths.count("/pool-alpha/oauth2/token") <= 12, "retries must back off"
    assert len(said) == 1 and "does not work at the moment" in said[0] and "60 s" in said[0]


def test_a_provider_that_stays_down_ends_in_a_sentence_and_no_dead_login(stage: ScriptedStage, profile: Profile) -> None:
    stage.outage_ends = float("inf")
    clock = Clock()
    clock.ahead = 4000
    with pytest.raises(Unavailable) as caught:
        fresh(profile, clock, wait=30.0).access_token()
    assert "alpha" in caught.value.sentence and "503" in caught.value.sentence
    stage.outage_ends = 0.0
    clock.ahead += 60
    assert fresh(profile, clock).access_token()


@pytest.mark.parametrize(
    ("status", "content_type", "body"),
    [
        (500, "text/plain", b"oops"),
        (502, "text/html", b"<html>"),
        (429, "application/json", b'{"error": "slow_down"}'),
        (403, "text/html", b"<html>blocked by a firewall</html>"),
        (302, "text/html", b""),
        (200, "text/html", b"<html>log in to the hotel's network</html>"),
        (200, "application/json", b'{"access_token": "a b"}'),
        (200, "application/json", b'{"access_token": ""}'),
        (200, "application/json", b'{"access_token": "x", "token_type": "mac"}'),
        (200, "application/json", b"[1]"),
        (200, "application/json", b"[" * 100000),
        (400, "application/json", b'{"error": "invalid_request"}'),
        (400, "application/json", b'{"error": "invalid_client"}'),
        (400, "application/json", b'{"error": ["invalid_grant"]}'),
        (500, "application/json", b'{"error": "invalid_grant"}'),
        (200, "application/json", b"x" * 300_000),
    ],
)
def test_only_a_clear_refusal_ends_a_login(stage: ScriptedStage, profile: Profile, status: int, content_type: str, body: bytes) -> None:
    stage.token_answer = (status, content_type, body)
    clock = Clock()
    clock.ahead = 4000
    with pytest.raises(Unavailable):
        fresh(profile, clock, wait=0.0).access_token()
    assert not profile.load_tokens().ended
    stage.token_answer = None
    clock.ahead += 60
    assert fresh(profile, clock).access_token()


def test_a_dead_refresh_token_is_said_once_and_the_token_used_to_its_end(stage: ScriptedStage, profile: Profile) -> None:
    stage.kill_refresh_tokens()
    clock, said = Clock(), list[str]()
    clock.ahead = 3400
    tokens = fresh(profile, clock, said=said)
    present = profile.load_tokens().access_token
    assert tokens.access_token() == present == tokens.access_token()
    assert stage.refused_refreshes == 1, "a dead refresh token is not tried again"
    assert len(said) == 1 and f"metaflow-gateway-login {stage.url}" in said[0] and "resume" in said[0]
    clock.ahead = 3601
    with pytest.raises(LoginRequired) as caught:
        tokens.access_token()
    assert caught.value.sentence == said[0]


def test_another_process_learns_that_the_login_is_dead_without_a_request(stage: ScriptedStage, profile: Profile) -> None:
    stage.kill_refresh_tokens()
    clock = Clock()
    clock.ahead = 4000
    for _ in range(2):
        with pytest.raises(LoginRequired):
            fresh(profile, clock).access_token()
    assert stage.refused_refreshes == 1


def test_a_new_login_in_another_window_is_taken_up_at_once(stage: ScriptedStage, profile: Profile) -> None:
    stage.kill_refresh_tokens()
    clock = Clock()
    clock.ahead = 4000
    tokens = fresh(profile, clock)
    with pytest.raises(LoginRequired):
        tokens.access_token()
    log_in(stage)
    clock.ahead = 0
    assert tokens.access_token() == profile.load_tokens().access_token


def test_a_logout_in_another_window_is_taken_up_at_once(stage: ScriptedStage, profile: Profile) -> None:
    tokens = fresh(profile)
    tokens.access_token()
    assert main(["--logout"]) == 0
    with pytest.raises(LoginRequired) as caught:
        tokens.access_token()
    assert "metaflow-gateway-login" in caught.value.sentence


def test_a_damaged_token_file_is_one_sentence(profile: Profile) -> None:
    Path(profile.tokens_path).write_text(json.dumps({"format": 9, "url": str(profile.configuration.origin)}))
    with pytest.raises(SetupProblem) as caught:
        fresh(profile).access_token()
    assert "metaflow-gateway-login" in caught.value.sentence


@pytest.mark.parametrize(("age", "asks"), [(4000, 0), (90_000, 1)])
@pytest.mark.parametrize(("minimum", "told"), [("1.0.0", False), ("7.0.0", True)])
def test_a_wheel_that_has_become_too_old_is_told_beside_a_refresh(
    stage: ScriptedStage, profile: Profile, monkeypatch: pytest.MonkeyPatch, age: float, asks: int, minimum: str, told: bool
) -> None:
    # A busy machine may need more than the 3 s that a run can spare.
    monkeypatch.setattr(fresh_tokens, "CONFIGURATION_TIMEOUT", 30.0)
    stage.config_changes = {"minimum_extension_version": minimum}
    clock, said = Clock(), list[str]()
    clock.ahead = age
    before = stage.seen_paths.count("/cli/config")
    tokens = fresh(profile, clock, said=said)
    tokens.access_token()
    tokens.access_token()
    assert stage.seen_paths.count("/cli/config") - before == asks
    assert [("pip install --upgrade" in sentence) for sentence in said] == ([True] if told and asks else [])


@pytest.mark.parametrize("answer", [(503, "text/plain", b""), (200, "text/html", b"<html>"), (200, "application/json", b"{}")])
def test_a_stage_that_cannot_say_its_minimum_stops_nothing(stage: ScriptedStage, profile: Profile, answer: tuple[int, str, bytes]) -> None:
    stage.config_answer = answer
    clock, said = Clock(), list[str]()
    clock.ahead = 90_000
    assert fresh(profile, clock, said=said).access_token() and said == []


def test_threads_of_one_process_refresh_once(stage: ScriptedStage, profile: Profile) -> None:
    stage.token_delay = 0.2
    clock = Clock()
    clock.ahead = 4000
    tokens = FreshTokens(profile, clock=clock, wait=30.0)
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(tokens.access_token())) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 20 and len(set(found)) == 1 and stage.refreshes == 1


def test_a_token_in_use_is_not_held_up_by_another_processs_refresh(stage: ScriptedStage, profile: Profile) -> None:
    clock = Clock()
    clock.ahead = 3400
    lock = lock_for(profile.tokens_lock_path)
    assert lock.try_acquire()
    try:
        assert fresh(profile, clock).access_token() == profile.load_tokens().access_token
    finally:
        lock.release()
    assert stage.refreshes == 0


def test_a_lock_that_is_never_given_back_ends_in_a_sentence(profile: Profile) -> None:
    clock = Clock()
    clock.ahead = 4000
    lock = lock_for(profile.tokens_lock_path)
    assert lock.try_acquire()
    try:
        with pytest.raises(Unavailable) as caught:
            fresh(profile, clock, wait=5.0).access_token()
    finally:
        lock.release()
    assert "lock" in caught.value.sentence


ASK = """
import os, sys, time
from metaflow_extensions.gateway.login.fresh_tokens import FreshTokens
from metaflow_extensions.gateway.login.profile import ProfileStore
profile = ProfileStore.of(os.environ).load("alpha")
tokens = FreshTokens(profile)
print("ready", flush=True)
sys.stdin.readline()
print(tokens.access_token(), flush=True)
"""


def asking(count: int) -> list[subprocess.Popen[str]]:
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE / "source")}
    return [
        subprocess.Popen(
            [sys.executable, "-c", ASK],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Whoever runs the tests in a shell's background has them ignore Ctrl-C, and what they start too.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        for _ in range(count)
    ]


def log_in_long_ago(stage: ScriptedStage) -> Tokens:
    """A login whose token has ended. It lived long enough for the login itself, however slow that was."""
    log_in(stage)
    profile = stored_profile("alpha")
    profile.save_tokens(replace(profile.load_tokens(), access_seconds=0.0))
    return profile.load_tokens()


def answers(processes: list[subprocess.Popen[str]]) -> Iterator[str]:
    for process in processes:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        yield output.strip()


@pytest.mark.parametrize("rotates", [True, False])
def test_fifty_processes_refreshing_at_once_make_one_request(stage: ScriptedStage, rotates: bool) -> None:
    before = log_in_long_ago(stage)
    stage.rotates = rotates
    stage.token_delay = 0.3
    found = list(answers(asking(50)))
    assert len(found) == 50 and len(set(found)) == 1
    assert (stage.refreshes, stage.refused_refreshes) == (1, 0)
    assert found[0] == stored_profile("alpha").load_tokens().access_token != before.access_token


def test_a_process_killed_while_it_refreshes_does_not_block_the_others(stage: ScriptedStage) -> None:
    stage.rotation_grace = 60.0
    log_in_long_ago(stage)
    stage.token_hold = threading.Event()
    (victim,) = asking(1)
    assert victim.stdout is not None and victim.stdin is not None
    victim.stdout.readline()
    victim.stdin.write("go\n")
    victim.stdin.flush()
    wait_until(lambda: stage.seen_paths.count("/pool-alpha/oauth2/token") == 2)
    victim.kill()
    victim.communicate()
    stage.token_hold.set()
    assert len(set(answers(asking(3)))) == 1


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.01)


def test_an_interrupted_refresh_still_stores_the_rotated_token(stage: ScriptedStage) -> None:
    """Ctrl-C while the provider answers: the old refresh token is spent, so losing the new one would end the login."""
    before = log_in_long_ago(stage)
    # The answer comes a second after the interruption, however long that took.
    stage.token_hold, stage.token_delay = threading.Event(), 1.0
    (process,) = asking(1)
    assert process.stdout is not None and process.stdin is not None
    process.stdout.readline()
    process.stdin.write("go\n")
    process.stdin.flush()
    wait_until(lambda: stage.seen_paths.count("/pool-alpha/oauth2/token") == 2)
    process.send_signal(signal.SIGINT)
    stage.token_hold.set()
    process.communicate(timeout=60)
    assert process.returncode != 0
    after = stored_profile("alpha").load_tokens()
    assert stage.refreshes == 1 and after.refresh_token != before.refresh_token


def test_uninterrupted_work_hands_over_its_result_and_its_error() -> None:
    assert run_uninterrupted(lambda: 3) == 3
    empty: dict[str, int] = {}
    with pytest.raises(KeyError):
        run_uninterrupted(lambda: empty["missing"])


@pytest.mark.parametrize(("value", "expected"), [(None, 120.0), ("5", 5.0), ("-3", 0.0), ("1e9", 86400.0), ("nonsense", 120.0)])
def test_the_wait_can_be_set(monkeypatch: pytest.MonkeyPatch, value: Optional[str], expected: float) -> None:
    if value is not None:
        monkeypatch.setenv(WAIT_VARIABLE, value)
    assert wait_seconds() == expected


def test_no_token_is_printed_by_any_sentence(stage: ScriptedStage, profile: Profile) -> None:
    secrets = [value for name, value in json.loads(Path(profile.tokens_path).read_text()).items() if name.endswith("_token")]
    said: list[str] = []
    clock = Clock()
    clock.ahead = 4000
    for answer in [(503, "text/plain", b"down"), (400, "application/json", b'{"error": "invalid_client"}')]:
        stage.token_answer = answer
        with pytest.raises(Unavailable) as caught:
            fresh(profile, clock, wait=20.0, said=said).access_token()
        said.append(caught.value.sentence)
        clock.ahead += 60
    stage.token_answer = None
    stage.kill_refresh_tokens()
    with pytest.raises(LoginRequired) as ended:
        fresh(profile, clock, said=said).access_token()
    said.append(ended.value.sentence)
    assert len(secrets) == 3 and said
    assert not any(secret in sentence for secret in secrets for sentence in said)
