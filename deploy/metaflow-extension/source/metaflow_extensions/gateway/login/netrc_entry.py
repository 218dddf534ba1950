"""The user's .netrc, which Metaflow's HTTP client lets win over the Authorization header."""

from __future__ import annotations

import netrc
import os
from typing import Optional

from .problems import SetupProblem
from .stage import Origin


def netrc_file() -> Optional[str]:
    """The file that requests reads: NETRC, else ~/.netrc, else ~/_netrc (the same rule as its `get_netrc_auth`)."""
    named = os.environ.get("NETRC")
    for candidate in (named,) if named is not None else ("~/.netrc", "~/_netrc"):
        path = os.path.expanduser(candidate)
        if os.path.exists(path):
            return path
    return None


def check_netrc(origin: Origin) -> None:
    """Raises if .netrc has a password for the stage: each request would carry it in place of the token, and be refused."""
    path = netrc_file()
    if path is None:
        return
    try:
        entries = netrc.netrc(path)
        found = entries.authenticators(origin.host)
    except (netrc.NetrcParseError, OSError, ValueError):
        return
    if not found:
        return
    entry = f"an entry for {origin.host}" if origin.host in entries.hosts else "a default entry"
    raise SetupProblem(
        f"{path} has {entry}, and Metaflow would send its password instead of your login; remove it, or export NETRC=/dev/null."
    )
