"""The local platform's page of runs follows what happens, through the gateway, in a real browser, and says so when it cannot."""

import json
import signal
import time
import urllib.request

import pytest
from gateway import eventually
from login import LocalPlatform, wait_until
from test_pages import readable

RUN = {"user_name": "ada", "tags": ["seen-live"], "system_tags": ["metaflow_version:2.19.39"]}


def record(platform, path: str, body) -> dict:
    request = urllib.request.Request(f"http://127.0.0.1:{platform.metadata}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST")
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


class Page:
    """Somebody who looks at the runs of one flow."""

    def __init__(self, platform, stack, browser) -> None:
        self.platform, self.stack, self.browser = platform, stack, browser
        record(platform, "/flows/LiveFlow", RUN)
        browser.open("/?flow=LiveFlow")
        browser.sign_in()
        assert browser.text("h1") == "Runs" and "seen-live" not in browser.text()
        self.follows()
        # What stands in the page's own memory is gone when it is loaded again.
        browser.driver.execute_script("window.isTheSame = true")

    @property
    def state(self) -> str:
        return self.browser.driver.execute_script("return document.documentElement.dataset.live")

    @property
    def notice(self) -> str:
        # One look: the page may change between two.
        return self.browser.driver.execute_script("return document.getElementById('live').innerText")

    def follows(self) -> None:
        eventually(lambda: self.state == "yes" and self.notice == "", "the page to listen, without a complaint")

    def says(self, text: str) -> None:
        eventually(lambda: text in self.notice, f"the page to say {text!r}")

    @property
    def runs(self) -> str:
        # In one look too: each showing has a table of its own.
        return self.browser.driver.execute_script("return document.querySelector('tbody').innerText")

    def start_run(self) -> str:
        return record(self.platform, "/flows/LiveFlow/run", RUN)["run_number"]

    def shows(self, run: str) -> None:
        eventually(lambda: f"LiveFlow/{run}" in self.browser.driver.execute_script("return document.body.innerText"), f"run {run} on the page")

    def is_the_same(self) -> bool:
        return self.browser.driver.execute_script("return window.isTheSame") is True

    def broke_no_rule(self) -> bool:
        return [entry for entry in self.browser.driver.get_log("browser") if "Content Security Policy" in entry["message"]] == []


@pytest.fixture
def open_page(tmp_path, start_stack, start_browser):
    def open_page(*options: str) -> Page:
        platform = LocalPlatform(tmp_path / "platform", *options)

        def change(made: dict) -> None:
            stage = made["stages"][0]
            stage["upstreams"]["ui"] = {"endpoints": [f"http://127.0.0.1:{platform.browser}"]}
            stage["routes"] = [
                {"path": "/api", "upstream": "ui", "strip_prefix": True, "credentials": ["login_session", "bearer"]},
                {"path": "/", "upstream": "ui", "credentials": ["login_session"]},
            ]

        stack = start_stack(provider=platform, change=change)
        return Page(platform, stack, start_browser(stack.url))

    return open_page


def test_the_page_shows_a_new_run_and_its_end_without_being_loaded_again(open_page):
    page = open_page()
    run = page.start_run()
    page.shows(run)
    assert "seen-live" in page.browser.text() and "running" in page.runs
    path = f"/flows/LiveFlow/runs/{run}"
    record(page.platform, f"{path}/steps/end/step", RUN)
    record(page.platform, f"{path}/steps/end/task", RUN)
    record(page.platform, f"{path}/steps/end/tasks/1/metadata", [{**RUN, "field_name": "attempt_ok", "type": "attempt_ok", "value": "True", "tags": []}])
    eventually(lambda: "completed" in page.runs, "the run's end on the page")
    assert page.is_the_same() and page.broke_no_rule()


