"""WebSockets: payloads and close handshakes pass untouched, and a Close of the gateway's own goes only between frames (DESIGN §7)."""

import asyncio
import os
import signal
import threading

import pytest
from gateway import eventually
from upstream import Upstream
from frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Peer, RealServer, close_payload, frame, open_raw, read_frame, real_async_client, real_client
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK

GOING_AWAY = "This gateway instance is being replaced. Connect again."


@pytest.fixture
def peer():
    peer = Peer()
    yield peer
    peer.is_over.set()


@pytest.fixture
def draining(start, surroundings, request):
    """A gateway of its own that may drain, with an upstream that the test speaks for. What both say behind its Close needs `finish_for`."""
    upstream, finish_for = Upstream(), getattr(request, "param", "8s")
    drain = {"accept_for": "0s", "finish_for": finish_for}
    gateway = start(surroundings.configuration(upstreams={"main": {"endpoints": [upstream.address]}}, event_loops=1, drain=drain))
    peer = Peer()
    upstream.script["/ws"] = peer.script()
    yield gateway, peer
    peer.is_over.set()
    upstream.close()


def entry_of(gateway, response) -> dict:
    return gateway.entry(response.get("x-request-id"))


# --- Open


def test_frames_of_every_kind_pass_both_ways_untouched(gateway, upstream, path, peer):
    upstream.script[path] = peer.script()
    client, _ = open_raw(gateway, path)
    line = peer.wait()
    sent = [frame(), frame(b"x" * 125), frame(b"y" * 126, BINARY), frame(b"z" * 70_000, BINARY), frame(b"a", final=False), frame(b"?", PING), frame(b"b", CONTINUATION)]
    for data in sent:
        line.send(data)
        assert client.read_exactly(len(data)) == data
    back = [frame(b"c" * size, BINARY, mask=True) for size in (0, 125, 126, 65_536)] + [frame(b"!", PONG, mask=True)]
    for data in back:
        client.send(data)
        assert line.read_exactly(len(data)) == data
    client.close()


def test_frames_with_and_right_behind_the_101_arrive(gateway, upstream, path, peer):
    first = frame(b"early") + frame(b"x" * 100_000, BINARY)
    upstream.script[path] = peer.script(first)
    client, _ = open_raw(gateway, path)
    assert client.read_exactly(len(first)) == first
    client.close()


@pytest.mark.parametrize("by", ["client", "upstream"])
def test_a_close_handshake_passes_untouched_and_is_logged_with_its_side_and_code(gateway, upstream, path, peer, by):
    upstream.script[path] = peer.script()
    client, response = open_raw(gateway, path)
    line = peer.wait()
    line.send(frame(b"hello"))
    assert read_frame(client) == (TEXT, b"hello")
    close = close_payload(4001, "enough")
    if by == "client":
        client.send(frame(close, CLOSE, mask=True))
        assert read_frame(line) == (CLOSE, close)
        line.send(frame(close, CLOSE))
        assert read_frame(client) == (CLOSE, close)
    else:
        line.send(frame(close, CLOSE))
        assert read_frame(client) == (CLOSE, close)
        client.send(frame(close, CLOSE, mask=True))
        assert read_frame(line) == (CLOSE, close)
    # The server ends the connection (RFC 6455 §7.1.1).
    peer.is_over.set()
    line.close()
    assert client.is_closed()
    entry = entry_of(gateway, response)
    assert (entry["protocol"], entry["status"], entry["details"], entry["flags"]) == ("websocket", 101, f"{by}_closed_4001", [])
    assert (entry["bytes_in"], entry["bytes_out"]) == (14, 17)


def test_an_end_without_a_close_says_who_left(gateway, upstream, path, peer):
    upstream.script[path] = peer.script()
    client, response = open_raw(gateway, path)
    client.close()
    assert (entry_of(gateway, response)["details"], entry_of(gateway, response)["flags"]) == ("client_left", ["DC"])
    line = peer.wait()
    assert line.is_closed()


