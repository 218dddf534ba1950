"""TLS at the front: versions, suites, names, protocols (A2, A3)."""

import re
import socket
import ssl
import subprocess
import time

import pytest
from conftest import NAMES, ONLY_13, PEER
from wire import Client, Cut, trusting


def old(version: ssl.TLSVersion, gateway) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(gateway.authority)
    context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_an_old_version_of_tls_is_refused(gateway, version):
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        Client(gateway.port(f"listeners[{PEER}].address"), tls=old(version, gateway))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_12_and_13_are_spoken(gateway, path, version):
    context = trusting(gateway.authority)
    context.minimum_version = context.maximum_version = version
    with Client(gateway.port(f"listeners[{PEER}].address"), tls=context) as client:
        assert client.ask("GET", path).status == 200
        assert client.sock.version() == version.name.replace("_", ".")


def test_a_listener_can_demand_tls_13(gateway):
    context = trusting(gateway.authority)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        Client(gateway.port(f"listeners[{ONLY_13}].address"), tls=context)


def suite_of(gateway, suite: str) -> str:
    """What is chosen by a gateway that is offered this one of TLS 1.2."""
    context = old(ssl.TLSVersion.TLSv1_2, gateway)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers(f"{suite}:@SECLEVEL=0")
    with Client(gateway.port("listeners[0].address"), tls=context) as client:
        return client.sock.cipher()[0]


@pytest.mark.parametrize("suite", ["ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "ECDHE-ECDSA-AES128-CCM"])
def test_a_suite_without_forward_secrecy_or_aead_is_refused(gateway, suite):
    with pytest.raises(ssl.SSLError, match="(?i)alert.handshake.failure"):
        suite_of(gateway, suite)


def test_such_a_suite_is_refused_with_an_rsa_key_too(start, surroundings, tmp_path):
    """Which those of RSA need, whatever the policy."""
    certificate = {"chain": str(tmp_path / "rsa.pem"), "key": str(tmp_path / "rsa.key")}
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,DNS:second.localhost",
         "-keyout", certificate["key"], "-out", certificate["chain"]], check=True, capture_output=True)
    gateway = start(surroundings.configuration(listeners=[{"address": "127.0.0.1:0", "tls": {"certificates": [certificate]}, "public_port": 8443}]))
    assert suite_of(gateway, "ECDHE-RSA-AES128-GCM-SHA256") == "ECDHE-RSA-AES128-GCM-SHA256"
    for suite in ("AES128-GCM-SHA256", "DHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-SHA256", "ECDHE-RSA-AES128-SHA"):
        with pytest.raises(ssl.SSLError, match="(?i)alert.handshake.failure"):
            suite_of(gateway, suite)


@pytest.mark.parametrize("suite", ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"])
def test_an_aead_suite_with_ecdhe_is_taken(gateway, suite):
    context = old(ssl.TLSVersion.TLSv1_2, gateway)
    context.set_ciphers(suite)
    with Client(gateway.port(f"listeners[{PEER}].address"), tls=context) as client:
        assert client.sock.cipher()[0] == suite


@pytest.mark.parametrize("offered, chosen", [(None, None), (["http/1.1"], "http/1.1"), (["spdy/3", "http/1.1"], "http/1.1")])
def test_alpn_chooses_http_11(gateway, path, offered, chosen):
    with gateway.client(alpn=offered) as client:
        assert client.sock.selected_alpn_protocol() == chosen
        assert client.ask("GET", path).status == 200


def test_a_client_that_offers_only_unknown_protocols_is_refused(gateway):
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        gateway.client(alpn=["spdy/3"])


def test_renegotiation_is_refused(gateway):
    result = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{gateway.port('listeners[0].address')}", "-servername", "localhost", "-tls1_2", "-no_ign_eof", "-legacy_server_connect"],
        input=b"R\n", capture_output=True, timeout=30,
    )
    output = result.stdout + result.stderr
    assert b"RENEGOTIATING" in output
    assert b"no renegotiation" in output.lower() or b"unexpected message" in output.lower() or b"error" in output.lower(), output
    assert result.returncode != 0


