"""`metaflow-gateway explain`: it says what the code that serves decides, step by step, and never what would let somebody in."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from conftest import POOL
from gateway import GATEWAY, Gateway
from login import SESSION
from test_tokens import CASES, PASSING

STEPS = ["form", "algorithm", "issuer", "key", "signature", "claims", "times", "client", "revocation", "demand", "policy"]


def explain(file, method: str, url: str, *more: str) -> tuple[int, str]:
    result = subprocess.run([str(GATEWAY), "explain", method, url, "--config", str(file), *more], capture_output=True, text=True, timeout=60)
    return result.returncode, result.stdout + result.stderr


def explained(file, method: str, url: str, *more: str) -> dict:
    code, output = explain(file, method, url, "--format", "json", *more)
    assert code == 0, output
    return json.loads(output)


@pytest.fixture(scope="module")
def ask(gateway: Gateway, tmp_path_factory):
    """Explains a request with an Authorization value; the value must not come out again."""
    folder = tmp_path_factory.mktemp("tokens")

    def ask(target: str, value: str | None, method: str = "GET", host: str = "localhost") -> dict:
        more = []
        if value is not None:
            scheme, _, token = value.partition(" ")
            if scheme == "Bearer" and token.strip() == token and token:
                (folder / "token").write_text(token + "\n")
                more = ["--token-file", str(folder / "token")]
            else:
                more = ["--header", f"Authorization: {value}"]
            answer = explained(gateway.file, method, f"https://{host}:8443{target}", *more)
            if len(token) > 20:
                text = json.dumps(answer)
                assert token not in text
                assert not any(part in text for part in token.split(".") if len(part) > 20)
            return answer
        return explained(gateway.file, method, f"https://{host}:8443{target}")

    return ask


def outcomes(answer: dict) -> dict[str, str]:
    return {step["step"]: step["outcome"] for step in answer["steps"]}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_is_explained_is_what_the_gateway_answers(gateway, provider, ask, case):
    value = case.make(provider)
    answer = ask(case.target, value)
    served = gateway.ask("GET", case.target, [] if value is None else [("Authorization", value)])
    assert (answer["answer"]["status"], answer["answer"]["code"]) == (served.status, served.json()["code"])
    # Up to one question everything is well, and behind it nothing was asked.
    told = [outcome for step, outcome in outcomes(answer).items() if step in STEPS]
    if told:
        failed = told.index("failed")
        assert told == ["passed"] * failed + ["failed"] + ["not reached"] * (len(STEPS) - failed - 1)
    else:
        assert outcomes(answer)["credentials"] == "failed"


@pytest.mark.parametrize("make, target", PASSING.values(), ids=PASSING.keys())
def test_a_token_that_passes_passes_every_question(provider, ask, make, target):
    answer = ask(target, make(provider))
    assert [outcome for step, outcome in outcomes(answer).items() if step in STEPS] == ["passed"] * len(STEPS)
    assert answer["answer"]["status"] is None and answer["upstream"]["name"] == "main"


def test_the_questions_are_told_with_what_they_were_asked_of(provider, ask):
    answer = ask("/science/x", f"Bearer {provider.token(POOL, **{'cognito:groups': ['guests']})}")
    told = {step["step"]: step["value"] for step in answer["steps"]}
    assert told["issuer"] == provider.issuer(POOL) and told["key"] == provider.keys[POOL][0].name and told["algorithm"] == "RS256"
    assert "in 59 minutes" in told["times"] or "in 1 hour" in told["times"]
    assert f"token_use access, client {POOL}-command-line (command-line)" == told["client"]
    assert "wants one of the groups science, operators, the caller is in guests" in told["policy"]
    assert answer["answer"]["message"].startswith("You are not in any of the groups science, operators")


def test_every_candidate_route_is_told_and_why_it_lost(ask):
    answer = ask("/secure/x", None)
    candidates = {entry["route"]: entry for entry in answer["candidates"]}
    assert candidates["/secure"]["chosen"] and not any(entry["chosen"] for route, entry in candidates.items() if route != "/secure")
    assert all(entry["reason"] for entry in candidates.values())


@pytest.mark.parametrize(
    "method, url, path, status, code",
    [
        ("GET", "https://localhost/open/a%2Fb", None, 400, "path_encoded_slash"),
        ("GET", "https://localhost/open/%2e%2e/%2e%2e/x", None, 400, "path_climbs_above_root"),
        ("GET", "https://localhost/open//x", "/open/x", 308, "path_not_canonical"),
        ("POST", "https://localhost/open//x", "/open/x", 400, "path_not_canonical"),
        ("GET", "https://nowhere.localhost/x", None, 404, "host_unknown"),
        ("GET", "https://localhost:8443/op%65n/x?access_token=hunter2", "/open/x", None, "forwarded"),
    ],
)
def test_paths_and_hosts_are_read_as_the_gateway_reads_them(gateway, method, url, path, status, code):
    answer = explained(gateway.file, method, url)
    assert (answer["path"], answer["answer"]["status"], answer["answer"]["code"]) == (path, status, code)
    assert "hunter2" not in json.dumps(answer)


def test_the_text_is_for_people(gateway, provider, tmp_path):
    (tmp_path / "token").write_text(provider.token(POOL))
    code, output = explain(gateway.file, "GET", "https://localhost/secure/x", "--token-file", str(tmp_path / "token"))
    assert code == 0
    lines = output.splitlines()
    assert lines[0].startswith("GET localhost/secure/x")
    assert [line.split()[0] for line in lines[1:4]] == ["stage", "path", "route"]
    assert lines[-2].split()[:2] == ["upstream", "main"] and lines[-1].strip().startswith("answer")


def test_a_provider_that_does_not_answer_is_told(start, surroundings, provider, tmp_path):
    configuration = surroundings.configuration(routes=[{"path": "/", "upstream": "main", "credentials": ["bearer"]}])
    configuration["stages"][0]["identity"]["cognito"]["endpoint"] = "http://127.0.0.1:1"
    writer = Gateway.__new__(Gateway)
    writer.folder, writer.file = tmp_path, tmp_path / "gateway.yaml"
    writer.write(configuration)
    (tmp_path / "token").write_text(provider.token(POOL, iss=f"http://127.0.0.1:1/{POOL}"))
    answer = explained(writer.file, "GET", "https://localhost/x", "--token-file", str(tmp_path / "token"))
    assert (answer["answer"]["status"], answer["answer"]["code"], outcomes(answer)["key"]) == (503, "token_undecidable", "failed")


@pytest.mark.parametrize("url", ["localhost/x", "http://localhost/x", "ftp://localhost/x", "https:///x", "https://user@localhost/x"])
def test_what_is_no_address_is_said(gateway, url):
    code, output = explain(gateway.file, "GET", url)
    assert code != 0 and "Write https://HOST/PATH" in output


def test_files_that_cannot_be_read_are_input_faults(gateway, tmp_path):
    assert explain(gateway.file, "GET", "https://localhost/", "--token-file", str(tmp_path / "none"))[0] == 2
    assert explain(tmp_path / "none.yaml", "GET", "https://localhost/")[0] == 2


# --- On the running gateway


def test_the_running_gateway_explains_with_the_keys_that_it_has(gateway, provider, tmp_path):
    (tmp_path / "token").write_text(provider.token(POOL))
    token = (tmp_path / "token").read_text()
    result = gateway.command("explain", "GET", "https://localhost/secure/x", "--token-file", str(tmp_path / "token"), "--format", "json")
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout)
    assert answer["upstream"]["name"] == "main" and outcomes(answer)["signature"] == "passed"
    assert not any(part in result.stdout for part in token.split("."))


def test_one_of_the_last_requests_is_explained_by_its_id(gateway, provider):
    served = gateway.ask("GET", "/science/recent?secret=hunter2", [("Authorization", f"Bearer {provider.token(POOL, **{'cognito:groups': ['guests']})}")])
    result = gateway.command("explain", "--request-id", served.get("x-request-id"))
    assert result.returncode == 0, result.stderr
    assert "/science/recent" in result.stdout and "403 group_missing" in result.stdout and "hunter2" not in result.stdout
    assert told_of(gateway, served)["credentials"] == ("failed", "bearer, policy of first /science, group_missing: first /science wants one of science, operators")
    unknown = gateway.command("explain", "--request-id", "00000000-0000-0000-0000-000000000000")
    assert unknown.returncode == 1 and "no such request" in unknown.stderr


def told_of(gateway, served) -> dict[str, tuple[str, str]]:
    result = gateway.command("explain", "--request-id", served.get("x-request-id"), "--format", "json")
    return {step["step"]: (step["outcome"], step["value"]) for step in json.loads(result.stdout)["steps"]}


def test_a_request_that_was_served_is_told_with_its_caller_and_its_upstream(gateway, provider):
    told = told_of(gateway, gateway.ask("GET", "/secure/recent", [("Authorization", f"Bearer {provider.token(POOL)}")]))
    assert told["issuer"] == ("note", provider.issuer(POOL)) and told["key"] == ("note", provider.keys[POOL][0].name)
    assert told["claims"][1] == "sub 5c1fe9a0-1111-4a2b-9c3d-000000000001" and told["client"] == ("note", "command-line")
    assert told["credentials"] == ("passed", "bearer, policy of first /secure") and told["matched"] == ("note", "/secure")
    assert re.fullmatch(r"20\S+Z, took \d+\.\d ms, from 127\.0\.0\.1", told["when"][1]), told["when"]
    assert re.fullmatch(r"127\.0\.0\.1:\d+, status 200, 1 try", told["tried"][1]), told["tried"]


@pytest.mark.parametrize("changes, code", [({"cognito:groups": ["guests"]}, "group_missing"), ({"exp": 1_700_000_000, "iat": 1_699_996_400}, "token_expired")], ids=["group", "expired"])
def test_who_was_refused_is_told_and_nobody_else_is_taken_for_them(gateway, provider, changes, code):
    with gateway.client() as client:
        refused = client.ask("GET", "/science/x", [("Authorization", f"Bearer {provider.token(POOL, **changes)}")])
        other_answers = [client.ask("GET", "/science/x", fields) for fields in ([], [("Authorization", "Bearer nonsense")], [("Authorization", "Basic eDp5")])]
    assert refused.json()["code"] == code
    caller = gateway.entry(refused.get("x-request-id"))["auth"]
    assert (caller["sub"], caller["client"], caller["kid"]) == ("5c1fe9a0-1111-4a2b-9c3d-000000000001", "command-line", provider.keys[POOL][0].name)
    assert told_of(gateway, refused)["claims"] == ("note", f"sub {caller['sub']}")
    for answer in other_answers:
        assert answer.status == 401 and "sub" not in gateway.entry(answer.get("x-request-id"))["auth"]


# --- With the cookie of a login


@pytest.fixture
def cookie(ada, tmp_path):
    """A file with what ada's browser sends."""
    file = tmp_path / "cookie"
    file.write_text(ada.cookie_field + "\n")
    return file


