"""A client that says exactly the bytes it is told to, and reads answers strictly: what a browser or curl would mend, it reports."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PATIENCE = 20.0


class Cut(Exception):
    """The peer ended the connection inside a message."""


def again(attempt: Callable[[], Any], tries: int = 3) -> Any:
    """For a gateway that waits a second and no longer: a client whose machine stalls meanwhile is cut off for that, and tries again."""
    for left in range(tries - 1, -1, -1):
        try:
            return attempt()
        except (Cut, OSError):
            if left == 0:
                raise


@dataclass
class Response:
    version: str
    status: int
    reason: str
    fields: list[tuple[str, str]]
    body: bytes = b""
    trailers: list[tuple[str, str]] = field(default_factory=list)
    chunks: list[int] = field(default_factory=list)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def get(self, name: str) -> str | None:
        values = self.all(name)
        assert len(values) <= 1, f"{name} stands there {len(values)} times"
        return values[0] if values else None

    def json(self) -> dict:
        import json

        return json.loads(self.body)


def split_head(head: bytes) -> tuple[str, list[tuple[str, str]]]:
    """The start line and the fields of a head; every line must end with CRLF and be a field."""
    assert head.endswith(b"\r\n\r\n")
    lines = head[:-4].split(b"\r\n")
    assert all(b"\r" not in line and b"\n" not in line for line in lines), head
    fields = []
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        assert colon and name and name == name.strip(), line
        fields.append((name.decode("ascii"), value.strip(b" \t").decode("latin-1")))
    return lines[0].decode("latin-1"), fields


class Connection:
    """A socket with a read buffer."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.settimeout(PATIENCE)
        self.buffer = b""

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def _more(self) -> bytes:
        """Some more bytes; empty at the end. A cut without close_notify raises Cut."""
        try:
            data = self.sock.recv(65_536)
        except (ssl.SSLEOFError, ConnectionResetError) as error:
            raise Cut(str(error)) from error
        return data

    def read_until(self, mark: bytes) -> bytes:
        while mark not in self.buffer:
            data = self._more()
            if not data:
                raise Cut(f"ended before {mark!r}, with {self.buffer!r}")
            self.buffer += data
        end = self.buffer.index(mark) + len(mark)
        taken, self.buffer = self.buffer[:end], self.buffer[end:]
        return taken

    def read_exactly(self, count: int) -> bytes:
        pieces, length = [self.buffer], len(self.buffer)
        try:
            while length < count:
                data = self._more()
                if not data:
                    raise Cut(f"ended after {length} of {count} bytes")
                pieces.append(data)
                length += len(data)
        finally:
            self.buffer = b"".join(pieces)
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def read_to_end(self) -> bytes:
        """What comes until the peer ends in order."""
        while data := self._more():
            self.buffer += data
        taken, self.buffer = self.buffer, b""
        return taken

    def read_chunked(self) -> tuple[bytes, list[int], list[tuple[str, str]]]:
        body, sizes = bytearray(), []
        while True:
            line = self.read_until(b"\r\n")[:-2]
            assert line and all(digit in b"0123456789abcdefABCDEF" for digit in line), f"a chunk's size is {line!r}"
            size = int(line, 16)
            if size == 0:
                break
            sizes.append(size)
            body += self.read_exactly(size)
            assert self.read_exactly(2) == b"\r\n"
        trailers = []
        while (line := self.read_until(b"\r\n")) != b"\r\n":
            name, _, value = line[:-2].partition(b":")
            trailers.append((name.decode(), value.strip().decode()))
        return bytes(body), sizes, trailers

    def is_closed(self) -> bool:
        """Waits for the peer's end; true when nothing more came before it."""
        try:
            return self.buffer == b"" and self._more() == b""
        except Cut:
            return True

    def reset(self) -> None:
        """Leaves with RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        # Detached first, so that TLS neither waits nor fails.
        try:
            self.sock.close()
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def trusting(authority: Path, *, alpn: list[str] | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A cut must not look like an end.
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    if alpn is not None:
        context.set_alpn_protocols(alpn)
    return context


class Client(Connection):
    """A connection to a listener of the gateway."""

    def __init__(
        self,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        server_name: str | None = "localhost",
        first: bytes = b"",
        receive_buffer: int | None = None,
        host: str = "127.0.0.1",
        unix: Path | None = None,
    ) -> None:
        family = socket.AF_UNIX if unix else socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(PATIENCE)
        sock.connect(str(unix) if unix else (host, port))
        if first:
            sock.sendall(first)
        if tls is not None:
            try:
                sock = tls.wrap_socket(sock, server_hostname=server_name, suppress_ragged_eofs=False)
            except BaseException:
                sock.close()
                raise
        super().__init__(sock)

    def request(
        self, method: str, target: str, fields: list[tuple[str, str]] | None = None, body: bytes | None = None, *, host: str = "localhost", version: str = "HTTP/1.1"
    ) -> None:
        lines = [f"{method} {target} {version}", f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in fields or []]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (body or b""))

    def response(self, *, to: str = "GET") -> Response:
        """The next final response; informational ones are skipped."""
        while True:
            response = self.any_response(to=to)
            if response.status >= 200 or response.status == 101:
                return response

    def any_response(self, *, to: str = "GET") -> Response:
        start, fields = split_head(self.read_until(b"\r\n\r\n"))
        version, _, rest = start.partition(" ")
        status, _, reason = rest.partition(" ")
        assert version in ("HTTP/1.1", "HTTP/1.0") and len(status) == 3 and status.isdigit(), start
        response = Response(version, int(status), reason, fields)
        length, encoding = response.get("content-length"), response.get("transfer-encoding")
        assert not (length is not None and encoding is not None), "both Content-Length and Transfer-Encoding"
        if to == "HEAD" or response.status < 200 or response.status in (204, 304):
            return response
        if encoding is not None:
            assert encoding == "chunked"
            response.body, response.chunks, response.trailers = self.read_chunked()
        elif length is not None:
            response.body = self.read_exactly(int(length))
        else:
            response.body = self.read_to_end()
        return response

    def ask(self, method: str, target: str, fields: list[tuple[str, str]] | None = None, body: bytes | None = None, **more) -> Response:
        self.request(method, target, fields, body, **more)
        return self.response(to=method)
