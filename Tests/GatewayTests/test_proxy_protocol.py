"""Who the client is: PROXY protocol, X-Forwarded-For, the peer (A7, A8)."""

import socket
import ssl
import struct
import time

import pytest
from conftest import FORWARDED, PEER, PROXY, PROXY_OF_OTHERS
from wire import Client, Cut

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def header(command: int = 1, family: int = 0x11, body: bytes | None = None, *, version: int = 2, length: int | None = None) -> bytes:
    body = ipv4() if body is None else body
    return SIGNATURE + bytes([version << 4 | command, family]) + struct.pack("!H", len(body) if length is None else length) + body


def ipv4(source: str = "203.0.113.7", port: int = 4711) -> bytes:
    return socket.inet_aton(source) + socket.inet_aton("198.51.100.1") + struct.pack("!HH", port, 443)


def ipv6(source: str = "2001:db8::7", port: int = 4711) -> bytes:
    return socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, "2001:db8::1") + struct.pack("!HH", port, 443)


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x82F63B78 if crc & 1 else crc >> 1
    return crc ^ 0xFFFFFFFF


def with_checksum(*, broken: bool = False) -> bytes:
    empty = header(body=ipv4() + tlv(3, b"\0\0\0\0"))
    checksum = crc32c(empty) ^ (1 if broken else 0)
    return empty[:-4] + struct.pack("!I", checksum)


@pytest.mark.parametrize(
    "first, client, peer, endpoint",
    [
        (header(), "203.0.113.7", "127.0.0.1", None),
        (header(family=0x21, body=ipv6()), "2001:db8::7", "127.0.0.1", None),
        (header(body=ipv4() + tlv(0xEA, b"\x01vpce-0abc123")), "203.0.113.7", "127.0.0.1", "vpce-0abc123"),
        (header(body=ipv4() + tlv(0x99, b"unknown") + tlv(0xEA, b"\x01vpce-1")), "203.0.113.7", "127.0.0.1", "vpce-1"),
        (with_checksum(), "203.0.113.7", "127.0.0.1", None),
        (header(0, 0, b""), "127.0.0.1", None, None),
        (header(0, 0x11), "127.0.0.1", None, None),
        (header(1, 0, b""), "127.0.0.1", None, None),
        (header(1, 0x31, b"\0" * 216), "127.0.0.1", None, None),
    ],
    ids=["ipv4", "ipv6", "vpc endpoint", "unknown tlv first", "checksum", "local", "local with addresses", "unspecified", "unix"],
)
def test_a_header_from_a_trusted_peer_says_who_the_client_is(gateway, upstream, path, first, client, peer, endpoint):
    with gateway.client(PROXY, first=first) as connection:
        answer = connection.ask("GET", path)
    assert answer.status == 200
    assert upstream.wait_for(path).get("x-forwarded-for") == client
    entry = gateway.entry(answer.get("x-request-id"))
    assert (entry["client_ip"], entry.get("peer_ip"), entry.get("vpce_id")) == (client, peer, endpoint)
    if client.startswith("20"):
        assert entry["client_port"] == 4711


def test_a_header_in_single_bytes_is_read(gateway, path):
    with socket.create_connection(("127.0.0.1", gateway.port(f"listeners[{PROXY}].address"))) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in header():
            sock.sendall(bytes([byte]))
        from wire import trusting

        with trusting(gateway.authority).wrap_socket(sock, server_hostname="localhost") as tls:
            tls.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert tls.recv(12) == b"HTTP/1.1 200"


@pytest.mark.parametrize(
    "first",
    [
        b"GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PROXY TCP4 203.0.113.7 198.51.100.1 4711 443\r\n",
        SIGNATURE[:-1] + b"X" + header()[12:],
        header(version=1),
        header(2),
        header(family=0x41),
        header(body=ipv4()[:8]),
        header(body=ipv4() + b"\xea\x00"),
        header(body=ipv4() + tlv(0xEA, b"x")[:-1] + b""),
        header(length=1025, body=ipv4()),
        header(length=65_535, body=ipv4()),
        with_checksum(broken=True),
        header(1, 0x13, ipv4()),
    ],
    ids=[
        "http", "tls", "version 1", "wrong signature", "wrong version", "wrong command", "wrong family", "short addresses", "half a tlv",
        "tlv longer than the header", "too long", "longest", "wrong checksum", "wrong transport",
    ],
)
def test_a_trusted_peer_without_a_good_header_is_cut(gateway, upstream, first):
    before = gateway.metrics()["gw_conn_proxy_protocol_refused_total"]
    with Client(gateway.port(f"listeners[{PROXY}].address"), first=first) as client:
        assert client.is_closed()
    assert gateway.metrics()["gw_conn_proxy_protocol_refused_total"] > before


def test_a_header_that_does_not_end_is_cut_at_its_time_limit(hurried):
    began = time.monotonic()
    with Client(hurried.port("listeners[1].address"), first=header()[:20]) as client:
        assert client.is_closed()
    assert time.monotonic() - began >= 0.9


def test_a_peer_that_is_not_trusted_is_cut_even_with_a_good_header(gateway):
    before = gateway.metrics()["gw_conn_proxy_protocol_refused_total"]
    with Client(gateway.port(f"listeners[{PROXY_OF_OTHERS}].address"), first=header()) as client:
        assert client.is_closed()
    assert gateway.metrics()["gw_conn_proxy_protocol_refused_total"] > before


def test_a_header_on_a_listener_that_expects_none_is_cut(gateway):
    with pytest.raises((Cut, ConnectionError, ssl.SSLError)):
        with gateway.client(PEER, first=header()) as client:
            client.ask("GET", "/open")


@pytest.mark.parametrize(
    "values, client",
    [
        (["203.0.113.9"], "203.0.113.9"),
        (["198.51.100.200, 203.0.113.9"], "203.0.113.9"),
        (["203.0.113.9, 127.0.0.1, 127.0.0.2"], "203.0.113.9"),
        (["198.51.100.200", "203.0.113.9"], "203.0.113.9"),
        (["2001:db8::9"], "2001:db8::9"),
        ([], "127.0.0.1"),
        (["nonsense"], "127.0.0.1"),
        (["203.0.113.9, nonsense"], "127.0.0.1"),
    ],
)
def test_behind_a_trusted_proxy_the_last_address_that_is_not_trusted_is_the_client(gateway, upstream, path, values, client):
    with gateway.client(FORWARDED) as connection:
        answer = connection.ask("GET", path, [("X-Forwarded-For", value) for value in values])
    assert gateway.entry(answer.get("x-request-id"))["client_ip"] == client
    assert upstream.wait_for(path).get("x-forwarded-for") == client


def test_the_peer_is_the_client_where_nothing_else_is_configured(gateway, upstream, path):
    with gateway.client(PEER) as connection:
        answer = connection.ask("GET", path, [("X-Forwarded-For", "203.0.113.9"), ("X-Real-IP", "203.0.113.9"), ("Forwarded", "for=203.0.113.9")])
    assert upstream.wait_for(path).get("x-forwarded-for") == "127.0.0.1"
    assert gateway.entry(answer.get("x-request-id"))["client_ip"] == "127.0.0.1"
