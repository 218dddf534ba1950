"""A person logs in, works, and signs out, in Chromium."""

import json
import ssl
import signal
import subprocess
import time

from gateway import GATEWAY, eventually
from login import RECENT, SESSION, TRANSACTION, wait_until
from site_behind import page
from upstream import Upstream

LIFE = 8


def ours(browser) -> set[str]:
    return {name for name in browser.cookies() if name.startswith("__Host-")}


def test_a_login_leads_to_the_page_that_was_asked_for(browser, stack):
    browser.open("/flows/Hello%20Flow?run=17&tag=a%20b")
    assert [name.startswith(TRANSACTION) for name in ours(browser)] == [True]
    browser.sign_in()
    browser.on_site("/flows/Hello%20Flow?run=17&tag=a%20b")
    cookies = browser.cookies()
    assert ours(browser) == {SESSION, RECENT}
    for name in ours(browser):
        cookie = cookies[name]
        assert cookie["httpOnly"] and cookie["secure"] and cookie["sameSite"] == "Lax" and cookie["path"] == "/" and cookie["domain"] == "localhost", cookie
    assert browser.driver.execute_script("return document.cookie") == ""
    browser.click("#next")
    browser.on_site("/next")
    navigation = eventually(lambda: [entry for entry in stack.gateway.log() if entry["path"] == "/next"], "its log line")
    assert [entry["protocol"] for entry in navigation] == ["HTTP/2"]


def test_a_second_tab_is_logged_in(browser):
    browser.open("/first")
    browser.sign_in()
    browser.driver.switch_to.new_window("tab")
    browser.open("/second")
    browser.on_site("/second")


def test_tabs_that_began_their_logins_side_by_side_all_arrive(browser):
    browser.open("/tab/1")
    first = browser.driver.current_window_handle
    browser.driver.switch_to.new_window("tab")
    browser.open("/tab/2")
    browser.sign_in()
    browser.on_site("/tab/2")
    browser.driver.switch_to.window(first)
    # The provider takes one form at a time and shows this one anew. The first tab's login was overtaken: it finds that somebody is
    # logged in, and goes to the start page.
    browser.sign_in()
    if browser.driver.title.startswith("Sign in"):
        browser.sign_in()
    browser.on_site("/")


def test_fetches_and_sockets_of_a_page_use_its_login(browser):
    browser.open("/")
    browser.sign_in()
    assert browser.statuses("/api/x", "/oauth2/session") == [200, 200]
    assert browser.run("(await fetch('/api/x', {method: 'POST', body: 'x'})).status") == 200
    said = "new Promise((done, fail) => { const socket = new WebSocket(`wss://${location.host}/ws`); socket.onmessage = event => done(event.data); socket.onclose = () => fail('closed'); })"
    assert browser.run(said) == "ada"


