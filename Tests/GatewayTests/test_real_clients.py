"""Clients that were not written here speak both protocols with the gateway: curl, nghttp and h2load. (Python's `h2` is what test_http2.py speaks with, and
`metaflow` with its `requests` what Tests/EndToEnd runs.)"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from upstream import answer, raw

MEBIBYTE = 1 << 20
PROTOCOLS = {"--http1.1": "1.1", "--http2": "2"}
both_protocols = pytest.mark.parametrize("protocol", PROTOCOLS)


@dataclass
class Answer:
    status: int
    version: str
    connections: int
    body: bytes
    head: str


@pytest.fixture
def url(gateway):
    return f"https://localhost:{gateway.port('listeners[0].address')}"


@pytest.fixture
def curl(gateway, tmp_path):
    def run(*arguments: str, fails: bool = False) -> Answer:
        command = ["curl", "--silent", "--show-error", "--max-time", "60", "--ipv4", "--cacert", str(gateway.authority), "--dump-header", str(tmp_path / "head"), "--output", str(tmp_path / "body"),
                   "--write-out", "%{response_code} %{http_version} %{num_connects}", *arguments]
        for file in ("head", "body"):
            (tmp_path / file).write_bytes(b"")
        done = subprocess.run(command, capture_output=True, text=True, timeout=90)
        assert fails == (done.returncode != 0), f"curl ended with {done.returncode}: {done.stderr}"
        status, version, connections = done.stdout.split()
        return Answer(int(status), version, int(connections), (tmp_path / "body").read_bytes(), (tmp_path / "head").read_text())

    return run


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture
def file(tmp_path) -> Path:
    """Three mebibytes and a byte, so that windows open and close."""
    path = tmp_path / "three"
    path.write_bytes(os.urandom(3 * MEBIBYTE + 1))
    return path


# --- curl


@both_protocols
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_curl_asks_and_is_answered(curl, url, path, protocol, method):
    answered = curl(protocol, "--request", method, url + path)
    assert (answered.status, answered.version) == (200, PROTOCOLS[protocol])
    assert f'"method": "{method}"'.encode() in answered.body


@both_protocols
def test_curl_asks_for_a_head_alone(curl, url, path, protocol):
    answered = curl(protocol, "--head", url + path)
    assert (answered.status, "content-type: application/json" in answered.head.lower()) == (200, True)


@both_protocols
@pytest.mark.parametrize("more", [[], ["--header", "Transfer-Encoding: chunked"], ["--header", "Expect: 100-continue"], ["--header", "Expect:"]], ids=["length", "chunked", "expecting", "not expecting"])
def test_curl_uploads_a_file_whole(curl, upstream, url, path, file, protocol, more):
    assert curl(protocol, "--upload-file", str(file), *more, url + path).status == 200
    assert hashlib.sha256(upstream.wait_for(path).body).digest() == hashlib.sha256(file.read_bytes()).digest()


@both_protocols
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_curl_downloads_a_file_whole(curl, upstream, url, path, file, protocol, framing):
    data = file.read_bytes()
    match framing:
        case "length":
            upstream.script[path] = answer(data)
        case "chunked":
            upstream.script[path] = raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(data) + data + b"\r\n0\r\n\r\n")
        case "close":
            upstream.script[path] = raw(b"HTTP/1.1 200 OK\r\n\r\n" + data, then_close=True)
    answered = curl(protocol, url + path)
    assert (answered.status, answered.body == data) == (200, True)


@both_protocols
def test_curl_is_told_when_a_download_breaks_off(curl, upstream, url, path, protocol):
    upstream.script[path] = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", then_close=True)
    curl(protocol, url + path, fails=True)


@both_protocols
def test_curl_hears_an_early_refusal_of_a_large_upload(curl, url, file, protocol):
    answered = curl(protocol, "--upload-file", str(file), url + "/small/curl")
    assert (answered.status, b"body_too_large" in answered.body) == (413, True)


@both_protocols
def test_curl_passes_with_a_token_only(curl, url, bearer, protocol):
    assert curl(protocol, url + "/secure/curl").status == 401
    name, value = bearer()[0]
    assert curl(protocol, "--header", f"{name}: {value}", url + "/secure/curl").status == 200


@both_protocols
def test_curl_keeps_its_connection(gateway, url, path, protocol):
    outcome = run("curl", "--silent", "--show-error", "--ipv4", protocol, "--cacert", str(gateway.authority), "--output", os.devnull,
                  "--write-out", "%{response_code} %{num_connects}\n", f"{url}{path}/[1-20]")
    assert outcome.split() == ["200", "1"] + ["200", "0"] * 19


def test_curl_sends_fifty_requests_at_once_over_one_connection(gateway, upstream, url, path):
    outcome = run("curl", "--silent", "--show-error", "--ipv4", "--http2", "--parallel", "--parallel-max", "50", "--cacert", str(gateway.authority), "--output", os.devnull,
                  "--write-out", "%{response_code} %{http_version} %{num_connects}\n", f"{url}{path}/[1-50]")
    lines = [line.split() for line in outcome.splitlines()]
    assert [line[:2] for line in lines] == [["200", "2"]] * 50
    assert sum(int(line[2]) for line in lines) == 1
    assert all(len(upstream.seen(f"{path}/{number}")) == 1 for number in range(1, 51))


def test_curl_finds_no_http_2_without_tls(gateway, curl):
    plain = f"http://localhost:{gateway.port('listeners[1].address')}/open"
    # An upgrade to h2c is not taken, and prior knowledge of it is refused.
    assert (curl("--http2", plain).status, curl("--http2", plain).version) == (308, "1.1")
    curl("--http2-prior-knowledge", plain, fails=True)


# --- nghttp


def nghttp(*arguments: str) -> str:
    return run("nghttp", "--verbose", "--timeout=60", "--no-verify-peer", *arguments)


def statuses(output: str) -> list[str]:
    return re.findall(r":status: (\d+)", output)


@pytest.mark.parametrize("more", [[], ["--continuation"], ["--padding=100"], ["--window-bits=16", "--connection-window-bits=16"], ["--header-table-size=0"], ["--no-dep"], ["--hexdump"]], ids=lambda more: " ".join(more) or "plain")
def test_nghttp_asks_and_is_answered(upstream, url, path, more):
    output = nghttp(*more, url + path)
    assert statuses(output) == ["200"]
    upstream.wait_for(path)
    assert "error_code=PROTOCOL_ERROR" not in output and "RST_STREAM" not in output


def test_nghttp_asks_a_hundred_times_at_once(upstream, url, path):
    assert statuses(nghttp("--null-out", "--multiply=99", url + path)) == ["200"] * 99
    assert len(upstream.seen(path)) == 99


@pytest.mark.parametrize("more", [[], ["--expect-continue"], ["--no-content-length"], ["--padding=255"]], ids=lambda more: " ".join(more) or "plain")
def test_nghttp_uploads_a_file_whole(upstream, url, path, file, more):
    output = nghttp("--null-out", f"--data={file}", *more, url + path)
    assert statuses(output)[-1] == "200"
    assert ("100" in statuses(output)) == ("--expect-continue" in more)
    assert upstream.wait_for(path).body == file.read_bytes()


def test_nghttp_sends_trailers(upstream, url, file):
    assert statuses(nghttp("--null-out", f"--data={file}", "--no-content-length", "--trailer=x-checksum: 7", url + "/trailers/nghttp")) == ["200"]
    assert upstream.wait_for("/trailers/nghttp").trailers == [("x-checksum", "7")]


def test_nghttp_downloads_through_a_small_window(upstream, url, path, file):
    upstream.script[path] = answer(file.read_bytes())
    output = nghttp("--null-out", "--stat", "--window-bits=10", url + path)
    assert statuses(output) == ["200"]
    assert sum(int(length) for length in re.findall(r"recv DATA frame <length=(\d+)", output)) == 3 * MEBIBYTE + 1


# --- h2load


@pytest.mark.parametrize("protocol", [[], ["--h1"]], ids=["HTTP/2", "HTTP/1.1"])
@pytest.mark.parametrize("upload", [False, True], ids=["GET", "POST"])
def test_h2load_loses_no_request(upstream, url, path, tmp_path, protocol, upload):
    body = tmp_path / "body"
    body.write_bytes(b"x" * 20_000)
    # Not over `requests_per_connection` times the clients.
    output = run("h2load", "--requests=2000", "--clients=10", "--max-concurrent-streams=10", *protocol, *([f"--data={body}"] if upload else []), url + path)
    assert "2000 succeeded, 0 failed, 0 errored, 0 timeout" in output, output
    assert "status codes: 2000 2xx, 0 3xx, 0 4xx, 0 5xx" in output, output
    received = upstream.seen(path)
    assert len(received) == 2000 and {len(request.body) for request in received} == {20_000 if upload else 0}
