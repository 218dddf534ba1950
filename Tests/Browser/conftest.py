"""Debian's Chromium, headless, before a gateway with a login: the parts that the raw tests of the gateway use too, on ports that a
browser can be told."""

from __future__ import annotations

import base64
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "Tests/GatewayTests"))

from certificates import Authority  # noqa: E402
from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from gateway import GATEWAY, Gateway, eventually  # noqa: E402
from login import PLATFORM, LocalPlatform, configuration  # noqa: E402
from selenium import webdriver  # noqa: E402
from selenium.common.exceptions import WebDriverException  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from site_behind import page  # noqa: E402
from upstream import Upstream  # noqa: E402

OUTPUT = ROOT / ".build/test-output/browser"


def pytest_configure(config: pytest.Config) -> None:
    for program in (GATEWAY, PLATFORM):
        if not program.exists():
            raise pytest.UsageError(f"{program} is not built. bash Tests/run.sh browser builds it; METAFLOW_GATEWAY_BINARIES names another folder.")
    for name, package in (("chromium", "chromium"), ("chromedriver", "chromium-driver")):
        if not shutil.which(name):
            raise pytest.UsageError(f"{name} is missing: apt-get install {package}. bash Tests/run.sh browser does it.")
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir(parents=True)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


def reserved_port() -> socket.socket:
    """Its port is given to nobody else while this is open; nobody answers there until somebody asks for that very port, as the gateway does."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    return sock


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def certificate(authority: Authority) -> dict[str, str]:
    return authority.leaf("browser", "localhost", "second.localhost", "127.0.0.1")


@pytest.fixture(scope="session")
def site() -> Iterator[Upstream]:
    site = Upstream()
    site.default = page
    yield site
    site.close()
    assert site.problems == []


class Chromium:
    """A browser with a profile of its own, and what a person does with it. No request leaves this machine: every other name is unknown."""

    def __init__(self, profile: Path, certificate: dict[str, str], url: str) -> None:
        self.url = url
        key = x509.load_pem_x509_certificate(Path(certificate["chain"]).read_bytes()).public_key()
        digest = hashes.Hash(hashes.SHA256())
        digest.update(key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for argument in (
            "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-background-networking", "--no-first-run", f"--user-data-dir={profile}",
            # The tests' own authority: exactly its certificate's key is taken, and no other fault of a certificate is ignored.
            f"--ignore-certificate-errors-spki-list={base64.b64encode(digest.finalize()).decode()}",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost, EXCLUDE 127.0.0.1",
            "--window-size=1000,800", "--lang=en",
        ):
            options.add_argument(argument)
        self.driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        self.driver.set_page_load_timeout(60)
        self.driver.set_script_timeout(60)

    def open(self, target: str) -> None:
        self.driver.get(target if "://" in target else self.url + target)

    def find(self, selector: str):
        return self.driver.find_element("css selector", selector)

    def text(self, selector: str = "body") -> str:
        return self.find(selector).text

    def click(self, selector: str) -> None:
        """And waits for the page to which it leads."""
        old = self.find("html")
        self.find(selector).click()

        def has_arrived() -> bool:
            # Between two pages there may be no element at all, and who asks just then is told that the page went away.
            try:
                roots = self.driver.find_elements("css selector", "html")
                return bool(roots) and roots[0].id != old.id and self.driver.execute_script("return document.readyState") == "complete"
            except WebDriverException:
                return False

        eventually(has_arrived, f"the page behind {selector}")

    def sign_in(self, user: str = "ada") -> None:
        assert self.driver.title.startswith("Sign in"), (self.driver.title, self.driver.current_url)
        self.find("#username").send_keys(user)
        self.find("#password").send_keys("metaflow")
        self.click("button[type=submit]")

    def on_site(self, target: str, user: str = "ada") -> None:
        assert self.driver.current_url == self.url + target, (self.driver.current_url, self.text())
        assert self.text("#target") == target and self.text("#user") == user and self.text("#cookies") == ""

    def cookies(self) -> dict[str, dict]:
        """All cookies of the browser for the stage, HttpOnly ones included."""
        found = self.driver.execute_cdp_cmd("Network.getCookies", {"urls": [self.url + "/"]})["cookies"]
        return {cookie["name"]: cookie for cookie in found}

    def run(self, script: str):
        """The value of an asynchronous expression in the page."""
        return self.driver.execute_async_script(f"const done = arguments[arguments.length - 1]; (async () => {script})().then(done, error => done('' + error));")

    def statuses(self, *targets: str) -> list[int]:
        """Of fetches that the page makes, all at once."""
        return self.run(f"Promise.all({list(targets)!r}.map(async target => (await fetch(target)).status))")

    def picture(self, name: str, width: int = 1000) -> None:
        for scheme in ("light", "dark"):
            self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
            self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": 760, "deviceScaleFactor": 1, "mobile": False})
            assert self.driver.save_screenshot(str(OUTPUT / f"{name}-{scheme}.png"))
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

    def close(self) -> None:
        self.driver.quit()


class Stack:
    """A gateway on a port that its public addresses name, and the provider behind its login."""

    def __init__(self, folder: Path, authority: Authority, certificate: dict[str, str], site: Upstream, provider, change: Callable[[dict], None] = lambda _: None) -> None:
        self.provider, self.reserved = provider, [reserved_port()]
        self.port = self.reserved[0].getsockname()[1]
        self.keys = folder / "login-keys.json"
        made = configuration(folder, certificate, site, provider)
        made["listeners"] = [{"address": f"127.0.0.1:{self.port}", "tls": {"certificates": [certificate]}, "public_port": self.port}]
        for stage in made["stages"]:
            stage["public_url"] = f"https://{stage['host']}:{self.port}"
            self.reserved.append(reserved_port())
            stage["upstreams"]["dead"] = {"endpoints": [f"http://127.0.0.1:{self.reserved[-1].getsockname()[1]}"]}
        made["stages"][0]["routes"].append({"path": "/broken", "upstream": "dead", "credentials": ["login_session"]})
        change(made)
        self.start = lambda: Gateway(folder / "gateway", made, authority.path)
        self.gateway = self.start()

    def replace(self) -> None:
        """Another gateway with the same configuration, on the same port, when the old one has ended."""
        self.gateway.process.wait(20)
        self.gateway = self.start()

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def second_url(self) -> str:
        return f"https://second.localhost:{self.port}"

    def close(self) -> None:
        self.gateway.stop()
        for sock in self.reserved:
            sock.close()
        if isinstance(self.provider, LocalPlatform):
            self.provider.close()


@pytest.fixture
def start_stack(tmp_path: Path, authority: Authority, certificate: dict[str, str], site: Upstream) -> Iterator[Callable[..., Stack]]:
    started: list[Stack] = []

    def start_stack(*options: str, provider=None, **more) -> Stack:
        folder = tmp_path / f"stack-{len(started)}"
        folder.mkdir()
        stack = Stack(folder, authority, certificate, site, provider or LocalPlatform(folder / "platform", *options), **more)
        started.append(stack)
        return stack

    yield start_stack
    for stack in started:
        stack.close()


@pytest.fixture
def start_browser(tmp_path: Path, certificate: dict[str, str]) -> Iterator[Callable[[str], Chromium]]:
    started: list[Chromium] = []

    def start_browser(url: str) -> Chromium:
        browser = Chromium(tmp_path / f"profile-{len(started)}", certificate, url)
        started.append(browser)
        return browser

    yield start_browser
    for browser in started:
        browser.close()


@pytest.fixture
def stack(start_stack) -> Stack:
    """Tokens live an hour."""
    return start_stack()


@pytest.fixture
def browser(start_browser, stack) -> Chromium:
    return start_browser(stack.url)
