"""Fixtures: a stage on loopback, an empty home, and a login that goes through the real command."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
from metaflow_extensions.gateway.login.profile import Profile, ProfileStore
from metaflow_gateway_login.command_line import main
from metaflow_gateway_login.login import Terminal
from scripted_stage import ScriptedStage

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parent


# Tests that mostly wait, each group in one process; they begin first, so that none is left over at the end.
LONG = {
    "test_one_process_and_its_workers_outlive_their_credentials": "worker processes",
    "test_a_run_outlives_its_credentials_and_its_tokens": "run with artifacts",
    "test_artifacts.py": "artifacts",
    "test_local_platform.py": "local platform",
    "test_a_parallel_run_outlives_its_tokens": "run",
    "test_a_run_outlives_twenty_seconds_without_the_provider": "run",
    "test_runs.py": "endings",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        group = LONG.get(item.name, LONG.get(item.path.name))
        if group is not None:
            item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for each test, and no setting, proxy or bundle of the machine's."""
    for name in list(os.environ):
        if name.startswith(("METAFLOW", "AWS_")) or name.lower().endswith("_proxy") or name in (
            "REQUESTS_CA_BUNDLE",
            "CURL_CA_BUNDLE",
            "NETRC",
            "XDG_CONFIG_HOME",
            "SSL_CERT_FILE",
        ):
            monkeypatch.delenv(name)
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("BROWSER", "scripted")
    return folder


def _serve(stage: ScriptedStage) -> Iterator[ScriptedStage]:
    thread = threading.Thread(target=stage.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield stage
    stage.shutdown()
    stage.server_close()
    thread.join()


@pytest.fixture
def stage() -> Iterator[ScriptedStage]:
    yield from _serve(ScriptedStage("alpha"))


@pytest.fixture
def second_stage() -> Iterator[ScriptedStage]:
    yield from _serve(ScriptedStage("sandbox"))


@pytest.fixture
def make_stage() -> Iterator[Callable[..., ScriptedStage]]:
    running: list[Iterator[ScriptedStage]] = []

    def make(*arguments: Any, **names: Any) -> ScriptedStage:
        iterator = _serve(ScriptedStage(*arguments, **names))
        running.append(iterator)
        return next(iterator)

    yield make
    for iterator in running:
        for _ in iterator:
            pass


@dataclass
class ScriptedTerminal:
    """A person with a browser that logs in at once, and what the command said to them."""

    said: list[str] = field(default_factory=list)
    pasted: Optional[Callable[[str], str]] = None
    browse: Optional[Callable[[str], None]] = None
    pages: list[tuple[int, str]] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)
    browsing: list[threading.Thread] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(self.said)

    @property
    def link(self) -> str:
        return next(word for word in self.text.split() if "/oauth2/authorize?" in word)

    def terminal(self) -> Terminal:
        return Terminal(say=self.said.append, ask=self._ask, open_browser=self._open)

    def _ask(self, question: str) -> str:
        assert self.pasted is not None, "the command asked for a code"
        return self.pasted(self.link)

    def _open(self, url: str) -> bool:
        self.opened.append(url)
        self.browsing.append(threading.Thread(target=self._browse, args=(url,), daemon=True))
        self.browsing[-1].start()
        return True

    def wait_for_the_browser(self) -> None:
        """The command may have ended before the browser has read its last page."""
        for thread in self.browsing:
            thread.join(30)
            assert not thread.is_alive(), "the browser still waits for a page"

    def _browse(self, url: str) -> None:
        if self.browse is not None:
            self.browse(url)
            return
        self.pages.append(visit(url))


def visit(url: str, headers: Optional[dict[str, str]] = None) -> tuple[int, str]:
    """GET as a browser does, with redirects."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=20) as answer:
            return int(answer.status), answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: Any) -> None:
        return None


def follow_by_hand(url: str) -> str:
    """The address that the provider sends the browser to."""
    try:
        urllib.request.build_opener(_NoRedirects()).open(url, timeout=20)
    except urllib.error.HTTPError as error:
        return str(error.headers["Location"])
    raise AssertionError("no redirect")


def log_in(stage: ScriptedStage, *arguments: str) -> ScriptedTerminal:
    person = ScriptedTerminal()
    code = main([stage.url, *arguments], person.terminal())
    assert code == 0, person.text
    person.wait_for_the_browser()
    return person


@pytest.fixture
def profile(stage: ScriptedStage) -> Profile:
    """A login to `stage`."""
    log_in(stage)
    return stored_profile("alpha")


def stored_profile(name: str) -> Profile:
    found = ProfileStore.of(os.environ).load(name)
    assert found is not None
    return found


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built wheel, installed by pip: what Metaflow finds as an extension."""
    folder = tmp_path_factory.mktemp("installed")
    built = folder / "wheel"
    subprocess.run([sys.executable, str(PACKAGE / "build_wheel.py"), "--out", str(built)], check=True, stdout=subprocess.DEVNULL)
    (wheel,) = built.glob("*.whl")
    target = folder / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target), str(wheel)],
        check=True,
    )
    return target


def run_python(
    arguments: list[str],
    *,
    installed: Path,
    cwd: Path,
    timeout: float = 300,
    check: bool = True,
    environment: Optional[Mapping[str, str]] = None,
) -> subprocess.CompletedProcess[str]:
    """Run Python with the installed extension, in the test's own home."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(installed), "USER": "ada", **(environment or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


__all__ = ["ScriptedTerminal", "follow_by_hand", "log_in", "run_python", "stored_profile", "visit"]