def secrets_of(cookie) -> list[str]:
    """Every part of the cookies that is long enough to be one."""
    return [part for pair in cookie.read_text().split("; ") for part in pair.partition("=")[2].strip().split(".") if len(part) > 20]


def of_login(gateway, cookie, method: str, target: str, *more: str) -> dict:
    """Explained by the running gateway; nothing of the cookie may come back."""
    result = gateway.command("explain", method, f"https://localhost:8443{target}", "--cookie-file", str(cookie), "--format", "json", *more)
    assert result.returncode == 0, result.stderr
    assert secrets_of(cookie) and not [part for part in secrets_of(cookie) if part in result.stdout + result.stderr]
    return json.loads(result.stdout)


@pytest.mark.parametrize(
    "method, target, fields, failed",
    [
        ("GET", "/", [], None),
        ("GET", "/api/runs", [], None),
        ("GET", "/admins/x", [], "policy"),
        ("POST", "/api/runs", [("Sec-Fetch-Site", "same-origin")], None),
        ("POST", "/api/runs", [("Sec-Fetch-Site", "cross-site")], "origin"),
        ("POST", "/api/runs", [], "origin"),
    ],
)
def test_a_login_is_explained_as_it_is_served(login_gateway, ada, cookie, method, target, fields, failed):
    answer = of_login(login_gateway, cookie, method, target, *(f"--header={name}: {value}" for name, value in fields))
    told = outcomes(answer)
    assert [step for step, outcome in told.items() if outcome == "failed"] == ([failed] if failed else [])
    served = ada.ask(method, target, fields, b"{}" if method == "POST" else None)
    if failed:
        assert (answer["answer"]["status"], answer["answer"]["code"]) == (served.status, served.json()["code"])
    else:
        assert served.status == 200 and answer["upstream"]["name"] == "main"
        values = {step["step"]: step["value"] for step in answer["steps"]}
        assert "groups science" in values["cookie"] and "vouched for until" in values["login"]


