"""Large bodies and slow sides: memory stays where it was, in both directions (B13)."""

import os
import threading
import time

import pytest
from gateway import IS_FULL, Gateway, eventually
from upstream import Upstream, echo

MEBIBYTE = 1 << 20
SIZE = 1024 * MEBIBYTE if IS_FULL else 256 * MEBIBYTE
BLOCK = os.urandom(MEBIBYTE)
# What a stream may add to the gateway's own memory, in KiB. Measured for 1 GiB on the release build: 160 to 770; for 256 MiB on the
# debug build: 270 to 820. Most of it stays with the allocator, so that it is there once and not for each stream.
GROWTH_MAX = 1024
# Sockets hold some: two of them on each hop, as large as the kernel lets them grow.
HELD_MAX = SIZE // 2


@pytest.fixture
def streaming(start, surroundings):
    """A gateway with one loop, whose memory nothing else moves, and an upstream of its own."""
    upstream = Upstream()
    gateway = start(surroundings.configuration(
        routes=[{"path": "/", "upstream": "main", "public": "tests", "body_bytes": "8GiB"}], upstreams={"main": {"endpoints": [upstream.address], "response_timeout": "300s"}},
        event_loops=1, timeouts={"body_idle": "60s", "send_idle": "60s"},
    ))
    yield gateway, upstream
    upstream.close()


