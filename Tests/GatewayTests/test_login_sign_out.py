"""Signing out: here, at the provider and everywhere, and what is worthless afterwards (D11, C11)."""

import time

import pytest
from gateway import eventually
from login import ATTRIBUTES, FETCH, NAVIGATION, ORIGIN, RECENT, SESSION, SESSION_PARTS, Browser, query, wait_until

SAME_ORIGIN = [("Sec-Fetch-Site", "same-origin")]
FOREIGN_LINK = [field for field in NAVIGATION if field[0] != "Sec-Fetch-Site"] + [("Sec-Fetch-Site", "cross-site")]
OWN_LINK = [field for field in NAVIGATION if field[0] != "Sec-Fetch-Site"] + SAME_ORIGIN


@pytest.mark.parametrize(
    ("method", "fields"),
    [("POST", SAME_ORIGIN), ("POST", [("Origin", ORIGIN)]), ("GET", OWN_LINK), ("GET", FETCH), ("GET", NAVIGATION)],
    ids=["own form", "own form of an older browser", "own link", "own fetch", "typed by the person"],
)
def test_signing_out_ends_the_login_here_and_at_the_provider(ada, platform, method, fields):
    taken, before = ada.copy(), platform.counters["revocations"]
    response = ada.ask(method, "/oauth2/sign_out", fields)
    assert response.status == 302
    location = response.get("location")
    assert location.startswith(f"{platform.endpoint}/us-west-2_LocalStage/logout?")
    assert query(location) == {"client_id": "local-browser-client", "logout_uri": f"{ORIGIN}/oauth2/signed_out"}
    assert set(response.all("set-cookie")) == {f"{name}={ATTRIBUTES}0" for name in (*SESSION_PARTS, RECENT)}, "cleared with the attributes with which they were set"
    assert ada.cookies == {}
    # What somebody took before is worthless at once, on every event loop.
    for _ in range(8):
        assert taken.fetch("/").status == 401
        taken.leave()
    # One of an earlier test's may come in between.
    eventually(lambda: platform.counters["revocations"] > before, "the revocation at the provider")
    # The provider's own login ends too, and it leads back.
    status, back = ada.provider.follow(location)
    assert status == 302 and back == f"{ORIGIN}/oauth2/signed_out"
    page = ada.navigate("/oauth2/signed_out")
    assert page.status == 200 and b"You are signed out of local in this browser" in page.body
    assert page.get("cache-control") == "no-store"
    assert ada.provider.cookies == {}


def test_another_login_of_the_same_person_goes_on(ada, login_gateway):
    other = Browser(login_gateway)
    other.log_in("ada")
    assert ada.ask("POST", "/oauth2/sign_out", SAME_ORIGIN).status == 302
    assert other.fetch("/").status == 200
    other.leave()


def test_signing_out_clears_logins_under_way_too(ada):
    stranger = Browser(ada.gateway)
    stranger.start_login()
    ada.cookies |= stranger.cookies
    ada.ask("POST", "/oauth2/sign_out", SAME_ORIGIN)
    assert ada.cookies == {}
    stranger.leave()


def test_a_link_elsewhere_does_not_sign_anybody_out(ada):
    response = ada.ask("GET", "/oauth2/sign_out", FOREIGN_LINK)
    assert response.status == 200 and b"Sign out?" in response.body and response.all("set-cookie") == []
    assert b'method="post"' in response.body and b'action="/oauth2/sign_out"' in response.body
    assert ada.fetch("/").status == 200


@pytest.mark.parametrize("fields", [[("Sec-Fetch-Site", "cross-site")], [("Origin", "https://evil.example")], [], [("Sec-Fetch-Site", "same-site"), ("Origin", ORIGIN)]])
def test_a_form_elsewhere_does_not_sign_anybody_out(ada, fields):
    response = ada.ask("POST", "/oauth2/sign_out", fields)
    assert response.status == 403 and response.all("set-cookie") == []
    assert ada.fetch("/").status == 200


def test_signing_out_without_a_login_is_harmless(scripted, start_login_gateway):
    browser = Browser(start_login_gateway(scripted))
    assert browser.ask("POST", "/oauth2/sign_out", SAME_ORIGIN).status == 302
    assert browser.navigate("/oauth2/signed_out").status == 200
    # What the provider hears of first is a login that ends behind it.
    browser.come_back(scripted.callback(browser.start_login()))
    browser.ask("POST", "/oauth2/sign_out", SAME_ORIGIN)
    eventually(lambda: scripted.revoked, "the revocation")
    assert scripted.revoked == ["refresh-1"]
    browser.leave()