def test_a_login_that_was_refused_is_told_with_whose_it_is(login_gateway, ada):
    served = ada.fetch("/admins/x")
    told = told_of(login_gateway, served)
    assert served.status == 403 and told["credentials"] == ("failed", "login_session, policy of local /admins, group_missing: local /admins wants one of ml-admins, operators")
    person = login_gateway.entry(ada.fetch("/api/runs").get("x-request-id"))["auth"]["sub"]
    assert told["claims"] == ("note", f"sub {person}") and told["issuer"][1].endswith("us-west-2_LocalStage")


def test_a_login_is_explained_to_people_without_its_cookie(login_gateway, cookie):
    result = login_gateway.command("explain", "GET", "https://localhost:8443/api/runs", "--cookie-file", str(cookie))
    assert result.returncode == 0, result.stderr
    words = [line.split()[0] for line in result.stdout.splitlines()]
    assert words[-6:] == ["credentials", "cookie", "login", "policy", "upstream", "answer"]
    assert not [part for part in secrets_of(cookie) if part in result.stdout]


def test_a_login_is_explained_under_a_configuration_that_nobody_serves_yet(login_gateway, cookie, tmp_path):
    """By the same key ring, from its file; the stricter policy of the new configuration decides."""
    configuration = json.loads(login_gateway.file.read_text())
    stage = json.loads(Path(configuration["stages"][0]).read_text())
    route = next(route for route in stage["routes"] if route["path"] == "/api")
    route["policy"] = {"groups": ["ml-admins"]}
    (tmp_path / "local.yaml").write_text(json.dumps(stage))
    configuration["stages"][0] = str(tmp_path / "local.yaml")
    (tmp_path / "gateway.yaml").write_text(json.dumps(configuration))
    arguments = ["GET", "https://localhost:8443/api/runs", "--cookie-file", str(cookie)]
    assert explained(login_gateway.file, *arguments)["answer"]["code"] == "forwarded"
    answer = explained(tmp_path / "gateway.yaml", *arguments)
    assert outcomes(answer)["cookie"] == "passed" and outcomes(answer)["policy"] == "failed"
    assert (answer["answer"]["status"], answer["answer"]["code"]) == (403, "group_missing")
    assert not [part for part in secrets_of(cookie) if part in json.dumps(answer)]


