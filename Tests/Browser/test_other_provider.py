"""The login at an OpenID Provider that is not ours and not Cognito: PyPI's oidc-provider-mock, found by discovery."""

from __future__ import annotations

import http.client
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import free_port
from gateway import eventually
from login import RECENT, SESSION, wait_until


class OtherProvider:
    def __init__(self, *options: str) -> None:
        self.port = free_port()
        program = Path(sys.executable).parent / "oidc-provider-mock"
        self.process = subprocess.Popen(
            [str(program), "--port", str(self.port), "--require-nonce", "true", "--user-claims", '{"sub": "ada", "email": "ada@example.com", "groups": ["science"]}', *options],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        eventually(self._answers, "the provider to answer")

    def _answers(self) -> bool:
        assert self.process.poll() is None
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/.well-known/openid-configuration")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def identity(self, stage: str, pool: str, secrets: Path) -> dict:
        secret = secrets / f"{stage}-secret"
        secret.write_text("anything")
        return {
            "oidc": {"issuer": self.issuer}, "browser_client": {"id": f"{stage}-client", "secret": {"file": str(secret)}},
            "clients": [{"id": f"{stage}-program", "name": "program", "token_use": ["access"]}],
        }

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture
def other():
    provider = OtherProvider("--token-max-age", "8")
    yield provider
    provider.close()


def authorize(browser, user: str) -> None:
    assert "Authorize Client" in browser.text(), browser.text()
    browser.find("input[name=sub]").send_keys(user)
    browser.click("button[type=submit]")


def test_a_login_at_another_provider(other, start_stack, start_browser):
    stack = start_stack(provider=other)
    browser = start_browser(stack.url)
    browser.open("/flows/1?tab=x")
    authorize(browser, "ada")
    browser.on_site("/flows/1?tab=x")
    who = browser.run("(await fetch('/oauth2/session')).json()")
    assert who["subject"] == "ada" and who["renewable"] is True
    # Renewed without a word.
    wait_until(who["expires_at"] + 0.1)
    browser.driver.refresh()
    browser.on_site("/flows/1?tab=x")
    assert browser.run("(await (await fetch('/oauth2/session')).json()).expires_at") > who["expires_at"]
    # And signed out by RP-initiated logout.
    browser.click("#out")
    assert browser.driver.current_url.startswith(f"{other.issuer}/oauth2/end_session?") and "End Session" in browser.text()
    browser.click("button")
    eventually(lambda: browser.driver.current_url == stack.url + "/oauth2/signed_out", "the way back from the provider")
    assert browser.text("h1") == "You are signed out"
    assert SESSION not in browser.cookies() and RECENT not in browser.cookies()


def test_a_login_that_is_denied_at_another_provider(other, start_stack, start_browser):
    browser = start_browser(start_stack(provider=other).url)
    browser.open("/page")
    browser.click("button[value=deny]")
    # This provider leaves `state` out of its refusal, against RFC 6749 §4.1.2.1, so that nobody knows whose it is.
    assert browser.text("h1") == "This is not a way back from a login" and SESSION not in browser.cookies()
    browser.click(".first")
    authorize(browser, "grace")
    browser.on_site("/", "grace")