def test_what_a_client_says_last_arrives_though_it_leaves_at_once(gateway, upstream, path, peer):
    upstream.script[path] = peer.script()
    client, _ = open_raw(gateway, path)
    line = peer.wait()
    data = frame(os.urandom(3_000_000), BINARY, mask=True) + frame(close_payload(1000), CLOSE, mask=True)
    sender = threading.Thread(target=lambda: (client.send(data), client.close()), daemon=True)
    sender.start()
    assert line.read_exactly(len(data)) == data
    assert line.is_closed()
    sender.join(20)


def test_bytes_that_are_no_frames_pass_all_the_same(gateway, upstream, path, peer):
    """Endpoints judge frames (RFC 6455 §7.1.7); the gateway does not judge a second time."""
    upstream.script[path] = peer.script()
    client, _ = open_raw(gateway, path)
    line = peer.wait()
    for data in (frame(b"unmasked"), b"\x82\xff" + b"\xff" * 8 + b"huge", b"GET / HTTP/1.1\r\n\r\n"):
        client.send(data)
        assert line.read_exactly(len(data)) == data
        line.send(data)
        assert client.read_exactly(len(data)) == data
    client.close()


def test_open_tunnels_are_counted(start, surroundings):
    upstream, peer = Upstream(), Peer()
    upstream.script["/ws"] = peer.script()
    gateway = start(surroundings.configuration(upstreams={"main": {"endpoints": [upstream.address]}}))
    client, _ = open_raw(gateway, "/ws")
    assert gateway.metrics()["gw_conn_tunnels"] == 1
    client.close()
    eventually(lambda: gateway.metrics()["gw_conn_tunnels"] == 0, "the tunnel to be gone")
    assert gateway.total("gw_requests_total", code_class="1xx") == 1
    peer.is_over.set()
    upstream.close()


# --- Ended by the gateway


def test_a_drain_closes_both_sides_between_frames(draining):
    gateway, peer = draining
    client, response = open_raw(gateway, "/ws")
    line = peer.wait()
    line.send(frame(b"hello"))
    assert read_frame(client) == (TEXT, b"hello")
    gateway.signal(signal.SIGTERM)
    assert read_frame(client) == (CLOSE, close_payload(1001, GOING_AWAY))
    assert read_frame(line) == (CLOSE, close_payload(1001, GOING_AWAY))
    line.send(frame(b"late") + frame(close_payload(1001), CLOSE))
    client.send(frame(b"late", mask=True) + frame(close_payload(1001), CLOSE, mask=True))
    assert client.is_closed() and line.is_closed()
    assert gateway.process.wait(20) == 0
    entry = entry_of(gateway, response)
    assert (entry["details"], entry["flags"]) == ("tunnel_going_away_1001", ["DR"])


def test_a_drain_in_the_middle_of_frames_waits_for_their_ends(draining):
    gateway, peer = draining
    client, _ = open_raw(gateway, "/ws")
    line = peer.wait()
    answer, question = frame(b"a" * 1000), frame(b"q" * 1000, mask=True)
    line.send(answer[:500])
    client.send(question[:3])
    assert client.read_exactly(500) == answer[:500]
    assert line.read_exactly(3) == question[:3]
    gateway.signal(signal.SIGTERM)
    # Neither side is told before its frame has ended: whatever came earlier would be read as payload.
    gateway.wait_for_line("draining")
    line.send(answer[500:] + frame(b"too late"))
    client.send(question[3:] + frame(b"too late", mask=True))
    assert client.read_exactly(len(answer) - 500) == answer[500:]
    kind, payload = read_frame(client)
    while kind == TEXT:  # Sent before the drain came to this connection.
        kind, payload = read_frame(client)
    assert (kind, payload) == (CLOSE, close_payload(1001, GOING_AWAY))
    assert line.read_exactly(len(question) - 3) == question[3:]
    kind, payload = read_frame(line)
    while kind == TEXT:
        kind, payload = read_frame(line)
    assert (kind, payload) == (CLOSE, close_payload(1001, GOING_AWAY))


