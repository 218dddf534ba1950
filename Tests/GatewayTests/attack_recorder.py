"""The upstream of the attack corpus: one thread that keeps every byte in the order in which it came, reads requests as strictly as the gateway
has to write them, and answers each with its own target."""

from __future__ import annotations

import re
import selectors
import socket
import struct
import threading
import time
from dataclasses import dataclass, field

HEAD_MAX = 256 * 1024
TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
REQUEST_LINE = re.compile(rb"(" + TOKEN + rb") (/[!-~]*) HTTP/1\.1")
FIELD_LINE = re.compile(rb"([!#$%&'*+.^`|~0-9A-Za-z-]+): ?((?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?)")
SIZE_LINE = re.compile(rb"[0-9A-Fa-f]{1,16}")


@dataclass
class Arrival:
    """One request as it came, or what was none."""

    connection: int
    head: bytes
    target: bytes = b""
    body: bytes = b""
    trailers: list[bytes] = field(default_factory=list)
    is_whole: bool = False
    # Why it is no request.
    problem: str | None = None


@dataclass
class Script:
    """What is answered under one target, in place of the target itself."""

    answer: bytes
    # As soon as the head is there, instead of behind the body.
    early: bool = False
    closes: bool = False
    # Closes with RST instead of FIN.
    resets: bool = False


class Recorder:
    def __init__(self) -> None:
        self.scripts: dict[bytes, Script] = {}
        self._arrivals: list[Arrival] = []
        self._changed = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._waker, self._wakes = socket.socketpair()
        self._selector.register(self._wakes, selectors.EVENT_READ)
        self._count = 0
        self._closing = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    # --- What came

    def mark(self) -> int:
        with self._changed:
            return len(self._arrivals)

    def since(self, mark: int) -> list[Arrival]:
        with self._changed:
            return self._arrivals[mark:]

    def wait_for(self, target: bytes, mark: int, patience: float) -> None:
        """Until a whole request for this target has come; what had been sent before it has been read by then."""
        deadline = time.monotonic() + patience
        with self._changed:
            while not any(arrival.is_whole and arrival.target == target for arrival in self._arrivals[mark:]):
                assert self._changed.wait(deadline - time.monotonic()), f"{target!r} did not arrive"

    def wait_until_cut(self, mark: int, patience: float) -> None:
        """Until no request that began since `mark` is still open."""
        deadline = time.monotonic() + patience
        with self._changed:
            while any(line.current is not None and line.current in self._arrivals[mark:] for line in self._lines()):
                assert self._changed.wait(deadline - time.monotonic()), "a request that was refused is still open upstream"

    def _lines(self) -> list[Line]:
        return [key.data for key in list(self._selector.get_map().values()) if isinstance(key.data, Line)]

    # --- The thread

    def _run(self) -> None:
        while not self._closing:
            # Everything that is readable now is taken in before anybody is told of any of it.
            ready = self._selector.select()
            with self._changed:
                for key, _ in ready:
                    if key.fileobj is self._listener:
                        self._accept()
                    elif isinstance(key.data, Line):
                        key.data.read()
                self._changed.notify_all()

    def _accept(self) -> None:
        sock, _ = self._listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._count += 1
        self._selector.register(sock, selectors.EVENT_READ, Line(self, sock, self._count))

    def note(self, arrival: Arrival) -> None:
        self._arrivals.append(arrival)

    def forget(self, sock: socket.socket) -> None:
        self._selector.unregister(sock)
        sock.close()

    def close(self) -> None:
        self._closing = True
        self._waker.send(b"x")
        self._thread.join(10)
        for line in self._lines():
            line.sock.close()
        for sock in (self._listener, self._waker, self._wakes):
            sock.close()
        self._selector.close()


