"""The command's arguments and exit codes: 0 done, 1 a problem (its sentence is on standard error), 2 wrong usage, 130 interrupted."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import Optional

from metaflow_extensions.gateway.login.problems import LoginProblem, LoginRequired, SetupProblem
from metaflow_extensions.gateway.login.profile import PROFILE_VARIABLE, Profile, ProfileStore, check_profile_name
from metaflow_extensions.gateway.login.stage import Origin, stage_origin
from metaflow_extensions.gateway.login.version import VERSION

from .login import Terminal, has_browser, log_in, standard_terminal
from .logout import log_out
from .status import look_at

DESCRIPTION = """Log in to a stage of the Metaflow platform, once; runs refresh the login by themselves.

  metaflow-gateway-login https://HOST                log in; later runs use this stage
  metaflow-gateway-login https://HOST --no-browser   the same where the browser is on another machine
  metaflow-gateway-login --status                    show all logins and try them
  metaflow-gateway-login --logout                    revoke and remove the login

Several stages live side by side, each under its stage's name or under --profile NAME. A run uses the one that
METAFLOW_PROFILE (or METAFLOW_GATEWAY_PROFILE) names, else the one that was logged in to last without --profile;
METAFLOW_GATEWAY_PROFILE=off leaves Metaflow alone."""


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="metaflow-gateway-login", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stage", nargs="?", metavar="https://HOST", help="the stage; may be left out to log in again")
    parser.add_argument("--profile", metavar="NAME", help="keep or look up the login under this name")
    parser.add_argument("--no-browser", action="store_true", help="print the address and ask for the code that it shows")
    parser.add_argument("--timeout", type=_seconds, default=300.0, metavar="SECONDS", help="how long to wait for the browser (300)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--status", action="store_true", help="show the logins and try them")
    what.add_argument("--logout", action="store_true", help="revoke the login and remove it from this machine")
    parser.add_argument("--json", action="store_true", help="with --status: print JSON on standard output")
    parser.add_argument("--version", action="version", version=f"metaflow_gateway_extension {VERSION}")
    return parser


def _seconds(text: str) -> float:
    value = float(text)
    if not 1 <= value <= 3600:
        raise argparse.ArgumentTypeError("write 1 to 3600 seconds")
    return value


def main(argv: Optional[Sequence[str]] = None, terminal: Optional[Terminal] = None) -> int:
    parser = arguments()
    options = parser.parse_args(argv)
    if options.json and not options.status:
        parser.error("--json goes with --status")
    talk = terminal or standard_terminal()
    try:
        store = ProfileStore.of(os.environ)
        if options.status:
            return _status(store, options)
        if options.logout:
            log_out(_chosen(store, options), store, talk)
            return 0
        manual = options.no_browser
        if not manual and not has_browser(os.environ, sys.platform):
            talk.say("There is no browser on this machine's screen, so log in with a code (as with --no-browser).")
            manual = True
        log_in(
            _origin(store, options),
            store,
            talk,
            profile_name=options.profile,
            manual=manual,
            timeout=options.timeout,
        )
        return 0
    except LoginProblem as problem:
        talk.say(problem.sentence)
        return 1
    except KeyboardInterrupt:
        talk.say("Interrupted.")
        return 130


def _origin(store: ProfileStore, options: argparse.Namespace) -> Origin:
    if options.stage is not None:
        return stage_origin(options.stage)
    return _chosen(store, options).configuration.origin


def _chosen(store: ProfileStore, options: argparse.Namespace) -> Profile:
    """The profile that the arguments, else the environment, else the last login name."""
    if options.profile is not None:
        named = check_profile_name(options.profile)
        profile = store.load(named)
        if profile is None:
            known = ", ".join(store.names()) or "none"
            raise SetupProblem(f"There is no login named {named} (there are: {known}); run: metaflow-gateway-login https://HOST --profile {named}")
    elif options.stage is not None:
        origin = stage_origin(options.stage)
        profiles = store.by_origin(origin)
        if len(profiles) > 1:
            raise SetupProblem(f"There are several logins to {origin}; choose one: --profile {' or '.join(p.name for p in profiles)}")
        profile = profiles[0] if profiles else None
        if profile is None:
            raise LoginRequired(f"There is no login to {origin}; run: metaflow-gateway-login {origin}")
    else:
        profile = store.choose(os.environ, None)
        if profile is None:
            raise LoginRequired("You are not logged in anywhere; run: metaflow-gateway-login https://HOST")
    return profile


def _status(store: ProfileStore, options: argparse.Namespace) -> int:
    """The exit code is that of the profile that a run here would use."""
    if options.profile is not None or options.stage is not None or os.environ.get(PROFILE_VARIABLE):
        profiles = [_chosen(store, options)]
    else:
        loaded = (store.load(name) for name in store.names())
        profiles = [p for p in loaded if p is not None]
    if not profiles:
        raise LoginRequired("You are not logged in anywhere; run: metaflow-gateway-login https://HOST")
    found = [look_at(profile, store) for profile in profiles]
    if options.json:
        print(json.dumps([status.to_json() for status in found], indent=1))
    else:
        for status in found:
            print("\n".join(status.lines()))
    decisive = [s for s in found if s.is_current] or found
    return 0 if all(s.works for s in decisive) else 1
