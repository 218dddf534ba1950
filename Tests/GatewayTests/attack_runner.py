"""Sends a case of the attack corpus and judges what came of it. There are two ways to pass: refusal, or forwarding in canonical form; and
in neither may the requests that follow, on the client's connection or on the upstream's, be any other than they were sent."""

from __future__ import annotations

import re
import ssl
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

import hpack
from attack_cases import Case
from attack_recorder import Arrival, Recorder, Script
from wire import Client, Cut, Response

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAMES = {"DATA": 0, "HEADERS": 1, "PRIORITY": 2, "RST_STREAM": 3, "SETTINGS": 4, "PUSH_PROMISE": 5, "PING": 6, "GOAWAY": 7, "WINDOW_UPDATE": 8, "CONTINUATION": 9}
FLAGS = {"-": 0, "END_STREAM": 1, "ACK": 1, "END_HEADERS": 4, "PADDED": 8, "PRIORITY": 32}
CODES = [
    "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL",
    "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
]
Pairs = list[tuple[bytes, bytes]]


class Runner:
    def __init__(self, connect: Callable[[list[str]], Client], recorder: Recorder, patience: float) -> None:
        """`connect` opens a connection over TLS that offers these protocols; `patience` is how long any answer may take, in seconds."""
        self._connect = connect
        self.recorder = recorder
        self.patience = patience
        # Every answer of the gateway's that was read: its request id, its status, and whether the gateway gave it itself.
        self.answered: list[tuple[str, int, bool]] = []
        self._probe: Client | None = None

    def connect(self, protocol: str) -> Client:
        client = self._connect([protocol])
        client.sock.settimeout(self.patience)
        return client

    def close(self) -> None:
        if self._probe:
            self._probe.close()

    def run(self, case: Case) -> None:
        """Raises AssertionError, Cut or OSError when the case fails."""
        mark = self.recorder.mark()
        if "upstream" in case.data:
            script = case.data["upstream"]
            self.recorder.scripts[case.path.encode()] = Script(case.bytes(script["answer"]), script.get("early", False), script.get("closes", False), script.get("resets", False))
        try:
            match case.protocol:
                case "HTTP/1.1":
                    self._run_http1(case, mark)
                case "HTTP/2":
                    self._run_http2(case, mark)
                case "response":
                    for respond in (self._respond_http1, self._respond_http2):
                        before = self.recorder.mark()
                        respond(case)
                        self._probe_upstream(case)
                        self._check_asked_once(case, before)
                    problems = [arrival.problem for arrival in self.recorder.since(mark) if arrival.problem]
                    assert not problems, problems
        finally:
            self.recorder.scripts.pop(case.path.encode(), None)

    # --- HTTP/1.1

    def _run_http1(self, case: Case, mark: int) -> None:
        data = case.data
        closes = "refuse" in data or data.get("closes", False)
        ids: list[str] = []
        with self.connect("http/1.1") as client:
            if "steps" in data:
                for step in data["steps"]:
                    if "send" in step:
                        send(client, case.bytes(step["send"]))
                    else:
                        response = client.any_response()
                        assert response.status == step["answer"], f"{response.status} instead of {step['answer']}"
                        if response.status >= 200:
                            ids.append(self._note(case, response))
            else:
                message = http1_message(case)
                is_alone = data.get("alone", False)
                send(client, message if is_alone else message + case.text("{canary}").encode("latin-1"))
                answers = data.get("answers") or [data.get("refuse", data.get("decline", 200))]
                for status in answers:
                    response = client.response(to="HEAD" if message.startswith(b"HEAD ") else "GET")
                    assert response.status == status, f"{response.status} {response.body[:200]!r} instead of {status}"
                    ids.append(self._note(case, response))
                if "refuse" in data:
                    assert response.get("connection") == "close", "the last answer does not say that the connection ends"
                elif is_alone:
                    send(client, case.text("{canary}").encode("latin-1"))
            if closes:
                assert client.is_closed(), "the connection serves on"
            else:
                response = client.response()
                assert (response.status, response.body) == (200, case.canary.encode()), f"the next request got {response.status} {response.body[:200]!r}"
        expected = expected_requests(case)
        if not closes:
            expected.append(Request([f"GET {case.canary} HTTP/1.1"]))
        self._check_arrivals(case, mark, expected, ids)

    # --- HTTP/2

    def _run_http2(self, case: Case, mark: int) -> None:
        data = case.data
        with HTTP2Wire(self.connect("h2")) as wire:
            wire.send(http2_message(case))
            canary = self._canary_stream(case, wire)
            if "goaway" in data:
                wire.read_until(lambda: wire.ended)
                assert wire.goaway == data["goaway"], f"the connection ended with {wire.goaway} instead of {data['goaway']}"
            else:
                wire.read_until(lambda: wire.streams[1].over and wire.streams[canary].over)
                stream = wire.streams[1]
                if "malformed" in data:
                    assert stream.status == 400 or (stream.status, stream.reset) == (None, "PROTOCOL_ERROR"), f"{stream.status}, reset {stream.reset}"
                elif "reset" in data:
                    assert stream.status is None, f"{stream.status} instead of a reset"
                    assert stream.reset == data["reset"], f"reset with {stream.reset} instead of {data['reset']}"
                else:
                    status = data.get("refuse", data.get("decline", 200))
                    assert stream.status == status, f"{stream.status}, reset {stream.reset}, {stream.body[:200]!r} instead of {status}"
                    assert stream.reset in (None, "NO_ERROR"), stream.reset
                    self._note(case, stream.response)
                if data.get("set", {}).get(":method") == "HEAD":
                    assert stream.body == b"", f"an answer to HEAD has content: {stream.body[:200]!r}"
                wire.assert_canary(case, canary)
        expected = expected_requests(case)
        if "goaway" not in data:
            expected.append(Request([f"GET {case.canary} HTTP/1.1"]))
        self._check_arrivals(case, mark, expected, [], in_order=False)

    def _canary_stream(self, case: Case, wire: HTTP2Wire) -> int:
        number = 99
        block = literal_block(default_head("GET", case.canary))
        wire.send(frame(FRAMES["HEADERS"], FLAGS["END_STREAM"] | FLAGS["END_HEADERS"], number, block))
        return number

    def _note(self, case: Case, response: Response) -> str:
        """What every answer holds: its request's id, in the body too where the gateway gives it itself."""
        identifier = response.get("x-request-id")
        is_own = response.status >= 400 and response.get("content-type") == "application/json" and response.body != b""
        if is_own:
            assert response.json()["request_id"] == identifier
        if "code" in case.data:
            assert is_own and response.json()["code"] == case.data["code"], f"{response.status} {response.body[:200]!r}"
        self.answered.append((identifier, response.status, is_own))
        return identifier

    # --- Hostile responses, to clients of both protocols

    def _respond_http1(self, case: Case) -> None:
        method = case.data.get("method", "GET")
        with self.connect("http/1.1") as client:
            lines = [f"{method} {case.path} HTTP/1.1", "Host: localhost", *map(case.text, case.data.get("fields", []))]
            send(client, ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
            if "cut" in case.data:
                try:
                    response = client.response(to=method)
                except Cut:
                    return
                raise AssertionError(f"the cut answer looks whole: {response}")
            response = client.response(to=method)
            self._check_response(case, response)
            if response.get("connection") == "close":
                assert client.is_closed()
                return
            answer = ask(client, case.canary)
            assert (answer.status, answer.body) == (200, case.canary.encode()), f"the next request got {answer}"

    def _respond_http2(self, case: Case) -> None:
        if not case.data.get("fields"):
            with HTTP2Wire(self.connect("h2")) as wire:
                block = literal_block(default_head(case.data.get("method", "GET"), case.path))
                wire.send(PREFACE + frame(FRAMES["SETTINGS"], 0, 0, b"") + frame(FRAMES["HEADERS"], FLAGS["END_STREAM"] | FLAGS["END_HEADERS"], 1, block))
                wire.read_until(lambda: wire.streams[1].over)
                stream = wire.streams[1]
                if "cut" in case.data:
                    assert stream.reset not in (None, "NO_ERROR"), f"the cut answer looks whole: {stream}"
                else:
                    assert stream.reset is None, stream.reset
                    self._check_response(case, stream.response)
                canary = self._canary_stream(case, wire)
                wire.read_until(lambda: wire.streams[canary].over)
                wire.assert_canary(case, canary)

    def _check_response(self, case: Case, response: Response) -> None:
        if "refuse" in case.data:
            assert response.status == case.data["refuse"], f"{response.status} {response.body[:200]!r} instead of {case.data['refuse']}"
            assert b"poison" not in response.body and not any("poison" in value for _, value in response.fields)
            return
        wanted = case.data["deliver"]
        assert (response.status, response.body) == (wanted.get("status", 200), case.bytes(wanted.get("body", ""))), response
        for line in wanted.get("fields", []):
            name, _, value = case.text(line).partition(": ")
            assert response.all(name) == [value], f"{name} is {response.all(name)} instead of {value!r}"
        for name in map(case.text, wanted.get("without", [])):
            assert response.all(name) == [], f"{name}: {response.all(name)} came through"

    def _check_asked_once(self, case: Case, mark: int) -> None:
        """Only an upstream of which nothing was heard may be asked again (B5)."""
        asked = [arrival for arrival in self.recorder.since(mark) if arrival.target == case.path.encode()]
        answer = case.data["upstream"]["answer"]
        assert len(asked) == 1 or (not case.text(answer) and 0 < len(asked) <= 3), f"the upstream was asked {len(asked)} times"

    # --- Upstream

    def _probe_upstream(self, case: Case) -> None:
        """Another client's request, for which the gateway takes an upstream connection that is free: it must get its own answer."""
        target = f"/c/{case.number}/probe"
        try:
            if self._probe is None:
                self._probe = self.connect("http/1.1")
            answer = ask(self._probe, target)
            assert (answer.status, answer.body) == (200, target.encode()), f"the next request upstream got {answer}"
        except BaseException:
            if self._probe:
                self._probe.close()
            self._probe = None
            raise

    def _check_arrivals(self, case: Case, mark: int, expected: list[Request], ids: list[str], *, in_order: bool = True) -> None:
        """Everything that came since `mark` is what was expected, byte for byte, and nothing else came."""
        # One more request through the same loop: what was sent upstream before it has arrived when it has.
        self._probe_upstream(case)
        self.recorder.wait_until_cut(mark, self.patience)
        expected = [*expected, Request([f"GET /c/{case.number}/probe HTTP/1.1"])]
        arrived = self.recorder.since(mark)
        begun = Request.of(case, case.data["begins"]) if "begins" in case.data else None
        perhaps = Request.of(case, case.data["perhaps"]) if "perhaps" in case.data else None
        for arrival in list(arrived):
            assert arrival.problem is None, f"at the upstream: {arrival.problem}: {arrival.head[:400]!r}"
            if perhaps is not None and arrival.target == perhaps.target:
                perhaps.check(arrival, [], is_whole=arrival.is_whole)
                arrived.remove(arrival)
            elif not arrival.is_whole:
                assert begun is not None, f"at the upstream began: {arrival.head[:400]!r}"
                begun.check(arrival, [], is_whole=False)
                arrived.remove(arrival)
        assert len(arrived) == len(expected), f"at the upstream arrived {[arrival.head[:200] for arrival in arrived]}"
        if not in_order:
            arrived.sort(key=lambda arrival: arrival.target)
            expected.sort(key=lambda request: request.target)
        for arrival, request in zip(arrived, expected):
            request.check(arrival, ids, is_whole=True)


@dataclass
class Request:
    """What must arrive at the upstream: the lines before those that the gateway says of itself, and the body without its framing."""

    lines: list[str]
    host: str = "localhost"
    body: bytes = b""
    trailers: list[bytes] = field(default_factory=list)
    upgrade: str | None = None

    @staticmethod
    def of(case: Case, data: dict) -> Request:
        line = case.text(data.get("line") or case.data.get("line") or "POST {path} HTTP/1.1")
        return Request(
            [line, *map(case.text, data.get("fields", []))], data.get("host", "localhost"), case.bytes(data.get("body", "")), [case.bytes(line) for line in data.get("trailers", [])])

    @property
    def target(self) -> bytes:
        return self.lines[0].split(" ")[1].encode("latin-1")

    def check(self, arrival: Arrival, ids: list[str], *, is_whole: bool) -> None:
        found = re.search(rb"\r\nx-request-id: ([0-9a-f-]{36})\r\ntraceparent: (00-[0-9a-f]{32}-[0-9a-f]{16}-0[01])\r\n", arrival.head)
        assert found, f"no request id or no trace in {arrival.head!r}"
        identifier = found[1].decode()
        assert uuid.UUID(identifier).version == 7
        first, *fields = self.lines
        lines = [
            first, f"host: {self.host}", *fields,
            f"x-request-id: {identifier}", f"traceparent: {found[2].decode()}", "x-forwarded-for: 127.0.0.1", "x-forwarded-proto: https", f"x-forwarded-host: {self.host}", "x-forwarded-port: 8443",
        ]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        assert arrival.head == head, f"at the upstream arrived\n{arrival.head!r}\ninstead of\n{head!r}"
        if is_whole:
            assert (arrival.body, arrival.trailers) == (self.body, self.trailers)
        else:
            assert self.body.startswith(arrival.body), f"of a refused request the upstream got {arrival.body[:200]!r}"


def expected_requests(case: Case) -> list[Request]:
    if "arrives" in case.data:
        return [Request.of(case, data) for data in case.data["arrives"]]
    if "forward" in case.data:
        return [Request.of(case, case.data["forward"] or {})]
    return []


# --- Bytes


def send(client: Client, data: bytes) -> None:
    """A refusal may come before all is sent."""
    try:
        client.send(data)
    except (OSError, ssl.SSLError):
        pass


def ask(client: Client, target: str) -> Response:
    client.send(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return client.response()


def http1_message(case: Case) -> bytes:
    data = case.data
    if "send" in data:
        return case.bytes(data["send"])
    lines = [data.get("line", "POST {path} HTTP/1.1")]
    if (host := data.get("host", "Host: localhost")) is not None:
        lines.append(host)
    lines += data.get("fields", [])
    return case.bytes(["\r\n".join(lines), "\r\n\r\n"]) + case.bytes(data.get("body", ""))


def default_head(method: str, path: str) -> Pairs:
    return [(b":method", method.encode()), (b":scheme", b"https"), (b":authority", b"localhost"), (b":path", path.encode())]


def http2_message(case: Case) -> bytes:
    """The preface, and the case's frames on stream 1."""
    data = case.data
    begin = PREFACE + frame(FRAMES["SETTINGS"], 0, 0, b"")
    if "frames" in data:
        return begin + b"".join(read_frame(case, text) for text in data["frames"])
    has_more = "body" in data or "trailers" in data
    ends = data.get("ends", True)
    if "block" in data:
        block = read_payload(case, data["block"])
    else:
        block = literal_block(http2_fields(case, "POST" if has_more else "GET"))
    message = begin + headers(1, block, ends=ends and not has_more)
    if "body" in data:
        body = case.bytes(data["body"])
        for start in range(0, len(body) or 1, 16_384):
            part = body[start : start + 16_384]
            is_last = start + 16_384 >= len(body) and ends and "trailers" not in data
            message += frame(FRAMES["DATA"], FLAGS["END_STREAM"] if is_last else 0, 1, part)
    if "trailers" in data:
        message += headers(1, literal_block(case.pairs("trailers")), ends=ends)
    return message


def http2_fields(case: Case, method: str) -> Pairs:
    if "fields" in case.data:
        return case.pairs("fields")
    fields = default_head(method, case.path)
    changes = {case.bytes(name): case.bytes(value) for name, value in case.data.get("set", {}).items()}
    without = [case.bytes(name) for name in case.data.get("without", [])]
    fields = [(name, changes.get(name, value)) for name, value in fields if name not in without]
    return case.pairs("before") + fields + case.pairs("add")


def headers(stream: int, block: bytes, *, ends: bool) -> bytes:
    """HEADERS, with CONTINUATION behind it where one frame is too small."""
    parts = [block[start : start + 16_384] for start in range(0, len(block), 16_384)] or [b""]
    message = b""
    for index, part in enumerate(parts):
        flags = (FLAGS["END_HEADERS"] if index == len(parts) - 1 else 0) | (FLAGS["END_STREAM"] if ends and index == 0 else 0)
        message += frame(FRAMES["HEADERS" if index == 0 else "CONTINUATION"], flags, stream, part)
    return message


def read_frame(case: Case, text: str) -> bytes:
    """`TYPE FLAGS STREAM PAYLOAD`, or `RAW BYTES`."""
    kind, _, rest = case.chosen(text).partition(" ")
    if kind == "RAW":
        return read_payload(case, rest)
    flags, stream, *payload = rest.split(" ", 2)
    bits = 0
    for flag in flags.split("+"):
        bits |= FLAGS[flag] if flag in FLAGS else int(flag, 16)
    return frame(FRAMES[kind] if kind in FRAMES else int(kind, 16), bits, int(stream), read_payload(case, payload[0] if payload else ""))


def read_payload(case: Case, text: str) -> bytes:
    """Hexadecimal digits, and `{head}` and `{post}` for the blocks of an innocent GET and POST."""
    text = case.chosen(text).replace("{head}", literal_block(default_head("GET", case.path)).hex()).replace("{post}", literal_block(default_head("POST", case.path)).hex())
    text = re.sub(r"'([^']*)'", lambda match: case.bytes(match[1]).hex(), text)
    return bytes.fromhex(case.text(text))


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def literal_block(fields: Pairs) -> bytes:
    """HPACK without its tables: each field as it is (RFC 7541 §6.2.2)."""
    return b"".join(b"\0" + hpack_text(name) + hpack_text(value) for name, value in fields)


def hpack_text(text: bytes) -> bytes:
    if len(text) < 127:
        return bytes([len(text)]) + text
    rest, length = len(text) - 127, b"\x7f"
    while rest >= 128:
        length += bytes([rest % 128 | 128])
        rest //= 128
    return length + bytes([rest]) + text


@dataclass
class Stream:
    status: int | None = None
    fields: Pairs = field(default_factory=list)
    body: bytes = b""
    reset: str | None = None
    ended: bool = False

    @property
    def over(self) -> bool:
        return self.ended or self.reset is not None

    @property
    def response(self) -> Response:
        return Response("HTTP/2", self.status or 0, "", [(name.decode(), value.decode("latin-1")) for name, value in self.fields], self.body)


class HTTP2Wire:
    """Frames as they come."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.decoder = hpack.Decoder()
        self.streams: dict[int, Stream] = {1: Stream(), 99: Stream()}
        self.goaway: str | None = None
        self.ended = False
        self._block = b""

    def send(self, data: bytes) -> None:
        send(self.client, data)

    def read_until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            assert not self.ended, f"the connection ended with {self.goaway}"
            self._read_frame()

    def _read_frame(self) -> None:
        try:
            head = self.client.read_exactly(9)
            payload = self.client.read_exactly(int.from_bytes(head[:3], "big"))
        except Cut:
            self.ended = True
            return
        kind, flags, number = head[3], head[4], int.from_bytes(head[5:], "big")
        stream = self.streams.setdefault(number, Stream())
        if kind in (FRAMES["HEADERS"], FRAMES["CONTINUATION"]):
            self._block += payload
            if flags & FLAGS["END_HEADERS"]:
                fields = [(name, value) for name, value in self.decoder.decode(self._block, raw=True)]
                self._block = b""
                status = int(dict(fields).get(b":status", b"0"))
                if status >= 200:
                    stream.status, stream.fields = status, [pair for pair in fields if pair[0] != b":status"]
        elif kind == FRAMES["DATA"]:
            stream.body += payload
        elif kind == FRAMES["RST_STREAM"]:
            stream.reset = CODES[int.from_bytes(payload, "big")]
        elif kind == FRAMES["GOAWAY"]:
            self.goaway = CODES[int.from_bytes(payload[4:8], "big")]
        elif kind == FRAMES["SETTINGS"] and not flags & FLAGS["ACK"]:
            self.send(frame(FRAMES["SETTINGS"], FLAGS["ACK"], 0, b""))
        if kind in (FRAMES["HEADERS"], FRAMES["DATA"]) and flags & FLAGS["END_STREAM"]:
            stream.ended = True

    def assert_canary(self, case: Case, number: int) -> None:
        stream = self.streams[number]
        assert (stream.status, stream.body) == (200, case.canary.encode()), f"the next request got {stream}"

    def __enter__(self) -> HTTP2Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
