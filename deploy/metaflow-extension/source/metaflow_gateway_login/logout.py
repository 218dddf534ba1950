"""Logging out: the refresh token is revoked at the provider, then everything secret of the profile is removed."""

from __future__ import annotations

import time

from metaflow_extensions.gateway.login.problems import LoginProblem, LoginRequired, SetupProblem, Unavailable
from metaflow_extensions.gateway.login.process_lock import lock_for
from metaflow_extensions.gateway.login.profile import Profile, ProfileStore
from metaflow_extensions.gateway.login.provider import LoginProvider

from .login import LOCK_SECONDS, Terminal


def log_out(profile: Profile, store: ProfileStore, terminal: Terminal) -> None:
    """The stage's description stays, so that a run which still uses the profile says what happened."""
    stage = profile.configuration.stage
    lock = lock_for(profile.tokens_lock_path)
    deadline = time.monotonic() + LOCK_SECONDS
    held = lock.try_acquire()
    while not held and time.monotonic() < deadline:
        time.sleep(0.05)
        held = lock.try_acquire()
    try:
        try:
            tokens = profile.load_tokens()
        except LoginRequired:
            store.forget_current(profile.name)
            terminal.say(f"You were not logged in to {stage}.")
            return
        except SetupProblem:
            # A damaged file holds nothing that could be revoked.
            profile.remove_secrets()
            store.forget_current(profile.name)
            raise
        failure: LoginProblem | None = None
        if tokens.refresh_token and not tokens.ended:
            try:
                LoginProvider(profile.configuration).revoke(tokens.refresh_token)
            except LoginProblem as problem:
                failure = problem
        profile.remove_secrets()
        store.forget_current(profile.name)
    finally:
        if held:
            lock.release()
    if failure is not None:
        raise Unavailable(
            f"The tokens are removed from this machine, but they are not revoked: {failure.sentence} "
            "If this machine may be compromised, ask the operators to sign you out."
        )
    terminal.say(f"You are logged out of {stage}; its refresh token is revoked.")
