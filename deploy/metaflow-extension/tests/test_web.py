"""Each failure on the wire is one sentence that names the remedy."""

from __future__ import annotations

import datetime
import socket
import ssl
import subprocess
import threading
from pathlib import Path
from typing import Callable, Optional

import pytest
from metaflow_extensions.gateway.login import web
from metaflow_extensions.gateway.login.problems import SetupProblem, Unavailable, UntrustedCertificate
from scripted_stage import ScriptedStage, free_ports

MakeStage = Callable[..., ScriptedStage]


class Authority:
    """A private certificate authority, made with the openssl command."""

    def __init__(self, folder: Path, *, strict: bool = True) -> None:
        self.folder = folder
        self.bundle = str(folder / "ca.pem")
        # Python 3.13 and later refuse an authority that does not say what its key is for (RFC 5280 section 4.2.1.3).
        usage = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"] if strict else []
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=Scripted CA", "-keyout", "ca.key", "-out", "ca.pem", *usage)

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    def leaf(self, name: str, *, start: str = "20200101000000Z", end: str = "20991231235959Z") -> tuple[str, str]:
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}", "-keyout", "leaf.key", "-out", "leaf.csr")
        (self.folder / "index.txt").write_text("")
        (self.folder / "serial").write_text("01")
        (self.folder / "ca.cnf").write_text(
            "[ca]\ndefault_ca=d\n[d]\nnew_certs_dir=.\ndatabase=index.txt\nserial=serial\ndefault_md=sha256\npolicy=p\nunique_subject=no\n"
            f"x509_extensions=e\n[p]\ncommonName=supplied\n[e]\nsubjectAltName=DNS:{name}\n"
            "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
        )
        self._openssl("ca", "-batch", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key", "-in", "leaf.csr", "-out", "leaf.pem", "-startdate", start, "-enddate", end)
        return str(self.folder / "leaf.pem"), str(self.folder / "leaf.key")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def test_a_stage_behind_a_private_authority_needs_its_bundle(authority: Authority, make_stage: MakeStage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = make_stage(tls=authority.leaf("localhost"))
    with pytest.raises(UntrustedCertificate) as caught:
        web.send(f"{stage.url}/cli/config")
    assert "export REQUESTS_CA_BUNDLE=" in caught.value.sentence and "not SSL_CERT_FILE" in caught.value.sentence
    monkeypatch.setenv("SSL_CERT_FILE", authority.bundle)
    with pytest.raises(UntrustedCertificate):
        web.send(f"{stage.url}/cli/config")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", authority.bundle)
    assert web.send(f"{stage.url}/cli/config").json()["stage"] == "alpha"


def test_requests_itself_agrees_about_the_bundle(authority: Authority, make_stage: MakeStage, monkeypatch: pytest.MonkeyPatch) -> None:
    import requests

    stage = make_stage(tls=authority.leaf("localhost"))
    for variable, trusted in (("SSL_CERT_FILE", False), ("REQUESTS_CA_BUNDLE", True), ("CURL_CA_BUNDLE", True)):
        with monkeypatch.context() as patch:
            patch.setenv(variable, authority.bundle)
            outcomes = []
            for ask in (lambda: requests.get(f"{stage.url}/cli/config", timeout=30), lambda: web.send(f"{stage.url}/cli/config")):
                try:
                    ask()
                    outcomes.append(True)
                except (requests.RequestException, Unavailable):
                    outcomes.append(False)
            assert outcomes == [trusted, trusted], variable


def test_a_bundle_that_lacks_the_authority_is_named(authority: Authority, make_stage: MakeStage, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    stage = make_stage(tls=authority.leaf("localhost"))
    other = Authority(tmp_path_factory.mktemp("other"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", other.bundle)
    with pytest.raises(UntrustedCertificate) as caught:
        web.send(f"{stage.url}/cli/config")
    assert other.bundle in caught.value.sentence


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_a_bundle_that_is_missing_or_empty_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: Optional[str]) -> None:
    path = tmp_path / "bundle.pem"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    with pytest.raises(SetupProblem) as caught:
        web.send("https://localhost:1/")
    assert str(path) in caught.value.sentence


@pytest.mark.parametrize(("start", "end"), [("20200101000000Z", "20210101000000Z"), ("20980101000000Z", "20991231235959Z")])
def test_a_certificate_out_of_its_dates_points_to_the_clock(authority: Authority, make_stage: MakeStage, monkeypatch: pytest.MonkeyPatch, start: str, end: str) -> None:
    stage = make_stage(tls=authority.leaf("localhost", start=start, end=end))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", authority.bundle)
    with pytest.raises(UntrustedCertificate) as caught:
        web.send(f"{stage.url}/cli/config")
    assert "set the clock" in caught.value.sentence
    assert datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d") in caught.value.sentence


def test_a_certificate_for_another_name_says_so(authority: Authority, make_stage: MakeStage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = make_stage(tls=authority.leaf("elsewhere.example.org"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", authority.bundle)
    with pytest.raises(UntrustedCertificate) as caught:
        web.send(f"{stage.url}/cli/config")
    assert "another name" in caught.value.sentence


def test_a_certificate_that_only_newer_pythons_refuse_is_the_operators_affair(
    make_stage: MakeStage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = Authority(tmp_path, strict=False)
    stage = make_stage(tls=authority.leaf("localhost"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", authority.bundle)
    if not ssl.create_default_context().verify_flags & ssl.VERIFY_X509_STRICT:
        assert web.send(f"{stage.url}/cli/config").status == 200
        return
    with pytest.raises(UntrustedCertificate) as caught:
        web.send(f"{stage.url}/cli/config")
    assert "key usage" in caught.value.sentence and "tell the operators" in caught.value.sentence


def test_nobody_listening_says_to_check_the_address() -> None:
    with pytest.raises(Unavailable) as caught:
        web.send(f"http://127.0.0.1:{free_ports(1)[0]}/cli/config")
    assert "connection refused" in caught.value.sentence and "check the address" in caught.value.sentence


def test_a_name_that_does_not_resolve_says_so() -> None:
    with pytest.raises(Unavailable) as caught:
        web.send("https://nowhere.invalid/cli/config")
    assert "nowhere.invalid" in caught.value.sentence


@pytest.mark.parametrize("proxy", ["http://user:hunter2@127.0.0.1:{port}", "127.0.0.1:{port}"])
def test_a_proxy_that_does_not_let_through_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    port = free_ports(1)[0]
    monkeypatch.setenv("HTTPS_PROXY", proxy.format(port=port))
    web._opener.cache_clear()
    with pytest.raises(Unavailable) as caught:
        web.send("https://alpha.example.org/cli/config")
    sentence = caught.value.sentence
    assert f"127.0.0.1:{port}" in sentence and "HTTPS_PROXY" in sentence and "add alpha.example.org to NO_PROXY" in sentence
    assert "hunter2" not in sentence
    web._opener.cache_clear()


def test_no_proxy_is_heeded(stage: ScriptedStage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_ports(1)[0]}")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    web._opener.cache_clear()
    assert web.send(f"{stage.url}/cli/config").status == 200
    assert web.proxy_variable(stage.url) is None
    monkeypatch.delenv("no_proxy")
    assert web.proxy_variable(stage.url) is not None
    web._opener.cache_clear()


def test_a_redirect_is_an_answer_and_is_not_followed(stage: ScriptedStage) -> None:
    answer = web.send(f"{stage.issuer}/oauth2/authorize?redirect_uri={stage.url}/elsewhere&state=x&nonce=x&code_challenge=x")
    assert answer.status == 302
    assert "/elsewhere" not in stage.seen_paths


def test_an_endless_answer_is_cut_off(stage: ScriptedStage) -> None:
    stage.config_answer = (200, "application/json", b"x" * (web.ANSWER_BYTES_MAX + 1))
    with pytest.raises(Unavailable):
        web.send(f"{stage.url}/cli/config")
    stage.config_answer = (200, "application/json", b"x" * web.ANSWER_BYTES_MAX)
    assert len(web.send(f"{stage.url}/cli/config").body) == web.ANSWER_BYTES_MAX


@pytest.mark.parametrize("sent", [b"", b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"a": 1}', b"garbage\r\n\r\n", b"\x15\x03\x01"])
def test_a_server_that_hangs_up_or_talks_nonsense_is_unavailable(sent: bytes) -> None:
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = server.accept()
        connection.recv(4096)
        connection.sendall(sent)
        connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    with pytest.raises(Unavailable):
        web.send(f"http://127.0.0.1:{server.getsockname()[1]}/", timeout=5)
    thread.join()
    server.close()


def test_a_server_that_drips_is_given_up_in_time() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def serve() -> None:
        connection, _ = server.accept()
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not stop.wait(0.05):
            try:
                connection.sendall(b"x")
            except OSError:
                return

    thread = threading.Thread(target=serve)
    thread.start()
    with pytest.raises(Unavailable) as caught:
        web.send(f"http://127.0.0.1:{server.getsockname()[1]}/", timeout=0.5)
    stop.set()
    thread.join()
    server.close()
    assert "in time" in caught.value.sentence


@pytest.mark.parametrize(
    ("offset", "words"),
    [(0, None), (45, None), (-45, None), (420, "7 min fast"), (-420, "7 min slow"), (86400 * 3, "3 days fast"), (3 * 3600, "3 h fast")],
)
def test_a_wrong_clock_is_told_by_how_much(stage: ScriptedStage, offset: float, words: Optional[str]) -> None:
    stage.date_offset = offset
    warning = web.clock_warning(web.send(f"{stage.url}/cli/config"))
    assert (warning is None) if words is None else (warning is not None and words in warning and "set it" in warning)


@pytest.mark.parametrize(
    ("value", "expected"), [(None, None), ("0", 0.0), (" 7 ", 7.0), ("99999999999", 3600.0), ("-1", None), ("x", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("²", None)]
)
def test_retry_after_is_read_as_seconds(value: Optional[str], expected: Optional[float]) -> None:
    assert web._retry_after(value) == expected


def test_a_servers_text_cannot_write_to_the_terminal(stage: ScriptedStage) -> None:
    stage.config_answer = (503, "application/json", b'{"message": "wait\\u001b]0;title\\u0007 \\u202e a minute"}')
    message = web.send(f"{stage.url}/cli/config").message
    assert message.startswith("wait") and message.endswith("a minute")
    assert all(character.isprintable() for character in message)
