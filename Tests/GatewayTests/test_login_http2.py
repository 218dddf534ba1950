"""The login over HTTP/2, where all that a page asks for shares one connection: who is led to it (D1, D13), how it is renewed while other
streams go on (D9), and what its end does to the streams that it let in (D12)."""

import json
import threading
import time
from base64 import b64decode
from contextlib import contextmanager

import pytest
from frames import CLOSE, Peer, read_frame
from gateway import eventually
from http2 import H2, Stream
from login import FETCH, NAVIGATION, ORIGIN, SESSION, UPGRADE, Browser, query, set_cookie, wait_until
from upstream import EventSource, answer

LIFE = 5


class Tab:
    """One HTTP/2 connection of a browser: each cookie is a field of its own, as browsers send them (RFC 9113 §8.2.3)."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.h2 = H2(browser.gateway)

    def open(self, target: str, fields=FETCH, method: str = "GET", *, ends: bool = True, cookies: dict[str, str] | None = None) -> int:
        crumbs = [("cookie", f"{name}={value}") for name, value in (self.browser.cookies if cookies is None else cookies).items()]
        return self.h2.open(method, target, [(name.lower(), value) for name, value in fields] + crumbs, ends=ends)

    def response(self, number: int) -> Stream:
        """Whole, and not broken off."""
        stream = self.h2.response(number)
        assert stream.reset in (None, 0), stream
        for line in set_cookies(stream):
            name, value, _ = set_cookie(line)
            self.browser.cookies[name] = value
            if value is None:
                del self.browser.cookies[name]
        return stream

    def ask(self, target: str, fields=FETCH, method: str = "GET", body: bytes | None = None) -> Stream:
        number = self.open(target, fields, method, ends=body is None)
        if body is not None:
            self.h2.send_body(number, body)
        return self.response(number)

    def reads(self, number: int, body: bytes) -> None:
        """Until the stream has brought this much."""
        stream = self.h2.streams[number]
        self.h2.until(lambda: len(stream.body) >= len(body) or stream.ended or stream.reset is not None, f"{body!r} on stream {number}")
        assert (stream.body, stream.ended, stream.reset) == (body, False, None)


def set_cookies(stream: Stream) -> list[str]:
    return [value for name, value in stream.heads[0] if name == "set-cookie"]


def renews(stream: Stream) -> bool:
    return any(line.startswith(SESSION + "=") and not line.startswith(SESSION + "=;") for line in set_cookies(stream))


@contextmanager
def tab_of(gateway, user: str | None = None):
    """A browser's connection, logged in as that user."""
    browser = Browser(gateway)
    if user:
        browser.log_in(user)
        browser.leave()
    tab = Tab(browser)
    yield tab
    tab.h2.client.close()


# --- Who is led to a login (D1)


def test_over_http_2_a_navigation_is_led_to_the_provider_and_the_way_back_ends_at_the_page(login_gateway, platform, upstream, path):
    with tab_of(login_gateway) as tab:
        browser = tab.browser
        stream = tab.ask(f"{path}?run=1", NAVIGATION)
        assert stream.status == 302 and stream.get("cache-control") == "no-store"
        location = stream.get("location")
        assert location.startswith(f"{platform.endpoint}/us-west-2_LocalStage/oauth2/authorize?")
        assert query(location)["redirect_uri"] == f"{ORIGIN}/oauth2/callback"
        assert list(browser.cookies) == browser.transactions and len(browser.transactions) == 1
        back = browser.provider.answer(location)
        stream = tab.ask(back.removeprefix(ORIGIN), NAVIGATION)
        assert stream.status == 302 and stream.get("location") == f"{path}?run=1"
        assert browser.has_session and browser.transactions == []
        assert upstream.seen(path) == []
        assert tab.ask(f"{path}?run=1", NAVIGATION).status == 200
        assert upstream.seen(path)[0].get("x-auth-username") == "ada"
        assert "__Host-gw" not in upstream.seen(path)[0].head.decode()


