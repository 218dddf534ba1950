"""Server-sent events and long polls: every piece leaves when it comes, and the upstream hears at once that its client has left (B13)."""

import socket
import threading

import pytest
from gateway import eventually
from http2 import H2
from wire import Cut

PROTOCOLS = pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
FRAMINGS = pytest.mark.parametrize("framing", ["chunked", "until close"])
EVENTS = "Content-Type: text/event-stream\r\nCache-Control: no-cache\r\nX-Accel-Buffering: no\r\n"


class Source:
    """An upstream that sends the next piece only when it is told to, and notes when its client is gone."""

    def __init__(self, framing: str = "chunked", fields: str = EVENTS) -> None:
        self.is_chunked = framing == "chunked"
        self.fields = fields
        self.turns = threading.Semaphore(0)
        self.pieces: list[bytes] = []
        self.is_gone = threading.Event()
        self.has_ended = False

    def next(self, piece: bytes) -> None:
        self.pieces.append(piece)
        self.turns.release()

    def end(self) -> None:
        self.has_ended = True
        self.turns.release()

    def __call__(self, line, request) -> None:
        line.read_body(request)
        # Nobody else is to ask on this connection, which the watcher reads to its end.
        framing = "Transfer-Encoding: chunked\r\n" if self.is_chunked else ""
        line.send(f"HTTP/1.1 200 OK\r\n{self.fields}Connection: close\r\n{framing}\r\n".encode())
        threading.Thread(target=self._watch, args=(line,), daemon=True).start()
        for number in range(1000):
            if not self.turns.acquire(timeout=60) or self.has_ended or self.is_gone.is_set():
                break
            piece = self.pieces[number]
            line.send(b"%x\r\n%s\r\n" % (len(piece), piece) if self.is_chunked else piece)
        if self.is_chunked and self.has_ended and not self.is_gone.is_set():
            line.send(b"0\r\n\r\n")
        # The watcher holds the socket: closing alone would not end it.
        line.sock.shutdown(socket.SHUT_RDWR)
        raise Cut("as scripted")

    def break_off(self) -> None:
        self.is_gone.set()
        self.turns.release()

    def _watch(self, line) -> None:
        try:
            while line.sock.recv(1000):
                pass
        except OSError:
            pass
        self.is_gone.set()
        self.turns.release()


class Reader:
    """A client of either protocol that reads a body as it comes."""

    def __init__(self, gateway, protocol: str, path: str, fields=None) -> None:
        self.body = b""
        self.is_h2 = protocol == "h2"
        if self.is_h2:
            self.h2 = H2(gateway)
            self.number = self.h2.open("GET", path, fields)
            self.stream = self.h2.streams[self.number]
            # The head comes by itself, before there is any of the body.
            self.h2.until(lambda: self.stream.heads, "the head")
            self.fields = dict(self.stream.heads[0])
        else:
            self.client = gateway.client()
            self.client.request("GET", path, fields)
            lines = self.client.read_until(b"\r\n\r\n").decode().lower().split("\r\n")[1:-2]
            self.fields = dict(line.split(": ", 1) for line in lines)

    def read(self, count: int) -> bytes:
        """The next `count` bytes of the body."""
        if self.is_h2:
            self.h2.until(lambda: len(self.stream.body) >= len(self.body) + count, f"{count} bytes")
            data = self.stream.body[len(self.body) :]
        else:
            data = b""
            while len(data) < count:
                data += self.client.read_exactly(int(self.client.read_until(b"\r\n"), 16))
                assert self.client.read_exactly(2) == b"\r\n"
        assert len(data) == count, data
        self.body += data
        return data

    def read_end(self) -> None:
        if self.is_h2:
            self.h2.response(self.number)
            assert self.stream.reset is None and self.stream.body == self.body
        else:
            assert self.client.read_until(b"\r\n\r\n") == b"0\r\n\r\n"

    def leave(self, how: str) -> None:
        if how == "reset":
            self.h2.reset(self.number)
        else:
            self.close()

    def close(self) -> None:
        (self.h2.client if self.is_h2 else self.client).close()


