"""The command, from its arguments to what it stores and says, against a stage on loopback."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Callable, Optional
from urllib.parse import parse_qs, urlsplit

import pytest
from conftest import PACKAGE, ScriptedTerminal, follow_by_hand, log_in, stored_profile, visit
from metaflow_extensions.gateway.login.problems import LoginRequired
from metaflow_extensions.gateway.login.profile import ProfileStore
from metaflow_gateway_login.authorization_request import AuthorizationRequest
from metaflow_gateway_login.command_line import main
from metaflow_gateway_login.login import has_browser
from scripted_stage import CLIENT_ID, ScriptedStage, free_ports
from test_stage_configuration import document, read


def refused(stage: ScriptedStage, *arguments: str, person: Optional[ScriptedTerminal] = None) -> str:
    """The last sentence of a login that must fail, and must leave nothing behind."""
    talk = person or ScriptedTerminal()
    assert main([stage.url, *arguments], talk.terminal()) == 1
    assert ProfileStore.of(os.environ).names() == []
    return talk.said[-1]


def test_a_login_stores_tokens_and_says_who_and_what_next(stage: ScriptedStage) -> None:
    person = log_in(stage)
    assert "You are logged in to alpha as ada (science)." in person.said
    assert person.said[-1] == "Next: python FLOW.py run"
    profile = stored_profile("alpha")
    tokens = profile.load_tokens()
    assert tokens.refresh_token and tokens.id_token and tokens.access_seconds == 3600
    assert ProfileStore.of(os.environ).current_name() == "alpha"
    assert person.pages[0][0] == 200 and "You are logged in" in person.pages[0][1]
    assert (stage.redemptions, stage.refreshes) == (1, 0)


def test_the_browser_gets_a_request_with_state_nonce_and_a_proof_key(stage: ScriptedStage) -> None:
    first, second = log_in(stage), log_in(stage)
    queries = [parse_qs(urlsplit(url).query) for url in (first.opened[0], second.opened[0])]
    for query in queries:
        assert query["response_type"] == ["code"] and query["client_id"] == [CLIENT_ID]
        assert query["redirect_uri"] == [f"http://localhost:{stage.redirect_ports[0]}/callback"]
        assert query["scope"] == ["openid profile"] and query["code_challenge_method"] == ["S256"]
        assert all(len(query[name][0]) == 43 for name in ("state", "nonce", "code_challenge"))
    for name in ("state", "nonce", "code_challenge"):
        assert queries[0][name] != queries[1][name]


def test_a_proof_key_is_made_as_the_standard_says(stage: ScriptedStage) -> None:
    request = AuthorizationRequest(read(document()), "http://localhost:8400/callback", verifier="dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    assert request.challenge == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"  # RFC 7636 appendix B


@pytest.mark.parametrize("paste", ["code", "code#state", "address", "spaces"])
def test_without_a_browser_the_shown_code_is_pasted(stage: ScriptedStage, paste: str) -> None:
    def person_logs_in(link: str) -> str:
        callback = follow_by_hand(link)
        assert callback.startswith(f"{stage.url}/cli/callback?")
        fields = {name: values[0] for name, values in parse_qs(urlsplit(callback).query).items()}
        return {
            "code": fields["code"],
            "code#state": f"{fields['code']}#{fields['state']}",
            "address": callback,
            "spaces": f"  {fields['code']} \n",
        }[paste]

    person = ScriptedTerminal(pasted=person_logs_in)
    assert main([stage.url, "--no-browser"], person.terminal()) == 0, person.text
    assert person.opened == []
    assert stored_profile("alpha").load_tokens().refresh_token


@pytest.mark.parametrize(
    ("pasted", "words"),
    [
        ("", "not a code"),
        ("a b", "not a code"),
        ("x" * 5000, "not a code"),
        ("code#another-state", "another login"),
        ("https://alpha.example.org/cli/callback?code=x&state=y", "another login"),
        ("https://alpha.example.org/cli/callback?code=x", "another login"),
        ("never-given-out", "run the same command again"),
    ],
)
def test_a_wrong_paste_is_one_sentence(stage: ScriptedStage, pasted: str, words: str) -> None:
    person = ScriptedTerminal(pasted=lambda _: pasted)
    assert words in refused(stage, "--no-browser", person=person)


def test_where_no_browser_can_open_the_command_asks_for_the_code_by_itself(stage: ScriptedStage, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    person = ScriptedTerminal(pasted=lambda link: follow_by_hand(link))
    assert main([stage.url], person.terminal()) == 0, person.text
    assert "--no-browser" in person.said[0] and person.opened == []


@pytest.mark.parametrize(
    ("environment", "platform", "expected"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({"BROWSER": "wslview"}, "linux", True),
        ({}, "darwin", True),
        ({"SSH_CONNECTION": "x"}, "darwin", False),
        ({"SSH_CONNECTION": "x", "DISPLAY": "localhost:10"}, "linux", True),
    ],
)
def test_a_text_browser_does_not_count(environment: dict[str, str], platform: str, expected: bool) -> None:
    assert has_browser(environment, platform) is expected


def test_the_next_port_is_taken_when_one_is_busy(stage: ScriptedStage) -> None:
    busy = socket.create_server(("127.0.0.1", stage.redirect_ports[0]))
    try:
        person = log_in(stage)
    finally:
        busy.close()
    assert f"localhost%3A{stage.redirect_ports[1]}%2Fcallback" in person.opened[0]


def test_when_all_ports_are_busy_the_sentence_names_them_and_the_way_out(stage: ScriptedStage) -> None:
    servers = [socket.create_server(("127.0.0.1", port)) for port in stage.redirect_ports]
    try:
        sentence = refused(stage)
    finally:
        for server in servers:
            server.close()
    assert all(str(port) in sentence for port in stage.redirect_ports) and "--no-browser" in sentence


def test_a_strangers_callback_does_not_end_the_login(stage: ScriptedStage) -> None:
    pages: list[int] = []

    def browse(url: str) -> None:
        base = f"http://localhost:{stage.redirect_ports[0]}"
        right = follow_by_hand(url)
        query = urlsplit(right).query
        pages.append(visit(f"{base}/callback?code=stolen&state=guess")[0])
        pages.append(visit(f"{base}/callback?code=stolen")[0])
        pages.append(visit(f"{base}/callback?error=access_denied&state=guess")[0])
        pages.append(visit(f"{base}/callback?{query}&state=again")[0])
        pages.append(visit(f"{base}/callback?{'a=1&' * 50}")[0])
        pages.append(visit(f"{base}/favicon.ico")[0])
        pages.append(visit(f"{base}/callback?{query}", {"Host": "evil.example.org"})[0])
        pages.append(visit(right)[0])

    person = ScriptedTerminal(browse=browse)
    assert main([stage.url], person.terminal()) == 0, person.text
    person.wait_for_the_browser()
    assert pages == [400, 400, 400, 400, 400, 404, 404, 200]
    assert stage.redemptions == 1


def test_a_browsers_idle_connections_hold_nothing_up(stage: ScriptedStage) -> None:
    idle: list[socket.socket] = []

    def browse(url: str) -> None:
        idle.extend(socket.create_connection(("127.0.0.1", stage.redirect_ports[0])) for _ in range(5))
        visit(url)

    person = ScriptedTerminal(browse=browse)
    assert main([stage.url], person.terminal()) == 0, person.text
    person.wait_for_the_browser()
    for each in idle:
        each.close()


def test_the_page_has_nothing_that_could_leak_the_code(stage: ScriptedStage) -> None:
    answers: list[Any] = []

    def browse(url: str) -> None:
        import urllib.request

        with urllib.request.urlopen(url) as answer:
            answers.append(dict(answer.headers))

    person = ScriptedTerminal(browse=browse)
    assert main([stage.url], person.terminal()) == 0
    person.wait_for_the_browser()
    assert answers[0]["Referrer-Policy"] == "no-referrer" and answers[0]["Cache-Control"] == "no-store"
    assert answers[0]["Content-Security-Policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("error=access_denied&error_description=not%20in%20the%20group", "not in the group"),
        ("error=access_denied", "ask the operators"),
        ("error=server_error&error_description=%1b%5b2Jx", "server_error"),
    ],
)
def test_what_the_provider_reports_instead_of_a_code_is_told(stage: ScriptedStage, query: str, words: str) -> None:
    pages: list[tuple[int, str]] = []
    finished = threading.Event()

    def browse(url: str) -> None:
        state = parse_qs(urlsplit(url).query)["state"][0]
        pages.append(visit(f"http://localhost:{stage.redirect_ports[0]}/callback?{query}&state={state}"))
        finished.set()

    sentence = refused(stage, person=ScriptedTerminal(browse=browse))
    assert words in sentence and "\x1b" not in sentence
    assert finished.wait(30)
    assert pages[0][0] == 400 and "The login failed" in pages[0][1] and words in pages[0][1]


def test_a_login_that_nobody_finishes_ends_in_a_sentence(stage: ScriptedStage) -> None:
    assert "Nobody logged in within 1 s" in refused(stage, "--timeout", "1", person=ScriptedTerminal(browse=lambda _: None))


def test_the_page_tells_when_the_code_could_not_be_redeemed(stage: ScriptedStage) -> None:
    stage.token_answer = (400, "application/json", b'{"error": "invalid_grant"}')
    pages: list[tuple[int, str]] = []
    finished = threading.Event()

    def browse(url: str) -> None:
        pages.append(visit(url))
        finished.set()

    assert "run the same command again" in refused(stage, person=ScriptedTerminal(browse=browse))
    assert finished.wait(30)
    assert pages[0][0] == 400 and "The login failed" in pages[0][1]


def test_an_id_token_of_another_login_is_refused(stage: ScriptedStage) -> None:
    stage.wrong_nonce = True
    assert "nonce differs" in refused(stage)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((404, "text/html", b"<html>"), "is not a stage"),
        ((200, "text/html", b"<html>hotel</html>"), "captive portal"),
        ((200, "application/json", b"[]"), "is not JSON"),
        ((200, "application/json", b"{}"), "settings"),
        ((503, "application/json", b'{"message": "The gateway is draining."}'), "The gateway is draining."),
        ((302, "text/html", b""), "302"),
    ],
)
def test_an_address_that_is_no_stage_is_one_sentence(stage: ScriptedStage, answer: tuple[int, str, bytes], words: str) -> None:
    stage.config_answer = answer
    assert words in refused(stage)


def test_an_old_wheel_is_told_how_to_become_new(stage: ScriptedStage) -> None:
    name = "metaflow_gateway_extension-7.1.0-py3-none-any.whl"
    stage.config_changes = {"minimum_extension_version": "7.0.0", "wheel": {"name": name, "sha256": "0" * 64}}
    assert f"pip install --upgrade {stage.url}/cli/{name}" in refused(stage)


def test_a_refusal_by_the_gateway_is_passed_on(stage: ScriptedStage) -> None:
    stage.whoami_answer = (403, {"message": "You are in none of the groups science."})
    person = ScriptedTerminal()
    assert main([stage.url], person.terminal()) == 1
    assert "You are in none of the groups science." in person.said[-1]


@pytest.mark.parametrize("offset", [420.0, -86400.0])
def test_a_wrong_clock_is_told_and_the_login_works(stage: ScriptedStage, offset: float) -> None:
    stage.date_offset = offset
    person = log_in(stage)
    assert any(said.startswith("Note: This machine's clock is") for said in person.said)
    assert stored_profile("alpha").load_tokens().access_seconds == 3600


def test_a_netrc_entry_is_told_at_login(stage: ScriptedStage, home: Path) -> None:
    (home / ".netrc").write_text("machine 127.0.0.1 login a password b")
    (home / ".netrc").chmod(0o600)
    assert any("NETRC=/dev/null" in said for said in log_in(stage).said)


def test_a_login_without_a_refresh_token_says_when_it_ends(stage: ScriptedStage) -> None:
    stage.gives_refresh_token = False
    assert any("ends in 60 min" in said for said in log_in(stage).said)


def test_stages_live_side_by_side(stage: ScriptedStage, second_stage: ScriptedStage, home: Path) -> None:
    log_in(stage)
    log_in(second_stage, "--profile", "play")
    store = ProfileStore.of(os.environ)
    assert store.names() == ["alpha", "play"] and store.current_name() == "alpha"
    assert stored_profile("alpha").load_tokens().access_token != stored_profile("play").load_tokens().access_token
    log_in(second_stage)
    assert store.names() == ["alpha", "play", "sandbox"] and store.current_name() == "sandbox"
    assert sorted(os.listdir(home / ".metaflowconfig")) == ["config_alpha.json", "config_play.json", "config_sandbox.json"]


def test_a_metaflow_profile_that_the_user_has_is_left_alone(stage: ScriptedStage, home: Path) -> None:
    (home / ".metaflowconfig").mkdir()
    (home / ".metaflowconfig" / "config_alpha.json").write_text('{"METAFLOW_USER": "ada"}')
    log_in(stage)
    assert (home / ".metaflowconfig" / "config_alpha.json").read_text() == '{"METAFLOW_USER": "ada"}'


def test_a_stage_of_the_same_name_elsewhere_needs_a_profile_name(stage: ScriptedStage, make_stage: Callable[..., ScriptedStage]) -> None:
    log_in(stage)
    other = make_stage("alpha")
    person = ScriptedTerminal()
    assert main([other.url], person.terminal()) == 1
    assert "--profile NAME" in person.said[-1] and stage.url in person.said[-1]
    assert main([other.url, "--profile", "alpha"], person.terminal()) == 1
    assert stored_profile("alpha").configuration.origin.port == stage.port
    log_in(other, "--profile", "other")
    assert main(["--logout", "--profile", "alpha"], person.terminal()) == 0
    log_in(other, "--profile", "alpha")


def test_tokens_are_never_used_for_another_stage_than_their_own(stage: ScriptedStage, second_stage: ScriptedStage) -> None:
    log_in(stage)
    log_in(second_stage)
    alpha, sandbox = stored_profile("alpha"), stored_profile("sandbox")
    Path(sandbox.tokens_path).write_bytes(Path(alpha.tokens_path).read_bytes())
    with pytest.raises(LoginRequired):
        sandbox.load_tokens()


def test_logging_in_beside_a_login_that_stands_asks_the_person_again(stage: ScriptedStage) -> None:
    """A provider that answers from its memory gives the time of the old login, which signing out everywhere has ended."""
    prompts = [parse_qs(urlsplit(log_in(stage).opened[0]).query).get("prompt") for _ in range(2)]
    assert main(["--logout"], ScriptedTerminal().terminal()) == 0
    prompts.append(parse_qs(urlsplit(log_in(stage).opened[0]).query).get("prompt"))
    assert prompts == [None, ["login"], None]


def test_logging_in_again_needs_no_address(stage: ScriptedStage) -> None:
    log_in(stage)
    for arguments in ([], ["--profile", "alpha"]):
        person = ScriptedTerminal()
        assert main(arguments, person.terminal()) == 0, person.text
    assert stage.redemptions == 3


def test_a_new_login_waits_for_a_refresh_that_is_going_on(stage: ScriptedStage) -> None:
    log_in(stage)
    profile = stored_profile("alpha")
    holder = subprocess.Popen(
        [sys.executable, "-c", "import sys; from metaflow_extensions.gateway.login.process_lock import lock_for; assert lock_for(sys.argv[1]).try_acquire(); print('held', flush=True); sys.stdin.read()", profile.tokens_lock_path],
        env={**os.environ, "PYTHONPATH": str(PACKAGE / "source")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None and holder.stdin is not None and holder.stdout.readline() == "held\n"
    before = profile.load_tokens()
    codes: list[int] = []
    person = ScriptedTerminal()
    thread = threading.Thread(target=lambda: codes.append(main([stage.url], person.terminal())))
    thread.start()
    thread.join(1.0)
    assert thread.is_alive() and profile.load_tokens() == before
    holder.stdin.close()
    holder.wait()
    thread.join(30)
    assert codes == [0] and profile.load_tokens() != before


def test_status_shows_each_login_and_tries_it(stage: ScriptedStage, second_stage: ScriptedStage, capsys: pytest.CaptureFixture[str]) -> None:
    log_in(stage)
    log_in(second_stage)
    assert main(["--status"]) == 0
    shown = capsys.readouterr().out
    assert f"  alpha  {stage.url}" in shown and f"* sandbox  {second_stage.url}" in shown
    assert shown.count("logged in as ada (science)") == 2
    assert main(["--status", "--json"]) == 0
    alpha, sandbox = json.loads(capsys.readouterr().out)
    assert (alpha["profile"], alpha["current"], alpha["works"]) == ("alpha", False, True)
    assert sandbox["current"] and 3590 < sandbox["seconds_left"] <= 3600
    assert main(["--status", "--profile", "alpha", "--json"]) == 0
    assert [each["profile"] for each in json.loads(capsys.readouterr().out)] == ["alpha"]


def test_status_of_a_dead_login_fails_with_the_remedy(stage: ScriptedStage, capsys: pytest.CaptureFixture[str]) -> None:
    stage.access_seconds = 0.0
    person = ScriptedTerminal()
    main([stage.url], person.terminal())
    stage.kill_refresh_tokens()
    assert main(["--status"]) == 1
    assert f"run: metaflow-gateway-login {stage.url}" in capsys.readouterr().out


def test_status_takes_over_changed_settings(stage: ScriptedStage, capsys: pytest.CaptureFixture[str]) -> None:
    log_in(stage)
    stage.config_changes = {"settings": {**stage.config()["settings"], "METAFLOW_DATASTORE_SYSROOT_S3": "s3://new/metaflow"}}
    assert main(["--status"]) == 0
    assert "settings had changed" in capsys.readouterr().out
    assert stored_profile("alpha").configuration.settings["METAFLOW_DATASTORE_SYSROOT_S3"] == "s3://new/metaflow"
    assert main(["--status"]) == 0
    assert "settings had changed" not in capsys.readouterr().out


def test_status_does_not_take_over_another_provider(stage: ScriptedStage, capsys: pytest.CaptureFixture[str]) -> None:
    log_in(stage)
    stage.config_changes = {"client_id": "another-client"}
    assert main(["--status"]) == 0
    assert "another login provider" in capsys.readouterr().out
    assert stored_profile("alpha").configuration.client_id == CLIENT_ID


def test_status_of_an_old_wheel_fails_with_the_remedy(stage: ScriptedStage, capsys: pytest.CaptureFixture[str]) -> None:
    log_in(stage)
    stage.config_changes = {"minimum_extension_version": "7.0.0"}
    assert main(["--status"]) == 1
    assert "pip install --upgrade" in capsys.readouterr().out


def test_logout_revokes_and_removes_every_secret(stage: ScriptedStage) -> None:
    person = log_in(stage)
    profile = stored_profile("alpha")
    refresh_token = profile.load_tokens().refresh_token
    Path(profile.credentials_path).write_text("{}")
    assert main(["--logout"], person.terminal()) == 0
    assert stage.revoked == [refresh_token]
    assert not os.path.exists(profile.tokens_path) and not os.path.exists(profile.credentials_path)
    assert ProfileStore.of(os.environ).current_name() is None
    for folder, _, files in os.walk(ProfileStore.of(os.environ).folder):
        for file in files:
            assert refresh_token not in Path(folder, file).read_text()
    assert main(["--logout"], person.terminal()) == 1
    assert "not logged in anywhere" in person.said[-1]
    assert main(["--logout", "--profile", "alpha"], person.terminal()) == 0
    assert "were not logged in" in person.said[-1]


def test_logout_of_one_stage_leaves_the_other(stage: ScriptedStage, second_stage: ScriptedStage) -> None:
    log_in(stage)
    person = log_in(second_stage)
    assert main(["--logout", stage.url], person.terminal()) == 0
    assert second_stage.revoked == [] and stored_profile("sandbox").load_tokens().refresh_token
    assert ProfileStore.of(os.environ).current_name() == "sandbox"


def test_logout_while_the_provider_is_down_removes_the_tokens_and_says_what_is_left(stage: ScriptedStage) -> None:
    person = log_in(stage)
    stage.outage_ends = float("inf")
    assert main(["--logout"], person.terminal()) == 1
    assert "not revoked" in person.said[-1]
    assert not os.path.exists(stored_profile("alpha").tokens_path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["http://alpha.example.org"], "not the address of a stage"),
        (["--profile", "Bad Name", "https://alpha.example.org"], "cannot name a profile"),
        (["https://alpha.example.org"], "cannot be reached through the proxy"),
        ([], "not logged in anywhere"),
        (["--status"], "not logged in anywhere"),
        (["--logout"], "not logged in anywhere"),
        (["--logout", "--profile", "x"], "no login named x"),
        (["--logout", "https://alpha.example.org"], "no login to https://alpha.example.org"),
        (["--status", "--profile", "../x"], "cannot name a profile"),
    ],
)
def test_wrong_arguments_are_one_sentence(monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str) -> None:
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{free_ports(1)[0]}")
    person = ScriptedTerminal()
    assert main(arguments, person.terminal()) == 1
    assert words in person.said[-1] and "\n" not in person.said[-1]


@pytest.mark.parametrize("arguments", [["--status", "--logout"], ["--json"], ["--timeout", "0"], ["--timeout", "x"], ["--nonsense"], ["a", "b"]])
def test_wrong_usage_exits_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    capsys.readouterr()


def test_the_installed_command_runs_and_reads_the_code_from_its_input(stage: ScriptedStage, installed: Path) -> None:
    command = subprocess.Popen(
        [sys.executable, str(installed / "bin" / "metaflow-gateway-login"), stage.url, "--no-browser"],
        env={**os.environ, "PYTHONPATH": str(installed)},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert command.stderr is not None and command.stdin is not None
    link = ""
    while "/oauth2/authorize?" not in link:
        link = command.stderr.readline()
        assert link, "the command ended early"
    code = parse_qs(urlsplit(follow_by_hand(link.strip())).query)["code"][0]
    _, rest = command.communicate(code + "\n", timeout=60)
    assert command.returncode == 0, rest
    assert "You are logged in to alpha as ada" in rest


def test_no_token_and_no_code_is_said(stage: ScriptedStage, capfd: pytest.CaptureFixture[str]) -> None:
    person = log_in(stage)
    tokens = stored_profile("alpha").load_tokens()
    main(["--status"])
    output = capfd.readouterr()
    for secret in (tokens.access_token, tokens.id_token, tokens.refresh_token):
        assert secret not in person.text + output.out + output.err
    assert "GET /callback" not in output.err