@pytest.mark.parametrize(
    ("method", "fields", "body"),
    [("GET", FETCH, None), ("HEAD", FETCH, None), ("POST", FETCH, b"x=1"), ("POST", FETCH, b"x" * 200_000), ("GET", [("Accept", "text/event-stream")], None)],
    ids=["fetch", "HEAD", "POST", "upload", "event stream"],
)
def test_over_http_2_what_is_no_navigation_is_told_and_gets_no_cookie(login_gateway, upstream, path, method, fields, body):
    with tab_of(login_gateway) as tab:
        stream = tab.ask(path, fields, method, body)
        assert stream.status == 401 and stream.get("www-authenticate") == "Session" and stream.get("cache-control") == "no-store"
        assert stream.get("location") is None and set_cookies(stream) == [] and upstream.seen(path) == []
        if method != "HEAD":
            said = stream.json()
            assert (said["code"], said["login_url"]) == ("login_required", "/oauth2/start?rd=%2F")
            assert said["request_id"] == stream.get("x-request-id")
        # The refusal, also of a body that nobody read, concerns its own stream alone.
        assert tab.ask("/public/x").status == 200


def test_over_http_2_a_form_without_a_login_is_answered_by_a_page(login_gateway, upstream, path):
    with tab_of(login_gateway) as tab:
        stream = tab.ask(path, NAVIGATION, "POST", b"x=1")
        assert (stream.status, stream.get("www-authenticate"), stream.get("content-type")) == (401, "Session", "text/html; charset=utf-8")
        assert b"<h1>You are not logged in</h1>" in stream.body and set_cookies(stream) == [] and upstream.seen(path) == []


@pytest.mark.parametrize(("site", "status"), [("same-origin", 200), ("cross-site", 403)])
def test_over_http_2_a_cookie_acts_only_for_our_own_pages(login_gateway, upstream, path, site, status):
    with tab_of(login_gateway, "ada") as tab:
        fields = [field for field in FETCH if field[0] != "Sec-Fetch-Site"] + [("Sec-Fetch-Site", site)]
        assert tab.ask(path, fields, "POST", b"x").status == status
        assert len(upstream.seen(path)) == (status == 200)


# --- Renewed ahead of its end, while other streams go on (D9)


def test_a_renewal_beside_a_stream_asks_once_and_holds_up_no_other(scripted, start_login_gateway, upstream, path):
    gateway = start_login_gateway(scripted, event_loops=1)
    assert any(renewed_beside_a_stream(gateway, scripted, upstream, f"{path}/{number}") for number in range(4)), "the machine is too slow for this test"