def test_the_page_comes_back_by_itself_and_shows_what_it_missed(open_page):
    """From a gateway that is replaced in order (1001), and from one that is gone at once."""
    page = open_page()
    page.stack.gateway.signal(signal.SIGTERM)
    page.says("The gateway is being replaced by a new one. This page reconnects by itself")
    missed = page.start_run()
    page.stack.replace()
    page.follows()
    page.shows(missed)
    page.stack.gateway.kill()
    page.says("The connection was lost. This page reconnects by itself")
    page.browser.picture("live-lost")
    page.browser.picture("live-lost-narrow", width=390)
    missed = page.start_run()
    page.stack.replace()
    # It may be back before the click.
    page.browser.driver.execute_script("document.querySelector('#live button')?.click()")
    page.follows()
    page.shows(missed)
    # And it listens again, not only once.
    page.shows(page.start_run())
    assert page.is_the_same() and page.broke_no_rule()


def test_the_page_says_that_its_login_has_ended_and_leads_back_through_a_new_one(open_page):
    page = open_page()
    # As another tab does.
    page.browser.run("(await fetch('/oauth2/sign_out', { method: 'POST', redirect: 'manual' })).type")
    page.says("Your login has ended")
    page.browser.picture("live-ended")
    page.browser.picture("live-ended-narrow", width=390)
    missed = page.start_run()
    assert page.state == "ended"
    page.browser.click("#live a")
    if page.browser.driver.title.startswith("Sign in"):
        page.browser.sign_in()
    assert page.browser.driver.current_url == f"{page.stack.url}/?flow=LiveFlow"
    page.follows()
    page.shows(missed)
    assert page.broke_no_rule()


def test_the_page_goes_on_over_the_end_of_a_login_that_can_be_renewed(open_page):
    """The gateway closes the socket with 1008 at the end of the provider's tokens; nobody has to log in, and nobody is told so."""
    # Longer than the 5 s to the first sign of life on a socket: only after it is the next end another renewal and no loss.
    page = open_page("--access-token-seconds", "12")
    page.browser.driver.execute_script("""
        window.said = [];
        new MutationObserver(() => said.push(document.getElementById('live').innerText)).observe(document.getElementById('live'), { childList: true });
    """)
    end = page.browser.run("(await (await fetch('/oauth2/session')).json()).expires_at")
    wait_until(end)
    eventually(lambda: page.platform.counters["refreshes"] >= 1, "the renewal")
    page.shows(page.start_run())
    assert time.time() > end and page.state == "yes"
    said = page.browser.driver.execute_script("return window.said.filter(text => text)")
    assert said == [] and page.is_the_same()


def test_the_pages_of_runs_can_be_read_by_everybody_with_long_names_too(open_page):
    page = open_page()
    flow, tags = "AVeryLongFlowNameThatSomebodyHasChosenForTrainingTheirModelFlow", ["short", "experiment:" + "a-long-tag-" * 4]
    record(page.platform, f"/flows/{flow}", RUN)
    run = record(page.platform, f"/flows/{flow}/run", RUN | {"tags": tags})["run_number"]
    for step in ("start", "end"):
        record(page.platform, f"/flows/{flow}/runs/{run}/steps/{step}/step", RUN)
        record(page.platform, f"/flows/{flow}/runs/{run}/steps/{step}/task", RUN)
    driver = page.browser.driver
    for name, target in (("runs", "/"), ("run", f"/{flow}/{run}"), ("run-unknown", f"/{flow}/999"), ("runs-unknown-page", "/a/b/c")):
        page.browser.open(target)
        if name == "runs":
            # Without JavaScript the list is whole, and says what it does not do.
            source = page.browser.run("(await fetch('/')).text()")
            assert f"/{flow}/{run}" in source and "<noscript>" in source and "load it again to see what is new" in source
            # A column that gives way to the others breaks its words into letters, one below the other.
            assert driver.execute_script("return Math.max(...[...document.querySelectorAll('tr')].map(row => row.offsetHeight))") < 200
        for tabindex, label in driver.execute_script("return [...document.querySelectorAll('.table')].map(table => [table.getAttribute('tabindex'), table.getAttribute('aria-label')])"):
            assert tabindex == "0" and label, "what scrolls can be reached by keyboard"
        readable(page.browser, name)
    page.browser.open(page.platform.endpoint + "/us-west-2_LocalStage/oauth2/authorize?client_id=unknown")
    readable(page.browser, "provider-bad-request")
