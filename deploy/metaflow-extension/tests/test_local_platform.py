"""The same against the project's own local platform: its login page, its RS256 tokens, its rotation and its metadata service.

Needs the built program: EXTENSION_TESTS_LOCAL_PLATFORM=/path/to/metaflow-local-platform.
"""

from __future__ import annotations

import http.cookiejar
import os
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any, Callable, Optional
from urllib.parse import urlencode, urljoin

import pytest
from conftest import ScriptedTerminal, run_python, stored_profile
from metaflow_extensions.gateway.login.tokens import read_claims
from metaflow_gateway_login.command_line import main
from scripted_stage import ScriptedStage
from test_runs import FLOW, finish, start

PROGRAM = os.environ.get("EXTENSION_TESTS_LOCAL_PLATFORM")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="EXTENSION_TESTS_LOCAL_PLATFORM names no program")


class LocalPlatform:
    def __init__(self, program: str, state: Path) -> None:
        self.process = subprocess.Popen(
            [program, "serve", "--identity-port", "0", "--metadata-port", "0", "--browser-port", "0", "--state", str(state)]
            + ["--access-token-seconds", "10", "--refresh-grace-seconds", "0"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        ready = self.process.stdout.readline()
        ports = dict(re.findall(r"(\w+)=(?:\S*:)?(\d+)", ready))
        self.identity, self.metadata = int(ports["identity"]), int(ports["metadata"])
        self.pool = f"http://127.0.0.1:{self.identity}/us-west-2_LocalStage"

    def post(self, path: str, body: bytes) -> None:
        urllib.request.urlopen(
            urllib.request.Request(f"http://127.0.0.1:{self.identity}{path}", data=body, headers={"Content-Type": "application/json"})
        ).close()


@pytest.fixture
def platform(tmp_path: Path, stage: ScriptedStage) -> Iterator[LocalPlatform]:
    assert PROGRAM is not None
    platform = LocalPlatform(PROGRAM, tmp_path / "state")
    stage.verify = lambda token: read_claims(token) or None
    stage.metadata_port = platform.metadata
    stage.redirect_ports = [8400, 8401, 8402]
    stage.config_changes = {
        "issuer": platform.pool,
        "client_id": "local-command-line-client",
        "authorization_endpoint": f"{platform.pool}/oauth2/authorize",
        "token_endpoint": f"{platform.pool}/oauth2/token",
        "revocation_endpoint": f"{platform.pool}/oauth2/revoke",
        "scopes": ["openid", "profile"],
    }
    yield platform
    platform.process.terminate()
    platform.process.wait()


class _Stop(urllib.request.HTTPRedirectHandler):
    """Follows the provider's own redirects, and stops at the one that leaves it."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Optional[urllib.request.Request]:
        return None if "/callback" in newurl else super().redirect_request(req, fp, code, msg, headers, newurl)


def sign_in(link: str) -> str:
    """Fill the login page in as ada; the address that the provider then sends the browser to."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()), _Stop())
    with browser.open(link) as page:
        text, at = page.read().decode(), page.url
    action = re.search(r'<form[^>]* action="([^"]+)"', text)
    token = re.search(r'name="_csrf" value="([^"]+)"', text)
    assert action is not None and token is not None
    form = urlencode({"_csrf": token[1], "username": "ada", "password": "metaflow"}).encode()
    try:
        browser.open(urljoin(at, unescape(action[1])), data=form)
    except urllib.error.HTTPError as error:
        return str(error.headers["Location"])
    raise AssertionError("the login page did not redirect")


def log_in_as_ada(stage: ScriptedStage) -> None:
    person = ScriptedTerminal(browse=lambda url: urllib.request.urlopen(sign_in(url)).close())
    assert main([stage.url], person.terminal()) == 0, person.text
    assert "You are logged in to alpha as ada (science)." in person.said


def test_a_login_through_its_page_a_run_beyond_its_tokens_and_a_logout(
    platform: LocalPlatform, stage: ScriptedStage, installed: Path, tmp_path: Path
) -> None:
    log_in_as_ada(stage)
    first = stored_profile("alpha").load_tokens()
    assert first.access_seconds == 10 and first.id_token
    flow = tmp_path / "flow.py"
    flow.write_text(FLOW)
    run = start(flow, installed, tmp_path, seconds=45, tasks=4)
    wait_until(lambda: stage.heartbeats > 0)
    platform.post("/development/outage", b'{"seconds": 20}')
    assert "total is 12" in finish(run)
    assert stage.unauthorized == []
    assert len(stage.seen_tokens) >= 2
    last = stored_profile("alpha").load_tokens()
    assert last.refresh_token != first.refresh_token and not last.ended
    done = run_python(
        ["-c", "from metaflow import Flow; r = Flow('ParallelFlow').latest_run; print(r.successful, r['end'].task.data.total)"],
        installed=installed,
        cwd=tmp_path,
    )
    assert done.stdout.strip() == "True 12"
    assert main(["--status"]) == 0
    person = ScriptedTerminal()
    refresh_token = stored_profile("alpha").load_tokens().refresh_token
    assert main(["--logout"], person.terminal()) == 0, person.text
    form = urlencode({"grant_type": "refresh_token", "client_id": "local-command-line-client", "refresh_token": refresh_token})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{platform.pool}/oauth2/token", data=form.encode())
    assert caught.value.code == 400


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
