"""The profile of this process, chosen once when Metaflow starts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Optional

from .fresh_tokens import FreshTokens
from .headers import FreshHeaders
from .problems import LoginProblem, SetupProblem
from .profile import PROFILE_VARIABLE, Profile, ProfileStore, user_service_url
from .stage import Origin

_chosen: Optional[Profile] = None
_tokens: Optional[FreshTokens] = None
_problem: Optional[LoginProblem] = None
_placed = False


def choose_profile() -> Optional[Profile]:
    """Choose, and pin the choice in the environment that this process hands to its tasks and sidecars: a login to
    another stage while a run is going must not move the run's later tasks there."""
    global _chosen, _tokens, _problem, _placed
    _chosen, _tokens, _problem, _placed = None, None, None, False
    if is_remote_job():
        return None
    try:
        url = user_service_url(os.environ, os.getcwd())
        _chosen = ProfileStore.of(os.environ).choose(os.environ, url)
    except LoginProblem as problem:
        _problem = problem
    except OSError:
        # The working folder is gone; Metaflow itself will say so.
        return None
    if _chosen is not None:
        os.environ[PROFILE_VARIABLE] = _chosen.name
    return _chosen


def is_remote_job() -> bool:
    """In a job on Kubernetes, Argo or Batch: there the service's internal address is used, without a token."""
    return any(name in os.environ for name in ("METAFLOW_KUBERNETES_WORKLOAD", "AWS_BATCH_JOB_ID", "ARGO_WORKFLOW_TEMPLATE"))


def settings_are_placed() -> None:
    global _placed
    _placed = True


def check_choice() -> None:
    """Stop Metaflow rather than let a run go elsewhere than its user chose."""
    from metaflow.exception import MetaflowException

    problem = _problem
    if problem is None and _chosen is not None and not _placed:
        problem = SetupProblem(
            "This version of Metaflow does not take the stage's settings; run: pip install --upgrade metaflow"
        )
    if problem is not None:
        raise MetaflowException(problem.sentence) from problem


def chosen_profile() -> Optional[Profile]:
    return _chosen


def fresh_tokens() -> Optional[FreshTokens]:
    """One object for the whole process, so that its threads share one view of the token file."""
    global _tokens
    if _tokens is None and _chosen is not None:
        _tokens = FreshTokens(_chosen)
    return _tokens


def service_headers(service_url: Optional[str], fixed: Mapping[str, str]) -> Optional[FreshHeaders]:
    """Headers with a fresh token; nothing if requests go elsewhere than to the profile's stage, or if the user gives an
    Authorization header (a build machine's own token)."""
    tokens = fresh_tokens()
    if tokens is None or service_url is None or Origin.of(service_url) != tokens.profile.configuration.origin:
        return None
    if any(name.lower() == "authorization" for name in fixed):
        return None
    return FreshHeaders(fixed, tokens)
