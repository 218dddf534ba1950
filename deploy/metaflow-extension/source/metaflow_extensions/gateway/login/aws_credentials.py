"""Temporary AWS credentials from the stage's Cognito identity pool: an ID token in, keys for about an hour out.

They are kept beside the tokens and shared by all processes, because each task, and each of Metaflow's S3 workers, is a
process of its own and the pool's quota is per account.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable, Optional

from .clock import Reading, read_clocks
from .fresh_tokens import POLL_SECONDS, FreshTokens, say, wait_seconds
from .private_file import read_private_file, write_private_file
from .problems import LoginProblem, SetupProblem, Unavailable
from .process_lock import lock_for
from .stage import IdentityPool

EARLY_MARGIN_MAX = 900.0
"""Seconds before their end at which credentials are replaced; a quarter of their life if that is less."""


@dataclass(frozen=True)
class Credentials:
    access_key: str
    secret_key: str
    session_token: str
    expires_at: float
    """AWS's clock, seconds since 1970; for botocore, which compares it with the local one."""
    seconds: float
    obtained: Reading
    identity_id: str
    pool_id: str

    def remaining(self, now: Reading) -> float:
        return self.seconds - now.elapsed(self.obtained)

    def is_due(self, now: Reading) -> bool:
        return self.remaining(now) <= min(EARLY_MARGIN_MAX, self.seconds / 4)

    def to_json(self) -> dict[str, Any]:
        return {
            "format": 1,
            "access_key": self.access_key,
            "secret_key": self.secret_key,
            "session_token": self.session_token,
            "expires_at": self.expires_at,
            "seconds": self.seconds,
            "obtained": self.obtained.to_json(),
            "identity_id": self.identity_id,
            "pool_id": self.pool_id,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Credentials:
        if value["format"] != 1:
            raise ValueError("another format")
        return cls(
            access_key=str(value["access_key"]),
            secret_key=str(value["secret_key"]),
            session_token=str(value["session_token"]),
            expires_at=float(value["expires_at"]),
            seconds=float(value["seconds"]),
            obtained=Reading.from_json(value["obtained"]),
            identity_id=str(value["identity_id"]),
            pool_id=str(value["pool_id"]),
        )

    def __repr__(self) -> str:
        return f"Credentials(expires_at={self.expires_at:.0f})"


class IdentityPoolClient:
    """The two calls, both unsigned: the ID token is what authenticates them."""

    def __init__(self, pool: IdentityPool) -> None:
        self._pool = pool
        self._client: Any = None

    def _call(self, operation: str, **arguments: Any) -> Any:
        try:
            import boto3
            from botocore import UNSIGNED
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError, ClientError
        except ImportError as error:
            raise SetupProblem("Artifacts in S3 need boto3; run: pip install boto3") from error
        if self._client is None:
            self._client = boto3.session.Session().client(
                "cognito-identity",
                region_name=self._pool.region,
                config=Config(
                    signature_version=UNSIGNED,
                    connect_timeout=5,
                    read_timeout=10,
                    retries={"mode": "standard", "max_attempts": 3},
                ),
            )
        try:
            return getattr(self._client, operation)(**arguments)
        except ClientError as error:
            raise _refusal(self._pool, str(error.response.get("Error", {}).get("Code", "")), str(error)) from error
        except BotoCoreError as error:
            raise Unavailable(f"AWS's identity pool {self._pool.id} cannot be reached ({error}).") from error

    def identity_id(self, id_token: str) -> str:
        answer = self._call(
            "get_id", IdentityPoolId=self._pool.id, Logins={self._pool.provider_name: id_token}
        )
        return str(answer["IdentityId"])

    def credentials(self, identity_id: str, id_token: str, asked: Reading) -> Credentials:
        answer = self._call(
            "get_credentials_for_identity",
            IdentityId=identity_id,
            Logins={self._pool.provider_name: id_token},
        )
        keys = answer["Credentials"]
        expires_at = float(keys["Expiration"].timestamp())
        return Credentials(
            access_key=str(keys["AccessKeyId"]),
            secret_key=str(keys["SecretKey"]),
            session_token=str(keys["SessionToken"]),
            expires_at=expires_at,
            seconds=max(0.0, expires_at - _aws_time(answer, asked)),
            obtained=asked,
            identity_id=identity_id,
            pool_id=self._pool.id,
        )


def _aws_time(answer: Any, asked: Reading) -> float:
    """The answer's Date, so that a wrong local clock does not shorten or stretch the credentials' life."""
    from email.utils import parsedate_to_datetime

    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    try:
        return parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError, OverflowError):
        return asked.wall


