"""WebSockets and event streams live as long as the login or token that let them in (D12): to its end, and not beyond its revocation."""

import json
import threading
import time

import pytest
from gateway import eventually
from login import FETCH, ORIGIN, UPGRADE, Browser, wait_until
from frames import CLOSE, TEXT, Peer, close_payload, frame, read_frame
from upstream import EventSource

SAME_ORIGIN = [("Sec-Fetch-Site", "same-origin")]
LIFE = 5


class Socket:
    """A WebSocket of a browser, raw on both sides."""

    def __init__(self, browser: Browser, upstream, path: str, *fields) -> None:
        self.peer = Peer()
        upstream.script[path] = self.peer.script()
        self.tab = browser.tab()
        self.answer = self.tab.ask("GET", path, [*UPGRADE, ("Origin", ORIGIN), *fields])
        assert self.answer.status == 101, (self.answer.status, self.answer.body)
        self.client = self.tab._client
        self.line = self.peer.wait()

    def talks(self) -> bool:
        self.line.send(frame(b"still here"))
        return read_frame(self.client) == (TEXT, b"still here")

    def is_closed_with(self, code: int) -> None:
        """Both sides are told, and what was said before arrived."""
        opcode, payload = read_frame(self.client)
        assert opcode == CLOSE and payload[:2] == code.to_bytes(2, "big"), (opcode, payload)
        assert b"login has ended" in payload
        opcode, payload = read_frame(self.line)
        assert opcode == CLOSE and payload[:2] == code.to_bytes(2, "big"), (opcode, payload)
        self.client.send(frame(close_payload(code), CLOSE, mask=True))
        self.line.send(frame(close_payload(code), CLOSE))

    def leave(self) -> None:
        self.peer.is_over.set()
        self.tab.leave()


@pytest.fixture
def open_socket(upstream, path):
    opened = []

    def open_socket(browser: Browser, *fields) -> Socket:
        opened.append(Socket(browser, upstream, f"{path}/ws/{len(opened)}", *fields))
        return opened[-1]

    yield open_socket
    for one in opened:
        one.leave()


@pytest.fixture
def steady(start_platform):
    return start_platform("--access-token-seconds", str(LIFE))


def log_in(gateway, user: str = "ada") -> Browser:
    browser = Browser(gateway)
    browser.log_in(user)
    return browser


def test_signing_out_closes_the_logins_sockets_with_1008_and_nobody_elses(login_gateway, open_socket):
    ada, grace = log_in(login_gateway), log_in(login_gateway, "grace")
    sockets, others = [open_socket(ada) for _ in range(3)], open_socket(grace)
    assert ada.ask("POST", "/oauth2/sign_out", SAME_ORIGIN).status == 302
    for socket in sockets:
        socket.is_closed_with(1008)
    assert others.talks()
    entry = login_gateway.entry(sockets[0].answer.get("x-request-id"))
    assert "1008" in entry["details"], entry
    for browser in (ada, grace):
        browser.leave()


def test_signing_out_everywhere_closes_the_sockets_of_the_persons_other_logins(login_gateway, open_socket):
    here, there = log_in(login_gateway, "hedy"), log_in(login_gateway, "hedy")
    socket = open_socket(there)
    wait_until(int(time.time()) + 1.05)
    assert here.ask("POST", "/oauth2/sign_out?everywhere=1", SAME_ORIGIN).status == 302
    socket.is_closed_with(1008)
    for browser in (here, there):
        browser.leave()


def test_the_revocation_file_closes_sockets_of_logins_and_of_tokens(platform, start_login_gateway, tmp_path, open_socket):
    file = tmp_path / "revocation.json"
    file.write_text('{"version": 1, "entries": []}')

    def with_tokens(made: dict) -> None:
        made["revocation"] = {"file": str(file)}
        made["stages"][0]["routes"][0]["credentials"] = ["login_session", "bearer"]

    gateway = start_login_gateway(platform, change=with_tokens)
    ada = log_in(gateway)
    token = platform.token(user="grace")
    by_login, by_token = open_socket(ada), open_socket(Browser(gateway), ("Authorization", f"Bearer {token}"))
    from base64 import urlsafe_b64decode

    claims = json.loads(urlsafe_b64decode(token.split(".")[1] + "=="))
    file.write_text(json.dumps({"version": 1, "entries": [{"jti": claims["jti"], "until": 4_000_000_000}]}))
    by_token.is_closed_with(1008)
    assert by_login.talks()
    file.write_text(json.dumps({"version": 1, "entries": [{"sub": ada.who()["subject"], "until": 4_000_000_000}]}))
    by_login.is_closed_with(1008)
    ada.leave()


def test_a_socket_ends_with_its_login_and_coming_back_renews_it(steady, start_login_gateway, open_socket):
    browser = log_in(start_login_gateway(steady))
    end = browser.who()["expires_at"]
    socket = open_socket(browser)
    socket.is_closed_with(1008)
    assert end <= time.time() < end + 10
    # As the page's own code does on a close.
    again = open_socket(browser)
    assert any(line.startswith("__Host-gws=") for line in again.answer.all("set-cookie"))
    assert again.talks()
    browser.leave()