def renewed_beside_a_stream(gateway, scripted, upstream, path) -> bool:
    """The provider answers when the test says: until then the answers of this login wait for their new cookie, and nothing else does.
    False where the machine stood still for longer than what is left of the login, or than an answer waits: then it is to be tried again."""
    events, download = upstream.script[f"{path}/events"], upstream.script[f"{path}/download"] = EventSource(), EventSource("application/octet-stream")
    upstream.script[f"{path}/large"] = answer(bytes(300_000))
    scripted.answer, scripted.forms = lambda form: (200, json.dumps(scripted.tokens(form)).encode()), []
    scripted.changes, scripted.after = {"exp": int(time.time()) + 8}, lambda tokens: tokens | {"refresh_token": f"refresh-of-{path}"}
    browser = Browser(gateway)
    browser.come_back(scripted.callback(browser.start_login()))
    browser.leave()
    with tab_of(gateway) as tab:
        tab.browser.cookies = browser.cookies
        first_end = tab.ask("/oauth2/session").json()["expires_at"]
        old = dict(browser.cookies)
        running = [tab.open(f"{path}/events"), tab.open(f"{path}/download")]
        for number in running:
            tab.reads(number, b"id: 1\n")
        # Renewed ahead in its last fifth, which is at least 1.4 seconds.
        wait_until(first_end - 1.3)
        goes_on, refresh = threading.Event(), scripted.answer

        def when_told(form):
            assert goes_on.wait(20)
            return refresh(form)

        scripted.changes, scripted.answer = {"exp": int(time.time()) + 3600}, when_told
        asked = time.monotonic()
        waiting = [tab.open(f"{path}/{number}", NAVIGATION if number == 0 else FETCH) for number in range(6)]
        waiting.append(tab.open(f"{path}/posted", FETCH, "POST", ends=False))
        tab.h2.send_body(waiting[-1], b"once")
        waiting.append(tab.open(f"{path}/large"))
        targets = [f"{path}/{target}" for target in [*map(str, range(6)), "posted", "large"]]
        eventually(lambda: time.time() >= first_end or all(upstream.seen(target) for target in targets), "the requests at the upstream")
        if time.time() >= first_end:
            goes_on.set()
            return False
        # All of them are at the upstream already; only their answers wait.
        assert tab.ask("/public/meanwhile").status == 200
        download.says(b"id: 2\n", ends=True)
        assert tab.response(running[1]).body == b"id: 1\nid: 2\n"
        events.says(b"id: 2\n")
        tab.reads(running[0], b"id: 1\nid: 2\n")
        early = [list(tab.h2.streams[number].heads) for number in waiting]
        goes_on.set()
        answers = [tab.response(number) for number in waiting]
        # Three seconds are the longest that an answer waits.
        if time.monotonic() - asked > 2.9:
            return False
        assert early == [[]] * len(waiting), "an answer left without the new cookie"
        assert [stream.status for stream in answers] == [200] * len(waiting)
        assert all(renews(stream) for stream in answers), "each may be the last to arrive at the browser"
        assert len(answers[-1].body) == 300_000 and answers[-2].json()["body"] == 4 and len(upstream.seen(f"{path}/posted")) == 1
        assert [form["grant_type"] for form in scripted.forms].count("refresh_token") == 1
        assert tab.ask("/oauth2/session").json()["expires_at"] > first_end + 3000
        # The event stream is the renewed login's now, and a late request with the old cookie gets the new one.
        wait_until(first_end + 1)
        late = tab.response(tab.open("/", cookies=old))
        assert late.status == 200 and renews(late)
        events.says(b"id: 3\n")
        tab.reads(running[0], b"id: 1\nid: 2\nid: 3\n")
        assert [form["grant_type"] for form in scripted.forms].count("refresh_token") == 1
    return True


# --- The end of a login (D12)


def test_over_http_2_an_event_stream_ends_with_its_login_and_its_connection_goes_on(start_platform, start_login_gateway, upstream, path):
    gateway = start_login_gateway(start_platform("--access-token-seconds", str(LIFE)))
    mine, public, plain = EventSource(), EventSource(), EventSource("application/octet-stream")
    upstream.script[f"{path}/events"], upstream.script[f"{path}/download"], upstream.script[f"/public{path}"] = mine, plain, public
    with tab_of(gateway, "ada") as tab:
        end = tab.ask("/oauth2/session").json()["expires_at"]
        bound, ordinary, of_nobody = tab.open(f"{path}/events"), tab.open(f"{path}/download"), tab.open(f"/public{path}")
        for number in (bound, ordinary, of_nobody):
            tab.reads(number, b"id: 1\n")
        stream = tab.response(bound)
        assert end <= time.time() < end + 10
        assert (stream.status, stream.body, stream.ended, stream.reset) == (200, b"id: 1\n", True, None), "it ends whole"
        assert mine.was_left.wait(20), "its upstream is left too"
        assert gateway.entry(stream.get("x-request-id"))["details"] == "stream_login_ended"
        # An answer that was under way is not cut, and a public route's stream belongs to nobody.
        for number, source in ((ordinary, plain), (of_nobody, public)):
            source.says(b"id: 2\n", ends=True)
            assert tab.response(number).body == b"id: 1\nid: 2\n"
        # The page asks again by itself, on the same connection, and renews the login.
        again = upstream.script[f"{path}/events"] = EventSource()
        number = tab.open(f"{path}/events")
        tab.reads(number, b"id: 1\n")
        assert renews(tab.h2.streams[number])
        again.says(b"id: 2\n")
        tab.reads(number, b"id: 1\nid: 2\n")
        assert tab.h2.goaways == [] and not tab.h2.ended