_MAY_PASS = frozenset({"TooManyRequestsException", "InternalErrorException", "ThrottlingException", "ServiceUnavailable"})


def _refusal(pool: IdentityPool, code: str, text: str) -> Exception:
    if code in _MAY_PASS or code.startswith("5"):
        return Unavailable(f"AWS's identity pool {pool.id} does not answer at the moment ({code}).")
    return SetupProblem(
        f"AWS's identity pool {pool.id} refuses this login ({text[:200]}); tell the operators of the stage."
    )


class FreshCredentials:
    def __init__(
        self,
        tokens: FreshTokens,
        pool: IdentityPool,
        *,
        client: Optional[IdentityPoolClient] = None,
        clock: Callable[[], Reading] = read_clocks,
        pause: Callable[[float], None] = time.sleep,
        tell: Callable[[str], None] = say,
        wait: Optional[float] = None,
    ) -> None:
        self._tokens = tokens
        self._pool = pool
        self._client = client or IdentityPoolClient(pool)
        self._clock = clock
        self._pause = pause
        self._tell = tell
        self._wait = wait
        self._path = tokens.profile.credentials_path
        self._lock = lock_for(tokens.profile.credentials_lock_path)
        self._guard = threading.RLock()

    def credentials(self) -> Credentials:
        """Credentials that are not about to end; raises `LoginRequired`, `SetupProblem`, or `Unavailable` after waiting."""
        limit = self._wait if self._wait is not None else wait_seconds()
        with self._guard:
            started = self._clock()
            attempt = 0
            while True:
                present = self._stored()
                now = self._clock()
                if present is not None and not present.is_due(now):
                    return present
                still_good = present if present is not None and present.remaining(now) > 0 else None
                if self._lock.try_acquire():
                    try:
                        return self._renew()
                    except LoginProblem as problem:
                        if still_good is not None:
                            return still_good
                        if not isinstance(problem, Unavailable) or self._clock().elapsed(started) >= limit:
                            raise
                        if attempt == 0:
                            self._tell(f"{problem.sentence} Waiting up to {limit:.0f} s for it.")
                    finally:
                        self._lock.release()
                    attempt += 1
                    self._pause(min(8.0, 0.5 * 2.0 ** min(attempt, 10)) * (0.75 + 0.25 * random.random()))
                elif still_good is not None:
                    return still_good
                elif self._clock().elapsed(started) >= limit:
                    raise Unavailable("Another process has been fetching AWS credentials for too long; try again.")
                else:
                    self._pause(POLL_SECONDS * (0.5 + random.random()))

    def _renew(self) -> Credentials:
        """With the lock held."""
        present, now = self._stored(), self._clock()
        if present is not None and not present.is_due(now):
            return present
        id_token = self._tokens.id_token()
        # The identity is the same for a user's whole life in the pool, so it is asked for once.
        identity_id = present.identity_id if present is not None else self._client.identity_id(id_token)
        fresh = self._client.credentials(identity_id, id_token, self._clock())
        write_private_file(self._path, fresh.to_json())
        return fresh

    def _stored(self) -> Optional[Credentials]:
        content = read_private_file(self._path)
        if content is None:
            return None
        try:
            stored = Credentials.from_json(content)
        except (KeyError, TypeError, ValueError):
            return None
        return stored if stored.pool_id == self._pool.id else None


def botocore_metadata(credentials: Credentials, now: Reading) -> dict[str, str]:
    """What botocore's refreshable credentials take. The end is told in local time: botocore compares it with that."""
    from datetime import datetime, timezone

    ends = now.wall + credentials.remaining(now)
    return {
        "access_key": credentials.access_key,
        "secret_key": credentials.secret_key,
        "token": credentials.session_token,
        "expiry_time": datetime.fromtimestamp(ends, tz=timezone.utc).isoformat(),
    }