def test_a_form_of_another_origin_is_sent_and_cannot_act_with_the_login(browser, stack, site, certificate):
    """Another port of the same host is another origin and the same site: the browser sends the cookie along with its form, and the origin
    alone tells whose form it is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate["chain"], certificate["key"])
    elsewhere = Upstream(context)
    elsewhere.default = page
    try:
        browser.open("/")
        browser.sign_in()
        before, posts = browser.cookies()[SESSION]["value"], len([request for request in site.received if request.method == "POST"])
        for action in ("/oauth2/sign_out", "/oauth2/sign_out?everywhere=1", "/oauth2/refresh", "/api/delete"):
            browser.open(f"https://localhost:{elsewhere.port}/elsewhere")
            assert SESSION in elsewhere.seen("/elsewhere")[-1].get("cookie"), "the browser takes it for the same site"
            browser.driver.execute_script(
                f"const form = document.createElement('form'); form.method = 'post'; form.action = '{stack.url}{action}';"
                "form.innerHTML = '<button id=send name=x value=y>Send</button>'; document.body.append(form);")
            browser.click("#send")
            assert browser.driver.current_url == stack.url + action, "the form was sent"
            assert browser.driver.execute_script("return performance.getEntriesByType('navigation')[0].responseStatus") == 403
            assert browser.text("h1") == "This came from another site" and "origin_refused" in browser.text()
        browser.picture("another-origin")
        assert len([request for request in site.received if request.method == "POST"]) == posts
        browser.open("/oauth2/session")
        assert '"username":"ada"' in browser.text() and browser.cookies()[SESSION]["value"] == before
        # The same form of its own page acts.
        browser.open("/")
        browser.driver.execute_script("const form = document.createElement('form'); form.method = 'post'; form.action = '/own'; form.innerHTML = '<button id=send>Send</button>'; document.body.append(form);")
        browser.click("#send")
        browser.on_site("/own")
    finally:
        elsewhere.close()


def test_a_login_goes_on_after_the_keys_are_rotated(browser, stack):
    browser.open("/page")
    browser.sign_in()
    subprocess.run([str(GATEWAY), "keys", "rotate", "--output", str(stack.keys)], check=True, capture_output=True, timeout=60)
    ring = json.loads(stack.keys.read_text())
    ring["keys"][-1]["encrypts_after"] = int(time.time()) - 1
    stack.keys.write_text(json.dumps(ring))
    stack.gateway.signal(signal.SIGHUP)
    eventually(lambda: stack.gateway.metrics()['gw_config_reload_total{result="accepted"}'] >= 1, "the reload")
    browser.driver.refresh()
    browser.on_site("/page")
    assert browser.cookies()[SESSION]["value"].split(".")[2] == ring["keys"][0]["id"]


def test_an_ended_login_is_renewed_without_a_word(start_stack, start_browser):
    stack = start_stack("--access-token-seconds", str(LIFE), "--rotate-refresh-tokens", "--refresh-grace-seconds", "0")
    browser = start_browser(stack.url)
    browser.open("/page")
    browser.sign_in()
    authorizations = stack.provider.counters["authorizations"]
    for _ in range(2):
        old = browser.cookies()[SESSION]["value"]
        wait_until(browser.run("(await (await fetch('/oauth2/session')).json()).expires_at") + 0.1)
        # As a page does: its own reload beside many fetches.
        assert set(browser.statuses(*[f"/api/{number}" for number in range(20)])) == {200}
        browser.driver.refresh()
        browser.on_site("/page")
        assert browser.cookies()[SESSION]["value"] != old
        assert not any(name.startswith(TRANSACTION) for name in ours(browser))
    assert stack.provider.counters["authorizations"] == authorizations
    assert 2 <= stack.provider.counters["refreshes"] <= 3


def test_signing_out_ends_at_the_providers_door_and_back_shows_nothing(browser, stack):
    browser.open("/secret")
    browser.sign_in()
    browser.click("#next")
    browser.click("#out")
    assert browser.driver.current_url == stack.url + "/oauth2/signed_out"
    assert browser.text("h1") == "You are signed out" and ours(browser) == set()
    eventually(lambda: stack.provider.counters["revocations"] == 1, "the revocation")
    # Twice back would be a page of the site.
    browser.driver.back()
    eventually(lambda: browser.driver.title.startswith("Sign in"), "the login page")
    assert "/secret" not in browser.text()
    browser.driver.refresh()
    assert browser.driver.title.startswith("Sign in")
    browser.open("/again")
    browser.sign_in("grace")
    browser.on_site("/again", "grace")


def test_signing_out_everywhere_ends_the_other_browser_too(browser, stack, start_browser):
    other = start_browser(stack.url)
    for one in (browser, other):
        one.open("/page")
        one.sign_in("grace")
    wait_until(int(time.time()) + 1.05)
    browser.click("#everywhere")
    assert "at the latest within" in browser.text()
    browser.picture("signed-out-everywhere")
    assert other.statuses("/api/x") == [401]
    # The other browser is still known to the provider, which is not ours to end: it logs in anew there, without a word.
    old, authorizations = other.cookies()[SESSION]["value"], stack.provider.counters["authorizations"]
    other.driver.refresh()
    other.on_site("/page", "grace")
    assert other.cookies()[SESSION]["value"] != old and stack.provider.counters["authorizations"] == authorizations + 1


def test_a_login_of_one_stage_is_none_on_another(browser, stack):
    browser.open("/page")
    browser.sign_in()
    cookie = browser.cookies()[SESSION]
    browser.driver.execute_cdp_cmd("Network.setCookie", {"url": stack.second_url + "/", "name": SESSION, "value": cookie["value"], "secure": True, "httpOnly": True, "path": "/"})
    browser.open(stack.second_url + "/page")
    assert browser.driver.title.startswith("Sign in · second"), browser.driver.title
    browser.sign_in("grace")
    assert browser.text("#user") == "grace" and browser.driver.current_url == stack.second_url + "/page"
    browser.open("/page")
    browser.on_site("/page")