class Line:
    """One connection to the recorder."""

    def __init__(self, recorder: Recorder, sock: socket.socket, number: int) -> None:
        self.recorder = recorder
        self.sock = sock
        self.number = number
        self.buffer = b""
        self.current: Arrival | None = None
        self.remaining: int | None = 0
        self.script: Script | None = None

    def read(self) -> None:
        try:
            data = self.sock.recv(1 << 20)
        except OSError:
            data = b""
        if not data:
            return self._end()
        self.buffer += data
        try:
            while self._step():
                pass
        except Malformed as problem:
            arrival = self.current or Arrival(self.number, self.buffer)
            if self.current is None:
                self.recorder.note(arrival)
            arrival.problem = str(problem)
            self.current = None
            self.buffer = b""
            self._send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            self.recorder.forget(self.sock)

    def _end(self) -> None:
        if self.current is None and self.buffer:
            self.recorder.note(Arrival(self.number, self.buffer, problem="half a head"))
        self.current = None
        self.recorder.forget(self.sock)

    def _step(self) -> bool:
        if self.sock.fileno() < 0:
            return False
        if self.current is None:
            return self._read_head()
        return self._read_counted() if self.remaining is not None else self._read_chunk()

    def _read_head(self) -> bool:
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            # What cannot become a head any more is told at once, so that nobody waits for it.
            line = self.buffer.split(b"\r\n", 1)[0]
            if b"\n" in line or len(self.buffer) > HEAD_MAX or (b"\r\n" in self.buffer and not REQUEST_LINE.fullmatch(line)):
                raise Malformed("no head")
            return False
        head = self.buffer[: end + 4]
        first, *lines = head[:-4].split(b"\r\n")
        match = REQUEST_LINE.fullmatch(first)
        if not match:
            raise Malformed(f"the request line is {first[:80]!r}")
        fields: dict[bytes, list[bytes]] = {}
        for line in lines:
            parts = FIELD_LINE.fullmatch(line)
            if not parts:
                raise Malformed(f"a field line is {line[:80]!r}")
            fields.setdefault(parts[1].lower(), []).append(parts[2])
        if len(fields.get(b"host", [])) != 1:
            raise Malformed("not one Host")
        length, encoding = fields.get(b"content-length", []), fields.get(b"transfer-encoding", [])
        if len(length) + len(encoding) > 1 or not all(value.isdigit() for value in length) or not all(value == b"chunked" for value in encoding):
            raise Malformed(f"framed by {length} and {encoding}")
        self.buffer = self.buffer[end + 4 :]
        self.remaining = None if encoding else int(length[0]) if length else 0
        self.current = Arrival(self.number, head, match[2])
        self.recorder.note(self.current)
        self.script = self.recorder.scripts.get(match[2].partition(b"?")[0])
        if self.script and self.script.early:
            self._answer()
        return True

    def _read_counted(self) -> bool:
        taken, self.buffer = self.buffer[: self.remaining], self.buffer[self.remaining :]
        self.current.body += taken
        self.remaining -= len(taken)
        if self.remaining:
            return False
        return self._whole()

    def _read_chunk(self) -> bool:
        line, found, rest = self.buffer.partition(b"\r\n")
        if not found:
            return False
        if not SIZE_LINE.fullmatch(line):
            raise Malformed(f"a chunk's size is {line[:80]!r}")
        size = int(line, 16)
        if size == 0:
            if rest.startswith(b"\r\n"):
                self.buffer = rest[2:]
                return self._whole()
            section, found, after = rest.partition(b"\r\n\r\n")
            if not found:
                return False
            self.current.trailers = section.split(b"\r\n")
            if not all(FIELD_LINE.fullmatch(line) for line in self.current.trailers):
                raise Malformed(f"trailers are {section[:80]!r}")
            self.buffer = after
            return self._whole()
        if len(rest) < size + 2:
            return False
        if rest[size : size + 2] != b"\r\n":
            raise Malformed("a chunk is longer than its size")
        self.current.body += rest[:size]
        self.buffer = rest[size + 2 :]
        return True

    def _whole(self) -> bool:
        arrival, self.current = self.current, None
        arrival.is_whole = True
        if self.script is None:
            is_head = arrival.head.startswith(b"HEAD ")
            self._send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(arrival.target) + (b"" if is_head else arrival.target))
        elif not self.script.early:
            self._answer()
        self.script = None
        return bool(self.buffer)

    def _answer(self) -> None:
        self._send(self.script.answer)
        if self.script.resets:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if self.script.closes or self.script.resets:
            self.current = None
            self.buffer = b""
            self.recorder.forget(self.sock)

    def _send(self, data: bytes) -> None:
        try:
            self.sock.setblocking(True)
            self.sock.settimeout(5)
            self.sock.sendall(data)
        except OSError:
            pass


class Malformed(Exception):
    """What came is no request of HTTP/1.1 in the form that the gateway has to write."""
