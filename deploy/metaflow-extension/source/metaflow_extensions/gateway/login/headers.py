"""The headers of Metaflow's metadata requests.

Metaflow calls `SERVICE_HEADERS.copy()` for each request, in the runner, in each task and in the heartbeat's process, and
`json.dumps(SERVICE_HEADERS)` where it describes a job that leaves this machine. So the token exists in copies alone:
what is serialised, printed, pickled or merged is the fixed part.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Callable

from .fresh_tokens import FreshTokens, say
from .netrc_entry import check_netrc
from .problems import LoginProblem, Unavailable


class FreshHeaders(dict[str, str]):
    def __init__(self, fixed: Mapping[str, str], tokens: FreshTokens, tell: Callable[[str], None] = say) -> None:
        super().__init__(fixed)
        self._tokens = tokens
        self._tell = tell
        self._checked = False
        self._told: set[str] = set()

    def copy(self) -> dict[str, str]:
        """The headers for one request that is about to be sent."""
        try:
            if not self._checked:
                check_netrc(self._tokens.profile.configuration.origin)
                self._checked = True
            token = self._tokens.access_token()
        except LoginProblem as problem:
            if problem.sentence not in self._told:
                # Some of Metaflow's callers swallow the exception ("Metaflow service unreachable"), so say it here too.
                self._told.add(problem.sentence)
                self._tell(problem.sentence)
            raise _for_metaflow(problem) from None
        headers = dict(self)
        headers["Authorization"] = f"Bearer {token}"
        return headers

    def __reduce__(self) -> tuple[Any, ...]:
        return (dict, (dict(self),))

    def __repr__(self) -> str:
        return dict.__repr__(self)


def _for_metaflow(problem: LoginProblem) -> Exception:
    """What Metaflow's client should see: a failure that it retries if waiting helps, else one that it reports at once."""
    retried, reported = _metaflow_exceptions()
    kind = retried if isinstance(problem, Unavailable) else reported
    exception: Exception = kind(problem.sentence)
    return exception


@lru_cache(maxsize=1)
def _metaflow_exceptions() -> tuple[type[Exception], type[Exception]]:
    """Both are `HeartBeatException`s, since the heartbeat's thread dies silently of anything else; a
    `MetaflowInternalError` is the only exception that the metadata client does not retry (for 31 s)."""
    from metaflow.exception import MetaflowInternalError
    from metaflow.metadata_provider.heartbeat import HeartBeatException

    class LoginProviderUnavailable(HeartBeatException):  # type: ignore[misc, unused-ignore]
        headline = "Metaflow login"

    class LoginNeeded(MetaflowInternalError, HeartBeatException):  # type: ignore[misc, unused-ignore]
        headline = "Metaflow login"

    return LoginProviderUnavailable, LoginNeeded
