"""The headers that Metaflow copies for each request, and what never leaves through them."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path

import pytest
from metaflow.exception import MetaflowInternalError
from metaflow.metadata_provider.heartbeat import HeartBeatException
from metaflow_extensions.gateway.login.fresh_tokens import FreshTokens
from metaflow_extensions.gateway.login.headers import FreshHeaders
from metaflow_extensions.gateway.login.netrc_entry import check_netrc
from metaflow_extensions.gateway.login.problems import LoginProblem, LoginRequired, SetupProblem, Unavailable
from metaflow_extensions.gateway.login.profile import Profile
from metaflow_extensions.gateway.login.stage import stage_origin


@pytest.fixture
def headers(profile: Profile) -> FreshHeaders:
    return FreshHeaders({"x-team": "robots"}, FreshTokens(profile))


def test_a_copy_carries_the_token_beside_the_fixed_headers(headers: FreshHeaders, profile: Profile) -> None:
    assert headers.copy() == {"x-team": "robots", "Authorization": f"Bearer {profile.load_tokens().access_token}"}
    assert type(headers.copy()) is dict


def test_whatever_serialises_or_merges_the_headers_gets_the_fixed_part(headers: FreshHeaders) -> None:
    merged: dict[str, str] = {}
    merged.update(headers)
    results = [
        json.loads(json.dumps(headers)),
        pickle.loads(pickle.dumps(headers)),
        copy.copy(headers),
        copy.deepcopy(headers),
        dict(headers),
        {**headers},
        dict(headers.items()),
        merged,
    ]
    assert all(result == {"x-team": "robots"} for result in results), results
    assert "Bearer" not in repr(headers) + str(headers) + f"{headers}"


def test_without_fixed_headers_a_job_description_says_nothing(profile: Profile) -> None:
    assert json.dumps(FreshHeaders({}, FreshTokens(profile))) == "{}"


class Failing(FreshTokens):
    problem: LoginProblem = LoginRequired("never")

    def access_token(self) -> str:
        raise self.problem


@pytest.mark.parametrize("problem", [LoginRequired("Log in again."), SetupProblem("Remove the entry.")])
def test_what_needs_a_person_is_reported_by_metaflow_at_once(profile: Profile, problem: LoginProblem) -> None:
    said: list[str] = []
    tokens = Failing(profile)
    tokens.problem = problem
    headers = FreshHeaders({}, tokens, tell=said.append)
    for _ in range(3):
        with pytest.raises(MetaflowInternalError) as caught:
            headers.copy()
        # The heartbeat's thread survives this kind only.
        assert isinstance(caught.value, HeartBeatException)
        assert problem.sentence in str(caught.value)
        assert caught.value.headline == "Metaflow login"
    assert said == [problem.sentence]


def test_what_may_pass_is_retried_by_metaflow(profile: Profile) -> None:
    tokens = Failing(profile)
    tokens.problem = Unavailable("The provider is down.")
    with pytest.raises(HeartBeatException) as caught:
        FreshHeaders({}, tokens, tell=lambda _: None).copy()
    assert not isinstance(caught.value, MetaflowInternalError)
    assert str(caught.value) == "The provider is down."


def test_the_heartbeat_outlives_both_kinds_of_failure(profile: Profile) -> None:
    from metaflow.metadata_provider import heartbeat

    tokens = Failing(profile)
    worker = heartbeat.MetadataHeartBeat()
    worker.headers = FreshHeaders({}, tokens, tell=lambda _: None)
    worker.hb_url = "http://127.0.0.1:1/heartbeat"
    for problem in (Unavailable("down"), LoginRequired("dead"), SetupProblem("netrc")):
        tokens.problem = problem
        with pytest.raises(heartbeat.HeartBeatException):
            worker._heartbeat()


@pytest.mark.parametrize(
    ("content", "stage", "refused"),
    [
        ("machine alpha.example.org login a password b", "https://alpha.example.org", "entry for alpha.example.org"),
        ("machine other.example.org login a password b", "https://alpha.example.org", None),
        ("default login a password b", "https://alpha.example.org", "default entry"),
        ("machine localhost login a password b", "https://localhost:8443", "entry for localhost"),
        ("not a netrc file {", "https://alpha.example.org", None),
        ("", "https://alpha.example.org", None),
    ],
)
@pytest.mark.parametrize("place", ["~/.netrc", "~/_netrc", "NETRC"])
def test_a_netrc_entry_for_the_stage_is_refused_where_requests_would_use_it(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, stage: str, refused: str | None, place: str
) -> None:
    from requests.utils import get_netrc_auth

    path = tmp_path / "passwords" if place == "NETRC" else home / place[2:]
    path.write_text(content)
    path.chmod(0o600)
    if place == "NETRC":
        monkeypatch.setenv("NETRC", str(path))
    assert (get_netrc_auth(stage) is not None) is (refused is not None)
    if refused is None:
        check_netrc(stage_origin(stage))
        return
    with pytest.raises(SetupProblem) as caught:
        check_netrc(stage_origin(stage))
    assert refused in caught.value.sentence and str(path) in caught.value.sentence and "NETRC=/dev/null" in caught.value.sentence


def test_netrc_pointing_nowhere_means_no_entry(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / ".netrc").write_text("default login a password b")
    monkeypatch.setenv("NETRC", "/dev/null")
    check_netrc(stage_origin("https://alpha.example.org"))


def test_a_netrc_entry_stops_the_first_request_with_a_sentence(home: Path, headers: FreshHeaders, capsys: pytest.CaptureFixture[str]) -> None:
    (home / ".netrc").write_text("machine 127.0.0.1 login a password b")
    (home / ".netrc").chmod(0o600)
    with pytest.raises(MetaflowInternalError):
        headers.copy()
    assert "remove it, or export NETRC=/dev/null" in capsys.readouterr().err
    (home / ".netrc").unlink()
    assert "Authorization" in headers.copy()