def test_over_http_2_signing_out_ends_the_streams_of_that_login_alone(login_gateway, upstream, path):
    """Streams of two logins share the connection, as behind a proxy that speaks HTTP/2 for several people; a socket has one of its own."""
    peer = Peer()
    upstream.script[f"{path}/ws"] = peer.script()
    sources = {name: EventSource() for name in ("ada", "also-ada", "grace")}
    for name, source in sources.items():
        upstream.script[f"{path}/{name}"] = source
    grace = Browser(login_gateway)
    grace.log_in("grace")
    with tab_of(login_gateway, "ada") as tab:
        socket = tab.browser.tab()
        assert socket.ask("GET", f"{path}/ws", [*UPGRADE, ("Origin", ORIGIN)]).status == 101
        peer.wait()
        numbers = {name: tab.open(f"{path}/{name}", cookies=grace.cookies if name == "grace" else None) for name in sources}
        for number in numbers.values():
            tab.reads(number, b"id: 1\n")
        assert tab.ask("/oauth2/sign_out", FETCH, "POST").status == 302
        for name in ("ada", "also-ada"):
            stream = tab.response(numbers[name])
            assert (stream.body, stream.ended, stream.reset) == (b"id: 1\n", True, None)
            assert sources[name].was_left.wait(20)
        opcode, payload = read_frame(socket._client)
        assert opcode == CLOSE and payload[:2] == (1008).to_bytes(2, "big")
        assert tab.ask(f"{path}/ada").status == 401
        sources["grace"].says(b"id: 2\n")
        tab.reads(numbers["grace"], b"id: 1\nid: 2\n")
        peer.is_over.set()
        for one in (socket, grace):
            one.leave()


def test_over_http_2_the_revocation_file_ends_event_streams_of_logins_and_of_tokens(platform, start_login_gateway, upstream, path, tmp_path):
    file = tmp_path / "revocation.json"
    file.write_text('{"version": 1, "entries": []}')
    gateway = start_login_gateway(platform, change=lambda made: made.update(revocation={"file": str(file)}))
    with tab_of(gateway, "ada") as tab:
        who = tab.ask("/oauth2/session").json()["subject"]
        targets = [f"/api{path}/{name}" for name in ("login", "token")]
        for target in targets:
            upstream.script[target] = EventSource()
        token = platform.token(user="grace")
        identifier = json.loads(b64decode(token.split(".")[1] + "==", altchars=b"-_"))["jti"]
        by_login, by_token = tab.open(targets[0]), tab.open(targets[1], [*FETCH, ("Authorization", f"Bearer {token}")], cookies={})
        for number in (by_login, by_token):
            tab.reads(number, b"id: 1\n")
        listed = [{"sub": who, "until": 4_000_000_000}]
        file.write_text(json.dumps({"version": 1, "entries": listed}))
        ended = [tab.response(by_login)]
        upstream.script[targets[1]].says(b"id: 2\n")
        tab.reads(by_token, b"id: 1\nid: 2\n")
        assert tab.ask("/").status == 401
        listed.append({"jti": identifier, "until": 4_000_000_000})
        file.write_text(json.dumps({"version": 1, "entries": listed}))
        ended.append(tab.response(by_token))
        assert [(stream.body, stream.ended, stream.reset) for stream in ended] == [(b"id: 1\n", True, None), (b"id: 1\nid: 2\n", True, None)]
        for stream in ended:
            assert gateway.entry(stream.get("x-request-id"))["details"] == "stream_login_ended"
