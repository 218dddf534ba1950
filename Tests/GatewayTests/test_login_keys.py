"""The key ring that seals the cookies, and its rotation while people are logged in (D14)."""

import json
import signal
import subprocess
import time

import pytest
from gateway import GATEWAY, IS_FULL, eventually
from login import SESSION, Browser, ring_file, wait_until


# How long after the first gateway the second reads a new ring: a minute, as mounts of a ConfigMap may lie apart; in the quick tests scaled down.
APART = 60 if IS_FULL else 1


def rotate(file, *, settles: float | None = None) -> None:
    """As an operator does it. The ten minutes until the new key seals are cut short in the file, as nobody waits for them here."""
    subprocess.run([str(GATEWAY), "keys", "rotate", "--output", str(file)], check=True, capture_output=True, timeout=60)
    ring = json.loads(file.read_text())
    newest = ring["keys"][-1]
    assert newest["encrypts_after"] == newest["created"] + 600
    if settles is not None:
        newest["encrypts_after"] = int(settles)
        file.write_text(json.dumps(ring))


def key_of(browser: Browser) -> str:
    return browser.cookies[SESSION].split(".")[2]


def reloads(gateway) -> float:
    return gateway.metrics()['gw_config_reload_total{result="accepted"}']


def load(gateway) -> None:
    """Makes a gateway read its files anew; only one of them, whatever the other has seen."""
    before = reloads(gateway)
    gateway.signal(signal.SIGHUP)
    eventually(lambda: reloads(gateway) > before, "the reload")


def test_a_ring_is_private_and_its_first_key_seals_at_once(tmp_path):
    file = ring_file(tmp_path)
    assert file.stat().st_mode & 0o077 == 0
    key = json.loads(file.read_text())["keys"][0]
    assert key["encrypts_after"] == key["created"]


def test_a_rotation_keeps_the_old_key_and_changes_no_file_that_it_is_not_told_to(tmp_path):
    file = ring_file(tmp_path)
    old = file.read_text()
    printed = subprocess.run([str(GATEWAY), "keys", "rotate", "--input", str(file), "--output", "-"], check=True, capture_output=True, text=True, timeout=60)
    assert file.read_text() == old
    keys = json.loads(printed.stdout)["keys"]
    assert keys[0] == json.loads(old)["keys"][0] and len(keys) == 2


@pytest.mark.parametrize("arguments, complaint", [
    (["--output", "ring.json"], "ring.json: The key ring of the login sessions is refused"), (["--input", "gone.json", "--output", "-"], "gone.json does not exist"),
    (["--output", "nowhere/ring.json"], "nowhere/ring.json cannot be written"), (["--output", "."], ". cannot be read: Is a directory"),
])
def test_a_ring_that_cannot_be_rotated_is_one_clear_line_and_stays_as_it_was(tmp_path, arguments, complaint):
    (tmp_path / "ring.json").write_text("garbage")
    result = subprocess.run([str(GATEWAY), "keys", "rotate", *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stdout) == (2, "") and len(result.stderr.splitlines()) == 1 and complaint in result.stderr, result
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("ring.json", "garbage")]


@pytest.mark.parametrize("hours", ["0", "-1", "721", "9223372036854775807"])
def test_a_login_lives_thirty_days_at_most(tmp_path, hours):
    result = subprocess.run([str(GATEWAY), "keys", "rotate", "--output", str(tmp_path / "ring.json"), f"--lifetime-hours={hours}"], capture_output=True, text=True, timeout=60)
    assert result.returncode == 64 and "--lifetime-hours is 1 to 720" in result.stderr and not list(tmp_path.iterdir()), result


def test_nobody_is_logged_out_by_a_rotation_that_reaches_two_gateways_one_after_the_other(platform, start_login_gateway, tmp_path):
    """Each gateway has a file of its own, as each replica has a mount of its own; the second reads the new ring only after the first."""
    files = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        files.append(tmp_path / name / "login-keys.json")
    ring = ring_file(tmp_path)
    for file in files:
        file.write_text(ring.read_text())
    one, two = (start_login_gateway(platform, keys=file) for file in files)
    everybody: list[Browser] = []

    def nobody_is_logged_out() -> None:
        for browser in everybody:
            for gateway in (one, two):
                visitor = browser.copy(gateway)
                assert visitor.fetch("/").status == 200
                visitor.leave()

    def somebody_logs_in() -> set[str]:
        for gateway in (one, two):
            browser = Browser(gateway)
            browser.log_in()
            browser.leave()
            everybody.append(browser)
        nobody_is_logged_out()
        return {key_of(browser) for browser in everybody[-2:]}

    old = somebody_logs_in()
    assert len(old) == 1
    rotated = int(time.time())
    settled = rotated + APART + 14
    rotate(ring, settles=settled)
    files[0].write_text(ring.read_text())
    load(one)
    assert somebody_logs_in() == old, "the new key does not seal before every gateway knows it"
    # A login that goes to one gateway and comes back to the other.
    travelling = Browser(one)
    url = travelling.provider.answer(travelling.start_login())
    back = travelling.copy(two)
    assert back.come_back(url).status == 302
    while time.time() < rotated + APART:
        # Somebody works at both all the time.
        nobody_is_logged_out()
        wait_until(min(time.time() + APART / 6, rotated + APART))
    files[1].write_text(ring.read_text())
    load(two)
    assert time.time() < settled, "the machine is too slow for this test"
    assert somebody_logs_in() == old
    wait_until(settled)
    new = somebody_logs_in()
    assert len(new) == 1 and new != old
    nobody_is_logged_out()
    # A second rotation, and the first key still opens what it sealed.
    rotate(ring)
    for gateway, file in zip((two, one), reversed(files)):
        file.write_text(ring.read_text())
        load(gateway)
        nobody_is_logged_out()
    assert len(json.loads(ring.read_text())["keys"]) == 3
    assert somebody_logs_in() == new
    for browser in (travelling, back):
        browser.leave()