def test_compression_and_early_data_are_off(gateway, path, tmp_path):
    """A ticket says whether the data of a request may come with the handshake that resumes it, where anybody could replay them."""
    session, early = tmp_path / "session.pem", tmp_path / "early"
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    early.write_bytes(request)

    def ask(*options) -> bytes:
        # Until the gateway ends the connection: the ticket has come before the answer.
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{gateway.port('listeners[0].address')}", "-servername", "localhost", "-tls1_3", "-ign_eof", *options]
        result = subprocess.run(command, input=request, capture_output=True, timeout=30)
        assert b"HTTP/1.1 200" in result.stdout, result.stdout + result.stderr
        return result.stdout

    first = ask("-sess_out", session)
    assert b"New, TLSv1.3" in first and b"Compression: NONE" in first
    ticket = subprocess.run(["openssl", "sess_id", "-in", session, "-noout", "-text"], capture_output=True, text=True, timeout=30)
    assert ticket.returncode == 0, ticket.stderr
    assert re.search(r"Max Early Data: (\d+)", ticket.stdout)[1] == "0", ticket.stdout
    second = ask("-sess_in", session, "-early_data", early)
    assert b"Reused, TLSv1.3" in second and b"Early data was not sent" in second


def names_of(client: Client) -> list[str]:
    return [value for _, value in client.sock.getpeercert()["subjectAltName"]]


@pytest.mark.parametrize(
    "server_name, names",
    [
        ("localhost", ["localhost"]),
        ("second.localhost", ["second.localhost"]),
        ("SECOND.localhost", ["second.localhost"]),
        ("one.wild.localhost", ["*.wild.localhost"]),
        ("two.one.wild.localhost", ["localhost"]),
        ("wild.localhost", ["localhost"]),
        ("unknown.example", ["localhost"]),
        # No host name: what some clients make of an address and its port.
        ("localhost:8443", ["localhost"]),
        (None, ["localhost"]),
    ],
)
def test_the_server_name_chooses_the_certificate_exact_before_wildcard_before_first(gateway, server_name, names):
    context = trusting(gateway.authority)
    context.check_hostname = False
    with Client(gateway.port(f"listeners[{NAMES}].address"), tls=context, server_name=server_name) as client:
        assert names_of(client) == names


@pytest.mark.parametrize(
    "server_name, host, status",
    [
        ("localhost", "localhost", 200),
        ("localhost", "LOCALHOST:8443", 200),
        ("localhost", "second.localhost", 421),
        ("second.localhost", "localhost", 421),
        ("second.localhost", "second.localhost", 200),
        (None, "second.localhost", 200),
        ("second.localhost:8443", "localhost", 200),
        (None, "localhost", 200),
        ("unknown.example", "localhost", 421),
        ("unknown.example", "unknown.example", 421),
        ("localhost", "unknown.example", 421),
        (None, "unknown.example", 404),
    ],
)
def test_a_host_of_another_stage_than_the_server_names_is_misdirected(gateway, server_name, host, status):
    context = trusting(gateway.authority)
    context.check_hostname = False
    with Client(gateway.port(f"listeners[{PEER}].address"), tls=context, server_name=server_name) as client:
        answer = client.ask("GET", "/open/names", host=host)
        assert answer.status == status
        if status == 421:
            assert answer.json()["code"] == "misdirected_request"
            assert client.is_closed()


def test_plain_http_on_a_tls_port_is_cut(gateway):
    with Client(gateway.port(f"listeners[{PEER}].address")) as client:
        client.request("GET", "/open")
        try:
            data = client.read_to_end()
        except Cut:
            data = b""
        assert not data.startswith(b"HTTP/")


def test_a_handshake_that_does_not_come_is_cut_at_its_time_limit(hurried):
    began = time.monotonic()
    with Client(hurried.port("listeners[0].address")) as client:
        assert client.is_closed()
    assert time.monotonic() - began >= 0.9


def test_a_client_hello_in_single_bytes_is_read(gateway, path):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = trusting(gateway.authority).wrap_bio(incoming, outgoing, server_hostname="second.localhost")
    with socket.create_connection(("127.0.0.1", gateway.port(f"listeners[{NAMES}].address"))) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(10)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                for byte in outgoing.read():
                    sock.sendall(bytes([byte]))
                incoming.write(sock.recv(65_536))
        assert [value for _, value in tls.getpeercert()["subjectAltName"]] == ["second.localhost"]


def test_a_session_is_resumed_by_its_ticket(gateway, path):
    context = trusting(gateway.authority)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with Client(gateway.port(f"listeners[{PEER}].address"), tls=context) as client:
        assert client.ask("GET", path).status == 200
        session = client.sock.session
    sock = socket.create_connection(("127.0.0.1", gateway.port(f"listeners[{PEER}].address")))
    with context.wrap_socket(sock, server_hostname="localhost", session=session) as resumed:
        assert resumed.session_reused


def test_the_answer_ends_with_close_notify(gateway, path):
    with gateway.client() as client:
        client.request("GET", path, [("Connection", "close")])
        assert client.response().status == 200
        assert client.read_to_end() == b""
