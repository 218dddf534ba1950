"""Every page of the gateway's own, as a person sees it: what it says, that it loads nothing and breaks no rule of its own policy, that its
colours can be read, light and dark. The pictures are under .build/test-output/browser."""

import time

from gateway import eventually
from login import RECENT, SESSION, query, wait_until

CONTRAST = """
const rgb = text => { const n = text.match(/[\\d.]+/g).map(Number); return n.length > 3 && n[3] === 0 ? null : n.slice(0, 3); };
const luminance = c => { const [r, g, b] = c.map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
const back = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c) return c; } return [255, 255, 255]; };
return Math.min(...[...document.querySelectorAll('h1, h2, p, li, a, button, label, th, td, span, code, dt, dd')].map(e => {
  const [a, b] = [luminance(rgb(getComputedStyle(e).color)), luminance(back(e))].sort((a, b) => b - a); return (a + .05) / (b + .05); }));
"""


def readable(browser, name: str) -> None:
    """For everybody: one headline, one main part, a language, colours that WCAG AA takes in light and dark, and no sideways scrolling."""
    driver = browser.driver
    assert driver.execute_script("return document.documentElement.lang") == "en" and driver.title
    assert len(driver.find_elements("css selector", "meta[name=viewport]")) == 1
    assert len(driver.find_elements("css selector", "main")) == 1 and len(driver.find_elements("css selector", "h1")) == 1
    for scheme in ("light", "dark"):
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        contrast = driver.execute_script(CONTRAST)
        assert contrast >= 4.5, f"{name}, {scheme}: contrast {contrast:.2f} is below WCAG AA"
    browser.picture(name)
    browser.picture(f"{name}-narrow", width=390)
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 390, "height": 760, "deviceScaleFactor": 1, "mobile": False})
    assert driver.execute_script("return document.documentElement.scrollWidth <= innerWidth"), "a narrow window has to be scrolled sideways"
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def seen(browser, name: str, title: str, *texts: str) -> None:
    assert browser.text("h1") == title
    text = browser.text()
    for expected in texts:
        assert expected in text, text
    driver = browser.driver
    assert driver.title == title
    assert driver.execute_script("return performance.getEntriesByType('resource').filter(e => !e.name.endsWith('/favicon.ico')).length") == 0, "it loads something"
    assert driver.execute_script("return document.scripts.length") == 0
    readable(browser, name)
    # Style and form rules of the page's own policy were not broken.
    assert [entry for entry in driver.get_log("browser") if "Content Security Policy" in entry["message"]] == []


def test_the_page_of_an_interrupted_login(browser):
    browser.open("/oauth2/callback?code=x&state=" + "A" * 22)
    seen(browser, "login-interrupted", "This login was interrupted", "login_interrupted", "Start a new login")


def test_the_page_of_a_callback_that_is_none(browser):
    browser.open("/oauth2/callback?code=x")
    seen(browser, "login-bad-callback", "This is not a way back from a login", "state_malformed")


def test_the_page_of_a_refused_login(browser):
    browser.open("/page")
    state = query(browser.driver.current_url)["state"]
    browser.open(f"/oauth2/callback?error=access_denied&error_description=%3Cb%3Ecall%20555&state={state}")
    seen(browser, "login-refused", "The login was refused", "provider_access_denied")
    assert "call 555" not in browser.text()


def test_the_page_after_signing_out(browser):
    browser.open("/page")
    browser.sign_in()
    browser.click("#out")
    seen(browser, "signed-out", "You are signed out", "Sign in again")


def test_the_page_that_asks_before_signing_out(browser, stack):
    browser.open("/page")
    browser.sign_in()
    # A link on a page of another host: its way here says cross-site.
    browser.open("data:text/html,<a id=x href='" + stack.url + "/oauth2/sign_out'>x</a>")
    browser.click("#x")
    seen(browser, "sign-out-asked", "Sign out?")
    browser.click("button")
    assert browser.driver.current_url == stack.url + "/oauth2/signed_out" and browser.text("h1") == "You are signed out"
    assert SESSION not in browser.cookies()


def test_the_page_of_a_form_without_a_login_keeps_what_was_typed(browser, site):
    browser.open("/page")
    browser.sign_in()
    browser.driver.delete_cookie(SESSION)
    browser.driver.execute_script("const form = document.createElement('form'); form.method = 'post'; form.action = '/own'; form.innerHTML = '<input name=x value=typed><button id=send>Send</button>'; document.body.append(form);")
    browser.click("#send")
    seen(browser, "form-without-login", "You are not logged in", "login_required", "log in in another tab", "load this page again")
    here = browser.driver.current_window_handle
    browser.find(".first").click()
    eventually(lambda: len(browser.driver.window_handles) == 2, "the other tab")
    browser.driver.switch_to.window(next(tab for tab in browser.driver.window_handles if tab != here))
    eventually(lambda: browser.driver.title == "site /", "the login in the other tab, which the provider still remembers")
    browser.driver.switch_to.window(here)
    before = len(site.received)
    browser.driver.refresh()
    browser.on_site("/own")
    sent = [request for request in site.received[before:] if request.method == "POST"]
    assert [(request.target, request.body) for request in sent] == [("/own", b"x=typed")]


def test_the_page_of_an_address_for_programs(start_stack, start_browser):
    def change(made: dict) -> None:
        made["stages"][0]["routes"].append({"path": "/programs", "upstream": "main", "credentials": ["bearer"]})

    stack = start_stack(change=change)
    browser = start_browser(stack.url)
    browser.open("/programs")
    seen(browser, "programs-only", "This address is for programs", "metaflow-gateway-login", "token_missing", "To the start page")


def test_the_page_of_what_is_not_allowed(browser):
    browser.open("/admins/x")
    browser.sign_in()
    seen(browser, "forbidden", "You may not open this", "ml-admins, operators", "You are logged in as ada", "group_missing")


def test_the_page_of_a_login_that_goes_in_circles(browser):
    browser.open("/page")
    browser.sign_in()
    for _ in range(6):
        browser.driver.delete_cookie(SESSION)
        browser.open("/page")
        if browser.driver.title != "site /page":
            break
    seen(browser, "login-loop", "The login goes in circles", "did not come back", "login_loop")
    assert RECENT not in browser.cookies()
    browser.click(".first")
    browser.on_site("/")


def test_the_page_of_a_provider_that_does_not_answer(start_stack, start_browser):
    stack = start_stack("--access-token-seconds", "3")
    browser = start_browser(stack.url)
    browser.open("/page")
    browser.sign_in()
    end = browser.run("(await (await fetch('/oauth2/session')).json()).expires_at")
    stack.provider.tell("outage", seconds=600)
    wait_until(end)
    browser.open("/page")
    seen(browser, "provider-unavailable", "The login provider does not answer", "you are not signed out")
    assert SESSION in browser.cookies()


def test_the_page_of_an_upstream_that_does_not_answer(browser):
    browser.open("/broken")
    browser.sign_in()
    seen(browser, "upstream-unavailable", "The service behind this page did not answer", "502", "Try again", "To the start page", "upstream_connect_failed", time.strftime("%Y-%m-%dT", time.gmtime()))
    assert browser.find(".first").get_attribute("href") == browser.url + "/broken"
    assert browser.driver.execute_script("return performance.getEntriesByType('navigation')[0].responseStatus") == 502


def test_the_page_of_a_path_that_is_not_there(browser):
    browser.open("/oauth2/nothing")
    seen(browser, "nothing-here", "There is nothing here", "no_route")
