"""Logging in: read the stage's configuration, let the browser log in, redeem the code, keep the tokens, ask who we are."""

from __future__ import annotations

import os
import sys
import time
import webbrowser
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable, Optional

from metaflow_extensions.gateway.login import web
from metaflow_extensions.gateway.login.clock import read_clocks
from metaflow_extensions.gateway.login.netrc_entry import check_netrc
from metaflow_extensions.gateway.login.problems import LoginProblem, SetupProblem, Unavailable, printable
from metaflow_extensions.gateway.login.process_lock import lock_for
from metaflow_extensions.gateway.login.profile import Profile, ProfileStore, check_profile_name
from metaflow_extensions.gateway.login.provider import LoginProvider
from metaflow_extensions.gateway.login.stage import Origin, StageConfiguration
from metaflow_extensions.gateway.login.tokens import Tokens

from .authorization_request import AuthorizationRequest
from .loopback import LoopbackReceiver

LOCK_SECONDS = 30.0


@dataclass
class Terminal:
    """How the command talks with a person; an argument, so that tests need neither a browser nor a keyboard."""

    say: Callable[[str], None]
    ask: Callable[[str], str]
    open_browser: Callable[[str], bool]


def standard_terminal() -> Terminal:
    return Terminal(say=lambda text: print(text, file=sys.stderr, flush=True), ask=_ask, open_browser=_open_browser)