def test_a_cookie_that_was_changed_and_one_of_a_login_that_was_ended_are_told_apart(login_gateway, ada, cookie, tmp_path):
    changed = tmp_path / "changed"
    value = ada.cookies[SESSION]
    middle = len(value) // 2
    other = value[:middle] + ("A" if value[middle] != "A" else "B") + value[middle + 1 :]
    changed.write_text(cookie.read_text().replace(value, other))
    answer = of_login(login_gateway, changed, "GET", "/")
    assert {step["step"]: step["value"] for step in answer["steps"]}["cookie"] == "login_not_authentic"
    ada.ask("POST", "/oauth2/sign_out", [("Sec-Fetch-Site", "same-origin")], b"")
    answer = of_login(login_gateway, cookie, "GET", "/")
    told = {step["step"]: (step["outcome"], step["value"]) for step in answer["steps"]}
    assert told["cookie"][0] == "passed" and told["login"] == ("failed", "login_ended_revoked")


@pytest.mark.parametrize(
    "fields", [[], [("Accept", "text/html")], [("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")], [("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty")],
               [("Connection", "Upgrade"), ("Upgrade", "websocket")]], ids=str)
def test_without_a_login_it_is_told_who_is_led_to_it_and_who_is_refused(login_gateway, fields):
    result = login_gateway.command("explain", "GET", "https://localhost:8443/x", "--format", "json", *(f"--header={name}: {value}" for name, value in fields))
    answer = json.loads(result.stdout)["answer"]
    served = login_gateway.ask("GET", "/x", fields)
    assert answer["status"] == served.status and answer["code"] == ("login_started" if served.status == 302 else served.json()["code"])
    assert "set-cookie" not in result.stdout.lower() and "code_challenge" not in result.stdout
