"""Limits of time and number (B4, B11, F9). Those of size are cases of corpus/sizes.yaml."""

import ssl
from pathlib import Path

import pytest
from gateway import eventually
from wire import Cut, again


def head(*fields: bytes, target: bytes = b"/open/limits", method: bytes = b"GET") -> bytes:
    return b"\r\n".join([method + b" " + target + b" HTTP/1.1", b"Host: localhost", *fields]) + b"\r\n\r\n"


def test_a_head_that_comes_too_slowly_is_408(hurried):
    def answered() -> tuple[int, str | None, bool]:
        with hurried.client() as client:
            client.send(b"GET /open HTTP/1.1\r\nHost: loc")
            response = client.response()
            return response.status, response.get("connection"), client.is_closed()

    assert again(answered) == (408, "close", True)


def test_a_body_that_comes_too_slowly_is_408(hurried):
    def answered() -> tuple[int, str | None]:
        with hurried.client() as client:
            client.send(head(b"Content-Length: 100", method=b"POST", target=b"/open/slow-body") + b"a")
            response = client.response()
            return response.status, response.get("connection")

    assert again(answered) == (408, "close")


def test_a_connection_that_says_nothing_is_closed_without_an_answer(hurried):
    def is_closed() -> bool:
        with hurried.client() as client:
            return client.is_closed()

    assert again(is_closed)


def test_a_silent_client_is_asked_after_a_minute_whether_it_is_still_there(gateway):
    """TCP keepalive (A9), as the kernel shows it: the kind of the timer that runs, and its hundredths of a second."""
    with gateway.client() as client:
        assert client.ask("GET", "/open/quiet").status == 200
        ours, theirs = client.sock.getsockname()[1], client.sock.getpeername()[1]

        def timer() -> tuple[int, int] | None:
            for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
                _, local, remote, _, _, timer, *_ = line.split()
                if (int(local.split(":")[1], 16), int(remote.split(":")[1], 16)) == (theirs, ours):
                    kind, left = (int(part, 16) for part in timer.split(":"))
                    # 1: it waits for an acknowledgement.
                    return (kind, left) if kind != 1 else None
            return None

        kind, left = eventually(timer, "everything to be acknowledged")
        assert kind == 2 and 0 < left <= 6100


def test_the_requests_of_one_connection_are_counted(start, surroundings):
    gateway = start(surroundings.configuration(limits={"requests_per_connection": 3}))
    with gateway.client() as client:
        for number in (1, 2, 3):
            response = client.ask("GET", "/open/count")
            assert (response.get("connection") == "close") == (number == 3)
        assert client.is_closed()


def test_a_connection_over_the_limit_is_closed_at_once(start, surroundings):
    gateway = start(surroundings.configuration(limits={"connections": 4}, event_loops=1))
    clients = [gateway.client() for _ in range(4)]
    try:
        for client in clients:
            assert client.ask("GET", "/open/c").status == 200
        with pytest.raises((Cut, ConnectionError, ssl.SSLError)):
            with gateway.client() as fifth:
                fifth.ask("GET", "/open/c")
        clients.pop().close()
        from gateway import eventually

        def served() -> bool:
            try:
                with gateway.client() as another:
                    return another.ask("GET", "/open/c").status == 200
            except (Cut, OSError):
                return False

        eventually(served, "a place to become free")
        assert gateway.metrics()['gw_overload_refused_total{limit="connections"}'] >= 1
    finally:
        for client in clients:
            client.close()