@PROTOCOLS
@FRAMINGS
def test_each_event_leaves_when_it_comes(gateway, upstream, path, protocol, framing):
    source = upstream.script[path] = Source(framing)
    reader = Reader(gateway, protocol, path, [("Accept", "text/event-stream"), ("Accept-Encoding", "gzip")] if protocol == "http/1.1" else [("accept-encoding", "gzip")])
    assert reader.fields["content-type"] == "text/event-stream" and "content-encoding" not in reader.fields
    # The next event is made only when the last one has been read: one that was held back would be waited for in vain.
    for number in range(10):
        event = b"id: %d\ndata: {}\n\n" % number
        source.next(event)
        assert reader.read(len(event)) == event
    source.end()
    reader.read_end()
    reader.close()


@PROTOCOLS
@pytest.mark.parametrize("size", [1, 100_000])
def test_pieces_small_and_large_of_a_long_poll_leave_when_they_come(gateway, upstream, path, protocol, size):
    source = upstream.script[path] = Source(fields="Content-Type: application/octet-stream\r\n")
    reader = Reader(gateway, protocol, path)
    for number in range(5):
        source.next(bytes([number]) * size)
        assert reader.read(size) == bytes([number]) * size
    source.end()
    reader.read_end()
    reader.close()


@pytest.mark.parametrize("protocol, how", [("http/1.1", "close"), ("h2", "close"), ("h2", "reset")])
@pytest.mark.parametrize("has_begun", [False, True], ids=["before the first event", "between events"])
def test_a_client_that_leaves_is_told_to_the_upstream_at_once(gateway, upstream, path, protocol, how, has_begun):
    source = upstream.script[path] = Source()
    reader = Reader(gateway, protocol, path)
    if has_begun:
        source.next(b"data: 1\n\n")
        reader.read(9)
    reader.leave(how)
    assert source.is_gone.wait(20), "the upstream goes on for nobody"
    entry = eventually(lambda: [entry for entry in gateway.log() if entry.get("path") == path], "its log line")[0]
    assert "DC" in entry["flags"] and entry["bytes_out"] == (9 if has_begun else 0)
    if how == "reset":
        # The connection serves on.
        assert reader.h2.ask("GET", "/open/after").status == 200
        reader.close()


@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
def test_a_client_that_leaves_before_the_head_ends_the_poll(gateway, upstream, path, protocol):
    gone = threading.Event()

    def waits(line, request):
        try:
            line.read_exactly(1)
        except (Cut, OSError):
            gone.set()

    upstream.script[path] = waits
    if protocol == "h2":
        client = H2(gateway)
        number = client.open("GET", path)
        upstream.wait_for(path)
        client.reset(number)
        assert gone.wait(20)
        client.client.close()
    else:
        client = gateway.client()
        client.request("GET", path)
        upstream.wait_for(path)
        client.close()
        assert gone.wait(20)


@PROTOCOLS
def test_an_event_stream_that_breaks_off_is_not_taken_for_whole(gateway, upstream, path, protocol):
    source = upstream.script[path] = Source()
    reader = Reader(gateway, protocol, path)
    source.next(b"data: 1\n\n")
    reader.read(9)
    source.break_off()
    if protocol == "h2":
        assert reader.h2.response(reader.number).reset == 2
    else:
        with pytest.raises(Cut):
            reader.client.read_exactly(1)
    reader.close()


@PROTOCOLS
def test_many_event_streams_at_once_each_get_their_own(gateway, upstream, path, protocol):
    sources = [Source() for _ in range(20)]
    for number, source in enumerate(sources):
        upstream.script[f"{path}/{number}"] = source
    readers = [Reader(gateway, protocol, f"{path}/{number}") for number in range(20)]
    for turn in range(3):
        for number, source in enumerate(sources):
            source.next(b"data: %3d %3d\n\n" % (number, turn))
        for number, reader in enumerate(readers):
            assert reader.read(15) == b"data: %3d %3d\n\n" % (number, turn)
    for source, reader in zip(sources, readers):
        source.end()
        reader.read_end()
        reader.close()
