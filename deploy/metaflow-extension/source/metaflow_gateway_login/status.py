"""What logins there are, whether they work, and what to do about those that do not."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Optional

from metaflow_extensions.gateway.login.clock import read_clocks
from metaflow_extensions.gateway.login.fresh_tokens import FreshTokens
from metaflow_extensions.gateway.login.problems import LoginProblem
from metaflow_extensions.gateway.login.profile import Profile, ProfileStore
from metaflow_extensions.gateway.login.tokens import TokenUse
from metaflow_extensions.gateway.login.version import VERSION

from .login import check_version, fetch_configuration, warnings, who_am_i


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


@dataclass
class ProfileStatus:
    profile: str
    stage: str
    url: str
    is_current: bool
    identity: Optional[str] = None
    seconds_left: Optional[float] = None
    login_age_seconds: Optional[float] = None
    notes: list[str] = field(default_factory=list)
    problem: Optional[str] = None

    @property
    def works(self) -> bool:
        return self.problem is None

    def lines(self) -> list[str]:
        mark = "*" if self.is_current else " "
        lines = [f"{mark} {self.profile}  {self.url}"]
        if self.identity is not None:
            lines.append(f"    logged in as {self.identity}")
        if self.seconds_left is not None and self.login_age_seconds is not None:
            lines.append(
                f"    the present token works for {_span(self.seconds_left)} and is refreshed by itself; "
                f"logged in {self.login_age_seconds / 3600:.1f} h ago"
            )
        lines += [f"    note: {note}" for note in self.notes]
        if self.problem is not None:
            lines.append(f"    {self.problem}")
        return lines

    def to_json(self) -> dict[str, Any]:
        return {
            "profile": self.profile,
            "stage": self.stage,
            "url": self.url,
            "current": self.is_current,
            "identity": self.identity,
            "seconds_left": self.seconds_left,
            "login_age_seconds": self.login_age_seconds,
            "extension_version": VERSION,
            "notes": self.notes,
            "works": self.works,
            "problem": self.problem,
        }


def look_at(profile: Profile, store: ProfileStore) -> ProfileStatus:
    """Try the login for real: refresh if that is due, ask the stage who we are, and take over its settings if they
    have changed."""
    status = ProfileStatus(
        profile=profile.name,
        stage=profile.configuration.stage,
        url=str(profile.configuration.origin),
        is_current=store.current_name() == profile.name,
    )
    # A run that refreshes at this moment has the lock for as long as that takes.
    fresh = FreshTokens(profile, tell=lambda _: None, wait=2.0)
    try:
        tokens = profile.load_tokens()
        access_token = fresh.access_token()
        configuration, document, answer = fetch_configuration(profile.configuration.origin)
        status.notes += warnings(answer, configuration.origin)
        check_version(configuration)
        if configuration != profile.configuration:
            if configuration.client_id == profile.configuration.client_id and configuration.issuer == profile.configuration.issuer:
                store.save(profile.name, configuration.origin, document, time.time())
                status.notes.append("the stage's settings had changed; new runs use them.")
            else:
                status.notes.append(f"the stage has another login provider now; run: {profile.login_command}")
        status.identity = who_am_i(configuration, access_token)
        tokens = profile.load_tokens()
        status.seconds_left = round(max(0.0, tokens.remaining(TokenUse.ACCESS, read_clocks())), 1)
        status.login_age_seconds = round(max(0.0, time.time() - tokens.login_time), 1)
        if tokens.trouble:
            status.notes.append(tokens.trouble)
    except LoginProblem as problem:
        status.problem = problem.sentence
    return status
