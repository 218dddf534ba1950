"""A server behind the gateway that keeps every byte it receives, and answers as its script says, correctly or not."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from wire import Connection, Cut, split_head


@dataclass
class Received:
    """One request as it came."""

    method: str
    target: str
    fields: list[tuple[str, str]]
    head: bytes
    connection: int
    body: bytes = b""
    trailers: list[tuple[str, str]] = field(default_factory=list)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def get(self, name: str) -> str | None:
        values = self.all(name)
        assert len(values) <= 1, f"{name} arrived {len(values)} times"
        return values[0] if values else None


class Line(Connection):
    """A connection of the gateway's, as a script sees it."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        super().__init__(sock)
        self.number = number
        # The gateway keeps connections open between requests.
        self.sock.settimeout(120)

    def read_head(self) -> Received | None:
        try:
            head = self.read_until(b"\r\n\r\n")
        except (Cut, OSError):
            return None
        start, fields = split_head(head)
        method, target, version = start.split(" ")
        assert version == "HTTP/1.1", start
        return Received(method, target, fields, head, self.number)

    def read_body(self, request: Received) -> None:
        length, encoding = request.get("content-length"), request.get("transfer-encoding")
        assert not (length and encoding), "the gateway sent both Content-Length and Transfer-Encoding"
        if encoding:
            request.body, _, request.trailers = self.read_chunked()
        elif length:
            request.body = self.read_exactly(int(length))


Script = Callable[[Line, Received], None]


def answer(body: bytes = b"ok", status: str = "200 OK", fields: str = "") -> Script:
    def run(line: Line, request: Received) -> None:
        line.read_body(request)
        line.send(f"HTTP/1.1 {status}\r\n{fields}Content-Length: {len(body)}\r\n\r\n".encode() + (b"" if request.method == "HEAD" else body))

    return run


def raw(data: bytes, *, then_close: bool = False) -> Script:
    def run(line: Line, request: Received) -> None:
        line.read_body(request)
        line.send(data)
        if then_close:
            raise Cut("as scripted")

    return run


def echo(line: Line, request: Received) -> None:
    """What came, as JSON."""
    line.read_body(request)
    body = json.dumps({"method": request.method, "target": request.target, "fields": request.fields, "body": len(request.body)}).encode()
    line.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + (b"" if request.method == "HEAD" else body))


class Upstream:
    """Listens on loopback until it is closed. `script[path]` answers what arrives under this path (the query cut off)."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.tls = tls
        self.script: dict[str, Script] = {}
        self.default: Script = echo
        self.received: list[Received] = []
        self.connections = 0
        self.problems: list[str] = []
        self.changed = threading.Condition()
        self._lines: set[Line] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self._closing = False
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    @property
    def address(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while not self._closing:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        if self.tls:
            try:
                sock = self.tls.wrap_socket(sock, server_side=True)
            except OSError:
                sock.close()
                return
        with self.changed:
            self.connections += 1
            line = Line(sock, self.connections)
            self._lines.add(line)
            self.changed.notify_all()
        try:
            while (request := line.read_head()) is not None:
                with self.changed:
                    self.received.append(request)
                    self.changed.notify_all()
                (self.script.get(request.target.partition("?")[0]) or self.default)(line, request)
        except (Cut, OSError):
            pass
        except AssertionError as problem:
            self.problems.append(str(problem))
        finally:
            line.close()
            with self.changed:
                self._lines.discard(line)
                self.changed.notify_all()

    def seen(self, path: str) -> list[Received]:
        """Requests whose path (without query) is this one, in order."""
        with self.changed:
            return [request for request in self.received if request.target.partition("?")[0] == path]

    def wait_for(self, path: str, count: int = 1, patience: float = 20) -> Received:
        deadline = time.monotonic() + patience
        with self.changed:
            while len(found := [r for r in self.received if r.target.partition("?")[0] == path]) < count:
                if not self.changed.wait(deadline - time.monotonic()):
                    raise AssertionError(f"{path} did not arrive {count} times in {patience} s; there came {[r.target for r in self.received[-5:]]}")
        return found[count - 1]

    def wait_until_left(self, number: int, patience: float = 20) -> None:
        """Until this side has closed the connection of that number."""
        deadline = time.monotonic() + patience
        with self.changed:
            while any(line.number == number for line in self._lines):
                assert self.changed.wait(deadline - time.monotonic()), f"connection {number} is still open"

    def close(self) -> None:
        self._closing = True
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        for line in list(self._lines):
            try:
                line.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self._threads:
            thread.join(5)


class EventSource:
    """A script whose event stream or download begins when it may, and sends what the test says."""

    def __init__(self, kind: str = "text/event-stream") -> None:
        self.kind, self.line = kind, None
        self.is_asked, self.may_answer = threading.Event(), threading.Event()
        self.may_answer.set()
        self.is_open, self.was_left = threading.Event(), threading.Event()

    def __call__(self, line: Line, request: Received) -> None:
        self.is_asked.set()
        if not self.may_answer.wait(20):
            raise Cut("the test has gone on without this answer")
        # Nobody else is to ask on this connection, whose thread reads to its end.
        line.send(b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nid: 1\n\r\n" % self.kind.encode())
        self.line = line
        self.is_open.set()
        try:
            line.read_to_end()
        except (Cut, OSError):
            pass
        self.was_left.set()

    def says(self, text: bytes, *, ends: bool = False) -> None:
        assert self.is_open.wait(20)
        self.line.send(b"%x\r\n" % len(text) + text + b"\r\n" + (b"0\r\n\r\n" if ends else b""))
