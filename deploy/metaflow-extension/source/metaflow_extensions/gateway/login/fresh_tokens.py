"""A fresh token for every request, with one refresh at a time among all the processes of all runs."""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from typing import Callable, Optional

from . import web
from .clock import Reading, read_clocks
from .private_file import Signature, file_signature
from .problems import LoginProblem, LoginRequired, Unavailable
from .process_lock import ProcessLock, lock_for
from .profile import Profile
from .provider import LoginProvider
from .stage import StageConfiguration
from .tokens import Decision, Tokens, TokenUse
from .uninterrupted import run_uninterrupted

WAIT_VARIABLE = "METAFLOW_GATEWAY_WAIT_SECONDS"
WAIT_SECONDS = 120.0
"""How long one request waits for a provider that is down, once the token has ended. Metaflow tries each request five
times, so a run survives an outage of about ten minutes beyond its token's life."""
POLL_SECONDS = 0.05
CONFIGURATION_AGE_MAX = 86400.0
"""Seconds after which the stage's minimum version is looked up again."""
CONFIGURATION_TIMEOUT = 3.0


def wait_seconds() -> float:
    try:
        return min(max(float(os.environ.get(WAIT_VARIABLE, WAIT_SECONDS)), 0.0), 86400.0)
    except ValueError:
        return WAIT_SECONDS


def say(sentence: str) -> None:
    """A word to the person who watches the run."""
    try:
        print(f"metaflow-gateway: {sentence}", file=sys.stderr, flush=True)
    except (OSError, ValueError):
        pass


class FreshTokens:
    """The tokens of one profile. All processes share them through the profile's file; nothing is kept that the file
    does not hold, so a login or logout in another window takes effect at the next request."""

    def __init__(
        self,
        profile: Profile,
        *,
        provider: Optional[LoginProvider] = None,
        clock: Callable[[], Reading] = read_clocks,
        pause: Callable[[float], None] = time.sleep,
        tell: Callable[[str], None] = say,
        wait: Optional[float] = None,
    ) -> None:
        self.profile = profile
        self._provider = provider or LoginProvider(profile.configuration)
        self._clock = clock
        self._pause = pause
        self._tell = tell
        self._wait = wait
        self._lock: ProcessLock = lock_for(profile.tokens_lock_path)
        self._guard = threading.RLock()
        self._seen: Optional[tuple[Signature, Tokens]] = None
        self._told: set[str] = set()
        os.register_at_fork(after_in_child=self._forget_threads)

    def _forget_threads(self) -> None:
        self._guard = threading.RLock()

    def access_token(self) -> str:
        """For the Authorization header. Raises `LoginRequired`, `Unavailable` (after waiting) or `SetupProblem`."""
        return self._fresh(TokenUse.ACCESS).access_token

    def id_token(self) -> str:
        """For the identity pool. Raises as `access_token` does."""
        return self._fresh(TokenUse.ID).id_token

    def _fresh(self, use: TokenUse) -> Tokens:
        with self._guard:
            tokens = self._load()
            decision = tokens.decide(use, self._clock())
            if decision is Decision.USE_AND_REFRESH:
                self._try_refresh(use)
                # A try may have taken so long that the token has ended meanwhile.
                tokens = self._load()
                decision = tokens.decide(use, self._clock())
            if decision in (Decision.USE, Decision.USE_AND_REFRESH):
                return tokens
            return self._await_fresh(use)

    def _await_fresh(self, use: TokenUse) -> Tokens:
        """The token has ended: refresh it, or wait for whoever is refreshing it, or for the provider to come back."""
        limit = self._wait if self._wait is not None else wait_seconds()
        started = self._clock()
        while True:
            tokens = self._load()
            decision = tokens.decide(use, self._clock())
            if decision in (Decision.USE, Decision.USE_AND_REFRESH):
                return tokens
            if decision is Decision.LOGIN_REQUIRED:
                raise self._login_required(tokens, use)
            if decision is Decision.REFRESH and self._try_refresh(use):
                continue
            if self._clock().elapsed(started) >= limit:
                raise Unavailable(tokens.trouble or "Another process holds the login's lock and does not give it back.")
            if tokens.trouble:
                self._tell_once(f"{tokens.trouble} Waiting up to {limit:.0f} s for it.")
            self._pause(POLL_SECONDS * (0.5 + random.random()))

    def _try_refresh(self, use: TokenUse) -> bool:
        """Refresh if no other process is at it, unless one has done so since we looked; whether the lock was ours."""
        return run_uninterrupted(lambda: self._refresh_under_lock(use))

    def _refresh_under_lock(self, use: TokenUse) -> bool:
        if not self._lock.try_acquire():
            return False
        try:
            tokens = self.profile.load_tokens()
            if tokens.decide(use, self._clock()) in (Decision.REFRESH, Decision.USE_AND_REFRESH):
                self._exchange(tokens)
        finally:
            self._lock.release()
        return True

    def _exchange(self, tokens: Tokens) -> None:
        asked = self._clock()
        try:
            response = self._provider.refresh(tokens.refresh_token)
        except LoginRequired as problem:
            self.profile.save_tokens(tokens.refused(problem.sentence))
            self._tell_once(problem.sentence)
        except Unavailable as problem:
            self.profile.save_tokens(tokens.failed(self._clock(), problem.sentence, problem.retry_after, random.random()))
        else:
            self.profile.save_tokens(tokens.renewed(response, asked))
            self._look_for_a_new_minimum(asked)

    def _look_for_a_new_minimum(self, now: Reading) -> None:
        """Logins last for weeks, so ask now and then, beside a refresh, whether this extension is still new enough. The
        stage's settings stay as they are: a run must not change its datastore half-way."""
        if now.wall - self.profile.fetched_at < CONFIGURATION_AGE_MAX:
            return
        origin = self.profile.configuration.origin
        try:
            answer = web.send(f"{origin}/cli/config", timeout=CONFIGURATION_TIMEOUT)
            outdated = StageConfiguration.from_json(answer.json(), origin).outdated_extension
        except LoginProblem:
            return
        if outdated is not None:
            self._tell_once(outdated)

    def _load(self) -> Tokens:
        signature = file_signature(self.profile.tokens_path)
        if self._seen is not None and signature == self._seen[0]:
            return self._seen[1]
        tokens = self.profile.load_tokens()
        if signature is not None:
            self._seen = (signature, tokens)
        return tokens

    def _login_required(self, tokens: Tokens, use: TokenUse) -> LoginRequired:
        if use is TokenUse.ID and not tokens.id_token:
            return LoginRequired(
                f"Your login to {self.profile.configuration.stage} holds no ID token, which its artifact storage needs "
                f"(the stage's scopes must include openid); run: {self.profile.login_command}"
            )
        return LoginRequired(
            tokens.trouble or f"Your login to {self.profile.configuration.stage} has ended; run: {self.profile.login_command}"
        )

    def _tell_once(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            self._tell(sentence)
