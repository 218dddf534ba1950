"""When a token is used, refreshed, waited for or given up: pure decisions over a clock that the test holds."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Optional

import pytest
from metaflow_extensions.gateway.login.clock import NEVER, Reading, read_clocks
from metaflow_extensions.gateway.login.tokens import Decision, TokenResponse, Tokens, TokenUse, life_of, read_claims
from scripted_stage import sign

START = Reading(1_800_000_000.0, "boot", 1000.0)


def later(seconds: float, start: Reading = START) -> Reading:
    return Reading(start.wall + seconds, start.boot, start.since_boot + seconds)


def tokens(life: float = 3600.0, **changes: object) -> Tokens:
    base = Tokens(
        access_token="ACCESS-SECRET",
        id_token="ID-SECRET",
        refresh_token="REFRESH-SECRET",
        access_seconds=life,
        id_seconds=life,
        obtained=START,
        login_time=START.wall,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("life", "age", "expected"),
    [
        (3600, 0, Decision.USE),
        (3600, 3299, Decision.USE),
        (3600, 3301, Decision.USE_AND_REFRESH),
        (3600, 3589, Decision.USE_AND_REFRESH),
        (3600, 3591, Decision.REFRESH),
        (3600, 9999, Decision.REFRESH),
        (10, 7.9, Decision.USE),
        (10, 8.1, Decision.USE_AND_REFRESH),
        (10, 8.9, Decision.USE_AND_REFRESH),
        (10, 9.1, Decision.REFRESH),
        (0, 0, Decision.REFRESH),
    ],
)
def test_a_token_is_refreshed_before_its_end_and_no_longer_sent_just_before_it(life: float, age: float, expected: Decision) -> None:
    assert tokens(life).decide(TokenUse.ACCESS, later(age)) is expected
    assert tokens(life).decide(TokenUse.ID, later(age)) is expected


@pytest.mark.parametrize(
    ("age", "expected"), [(0, Decision.USE), (3595, Decision.USE), (3599.9, Decision.USE), (3600.1, Decision.LOGIN_REQUIRED)]
)
@pytest.mark.parametrize("dead", [{"ended": True}, {"refresh_token": ""}])
def test_without_a_refresh_token_the_access_token_is_used_to_its_very_end(age: float, expected: Decision, dead: dict[str, object]) -> None:
    assert tokens(3600, **dead).decide(TokenUse.ACCESS, later(age)) is expected


def test_without_an_id_token_only_a_new_login_helps_its_users() -> None:
    present = tokens(3600, id_token="", id_seconds=0.0, ended=True)
    assert present.decide(TokenUse.ID, START) is Decision.LOGIN_REQUIRED
    assert present.decide(TokenUse.ACCESS, START) is Decision.USE


@pytest.mark.parametrize(
    ("age", "since_failure", "expected"),
    [
        (3400, 1, Decision.USE),
        (3400, 5, Decision.USE_AND_REFRESH),
        (3700, 1, Decision.WAIT),
        (3700, 5, Decision.REFRESH),
    ],
)
def test_after_a_failure_the_next_try_waits_its_pause(age: float, since_failure: float, expected: Decision) -> None:
    present = tokens(3600, failures=1, retry_at=later(age - since_failure), pause=4.0)
    assert present.decide(TokenUse.ACCESS, later(age)) is expected


def test_a_failure_noted_under_a_clock_that_was_ahead_delays_nothing() -> None:
    present = tokens(3600, failures=1, retry_at=Reading(START.wall + 1e6), pause=30.0, obtained=Reading(START.wall))
    assert present.decide(TokenUse.ACCESS, Reading(START.wall + 3700)) is Decision.REFRESH


@pytest.mark.parametrize("failures", range(0, 40, 3))
@pytest.mark.parametrize("retry_after", [None, 0.0, 5.0, 3600.0])
@pytest.mark.parametrize(("age", "longest"), [(3400, 30.0), (3700, 8.0)])
def test_pauses_grow_and_stay_short_where_a_run_is_waiting(failures: int, retry_after: Optional[float], age: float, longest: float) -> None:
    before = tokens(3600, failures=failures)
    for jitter in (0.0, 1.0):
        after = before.failed(later(age), "why", retry_after, jitter)
        assert 0 < after.pause <= longest
        assert after.failures == failures + 1 and after.trouble == "why"
        if retry_after is not None:
            assert after.pause >= min(retry_after, longest) * 0.75
    assert before.failed(later(age), "why", None, 1.0).pause == min(longest, 0.5 * 2.0 ** min(failures, 10))


def test_a_refresh_without_rotation_keeps_the_refresh_token_and_the_login_time() -> None:
    before = tokens(3600, failures=3, retry_at=START, pause=8.0, trouble="was down")
    after = before.renewed(TokenResponse("a2", "i2", None, 60.0), later(100))
    assert after.refresh_token == "REFRESH-SECRET" and after.access_token == "a2"
    assert after.login_time == START.wall and after.obtained == later(100)
    assert (after.failures, after.retry_at, after.trouble, after.ended) == (0, None, "", False)


def test_a_refresh_with_rotation_takes_the_new_refresh_token() -> None:
    assert tokens().renewed(TokenResponse("a2", None, "r2", 60.0), later(1)).refresh_token == "r2"


@pytest.mark.parametrize(
    ("claims", "expires_in", "expected"),
    [
        ({"iat": 100, "exp": 3700}, 3600.0, 3600.0),
        ({"iat": 100, "exp": 400}, 3600.0, 300.0),
        ({"iat": 100, "exp": 3700}, 60.0, 60.0),
        ({"iat": 100, "exp": 3700}, None, 3600.0),
        ({"iat": 100}, 60.0, 60.0),
        ({"iat": 100}, None, 0.0),
        ({"iat": 100, "exp": 50}, None, 0.0),
        ({"iat": "x", "exp": []}, 60.0, 60.0),
    ],
)
def test_a_token_lives_as_long_as_the_shorter_of_what_it_and_the_answer_say(claims: dict[str, object], expires_in: Optional[float], expected: float) -> None:
    assert life_of(sign(claims), expires_in) == expected


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c.d", "a.!!!.c", "a.bnVsbA.c", "a.W10.c", "a." + "W" * 1001 + ".c"])
def test_what_is_not_a_jwt_has_no_claims(token: str) -> None:
    assert read_claims(token) == {}


def test_tokens_survive_the_file() -> None:
    for present in (tokens(), tokens(retry_at=later(5), pause=2.5, failures=3, trouble="ü"), tokens(ended=True)):
        assert Tokens.from_json(json.loads(json.dumps(present.to_json()))) == present


@pytest.mark.parametrize("change", [{"format": 2}, {"access_seconds": "x"}, {"obtained": None}, {"failures": []}])
def test_a_file_of_another_kind_is_not_taken_for_tokens(change: dict[str, object]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        Tokens.from_json({**tokens().to_json(), **change})
    with pytest.raises(KeyError):
        Tokens.from_json({"format": 1})


def test_tokens_do_not_print() -> None:
    assert "SECRET" not in repr(tokens()) and "SECRET" not in str(tokens())


@pytest.mark.parametrize(
    ("now", "earlier", "expected"),
    [
        (Reading(110, "b", 60), Reading(100, "b", 50), 10),
        (Reading(40, "b", 60), Reading(100, "b", 50), 10),  # the clock was set back
        (Reading(900, "b", 60), Reading(100, "b", 50), 800),  # the clock was set forward, or the machine was paused
        (Reading(110, "c", 5), Reading(100, "b", 50), 10),  # started anew in between
        (Reading(110), Reading(100), 10),
        (Reading(90), Reading(100), NEVER),  # set back, and nothing to tell by how much
        (Reading(90, "c", 5), Reading(100, "b", 50), NEVER),
    ],
)
def test_time_passes_also_when_the_clock_is_set(now: Reading, earlier: Reading, expected: float) -> None:
    assert now.elapsed(earlier) == expected


def test_a_clock_set_back_an_hour_does_not_make_an_old_token_young() -> None:
    assert tokens(3600).decide(TokenUse.ACCESS, Reading(START.wall - 60, "boot", START.since_boot + 3700)) is Decision.REFRESH
    assert tokens(3600).decide(TokenUse.ACCESS, Reading(START.wall - 60, "another boot", 5)) is Decision.REFRESH


def test_the_real_clocks_agree_with_themselves() -> None:
    first = read_clocks()
    assert 0 <= read_clocks().elapsed(first) < 60