def _ask(question: str) -> str:
    print(question, end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline()
    if not line:
        raise SetupProblem("No code was given (the input ended); run the same command again.")
    return line


def _open_browser(url: str) -> bool:
    try:
        return webbrowser.open(url)
    except webbrowser.Error:
        return False


def has_browser(environment: Mapping[str, str], platform: str) -> bool:
    """Whether a browser can open on the screen that the person looks at. Text browsers do not count: they would take the
    terminal over, and login pages need more than they can do."""
    if environment.get("BROWSER"):
        return True
    if platform == "darwin":
        return "SSH_CONNECTION" not in environment
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


def fetch_configuration(origin: Origin) -> tuple[StageConfiguration, dict[str, Any], web.Answer]:
    """Read and check `/cli/config`; the document itself is what is stored."""
    answer = web.send(f"{origin}/cli/config")
    if answer.status == 404:
        raise SetupProblem(f"{origin} has no /cli/config, so it is not a stage of this platform; check the address.")
    if answer.status != 200:
        raise Unavailable(f"{origin} does not give out its configuration now. {answer.message} Try again in a minute.")
    document = answer.json()
    if not isinstance(document, dict):
        raise SetupProblem(
            f"{origin}/cli/config is not JSON, so something else answers there (a captive portal or a proxy?); check the address and the network."
        )
    return StageConfiguration.from_json(document, origin), document, answer


def check_version(configuration: StageConfiguration) -> None:
    outdated = configuration.outdated_extension
    if outdated is not None:
        raise SetupProblem(outdated)


def warnings(answer: web.Answer, origin: Origin) -> list[str]:
    """What will get in the way of runs, though not of the login."""
    found = [web.clock_warning(answer)]
    try:
        check_netrc(origin)
    except SetupProblem as problem:
        found.append(problem.sentence)
    return [sentence for sentence in found if sentence is not None]


def log_in(
    origin: Origin,
    store: ProfileStore,
    terminal: Terminal,
    *,
    profile_name: Optional[str],
    manual: bool,
    timeout: float,
) -> None:
    if profile_name is not None:
        check_profile_name(profile_name)
    configuration, document, answer = fetch_configuration(origin)
    check_version(configuration)
    for sentence in warnings(answer, origin):
        terminal.say(f"Note: {sentence}")
    name = _profile_for(configuration, store, profile_name)
    present = _stored(store, name)
    # Who logs in beside a login that stands wants another one. A provider that answers from its memory would give the time of the old one,
    # which is of no use after signing out everywhere.
    asks_again = present is not None and present.is_logged_in
    tokens = _by_pasting(configuration, terminal, asks_again) if manual else _by_browser(configuration, terminal, timeout, asks_again)
    profile = store.save(name, origin, document, time.time())
    _keep(profile, tokens)
    if profile_name is None or store.current_name() is None:
        store.set_current(name)
    _make_metaflow_profile(name, os.environ)
    _report(profile, tokens, store, terminal)


def _profile_for(configuration: StageConfiguration, store: ProfileStore, given: Optional[str]) -> str:
    name = given if given is not None else check_profile_name(configuration.stage)
    present = _stored(store, name)
    if present is not None and present.is_logged_in and present.configuration.origin != configuration.origin:
        # A run that uses the profile would go on at the other stage.
        raise SetupProblem(
            f"The profile {name} is a login to {present.configuration.origin}; choose another name: "
            f"metaflow-gateway-login {configuration.origin} --profile NAME"
        )
    return name


def _stored(store: ProfileStore, name: str) -> Optional[Profile]:
    """A damaged profile is about to be replaced, so it counts as none."""
    try:
        return store.load(name)
    except LoginProblem:
        return None


def _by_browser(configuration: StageConfiguration, terminal: Terminal, timeout: float, asks_again: bool) -> Tokens:
    receiver = LoopbackReceiver(configuration.redirect_ports)
    try:
        request = AuthorizationRequest(configuration, receiver.redirect_uri, asks_again)
        receiver.start(request.read_callback)
        terminal.say(f"Log in to {configuration.stage} in the browser. If none opens, open this address on this machine:\n\n  {request.url}\n")
        if not terminal.open_browser(request.url):
            terminal.say("No browser could be started here; if yours is on another machine, run this again with --no-browser.")
        try:
            tokens = _redeem(configuration, request, receiver.wait(timeout))
        except LoginProblem as problem:
            receiver.finish(problem)
            raise
        receiver.finish(None)
        return tokens
    finally:
        receiver.close()


def _by_pasting(configuration: StageConfiguration, terminal: Terminal, asks_again: bool) -> Tokens:
    request = AuthorizationRequest(configuration, configuration.manual_redirect_uri, asks_again)
    terminal.say(f"Open this address in a browser on any machine and log in to {configuration.stage}:\n\n  {request.url}\n")
    return _redeem(configuration, request, request.read_pasted(terminal.ask("Paste the code that it shows: ")))


def _redeem(configuration: StageConfiguration, request: AuthorizationRequest, code: str) -> Tokens:
    asked = read_clocks()
    response = LoginProvider(configuration).redeem(code, request.redirect_uri, request.verifier)
    request.check_id_token(response)
    return Tokens.from_login(response, asked)


def _keep(profile: Profile, tokens: Tokens) -> None:
    """Under the lock, so that a refresh of the previous login cannot overwrite this one."""
    lock = lock_for(profile.tokens_lock_path)
    deadline = time.monotonic() + LOCK_SECONDS
    while not lock.try_acquire():
        if time.monotonic() >= deadline:
            raise SetupProblem(
                f"Another process holds {profile.tokens_lock_path} and does not give it back; end the runs that use this login, then log in again."
            )
        time.sleep(0.05)
    try:
        profile.remove_secrets()
        profile.save_tokens(tokens)
    finally:
        lock.release()


def _make_metaflow_profile(name: str, environment: Mapping[str, str]) -> None:
    """`METAFLOW_PROFILE=NAME` must name a file of Metaflow's own, so there is an empty one where the user has none."""
    home = os.path.expanduser(environment.get("METAFLOW_HOME", "~/.metaflowconfig"))
    path = os.path.join(home, f"config_{name}.json")
    try:
        os.makedirs(home, exist_ok=True)
        with open(path, "x", encoding="utf-8") as file:
            file.write("{}\n")
    except OSError:
        # There is one already, or the folder is not ours to write: METAFLOW_GATEWAY_PROFILE works without it.
        pass


def _report(profile: Profile, tokens: Tokens, store: ProfileStore, terminal: Terminal) -> None:
    configuration = profile.configuration
    identity = who_am_i(configuration, tokens.access_token)
    terminal.say(f"You are logged in to {configuration.stage} as {identity}.")
    if not tokens.refresh_token:
        terminal.say(
            f"Note: the login provider gave no refresh token, so this login ends in {tokens.access_seconds / 60:.0f} min."
        )
    if configuration.identity_pool is not None and not tokens.id_token:
        terminal.say("Note: the login provider gave no ID token, so artifacts in S3 need AWS credentials of your own.")
    if store.current_name() == profile.name:
        terminal.say("Next: python FLOW.py run")
    else:
        terminal.say(f"Next: METAFLOW_PROFILE={profile.name} python FLOW.py run")


def who_am_i(configuration: StageConfiguration, access_token: str) -> str:
    """The gateway's own word on who this token is. Raises with its sentence if it refuses the token."""
    answer = web.send(f"{configuration.origin}/cli/whoami", bearer=access_token)
    document = answer.json()
    if answer.status == 503:
        raise Unavailable(f"The login is stored, but {configuration.origin} does not answer now. {answer.message}")
    if answer.status != 200 or not isinstance(document, dict):
        raise SetupProblem(f"The login is stored, but {configuration.origin} refuses it. {answer.message}")
    user = document.get("user_name") or document.get("subject") or "an unnamed user"
    groups = document.get("groups")
    names = ", ".join(printable(str(g), 60) for g in groups[:10]) if isinstance(groups, list) and groups else "no groups"
    return f"{printable(str(user), 100)} ({names})"


