"""A stored login: its tokens, how long they still live, and what to do about it. Pure values, no file and no network."""

from __future__ import annotations

import base64
import enum
import json
from dataclasses import dataclass, replace
from typing import Any, Optional

from .clock import Reading

EARLY_MARGIN_MAX = 300.0
"""Seconds before the end at which a refresh is due although the token still works; a fifth of its life if that is less."""

FLOOR_MAX = 10.0
"""Seconds before the end at which a token is no longer sent, because it must live until it has been checked at the
gateway; a tenth of its life if that is less."""

PAUSE_MAX_USABLE = 30.0
"""Longest pause between two tries while the token still works, in seconds."""

PAUSE_MAX_EXPIRED = 8.0
"""Longest pause while a run is waiting for a token, in seconds."""


class TokenUse(enum.Enum):
    ACCESS = "access"
    ID = "id"


class Decision(enum.Enum):
    USE = "use the token"
    USE_AND_REFRESH = "use the token unless a refresh happens to succeed now"
    REFRESH = "a new token is needed; ask for it"
    WAIT = "a new token is needed, and the next try is not due yet"
    LOGIN_REQUIRED = "only a new login helps"


def read_claims(token: str) -> dict[str, Any]:
    """A JWT's claims, unverified: for display and for the token's length of life, never for a decision about rights."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def life_of(token: str, expires_in: Optional[float] = None) -> float:
    """Seconds that a token lives from its issue: the lesser of what the answer and the token itself say; 0 if neither."""
    lives = [expires_in] if expires_in is not None else []
    claims = read_claims(token)
    issued, ends = claims.get("iat"), claims.get("exp")
    if isinstance(issued, (int, float)) and isinstance(ends, (int, float)):
        lives.append(float(ends) - float(issued))
    return max(0.0, min(lives)) if lives else 0.0


@dataclass(frozen=True)
class TokenResponse:
    """What the token endpoint gave out (RFC 6749 section 5.1)."""

    access_token: str
    id_token: Optional[str]
    refresh_token: Optional[str]
    expires_in: Optional[float]


@dataclass(frozen=True)
class Tokens:
    access_token: str
    id_token: str
    refresh_token: str
    access_seconds: float
    id_seconds: float
    obtained: Reading
    """When the answer that held these tokens was asked for, so that the time on the wire counts as life spent."""
    login_time: float
    failures: int = 0
    """Refreshes that have failed in a row."""
    retry_at: Optional[Reading] = None
    """The failure's moment; the next try is due `pause` seconds later."""
    pause: float = 0.0
    trouble: str = ""
    """Why the latest refresh failed, as a sentence."""
    ended: bool = False
    """The provider has refused the refresh token for good."""

    @classmethod
    def from_login(cls, response: TokenResponse, asked: Reading) -> Tokens:
        return cls(
            access_token=response.access_token,
            id_token=response.id_token or "",
            refresh_token=response.refresh_token or "",
            access_seconds=life_of(response.access_token, response.expires_in),
            id_seconds=life_of(response.id_token) if response.id_token else 0.0,
            obtained=asked,
            login_time=asked.wall,
        )

    def renewed(self, response: TokenResponse, asked: Reading) -> Tokens:
        """After a refresh. A provider without rotation returns no refresh token, and the present one goes on (section 6)."""
        fresh = Tokens.from_login(response, asked)
        return replace(
            fresh,
            login_time=self.login_time,
            refresh_token=fresh.refresh_token or self.refresh_token,
        )

    def failed(self, now: Reading, reason: str, retry_after: Optional[float], jitter: float) -> Tokens:
        """After a refresh that may succeed later. `jitter` is in 0…1; it spreads the runs that an outage has aligned."""
        usable = self.decide(TokenUse.ACCESS, now) in (Decision.USE, Decision.USE_AND_REFRESH)
        longest = PAUSE_MAX_USABLE if usable else PAUSE_MAX_EXPIRED
        pause = 0.5 * 2.0 ** min(self.failures, 10)
        if retry_after is not None:
            pause = max(pause, retry_after)
        pause = min(pause, longest) * (0.75 + 0.25 * jitter)
        return replace(self, failures=self.failures + 1, retry_at=now, pause=pause, trouble=reason)

    def refused(self, reason: str) -> Tokens:
        return replace(self, ended=True, trouble=reason)

    def life(self, use: TokenUse) -> float:
        return self.access_seconds if use is TokenUse.ACCESS else self.id_seconds

    def remaining(self, use: TokenUse, now: Reading) -> float:
        return self.life(use) - now.elapsed(self.obtained)

    def decide(self, use: TokenUse, now: Reading) -> Decision:
        remaining, life = self.remaining(use, now), self.life(use)
        if self.ended or not self.refresh_token:
            return Decision.USE if remaining > 0 else Decision.LOGIN_REQUIRED
        if remaining > min(EARLY_MARGIN_MAX, life / 5):
            return Decision.USE
        # A clock that was set back makes `elapsed` infinite, so a failure noted "in the future" delays nothing.
        due = self.retry_at is None or now.elapsed(self.retry_at) >= self.pause
        if remaining > min(FLOOR_MAX, life / 10):
            return Decision.USE_AND_REFRESH if due else Decision.USE
        return Decision.REFRESH if due else Decision.WAIT

    def to_json(self) -> dict[str, Any]:
        return {
            "format": 1,
            "access_token": self.access_token,
            "id_token": self.id_token,
            "refresh_token": self.refresh_token,
            "access_seconds": self.access_seconds,
            "id_seconds": self.id_seconds,
            "obtained": self.obtained.to_json(),
            "login_time": self.login_time,
            "failures": self.failures,
            "retry_at": self.retry_at.to_json() if self.retry_at else None,
            "pause": self.pause,
            "trouble": self.trouble,
            "ended": self.ended,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Tokens:
        """Raises ValueError, KeyError or TypeError for what `to_json` cannot have written."""
        if value["format"] != 1:
            raise ValueError(f"its format is {value['format']!r}, not 1")
        return cls(
            access_token=str(value["access_token"]),
            id_token=str(value["id_token"]),
            refresh_token=str(value["refresh_token"]),
            access_seconds=float(value["access_seconds"]),
            id_seconds=float(value["id_seconds"]),
            obtained=Reading.from_json(value["obtained"]),
            login_time=float(value["login_time"]),
            failures=int(value["failures"]),
            retry_at=Reading.from_json(value["retry_at"]) if value["retry_at"] is not None else None,
            pause=float(value["pause"]),
            trouble=str(value["trouble"]),
            ended=bool(value["ended"]),
        )

    def __repr__(self) -> str:
        """Never a token: this text may reach a log."""
        return f"Tokens(obtained={self.obtained.wall:.0f}, access_seconds={self.access_seconds:g}, ended={self.ended})"