def test_a_rotated_ring_is_taken_up_without_being_told(platform, start_login_gateway, tmp_path):
    ring = ring_file(tmp_path)
    gateway = start_login_gateway(platform, keys=ring, reload={"watch_files": True})
    browser = Browser(gateway)
    browser.log_in()
    before = reloads(gateway)
    rotate(ring, settles=time.time() + 2)
    eventually(lambda: reloads(gateway) > before, "the gateway to see its files change")

    def is_sealed_anew() -> bool:
        newcomer = Browser(gateway)
        newcomer.log_in()
        newcomer.leave()
        return key_of(newcomer) != key_of(browser)

    eventually(is_sealed_anew, "a login that the new key seals")
    assert browser.fetch("/").status == 200
    browser.leave()


def test_an_operator_sees_which_keys_still_open_logins(platform, start_login_gateway, tmp_path):
    ring = ring_file(tmp_path)
    gateway = start_login_gateway(platform, keys=ring)

    def uses() -> dict[str, float]:
        return {name: value for name, value in gateway.metrics().items() if name.startswith("gw_sessions_key_cookies_total")}

    browsers = [Browser(gateway)]
    first = browsers[0]
    first.log_in()
    name = f'gw_sessions_key_cookies_total{{key="{key_of(first)}"}}'
    for count in (1, 2, 3):
        assert first.fetch("/").status == 200
        assert uses() == {name: count}, "each request that shows a login counts"
    rotate(ring, settles=time.time() + 1)
    load(gateway)

    def is_sealed_anew() -> bool:
        browsers.append(Browser(gateway))
        browsers[-1].log_in()
        return key_of(browsers[-1]) != key_of(first)

    eventually(is_sealed_anew, "a login that the new key seals")
    second, before = browsers[-1], uses()
    assert second.fetch("/").status == 200
    assert first.fetch("/").status == 200
    newer = f'gw_sessions_key_cookies_total{{key="{key_of(second)}"}}'
    assert uses() == before | {name: before[name] + 1, newer: before.get(newer, 0) + 1}
    for browser in browsers:
        browser.leave()


def test_a_cookie_of_a_key_that_is_gone_is_no_login_and_no_fault(platform, start_login_gateway, tmp_path):
    ring = ring_file(tmp_path)
    gateway = start_login_gateway(platform, keys=ring)
    browser = Browser(gateway)
    browser.log_in()
    ring.unlink()
    ring_file(tmp_path)
    load(gateway)
    response = browser.fetch("/")
    assert response.status == 401
    assert gateway.entry(response.get("x-request-id"))["auth"]["reason"] == "login_key_unknown"
    assert browser.log_in().status == 302
    assert browser.fetch("/").status == 200
    browser.leave()


@pytest.mark.parametrize("text", ["", "{}", '{"keys": []}', '{"keys": [{"id": "a", "key": "short", "created": 1}]}', "no ring"])
def test_a_broken_ring_is_refused_and_the_old_one_goes_on(platform, start_login_gateway, tmp_path, text):
    ring = ring_file(tmp_path)
    gateway = start_login_gateway(platform, keys=ring)
    browser = Browser(gateway)
    browser.log_in()
    secret = json.loads(ring.read_text())["keys"][0]["key"]
    ring.write_text(text)
    gateway.signal(signal.SIGHUP)
    gateway.wait_for_line("the old one goes on serving")
    assert browser.fetch("/").status == 200
    assert secret not in gateway.output
    browser.leave()


def test_without_a_configured_ring_logins_survive_a_restart(platform, start_login_gateway, tmp_path):
    state = tmp_path / "own-state"

    def own(made: dict) -> None:
        made.pop("login_sessions")
        made["state_directory"] = str(state)

    first = start_login_gateway(platform, change=own)
    browser = Browser(first)
    browser.log_in()
    browser.leave()
    assert first.stop() == 0
    assert (state / "login-keys.json").stat().st_mode & 0o077 == 0
    again = browser.copy(start_login_gateway(platform, change=own))
    assert again.fetch("/").status == 200
    again.leave()