def test_signing_out_works_while_the_provider_is_away(start_platform, start_login_gateway):
    platform = start_platform()
    browser = Browser(start_login_gateway(platform))
    browser.log_in()
    taken = browser.copy()
    platform.tell("outage", seconds=600)
    assert browser.ask("POST", "/oauth2/sign_out", SAME_ORIGIN).status == 302
    assert browser.cookies == {} and taken.fetch("/").status == 401
    browser.leave()
    taken.leave()


def test_the_refresh_token_that_is_revoked_is_the_logins_own(scripted, start_login_gateway):
    browser = Browser(start_login_gateway(scripted))
    browser.come_back(scripted.callback(browser.start_login()))
    browser.ask("POST", "/oauth2/sign_out", SAME_ORIGIN)
    eventually(lambda: scripted.revoked == ["refresh-1"], "the revocation")
    browser.leave()


def test_signing_out_everywhere_ends_all_logins_of_the_person_and_nobody_elses(login_gateway, platform):
    here, there, grace = Browser(login_gateway), Browser(login_gateway), Browser(login_gateway)
    for browser, user in ((here, "margaret"), (there, "margaret"), (grace, "grace")):
        browser.log_in(user)
    token = platform.token(user="margaret")
    program = Browser(login_gateway)
    assert program.ask("GET", "/api/x", [("Authorization", f"Bearer {token}")]).status == 200
    # Logins of the same second as the sign-out could be older or newer than it.
    wait_until(int(time.time()) + 1.05)
    response = here.ask("POST", "/oauth2/sign_out?everywhere=1", SAME_ORIGIN)
    assert response.status == 302
    # On new connections: a loop may read a request of an open one before the word of another loop.
    for browser in (there, program):
        browser.leave()
    for _ in range(8):
        assert there.fetch("/").status == 401
        there.leave()
    assert program.ask("GET", "/api/x", [("Authorization", f"Bearer {token}")]).status == 401, "programs too"
    assert grace.fetch("/").status == 200
    page = here.navigate("/oauth2/signed_out")
    text = page.body.decode()
    assert "at the latest within 1 day of their beginning" in text, text
    assert here.cookies == {}, "the page is told once"
    assert b"at the latest within" not in here.navigate("/oauth2/signed_out").body
    # And the person can log in again.
    wait_until(int(time.time()) + 1.05)
    there.cookies.clear()
    there.log_in("margaret")
    assert there.fetch("/").status == 200
    for browser in (here, there, grace, program):
        browser.leave()


def test_logging_in_again_in_the_second_of_a_sign_out_everywhere_is_no_loop(login_gateway):
    browser = Browser(login_gateway)
    browser.log_in("hedy")
    browser.ask("POST", "/oauth2/sign_out?everywhere=1", SAME_ORIGIN)
    for _ in range(4):
        response = browser.navigate("/")
        if response.status == 200:
            break
        browser.come_back(browser.provider.answer(response.get("location"), "hedy"))
    assert browser.navigate("/").status == 200
    browser.leave()


def test_a_link_elsewhere_to_sign_out_everywhere_asks_first(ada):
    response = ada.ask("GET", "/oauth2/sign_out?everywhere=1", FOREIGN_LINK)
    assert response.status == 200 and b"Sign out everywhere?" in response.body and b'action="/oauth2/sign_out?everywhere=1"' in response.body
    assert ada.fetch("/").status == 200


def test_the_log_of_a_login_holds_no_secret(ada, login_gateway, platform):
    cookie, url = ada.cookies[SESSION], ada.provider.answer(Browser(login_gateway).start_login())
    code = query(url)["code"]
    ada.navigate(url.partition(ORIGIN)[2])
    request = ada.ask("POST", "/oauth2/sign_out", SAME_ORIGIN).get("x-request-id")
    login_gateway.entry(request)
    for text in (login_gateway.output, login_gateway.log_path.read_text()):
        for secret in (cookie, cookie[-40:], code, query(url)["state"], "local-browser-development-secret"):
            assert secret not in text


def test_a_sign_out_holds_over_a_restart(platform, start_login_gateway, tmp_path):
    state = tmp_path / "own-state"

    def own(made: dict) -> None:
        made["state_directory"] = str(state)

    first = start_login_gateway(platform, change=own)
    here, there = Browser(first), Browser(first)
    for browser in (here, there):
        browser.log_in("margaret")
    wait_until(int(time.time()) + 1.05)
    assert here.ask("POST", "/oauth2/sign_out?everywhere=1", SAME_ORIGIN).status == 302
    file = state / "ended-logins.json"
    eventually(file.exists, "the sign-out on the disk")
    assert file.stat().st_mode & 0o077 == 0
    for browser in (here, there):
        browser.leave()
    assert first.stop() == 0
    again = there.copy(start_login_gateway(platform, change=own))
    assert again.fetch("/").status == 401
    again.leave()
