"""WebSockets through the gateway: frames as raw bytes (RFC 6455 §5.2), and the `websockets` package as a real server and client."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable

from gateway import Gateway
from upstream import Line, Received
from websockets.asyncio.client import connect as AsyncConnect
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import Server, ServerConnection, serve
from wire import Client, Connection, Cut, Response, trusting

UPGRADE = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
TEXT, BINARY, CLOSE, PING, PONG, CONTINUATION = 1, 2, 8, 9, 10, 0
KEY = b"\x11\x22\x33\x44"


def masked(payload: bytes, key: bytes = KEY) -> bytes:
    return bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))


def frame(payload: bytes = b"", opcode: int = TEXT, *, final: bool = True, mask: bool = False) -> bytes:
    flag = 0x80 if mask else 0
    size = len(payload)
    length = bytes([flag | size]) if size < 126 else bytes([flag | 126]) + size.to_bytes(2, "big") if size < 65_536 else bytes([flag | 127]) + size.to_bytes(8, "big")
    return bytes([(0x80 if final else 0) | opcode]) + length + (KEY + masked(payload) if mask else payload)


def read_frame(line: Connection) -> tuple[int, bytes]:
    """The next frame's opcode and payload."""
    first, second = line.read_exactly(2)
    size = second & 0x7F
    if size >= 126:
        size = int.from_bytes(line.read_exactly(2 if size == 126 else 8), "big")
    key = line.read_exactly(4) if second & 0x80 else None
    payload = line.read_exactly(size)
    return first & 0x0F, masked(payload, key) if key else payload


def close_payload(code: int, reason: str = "") -> bytes:
    return code.to_bytes(2, "big") + reason.encode()


def open_raw(gateway: Gateway, path: str, **more) -> tuple[Client, Response]:
    """A raw client behind its 101."""
    client = gateway.client(**more)
    client.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}\r\n".encode())
    response = client.response()
    assert response.status == 101, response
    return client, response


class Peer:
    """The upstream's end of one raw WebSocket; the test speaks for it."""

    def __init__(self) -> None:
        self.line: Line | None = None
        self.is_open = threading.Event()
        self.is_over = threading.Event()

    def script(self, first: bytes = b"") -> Callable[[Line, Received], None]:
        def run(line: Line, request: Received) -> None:
            line.send(SWITCH + first)
            self.line = line
            self.is_open.set()
            if not self.is_over.wait(60):
                raise Cut("the test has gone on without this end")

        return run

    def wait(self) -> Line:
        assert self.is_open.wait(20) and self.line is not None
        self.line.sock.settimeout(20)
        return self.line


class RealServer:
    """A `websockets` server on loopback; `ended` holds what each connection ended with."""

    def __init__(self, handler: Callable[[ServerConnection], None], **more) -> None:
        self.ended: list[BaseException | None] = []
        self.requests: list[dict[str, str]] = []

        def handle(connection: ServerConnection) -> None:
            self.requests.append(dict(connection.request.headers.raw_items()))
            try:
                handler(connection)
            except BaseException as problem:
                self.ended.append(problem)
            else:
                self.ended.append(None)

        sock = socket.create_server(("127.0.0.1", 0))
        self.server: Server = serve(handle, sock=sock, ping_interval=None, **more)
        self.address = f"http://127.0.0.1:{sock.getsockname()[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join(10)


def real_async_client(gateway: Gateway, path: str) -> AsyncConnect:
    """For many at once: a client of threads reads and writes its TLS connection at a time, which Python's ssl only bears from 3.13 on."""
    port = gateway.port("listeners[0].address")
    return AsyncConnect(f"wss://localhost:{port}{path}", ssl=trusting(gateway.authority), host="127.0.0.1", port=port, ping_interval=None, proxy=None)


def real_client(gateway: Gateway, path: str, **more) -> ClientConnection:
    port = gateway.port("listeners[0].address")
    context = trusting(gateway.authority)
    # One thread of the client reads while another writes. TLS 1.3 would have the reader deal with tickets just then (see above).
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return connect(
        f"wss://localhost:{port}{path}", ssl=context, sock=socket.create_connection(("127.0.0.1", port)), ping_interval=None, proxy=None,
        **({"max_size": None} | more),
    )