@pytest.mark.parametrize("draining", ["1s"], indirect=True)
def test_a_frame_that_never_ends_is_cut_at_the_end_of_the_drain(draining):
    gateway, peer = draining
    client, _ = open_raw(gateway, "/ws")
    line = peer.wait()
    line.send(frame(b"a" * 1000)[:500])
    assert len(client.read_exactly(500)) == 500
    gateway.signal(signal.SIGTERM)
    assert read_frame(line)[0] == CLOSE
    assert client.is_closed()
    assert gateway.process.wait(20) == 0


# --- Real clients and servers


def echoes(connection) -> None:
    for message in connection:
        connection.send(message)


@pytest.fixture
def real(start, surroundings):
    """Starts a gateway in front of a real server."""
    servers = []

    def begin(handler, *, drain: dict | None = None, **more):
        server = RealServer(handler, **more)
        servers.append(server)
        gateway = start(surroundings.configuration(
            upstreams={"main": {"endpoints": [server.address]}}, event_loops=1, drain=drain or {"accept_for": "0s", "finish_for": "1s"}))
        return gateway, server

    yield begin
    for server in servers:
        server.close()


@pytest.mark.parametrize("compression", ["deflate", None])
def test_a_real_client_and_server_talk(real, compression):
    gateway, server = real(echoes, compression=compression, max_size=None)
    with real_client(gateway, "/ws/x", compression=compression) as client:
        assert bool(client.protocol.extensions) == (compression is not None)
        for message in ["", "grün", "x" * 100_000, b"\x00\xff" * 50_000, os.urandom(300_000)]:
            client.send(message)
            assert client.recv(timeout=20) == message
        client.send(["frag", "ment", "s"])
        assert client.recv(timeout=20) == "fragments"
        client.ping("are you there").wait(20)
        client.close(1000, "done")
        assert (client.close_code, client.close_reason) == (1000, "done")
    eventually(lambda: server.ended == [None], "the server to see the end")
    assert ("X-Forwarded-Proto", "https") in {(name.title(), value) for name, value in server.requests[0].items()}


def test_many_real_clients_each_hear_their_own(real):
    gateway, _ = real(echoes)

    async def one(number: int) -> None:
        async with real_async_client(gateway, f"/ws/{number}") as client:
            for turn in range(20):
                await client.send(f"{number}:{turn}")
                assert await asyncio.wait_for(client.recv(), 20) == f"{number}:{turn}"

    async def all_at_once() -> None:
        await asyncio.gather(*(one(number) for number in range(20)))

    asyncio.run(all_at_once())


def test_a_close_of_the_server_reaches_the_client(real):
    gateway, _ = real(lambda connection: connection.close(1011, "broken"))
    with real_client(gateway, "/ws") as client:
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=20)
    assert (closed.value.rcvd.code, closed.value.rcvd.reason, closed.value.rcvd_then_sent) == (1011, "broken", True)


def test_a_drain_reaches_a_real_client_and_server_in_the_middle_of_their_messages(real):
    """Both talk as fast as they can, compressed, so that the drain falls into frames; neither may see a broken one."""

    def pours(connection) -> None:
        listener = threading.Thread(target=lambda: list(connection), daemon=True)
        listener.start()
        try:
            while True:
                connection.send(os.urandom(20_000).hex())
        finally:
            listener.join(20)

    gateway, server = real(pours, drain={"accept_for": "0s", "finish_for": "8s"})
    with real_client(gateway, "/ws") as client:

        def talks() -> None:
            try:
                while True:
                    client.send(os.urandom(20_000).hex())
            except ConnectionClosed:
                pass

        talker = threading.Thread(target=talks, daemon=True)
        talker.start()
        for _ in range(5):
            assert len(client.recv(timeout=20)) == 40_000
        gateway.signal(signal.SIGTERM)
        with pytest.raises(ConnectionClosedOK) as closed:
            while True:
                assert len(client.recv(timeout=20)) == 40_000
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1001, GOING_AWAY)
        talker.join(20)
    eventually(lambda: server.ended, "the server to see the end")
    assert isinstance(server.ended[0], ConnectionClosed) and server.ended[0].rcvd.code == 1001
