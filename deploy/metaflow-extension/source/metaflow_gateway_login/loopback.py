"""The login's way back: a listener on this machine that takes one callback (RFC 8252 section 7.3)."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Optional

from metaflow_extensions.gateway.login.problems import LoginProblem, SetupProblem

from . import pages

CONNECTION_SECONDS = 15.0
OUTCOME_SECONDS = 30.0
ANSWER_SECONDS = 2.0

ReadCallback = Callable[[str], Optional[str]]
"""Takes a callback's query; returns its code, nothing if it is not this login's, or raises the provider's error."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Another program that shared the port would receive the code.
    allow_reuse_address = True
    allow_reuse_port = False

    def __init__(self, family: int, address: tuple[str, int], receiver: LoopbackReceiver) -> None:
        self.address_family = family
        self.receiver = receiver
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # Not HTTPServer's: it looks the host's name up, which may take seconds without a network.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "localhost", int(self.socket.getsockname()[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that hangs up early is nobody's concern."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = CONNECTION_SECONDS
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if path != "/callback" or not self._is_for_us():
            self._answer(404, "Nothing here", "Only a login comes back to this address.")
            return
        with self.server.receiver.answering():
            self._answer(*self.server.receiver.callback(query))

    def _is_for_us(self) -> bool:
        """Another Host means that some page's name was rebound to this machine."""
        port = self.server.server_port
        return self.headers.get("Host", "") in (f"localhost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}")

    def _answer(self, status: int, title: str, text: str) -> None:
        body = pages.page(title, text)
        self.send_response_only(status)
        for name, value in pages.HEADERS:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: a request line here holds the code."""


class LoopbackReceiver:
    """Listens on the first of `ports` that is free, on both of localhost's addresses, for as long as it is entered."""

    def __init__(self, ports: Sequence[int]) -> None:
        self._read: Optional[ReadCallback] = None
        self._codes: queue.Queue[str | LoginProblem] = queue.Queue(1)
        self._done = threading.Event()
        self._outcome: Optional[LoginProblem] = None
        self._answers = threading.Condition()
        self._answers_open = 0
        self._servers: list[_Server] = []
        for port in ports:
            if self._listen(port):
                self.port = port
                return
        raise SetupProblem(
            f"The ports {', '.join(map(str, ports))} of this machine are all taken; end what uses one of them, or log in with --no-browser."
        )

    def _listen(self, port: int) -> bool:
        try:
            self._servers.append(_Server(socket.AF_INET, ("127.0.0.1", port), self))
        except OSError:
            return False
        if not socket.has_ipv6:
            return True
        try:
            probe = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
            probe.bind(("::1", 0))
            probe.close()
        except OSError:
            return True
        try:
            self._servers.append(_Server(socket.AF_INET6, ("::1", port), self))
            return True
        except OSError:
            # A browser may try ::1 first, and there it would meet another program.
            self._servers.pop().server_close()
            return False

    @property
    def redirect_uri(self) -> str:
        return f"http://localhost:{self.port}/callback"

    def start(self, read: ReadCallback) -> None:
        self._read = read
        for server in self._servers:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    def callback(self, query: str) -> tuple[int, str, str]:
        """On a connection's thread: hand the code over and wait, so that the page can tell the truth."""
        try:
            found: str | LoginProblem | None = self._read(query) if self._read else None
        except LoginProblem as problem:
            found = problem
        if found is None:
            return 400, "Not this login", "This link belongs to another login. Go back to the one that you started last."
        try:
            self._codes.put_nowait(found)
        except queue.Full:
            # The same link opened twice; both pages tell the one outcome.
            pass
        if not self._done.wait(OUTCOME_SECONDS):
            return 504, "Still at it", "The login is taking long; look at your terminal."
        if self._outcome is not None:
            return 400, "The login failed", self._outcome.sentence
        return 200, "You are logged in", "You can close this page and go back to your terminal."

    def wait(self, seconds: float) -> str:
        """The code. Raises what the provider reported, or that nobody came."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                # In slices: Python notices a Ctrl-C between them on every platform.
                found = self._codes.get(timeout=0.5)
                break
            except queue.Empty:
                if time.monotonic() >= deadline:
                    raise SetupProblem(
                        f"Nobody logged in within {seconds:.0f} s; run the same command again (with --no-browser if the browser is on another machine)."
                    ) from None
        if isinstance(found, LoginProblem):
            raise found
        return found

    def finish(self, outcome: Optional[LoginProblem]) -> None:
        """Tell the browser how it ended."""
        self._outcome = outcome
        self._done.set()

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Around a callback's answer, so that `close` lets the browser have its page."""
        with self._answers:
            self._answers_open += 1
        try:
            yield
        finally:
            with self._answers:
                self._answers_open -= 1
                self._answers.notify_all()

    def close(self) -> None:
        with self._answers:
            self._answers.wait_for(lambda: self._answers_open == 0, timeout=ANSWER_SECONDS)
        for server in self._servers:
            server.shutdown()
            server.server_close()
