"""The revocation file (C11): what it names is refused within a second on every loop, whatever the credential; a broken one changes nothing."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from gateway import GATEWAY, check, eventually
from login import FETCH, FIRST_POOL, NAVIGATION, Browser

FOREVER = 4_000_000_000


def entries(*listed: dict) -> str:
    return json.dumps({"version": 1, "entries": [{"until": FOREVER} | entry for entry in listed]})


class File:
    """As a ConfigMap stands in a pod: a link through `..data`, which is swapped as a whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.path = folder / "revocation.json"
        self.version = 0
        self.write(entries())
        self.path.symlink_to("..data/revocation.json")

    def write(self, text: str) -> None:
        self.version += 1
        made = self.folder / f"..{self.version}"
        made.mkdir()
        (made / "revocation.json").write_text(text)
        link = self.folder / "..data_tmp"
        link.symlink_to(made.name)
        os.rename(link, self.folder / "..data")


@pytest.fixture
def file(tmp_path):
    return File(tmp_path / "mounted")


@pytest.fixture
def gateway(platform, start_login_gateway, file):
    return start_login_gateway(platform, revocation={"file": str(file.path)})


def refused_within_a_second(file: File, text: Callable[[], str] | str, ask) -> None:
    """On both loops: connections of one browser are spread over them. Where the machine stood still meanwhile, it is tried again."""
    for _ in range(4):
        file.write(text if isinstance(text, str) else text())
        began = time.monotonic()
        eventually(lambda: all(ask() == 401 for _ in range(6)), "the revocation to take effect")
        if time.monotonic() - began < 1.5:
            return
        file.write(entries())
        eventually(lambda: all(ask() == 200 for _ in range(6)), "the revocation to be taken back")
    raise AssertionError("it took more than a second, and the asking, four times")


def asking(browser: Browser, *fields, target: str = "/"):
    def ask() -> int:
        visitor = browser.copy()
        status = visitor.ask("GET", target, [*FETCH, *fields]).status
        visitor.leave()
        return status

    return ask


@pytest.mark.parametrize("kind", ["sub", "client_id", "origin_jti", "not_before"])
def test_a_login_that_the_file_names_ends_within_a_second(gateway, platform, file, kind):
    browser, other = Browser(gateway), Browser(gateway)
    browser.log_in("margaret")
    other.log_in("grace")
    assert asking(browser)() == 200
    subject = browser.who()["subject"]
    issuer = f"{platform.endpoint}/{FIRST_POOL}"
    entry = {
        "sub": {"sub": subject, "issuer": issuer}, "client_id": {"client_id": "local-browser-client"}, "origin_jti": {"origin_jti": "somebody-elses"},
        "not_before": {"sub": subject, "not_before": int(time.time()) + 60},
    }[kind]
    if kind == "origin_jti":
        file.write(entries(entry))
        gateway.wait_for_line("entries=1")
        assert asking(browser)() == 200, "another login's entry ends nobody else's"
    else:
        refused_within_a_second(file, entries(entry), asking(browser))
        assert asking(other)() == (401 if kind == "client_id" else 200)
        assert browser.navigate("/").status == 302, "a person is led to a new login"
        file.write(entries())
        eventually(lambda: asking(browser)() == 200, "the login to be good again when the entry goes")
    for one in (browser, other):
        one.leave()


def test_a_login_is_named_by_the_origin_of_its_tokens(scripted, start_login_gateway, file):
    gateway = start_login_gateway(scripted, revocation={"file": str(file.path)})
    browser = Browser(gateway)
    browser.come_back(scripted.callback(browser.start_login()))
    assert asking(browser)() == 200
    refused_within_a_second(file, entries({"origin_jti": "origin-1"}), asking(browser))
    browser.leave()


@pytest.mark.parametrize("kind", ["sub", "client_id", "jti"])
def test_a_token_that_the_file_names_is_refused_within_a_second(gateway, platform, file, kind):
    from base64 import urlsafe_b64decode

    token = platform.token(user="margaret")
    claims = json.loads(urlsafe_b64decode(token.split(".")[1] + "=="))
    ask = asking(Browser(gateway), ("Authorization", f"Bearer {token}"), target="/api/metadata/x")
    assert ask() == 200
    refused_within_a_second(file, entries({kind: claims[kind]}), ask)


def test_an_entry_means_nothing_after_its_end(gateway, file):
    browser = Browser(gateway)
    browser.log_in("margaret")
    file.write(entries({"sub": browser.who()["subject"], "until": int(time.time()) - 1}))
    gateway.wait_for_line("entries=1")
    assert asking(browser)() == 200
    subject = browser.who()["subject"]
    refused_within_a_second(file, lambda: entries({"sub": subject, "until": int(time.time()) + 7}), asking(browser))
    eventually(lambda: asking(browser)() == 200, "the entry to end by itself")
    browser.leave()


@pytest.mark.parametrize(
    ("text", "reason"),
    [("{", "at byte"), (entries({"sub": "x", "until": "soon"}), 'entries[0]: `until` is "soon"'), (entries({"subject": "x"}), "entries[0]: `subject` is not known")],
)
def test_a_broken_file_keeps_the_old_entries_and_says_where_it_is_broken(gateway, file, text, reason):
    browser = Browser(gateway)
    browser.log_in("margaret")
    refused_within_a_second(file, entries({"sub": browser.who()["subject"]}), asking(browser))
    file.write(text)
    line = gateway.wait_for_line("revocation file refused")
    assert str(file.path) in line and reason in line and "stays in force" in line
    assert asking(browser)() == 401
    file.write(entries())
    eventually(lambda: asking(browser)() == 200, "the repaired file")
    browser.leave()


def test_a_gateway_does_not_start_without_the_file_that_it_is_told_to_follow(gateway, file):
    file.write("{")
    code, said = check(gateway.file)
    assert code == 1 and "revocation.file" in said and "at byte 1" in said and "gateway.json.yaml:" in said
    started = subprocess.run([str(GATEWAY), "serve", "--config", str(gateway.file)], capture_output=True, text=True, timeout=60)
    assert started.returncode == 1 and "revocation.file" in started.stderr and "at byte 1" in started.stderr and "ready" not in started.stderr


def test_signing_out_and_the_file_do_not_forget_each_other(gateway, file):
    browser, other = Browser(gateway), Browser(gateway)
    browser.log_in("margaret")
    other.log_in("grace")
    taken = browser.copy()

    def everywhere(one: Browser, status: int) -> bool:
        """On both loops: each request is a connection of its own."""
        return all(asking(one)() == status for _ in range(6))

    file.write(entries({"sub": other.who()["subject"]}))
    eventually(lambda: everywhere(other, 401), "the file's entry")
    assert everywhere(taken, 200)
    assert browser.ask("POST", "/oauth2/sign_out", [("Sec-Fetch-Site", "same-origin")]).status == 302
    eventually(lambda: everywhere(taken, 401), "the end of the login")
    assert everywhere(other, 401), "signing out forgot the file"
    file.write(entries({"sub": "somebody else"}))
    eventually(lambda: everywhere(other, 200), "the file's next entry")
    assert everywhere(taken, 401), "the file forgot who signed out"
    assert taken.ask("GET", "/", NAVIGATION).status == 302
    for one in (browser, other, taken):
        one.leave()