def test_a_login_that_is_renewed_by_another_request_keeps_its_sockets(steady, start_login_gateway, open_socket):
    """On both loops: the connection that renews is not the one of the socket."""
    gateway = start_login_gateway(steady)

    def is_in_time() -> bool:
        """False where the machine stood still for longer than a login of five seconds bears."""
        browser = log_in(gateway)
        end = browser.who()["expires_at"]
        sockets = [open_socket(browser) for _ in range(4)]
        wait_until(end - 2)
        assert browser.ask("POST", "/oauth2/refresh", FETCH).status == 200
        is_renewed_in_time = time.time() < end
        following = browser.who()["expires_at"]
        assert following > end
        wait_until(end + 1)
        talk = [socket.talks() for socket in sockets] if is_renewed_in_time and time.time() < following else []
        if not talk or time.time() >= following:
            for one in (browser, *sockets):
                one.leave()
            return False
        assert all(talk)
        # And the renewal has its own end.
        for socket in sockets:
            socket.is_closed_with(1008)
        browser.leave()
        return True

    eventually(is_in_time, "a renewal in time", 120)


def test_a_socket_is_not_older_than_its_age(platform, start_login_gateway, open_socket):
    browser = log_in(start_login_gateway(platform, timeouts={"stream_age": "2s"}))
    socket = open_socket(browser)
    socket.is_closed_with(1008)
    browser.leave()


# --- Event streams


def test_an_event_stream_ends_whole_when_its_login_is_signed_out(login_gateway, upstream, path):
    events = upstream.script[path] = EventSource()
    browser = log_in(login_gateway)
    tab = browser.tab()
    tab.request("GET", path, FETCH)
    assert events.is_open.wait(20)
    assert browser.ask("POST", "/oauth2/sign_out", SAME_ORIGIN).status == 302
    response = tab.response()
    assert response.status == 200 and response.body == b"id: 1\n", "its last chunk came"
    assert events.was_left.wait(20), "the upstream is left too"
    assert login_gateway.entry(response.get("x-request-id"))["details"] == "stream_login_ended"
    # A page asks again by itself, and meets the login.
    assert tab.fetch(path).status == 401
    for one in (browser, tab):
        one.leave()


def test_an_event_stream_that_begins_behind_the_sign_out_ends_too(login_gateway, upstream, path):
    events = upstream.script[path] = EventSource()
    events.may_answer.clear()
    browser = log_in(login_gateway)
    tab, copy = browser.tab(), browser.copy()
    tab.request("GET", path, FETCH)
    assert events.is_asked.wait(20)
    assert browser.ask("POST", "/oauth2/sign_out", SAME_ORIGIN).status == 302
    eventually(lambda: copy.fetch("/").status == 401, "the sign-out to reach every loop")
    events.may_answer.set()
    response = tab.response()
    assert response.status == 200
    assert events.was_left.wait(20), "the upstream is left too"
    assert login_gateway.entry(response.get("x-request-id"))["details"] == "stream_login_ended"
    for one in (browser, tab, copy):
        one.leave()


def test_an_event_stream_ends_with_its_login(steady, start_login_gateway, upstream, path):
    events = upstream.script[path] = EventSource()
    browser = log_in(start_login_gateway(steady))
    end = browser.who()["expires_at"]
    tab = browser.tab()
    tab.request("GET", path, FETCH)
    assert events.is_open.wait(20)
    response = tab.response()
    assert response.body == b"id: 1\n" and end <= time.time() < end + 10
    for one in (browser, tab):
        one.leave()


def test_an_ordinary_answer_is_not_cut_by_the_end_of_its_login(steady, start_login_gateway, upstream, path):
    goes_on = threading.Event()

    def slow(line, request) -> None:
        line.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
        assert goes_on.wait(30)
        line.send(b" last")

    upstream.script[path] = slow
    browser = log_in(start_login_gateway(steady))
    end = browser.who()["expires_at"]
    browser.request("GET", path, FETCH)
    upstream.wait_for(path)
    wait_until(end + 1)
    goes_on.set()
    assert browser.response().body == b"first last"
    browser.leave()


def test_a_stream_of_a_public_route_belongs_to_nobody(login_gateway, upstream):
    events = upstream.script["/public/events"] = EventSource()
    browser = log_in(login_gateway)
    tab = browser.tab()
    tab.request("GET", "/public/events", FETCH)
    assert events.is_open.wait(20)
    assert browser.ask("POST", "/oauth2/sign_out", SAME_ORIGIN).status == 302
    events.says(b"id: 2\n", ends=True)
    response = tab.response()
    assert response.body == b"id: 1\nid: 2\n"
    eventually(lambda: upstream.seen("/public/events"), "the request")
    for one in (browser, tab):
        one.leave()
