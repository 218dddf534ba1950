"""Limits of time and number (B4, B11, F9). Those of size are cases of corpus/sizes.yaml."""

import pytest
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
        try:
            with gateway.client() as fifth:
                fifth.ask("GET", "/open/c")
            raise AssertionError("a fifth connection was served")
        except (Cut, OSError):
            pass
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