def sinks(line, request):
    """Takes a body of any size and says how much it was."""
    count, length, encoding = 0, request.get("content-length"), request.get("transfer-encoding")
    if encoding:
        while (size := int(line.read_until(b"\r\n"), 16)) > 0:
            count += len(line.read_exactly(size))
            assert line.read_exactly(2) == b"\r\n"
        assert line.read_until(b"\r\n") == b"\r\n"
    else:
        count = len(line.buffer)
        line.buffer = b""
        room = bytearray(MEBIBYTE)
        while count < int(length):
            count += line.sock.recv_into(room)
    body = str(count).encode()
    line.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def sends(size: int, *, chunked: bool = False):
    def run(line, request):
        if chunked:
            line.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(size // MEBIBYTE):
                line.send(b"%x\r\n" % MEBIBYTE)
                line.send(BLOCK)
                line.send(b"\r\n")
            line.send(b"0\r\n\r\n")
        else:
            line.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            for _ in range(size // MEBIBYTE):
                line.send(BLOCK)

    return run


class Memory:
    """The gateway's own memory while something runs."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.before = gateway.status("RssAnon")
        self.most = self.before
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self.stopping.wait(0.02):
            self.most = max(self.most, self.gateway.status("RssAnon"))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.thread.join()
        self.after = self.gateway.status("RssAnon")
        print(f"\n{self.before} KiB before, at most {self.most} during, {self.after} after: {self.most - self.before} KiB more")


def upload(gateway: Gateway, size: int, *, chunked: bool) -> int:
    with gateway.client() as client:
        framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
        client.send(f"POST /up HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n".encode())
        for _ in range(size // MEBIBYTE):
            if chunked:
                client.send(b"%x\r\n" % MEBIBYTE)
            client.send(BLOCK)
            if chunked:
                client.send(b"\r\n")
        if chunked:
            client.send(b"0\r\n\r\n")
        response = client.response()
        assert response.status == 200, response.body
        return int(response.body)


def download(gateway: Gateway, *, target: str = "/down", chunked: bool) -> int:
    with gateway.client() as client:
        client.request("GET", target)
        client.read_until(b"\r\n\r\n")
        room, count = bytearray(MEBIBYTE), len(client.buffer)
        tail = client.buffer[-64:]
        while True:
            received = client.sock.recv_into(room)
            if received == 0:
                return count
            count += received
            tail = (tail + room[max(0, received - 64) : received])[-64:]
            if chunked and tail.endswith(b"\r\n0\r\n\r\n"):
                return count
            if not chunked and count >= SIZE:
                return count


@pytest.mark.parametrize("chunked", [False, True], ids=["content length", "chunked"])
def test_a_large_upload_streams_through_without_memory(streaming, chunked):
    gateway, upstream = streaming
    upstream.default = sinks
    upload(gateway, 32 * MEBIBYTE, chunked=chunked)
    with Memory(gateway) as memory:
        began = time.monotonic()
        assert upload(gateway, SIZE, chunked=chunked) == SIZE
        print(f"\n{SIZE // MEBIBYTE / (time.monotonic() - began):.0f} MiB/s")
    assert memory.most - memory.before <= GROWTH_MAX


@pytest.mark.parametrize("chunked", [False, True], ids=["content length", "chunked"])
def test_a_large_download_streams_through_without_memory(streaming, chunked):
    gateway, upstream = streaming
    upstream.script["/warm"] = sends(32 * MEBIBYTE, chunked=True)
    upstream.script["/down"] = sends(SIZE, chunked=chunked)
    download(gateway, target="/warm", chunked=True)
    with Memory(gateway) as memory:
        began = time.monotonic()
        assert download(gateway, chunked=chunked) >= SIZE
        print(f"\n{SIZE // MEBIBYTE / (time.monotonic() - began):.0f} MiB/s")
    assert memory.most - memory.before <= GROWTH_MAX


class Progress:
    """How far a sender has come; it stands still when nobody takes what it sends."""

    def __init__(self) -> None:
        self.sent = 0
        self.error: BaseException | None = None

    def stands_still(self) -> bool:
        # Kernel buffers grow while they are filled: five looks at the same number mean that they are full.
        last = self.sent
        for _ in range(5):
            if threading.Event().wait(0.1) or self.sent != last or self.sent == 0:
                return False
        return True


def test_a_client_that_does_not_read_stops_the_upstream_and_costs_no_memory(streaming):
    gateway, upstream = streaming
    progress = Progress()

    def floods(line, request):
        line.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
        while progress.sent < SIZE:
            progress.sent += line.sock.send(BLOCK)

    upstream.script["/warm"] = sends(32 * MEBIBYTE, chunked=True)
    upstream.script["/down"] = floods
    download(gateway, target="/warm", chunked=True)
    with gateway.client(receive_buffer=65_536) as client, Memory(gateway) as memory:
        client.request("GET", "/down")
        eventually(progress.stands_still, "the upstream to be held up")
        held = progress.sent
        assert held < HELD_MAX, "the gateway takes what its client does not read"
        # And it goes on where it stopped.
        client.read_until(b"\r\n\r\n")
        count, room = len(client.buffer), bytearray(MEBIBYTE)
        while count < SIZE:
            received = client.sock.recv_into(room)
            assert received
            count += received
        assert count == SIZE
    print(f"\nheld up after {held / MEBIBYTE:.1f} MiB")
    assert memory.most - memory.before <= GROWTH_MAX


def test_an_upstream_that_does_not_read_stops_the_client_and_costs_no_memory(streaming):
    gateway, upstream = streaming
    go_on, progress = threading.Event(), Progress()

    def slow(line, request):
        assert go_on.wait(60)
        sinks(line, request)

    upstream.default = sinks
    upload(gateway, 32 * MEBIBYTE, chunked=False)
    upstream.default = slow
    with gateway.client() as client, Memory(gateway) as memory:
        client.send(f"POST /up HTTP/1.1\r\nHost: localhost\r\nContent-Length: {SIZE}\r\n\r\n".encode())
        client.sock.settimeout(120)

        def send() -> None:
            try:
                while progress.sent < SIZE:
                    progress.sent += client.sock.send(BLOCK)
            except BaseException as error:
                progress.error = error

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        eventually(progress.stands_still, "the client to be held up")
        held = progress.sent
        assert held < HELD_MAX, "the gateway takes what its upstream does not read"
        go_on.set()
        response = client.response()
        sender.join(60)
        assert progress.error is None
        assert (response.status, int(response.body)) == (200, SIZE)
    print(f"\nheld up after {held / MEBIBYTE:.1f} MiB")
    assert memory.most - memory.before <= GROWTH_MAX


def test_a_tunnel_holds_up_whoever_sends_too_fast(streaming):
    gateway, upstream = streaming
    progress, go_on = Progress(), threading.Event()
    size = 64 * MEBIBYTE

    def pours(line, request):
        line.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        while progress.sent < size:
            progress.sent += line.sock.send(BLOCK[: min(MEBIBYTE, size - progress.sent)])
        go_on.wait(30)

    upstream.script["/ws"] = pours
    with gateway.client(receive_buffer=65_536) as client, Memory(gateway) as memory:
        client.send(b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        assert client.response().status == 101
        eventually(progress.stands_still, "the upstream to be held up")
        assert progress.sent < size
        count, room = len(client.buffer), bytearray(MEBIBYTE)
        while count < size:
            count += client.sock.recv_into(room)
        go_on.set()
    assert memory.most - memory.before <= 2 * GROWTH_MAX


def test_many_idle_connections_cost_little(start, surroundings):
    gateway = start(surroundings.configuration(event_loops=1))
    clients = [gateway.client() for _ in range(50)]
    for client in clients:
        assert client.ask("GET", "/open/x").status == 200
    before = gateway.status("RssAnon")
    more = [gateway.client() for _ in range(200)]
    for client in more:
        assert client.ask("GET", "/open/x").status == 200
    each = (gateway.status("RssAnon") - before) / len(more)
    print(f"\n{each:.1f} KiB a connection")
    for client in clients + more:
        client.close()
    assert each <= 40
    eventually(lambda: gateway.metrics()["gw_conn_open"] <= 1, "the connections to be gone")


def test_a_client_that_reads_slowly_gets_its_whole_answer(streaming):
    gateway, upstream = streaming
    upstream.script["/slow"] = sends(4 * MEBIBYTE)
    with gateway.client(receive_buffer=8192) as client:
        client.request("GET", "/slow")
        client.read_until(b"\r\n\r\n")
        count = len(client.buffer)
        while count < 4 * MEBIBYTE:
            data = client.sock.recv(1500)
            assert data
            count += len(data)
    assert count == 4 * MEBIBYTE


def test_a_hundred_clients_at_once_get_their_own_answers(streaming):
    gateway, upstream = streaming
    upstream.default = echo
    problems = []

    def one(number: int) -> None:
        try:
            with gateway.client() as client:
                for turn in range(5):
                    body = os.urandom(number * 100)
                    answer = client.ask("POST", f"/own/{number}/{turn}", body=body).json()
                    assert (answer["target"], answer["body"]) == (f"/own/{number}/{turn}", len(body))
        except Exception as problem:
            problems.append(repr(problem))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert problems == []
