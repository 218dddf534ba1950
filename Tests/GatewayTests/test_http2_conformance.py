"""RFC 9113 and RFC 7541 where one message or one write does not show it: what the gateway itself says, and what it makes of frames that come when
a stream is over. `rfc9113.yaml` and `rfc7541.yaml` list every MUST with the test that holds to it; single messages are in corpus/http2-*.yaml."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import hpack
import pytest
from attack_runner import CODES, FLAGS, FRAMES, PREFACE, default_head, frame, literal_block
from gateway import Gateway
from upstream import answer, echo, raw
from wire import Client, Cut, again, trusting

NAMES = {number: name for name, number in FRAMES.items()}
ACK, END_STREAM, END_HEADERS = FLAGS["ACK"], FLAGS["END_STREAM"], FLAGS["END_HEADERS"]
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = range(1, 7)
MAX_WINDOW = 2**31 - 1


@dataclass
class Frame:
    """One frame of the gateway's, as it came."""

    length: int
    kind: str
    flags: int
    word: int
    payload: bytes

    @property
    def stream(self) -> int:
        return self.word & MAX_WINDOW

    @property
    def code(self) -> str:
        return CODES[int.from_bytes(self.payload[4:8] if self.kind == "GOAWAY" else self.payload, "big")]

    @property
    def ends(self) -> bool:
        return self.kind in ("HEADERS", "DATA") and bool(self.flags & END_STREAM)


class Wire:
    """A connection whose frames are kept in order; nothing is answered by itself."""

    def __init__(self, gateway: Gateway, settings: dict[int, int] | None = None) -> None:
        self.client: Client = gateway.client(alpn=["h2"])
        self.frames: list[Frame] = []
        self.ended = False
        self.send(PREFACE + settings_frame(settings or {}))

    def send(self, data: bytes) -> None:
        self.client.send(data)

    def headers(self, stream: int, block: bytes, *, ends: bool = True) -> None:
        self.send(frame(FRAMES["HEADERS"], END_HEADERS | (END_STREAM if ends else 0), stream, block))

    def get(self, stream: int, path: str) -> None:
        self.headers(stream, literal_block(default_head("GET", path)))

    def post(self, stream: int, path: str, fields: list[tuple[bytes, bytes]] | None = None) -> None:
        self.headers(stream, literal_block(default_head("POST", path) + (fields or [])), ends=False)

    def data(self, stream: int, data: bytes, *, ends: bool = False) -> None:
        self.send(frame(FRAMES["DATA"], END_STREAM if ends else 0, stream, data))

    def window_update(self, stream: int, increment: int) -> None:
        self.send(frame(FRAMES["WINDOW_UPDATE"], 0, stream, increment.to_bytes(4, "big")))

    def reset(self, stream: int, code: int = 8) -> None:
        self.send(frame(FRAMES["RST_STREAM"], 0, stream, code.to_bytes(4, "big")))

    def settings(self, settings: dict[int, int] | list[tuple[int, int]]) -> None:
        self.send(settings_frame(settings))

    # --- What comes

    def next(self) -> Frame:
        head = self.client.read_exactly(9)
        length = int.from_bytes(head[:3], "big")
        taken = Frame(length, NAMES[head[3]], head[4], int.from_bytes(head[5:], "big"), self.client.read_exactly(length))
        self.frames.append(taken)
        return taken

    def until(self, wanted: Callable[[Frame], bool]) -> Frame:
        """The next frame of the kind; all before it are kept too."""
        while not wanted(taken := self.next()):
            assert taken.kind != "GOAWAY", f"the connection ended with {taken.code}"
        return taken

    def until_over(self, stream: int) -> list[Frame]:
        """All frames of the stream up to its end or reset."""
        self.until(lambda taken: taken.stream == stream and (taken.ends or taken.kind == "RST_STREAM"))
        return self.of(stream)

    def until_acknowledged(self, settings: dict[int, int] | list[tuple[int, int]]) -> None:
        self.settings(settings)
        self.until(lambda taken: taken.kind == "SETTINGS" and taken.flags & ACK)

    def ping(self, data: bytes = b"whatnext") -> Frame:
        """Behind its answer, everything that was sent before has been dealt with."""
        self.send(frame(FRAMES["PING"], 0, 0, data))
        return self.until(lambda taken: taken.kind == "PING" and taken.payload == data)

    def until_goaway(self) -> Frame:
        while (taken := self.next()).kind != "GOAWAY" or taken.code == "NO_ERROR":
            pass
        try:
            while True:
                self.next()
        except Cut:
            self.ended = True
        return taken

    def of(self, stream: int) -> list[Frame]:
        return [taken for taken in self.frames if taken.stream == stream]

    def sent(self, kind: str) -> list[Frame]:
        return [taken for taken in self.frames if taken.kind == kind]

    def body(self, stream: int) -> bytes:
        return b"".join(taken.payload for taken in self.of(stream) if taken.kind == "DATA")

    def blocks(self) -> list[tuple[int, bytes]]:
        """Every field block in order, with its stream; a frame inside one is a fault."""
        found: list[tuple[int, bytes]] = []
        open_on = None
        for taken in self.frames:
            assert open_on is None or (taken.kind, taken.stream) == ("CONTINUATION", open_on), f"{taken.kind} inside a field block"
            if taken.kind == "HEADERS":
                found.append((taken.stream, taken.payload))
            elif taken.kind == "CONTINUATION":
                found[-1] = (taken.stream, found[-1][1] + taken.payload)
            else:
                continue
            open_on = None if taken.flags & END_HEADERS else taken.stream
        return found

    def fields(self, decoder: hpack.Decoder | None = None) -> list[tuple[int, list[tuple[bytes, bytes]]]]:
        decoder = decoder or hpack.Decoder()
        return [(stream, [(bytes(name), bytes(value)) for name, value in decoder.decode(block, raw=True)]) for stream, block in self.blocks()]

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()


def settings_frame(settings: dict[int, int] | list[tuple[int, int]]) -> bytes:
    pairs = settings.items() if isinstance(settings, dict) else settings
    return frame(FRAMES["SETTINGS"], 0, 0, b"".join(number.to_bytes(2, "big") + value.to_bytes(4, "big") for number, value in pairs))


def status_of(wire: Wire, stream: int) -> int:
    for number, fields in wire.fields():
        if number == stream and not fields[0][1].startswith(b"1"):
            return int(fields[0][1])
    raise AssertionError(f"no head on stream {stream}: {wire.of(stream)}")


@pytest.fixture
def wire(gateway: Gateway) -> Iterator[Wire]:
    with Wire(gateway) as wire:
        yield wire


class Held:
    """An upstream whose answer waits for the test."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def then(self, script):
        def run(line, request):
            if not self.go_on.wait(20):
                raise Cut("the test has gone on without this answer")
            script(line, request)

        return run


# --- What the gateway says (§3.4, §4, §6.5)


def test_the_first_frame_is_settings_that_no_client_has_to_refuse(wire, path):
    wire.get(1, path)
    wire.until_over(1)
    first = wire.frames[0]
    assert (first.kind, first.stream, first.flags & ACK) == ("SETTINGS", 0, 0)
    settings = {int.from_bytes(first.payload[at : at + 2], "big"): int.from_bytes(first.payload[at + 2 : at + 6], "big") for at in range(0, first.length, 6)}
    assert settings.get(ENABLE_PUSH, 0) == 0
    assert settings.get(INITIAL_WINDOW_SIZE, 65_535) <= MAX_WINDOW
    assert 16_384 <= settings.get(MAX_FRAME_SIZE, 16_384) <= 2**24 - 1
    assert settings.get(MAX_CONCURRENT_STREAMS, 100) >= 100


def test_the_preface_comes_before_the_client_has_said_anything(gateway):
    with gateway.client(alpn=["h2"]) as client:
        assert client.read_exactly(9)[3:5] == bytes([FRAMES["SETTINGS"], 0])


def test_frames_use_no_flag_no_bit_no_padding_and_no_size_that_they_may_not(wire, upstream, path):
    upstream.script[path] = raw(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nc350\r\n" + bytes(50_000) + b"\r\n0\r\n\r\n")
    wire.get(1, path)
    wire.until_over(1)
    wire.post(3, path + "/x")
    wire.data(3, b"hello", ends=True)
    wire.until_over(3)
    wire.ping()
    meant = {"DATA": END_STREAM, "HEADERS": END_STREAM | END_HEADERS, "CONTINUATION": END_HEADERS, "SETTINGS": ACK, "PING": ACK}
    for taken in wire.frames:
        assert taken.kind in FRAMES and taken.kind not in ("PUSH_PROMISE", "PRIORITY")
        assert taken.flags & ~meant.get(taken.kind, 0) == 0, taken
        assert taken.word >> 31 == 0, taken
        assert taken.length <= 16_384, taken.kind
        assert taken.kind != "SETTINGS" or not taken.flags & ACK or taken.length == 0
        assert taken.kind != "WINDOW_UPDATE" or 1 <= int.from_bytes(taken.payload, "big") <= MAX_WINDOW


def test_a_larger_frame_size_is_a_limit_and_16384_is_taken_for_less(gateway, upstream, path):
    upstream.script[path] = answer(bytes(100_000))
    with Wire(gateway, {MAX_FRAME_SIZE: 20_000, INITIAL_WINDOW_SIZE: 200_000}) as wire:
        wire.window_update(0, 200_000)
        wire.get(1, path)
        wire.until_over(1)
        assert len(wire.body(1)) == 100_000
        assert max(taken.length for taken in wire.sent("DATA")) <= 20_000


@pytest.mark.parametrize("kind", ["DATA", "HEADERS"])
def test_a_frame_of_16384_bytes_is_taken(wire, upstream, path, kind):
    if kind == "DATA":
        wire.post(1, path)
        wire.data(1, bytes(16_384), ends=True)
    else:
        head = default_head("GET", path)
        more = [(b"x-0", b"a" * 4000), (b"x-1", b"a" * 8000)]
        room = 16_384 - len(literal_block([*head, *more, (b"x-2", b"a" * 1000)])) + 1000
        block = literal_block([*head, *more, (b"x-2", b"a" * room)])
        assert len(block) == 16_384
        wire.headers(1, block)
    wire.until_over(1)
    assert status_of(wire, 1) == 200
    received = upstream.wait_for(path)
    assert len(received.body) == 16_384 if kind == "DATA" else received.get("x-2") == "a" * room


def test_a_head_larger_than_a_frame_goes_on_in_continuations_with_nothing_in_between(wire, upstream, path):
    fields = "".join(f"X-{index}: {'abcdefgh' * 900}\r\n" for index in range(5)).encode()
    held = Held()
    upstream.script[path] = held.then(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + fields + b"\r\nok"))
    wire.get(1, path)
    # Something else to be sent at the same time.
    for number in range(3, 23, 2):
        wire.get(number, f"{path}/{number}")
    held.go_on.set()
    wire.until(lambda taken: taken.stream == 1 and taken.ends)
    wire.ping()
    assert len(wire.sent("CONTINUATION")) >= 1
    (found,) = [fields for stream, fields in wire.fields() if stream == 1]
    assert [value for name, value in found if name.startswith(b"x-") and len(value) == 7200] == [b"abcdefgh" * 900] * 5


# --- Settings (§6.5.3)


def test_every_settings_frame_is_acknowledged_once_and_acknowledgements_are_not(wire):
    for _ in range(3):
        wire.settings({MAX_CONCURRENT_STREAMS: 7})
    wire.ping()
    # Those of the preface too; our own acknowledgement of the gateway's is answered by nothing.
    assert len([taken for taken in wire.sent("SETTINGS") if taken.flags & ACK]) == 4
    wire.send(frame(FRAMES["SETTINGS"], ACK, 0, b""))
    wire.ping(b"and then")
    assert len([taken for taken in wire.sent("SETTINGS") if taken.flags & ACK]) == 4


def test_settings_are_taken_in_their_order_and_the_last_value_counts(gateway, upstream, path):
    upstream.script[path] = answer(bytes(100))
    with Wire(gateway) as wire:
        wire.until_acknowledged([(INITIAL_WINDOW_SIZE, 100), (INITIAL_WINDOW_SIZE, 7)])
        wire.get(1, path)
        wire.until(lambda taken: taken.kind == "DATA")
        wire.ping()
        assert len(wire.body(1)) == 7


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ([(ENABLE_PUSH, 2), (ENABLE_PUSH, 0)], "PROTOCOL_ERROR"),
        ([(INITIAL_WINDOW_SIZE, MAX_WINDOW + 1), (INITIAL_WINDOW_SIZE, 7)], "FLOW_CONTROL_ERROR"),
        ([(MAX_FRAME_SIZE, 16_383), (MAX_FRAME_SIZE, 16_384)], "PROTOCOL_ERROR"),
        ([(MAX_FRAME_SIZE, 2**24), (MAX_FRAME_SIZE, 16_384)], "PROTOCOL_ERROR"),
    ],
    ids=["push", "window", "small frames", "large frames"],
)
@pytest.mark.parametrize("cut", [None, 11, 13], ids=["whole", "cut behind the name", "cut in the value"])
def test_a_bad_value_of_a_setting_counts_although_a_good_one_follows(wire, settings, code, cut):
    wire.ping()
    data = settings_frame([*settings])
    for piece in (data[:cut], data[cut:]) if cut else (data,):
        wire.send(piece)
    assert wire.until_goaway().code == code


def test_a_header_table_of_no_size_is_declared_and_kept_to(gateway, path):
    with Wire(gateway) as wire:
        wire.get(1, path)
        wire.until_over(1)
        wire.until_acknowledged({HEADER_TABLE_SIZE: 0})
        wire.get(3, path)
        wire.until_over(3)
        wire.get(5, path)
        wire.until_over(5)
        blocks = dict(wire.blocks())
        assert blocks[3][:1] == b"\x20", "the first block behind the change does not begin with the table's new size"
        # A decoder that has no table reads them: nothing refers to it.
        decoder = hpack.Decoder()
        decoder.header_table_size = 0
        for number in (3, 5):
            assert decoder.decode(blocks[number].removeprefix(b"\x20"), raw=True)


def test_the_smallest_of_several_header_tables_is_declared_before_the_last(gateway, path):
    with Wire(gateway) as wire:
        wire.get(1, path)
        wire.until_over(1)
        wire.until_acknowledged({HEADER_TABLE_SIZE: 0})
        wire.until_acknowledged({HEADER_TABLE_SIZE: 4096})
        wire.get(3, path)
        wire.until_over(3)
        block = dict(wire.blocks())[3]
        assert block.startswith(b"\x20\x3f\xe1\x1f"), block[:8].hex()
        assert [status for _, ((_, status), *_) in wire.fields()] == [b"200", b"200"]


def test_a_header_table_larger_than_the_first_is_not_exceeded(gateway, path):
    with Wire(gateway, {HEADER_TABLE_SIZE: 2**32 - 1}) as wire:
        decoder = hpack.Decoder()
        decoder.max_allowed_table_size = 4096
        for number in (1, 3, 5):
            wire.get(number, path)
            wire.until_over(number)
        # The gateway keeps to the first size of 4,096, or says that it does not; the decoder fails when it takes more.
        assert [fields[0] for _, fields in wire.fields(decoder)] == [(b":status", b"200")] * 3


# --- PING and GOAWAY (§6.7, §6.8)


def test_a_ping_comes_back_with_its_bytes_and_an_answer_is_not_answered(wire):
    answered = wire.ping(b"\x00\xff\x80\x01abcd")
    assert (answered.flags, answered.stream, answered.length) == (ACK, 0, 8)
    wire.send(frame(FRAMES["PING"], ACK, 0, b"not mine"))
    wire.ping(b"the last")
    assert [taken.payload for taken in wire.sent("PING")] == [b"\x00\xff\x80\x01abcd", b"the last"]


def test_pings_are_answered_in_their_order_while_a_window_is_shut(wire, upstream, path):
    upstream.script[path] = answer(bytes(200_000))
    wire.get(1, path)
    wire.until(lambda taken: taken.kind == "DATA" and len(wire.body(1)) == 65_535)
    for number in range(8):
        wire.send(frame(FRAMES["PING"], 0, 0, bytes([number] * 8)))
    wire.until(lambda taken: taken.kind == "PING" and taken.payload == bytes([7] * 8))
    assert [taken.payload[0] for taken in wire.sent("PING")] == list(range(8))


def test_a_goaway_names_the_last_stream_that_may_have_been_served(wire, upstream, path):
    for number in (1, 3, 5):
        wire.get(number, path)
        wire.until_over(number)
    wire.send(frame(FRAMES["PING"], 0, 1, bytes(8)))
    goaway = wire.until_goaway()
    assert (int.from_bytes(goaway.payload[:4], "big"), goaway.code, wire.ended) == (5, "PROTOCOL_ERROR", True)


def test_the_last_stream_of_later_goaways_is_never_a_higher_one(start, surroundings, upstream, path):
    """§6.8: the announcement, the end for new streams, and the error behind it."""
    held = Held()
    upstream.script[path] = held.then(echo)
    gateway = start(surroundings.configuration(limits={"requests_per_connection": 1}))
    with Wire(gateway) as wire:
        wire.get(1, path)
        wire.until(lambda taken: taken.kind == "GOAWAY")
        wire.until(lambda taken: taken.kind == "GOAWAY")
        wire.send(frame(FRAMES["PING"], 0, 1, bytes(8)))
        wire.until_goaway()
        lasts = [int.from_bytes(taken.payload[:4], "big") for taken in wire.sent("GOAWAY")]
        assert lasts == sorted(lasts, reverse=True) and lasts[0] == MAX_WINDOW and lasts[-1] == 1, lasts
    held.go_on.set()


def test_what_comes_behind_the_last_stream_of_a_goaway_still_counts(start, surroundings, upstream, path):
    """§6.8: heads are decoded and DATA is counted; the streams under way are served to their end."""
    held = Held()
    upstream.script[path] = held.then(answer(b"served"))
    gateway = start(surroundings.configuration(limits={"requests_per_connection": 1}, timeouts={"head": "1s"}))
    encoder = hpack.Encoder()
    with Wire(gateway) as wire:
        wire.headers(1, encoder.encode(default_head("GET", path)))
        wire.until(lambda taken: taken.kind == "GOAWAY")
        wire.until(lambda taken: taken.kind == "GOAWAY")
        # Refused in silence, and in the table all the same.
        wire.headers(3, encoder.encode([*default_head("POST", path + "/late"), (b"x-late", b"in the table")]), ends=False)
        for _ in range(80):
            wire.data(3, bytes(16_384))
        granted = 0
        while granted < 80 * 16_384 - (1 << 20):
            taken = wire.until(lambda taken: taken.kind == "WINDOW_UPDATE" and taken.stream == 0)
            granted += int.from_bytes(taken.payload, "big")
        # The head that was passed over is none that does not end.
        until_heads_run_out(gateway)
        held.go_on.set()
        wire.until_over(1)
        assert (status_of(wire, 1), wire.body(1)) == (200, b"served")
    assert upstream.seen(path + "/late") == []


def until_heads_run_out(gateway: Gateway) -> None:
    """Heads that begin now and do not end are cut, twice in turn: one that began before, on another connection, would have been too."""
    def end() -> str:
        with Wire(gateway) as other:
            other.send(frame(FRAMES["HEADERS"], END_STREAM, 1, literal_block(default_head("GET", "/open/half"))))
            return other.until_goaway().code

    for _ in range(2):
        assert again(end) == "ENHANCE_YOUR_CALM"


@pytest.mark.parametrize("code", [0, 8, 0xDEADBEEF])
def test_a_clients_goaway_lets_its_streams_end_whatever_its_code(wire, upstream, path, code):
    held = Held()
    upstream.script[path] = held.then(answer(b"served"))
    wire.get(1, path)
    wire.send(frame(FRAMES["GOAWAY"], 0, 0, bytes(4) + code.to_bytes(4, "big") + b"words of our own"))
    wire.ping()
    held.go_on.set()
    wire.until(lambda taken: taken.stream == 1 and taken.ends)
    assert (status_of(wire, 1), wire.body(1)) == (200, b"served")


@pytest.mark.parametrize("code", [0, 1, 7, 8, 0xDEADBEEF])
def test_a_clients_reset_ends_its_stream_in_silence_whatever_its_code(wire, upstream, path, code):
    """§5.4.2, §6.4, §7: no RST_STREAM comes back, nothing else comes on the stream, and other streams go on."""
    upstream.script[path] = answer(bytes(1 << 20))
    wire.get(1, path)
    wire.until(lambda taken: taken.kind == "DATA" and len(wire.body(1)) == 65_535)
    wire.reset(1, code)
    wire.ping()
    mark = len(wire.frames)
    wire.window_update(0, 1 << 20)
    wire.window_update(1, 1 << 20)
    wire.reset(1, code)
    wire.get(3, path + "/next")
    wire.until_over(3)
    wire.ping(b"the last")
    assert wire.sent("RST_STREAM") == []
    assert [taken for taken in wire.frames[mark:] if taken.stream == 1] == []


# --- Streams that are over (§5.1)


def over(wire: Wire, path: str, how: str) -> None:
    """Stream 1 has been ended by the client and is over."""
    if how == "reset":
        wire.post(1, path)
        wire.reset(1)
    else:
        wire.get(1, path)
        wire.until_over(1)
    wire.ping()


def send_beyond_the_window(wire: Wire, stream: int) -> None:
    """2.5 MiB of DATA, where the connection's window is 1 MiB: each half of it has to be given back."""
    granted = 0
    for _ in range(5):
        for _ in range(32):
            wire.data(stream, bytes(16_384))
        while granted < 256 * 1024:
            granted += int.from_bytes(wire.until(lambda taken: taken.kind == "WINDOW_UPDATE" and taken.stream == 0).payload, "big")
        granted -= 512 * 1024


@pytest.mark.parametrize("how", ["ended", "reset"])
def test_what_may_come_on_a_closed_stream_is_no_error(wire, path, how):
    over(wire, path, how)
    mark = len(wire.frames)
    wire.window_update(1, 1)
    wire.reset(1)
    wire.send(frame(FRAMES["PRIORITY"], 0, 1, bytes(4) + b"\x10"))
    wire.send(frame(0xFA, 0xFF, 1, b"abc"))
    wire.get(3, path + "/next")
    wire.until_over(3)
    assert status_of(wire, 3) == 200
    assert [taken.kind for taken in wire.frames[mark:] if taken.kind in ("RST_STREAM", "GOAWAY")] == []


def the_next_stream_shares_the_table(wire: Wire, encoder: hpack.Encoder, upstream, path: str) -> None:
    """The late head was decoded although nobody was told of it, and stream 1 was reset once."""
    wire.headers(3, encoder.encode([*default_head("GET", path + "/next"), (b"x-late", b"in the table")]))
    wire.until_over(3)
    assert status_of(wire, 3) == 200
    assert upstream.wait_for(path + "/next").get("x-late") == "in the table"
    assert len(wire.sent("RST_STREAM")) == 1


@pytest.mark.parametrize("how", ["ended", "reset"])
def test_a_head_on_a_closed_stream_is_an_error_of_that_stream(wire, upstream, path, how):
    """§5.1. The stream alone, so that others are served; the head changes the table all the same (§4.3)."""
    over(wire, path, how)
    encoder = hpack.Encoder()
    wire.headers(1, encoder.encode([(b"x-late", b"in the table")]))
    taken = wire.until(lambda taken: taken.kind == "RST_STREAM")
    assert (taken.stream, taken.code) == (1, "STREAM_CLOSED")
    # One answer for each stream: what comes then is passed over.
    wire.headers(1, encoder.encode([(b"x-late", b"in the table")]))
    the_next_stream_shares_the_table(wire, encoder, upstream, path)


@pytest.mark.parametrize("how", ["ended", "reset"])
def test_data_on_a_closed_stream_is_an_error_of_that_stream_and_counts(wire, upstream, path, how):
    """§5.1, §6.1, and §6.9 for the connection's window."""
    over(wire, path, how)
    wire.data(1, b"late", ends=True)
    taken = wire.until(lambda taken: taken.kind == "RST_STREAM")
    assert (taken.stream, taken.code) == (1, "STREAM_CLOSED")
    send_beyond_the_window(wire, 1)
    wire.get(3, path + "/next")
    wire.until_over(3)
    assert status_of(wire, 3) == 200
    assert len(wire.sent("RST_STREAM")) == 1


def test_data_right_behind_a_reset_is_an_error_of_that_stream(wire, path):
    """§5.1: in one write, so that the stream ends while the DATA is read."""
    head = literal_block(default_head("POST", path))
    wire.send(
        frame(FRAMES["HEADERS"], END_HEADERS, 1, head) + frame(FRAMES["DATA"], 0, 1, b"first") + frame(FRAMES["RST_STREAM"], 0, 1, (8).to_bytes(4, "big"))
        + frame(FRAMES["DATA"], END_STREAM, 1, b"late"))
    taken = wire.until(lambda taken: taken.kind == "RST_STREAM")
    assert (taken.stream, taken.code) == (1, "STREAM_CLOSED")
    wire.ping()


@pytest.mark.parametrize("how", ["ended", "reset"])
def test_a_continuation_on_a_closed_stream_ends_the_connection(wire, path, how):
    over(wire, path, how)
    wire.send(frame(FRAMES["CONTINUATION"], END_HEADERS, 1, b""))
    assert wire.until_goaway().code == "PROTOCOL_ERROR"


def test_a_stream_that_the_gateway_reset_takes_what_was_under_way(gateway, upstream, path):
    """§5.1, §5.4.2, §6.9: more DATA than the connection's window lets through, and trailers that change the table."""
    encoder = hpack.Encoder()
    with Wire(gateway) as wire:
        wire.headers(1, encoder.encode([*default_head("POST", path), (b"content-length", b"3")]), ends=False)
        wire.data(1, b"more")
        taken = wire.until(lambda taken: taken.kind == "RST_STREAM")
        assert (taken.stream, taken.code) == (1, "PROTOCOL_ERROR")
        send_beyond_the_window(wire, 1)
        wire.headers(1, encoder.encode([(b"x-late", b"in the table")]))
        the_next_stream_shares_the_table(wire, encoder, upstream, path)


def test_trailers_that_come_too_late_do_not_end_the_connection_later(hurried):
    """§5.4.2: the head on a stream that is over is whole, so that nobody waits for its end."""
    def begun() -> Wire:
        wire = Wire(hurried)
        wire.headers(1, literal_block([*default_head("POST", "/late"), (b"content-length", b"3")]), ends=False)
        wire.data(1, b"more")
        wire.until(lambda taken: taken.kind == "RST_STREAM")
        return wire

    with again(begun) as wire:
        wire.headers(1, literal_block([(b"x", b"y")]))
        until_heads_run_out(hurried)
        wire.get(3, "/open/next")
        wire.until_over(3)
        assert status_of(wire, 3) == 200


@pytest.mark.parametrize("refused", ["too many fields", "too large", "a name in capitals", "no path", "a connection's field"])
def test_a_refused_head_changes_the_table_all_the_same(wire, upstream, path, refused):
    """§4.3, §10.5.1: the next head refers to what stood in it, before and behind what it was refused for."""
    more = {
        "too many fields": [(b"x", b"a")] * 120,
        "too large": [(b"x-%d" % index, b"a" * 8000) for index in range(9)],
        "a name in capitals": [(b"X-Upper", b"a")],
        "no path": [],
        "a connection's field": [(b"connection", b"close")],
    }[refused]
    head = default_head("GET", path + "/refused")
    if refused == "no path":
        head = head[:3]
    encoder = hpack.Encoder()
    encoder.header_table_size = 4096
    # Large fields would empty the table: they stand there without a place in it.
    large = literal_block(more)
    block = encoder.encode([*head, (b"x-before", b"in the table")]) + large + encoder.encode([(b"x-behind", b"in the table too")])
    parts = [block[at : at + 16_384] for at in range(0, len(block), 16_384)]
    for index, part in enumerate(parts):
        flags = (END_HEADERS if index == len(parts) - 1 else 0) | (END_STREAM if index == 0 else 0)
        wire.send(frame(FRAMES["HEADERS" if index == 0 else "CONTINUATION"], flags, 1, part))
    wire.until_over(1)
    block = encoder.encode([*default_head("GET", path), (b"x-before", b"in the table"), (b"x-behind", b"in the table too")])
    assert b"x-b" not in block, "the encoder does not refer to its table"
    wire.headers(3, block)
    wire.until_over(3)
    received = upstream.wait_for(path)
    assert (received.get("x-before"), received.get("x-behind")) == ("in the table", "in the table too")
    assert upstream.seen(path + "/refused") == []


def test_a_stream_over_the_limit_is_refused_and_its_head_still_decoded(start, surroundings, upstream, path):
    """§5.1.2, §8.7: REFUSED_STREAM only for what has gone nowhere."""
    held = Held()
    for name in ("a", "b"):
        upstream.script[f"{path}/{name}"] = held.then(echo)
    gateway = start(surroundings.configuration(limits={"http2_streams": 2}))
    encoder = hpack.Encoder()
    with Wire(gateway) as wire:
        for number, name in [(1, "a"), (3, "b")]:
            wire.headers(number, encoder.encode(default_head("GET", f"{path}/{name}")))
        wire.headers(5, encoder.encode([*default_head("GET", f"{path}/over"), (b"x-over", b"in the table")]))
        taken = wire.until(lambda taken: taken.kind == "RST_STREAM")
        assert (taken.stream, taken.code) == (5, "REFUSED_STREAM")
        held.go_on.set()
        wire.until(lambda taken: taken.stream in (1, 3) and taken.ends)
        wire.until(lambda taken: taken.stream in (1, 3) and taken.ends)
        wire.headers(7, encoder.encode([*default_head("GET", f"{path}/next"), (b"x-over", b"in the table")]))
        wire.until_over(7)
        assert upstream.wait_for(f"{path}/next").get("x-over") == "in the table"
        assert upstream.seen(f"{path}/over") == []


# --- Windows (§5.2, §6.9)


def test_no_data_goes_beyond_a_window_and_its_empty_end_goes_without_one(gateway, upstream, path):
    upstream.script[path] = answer(bytes(10))
    upstream.script[path + "/none"] = raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    with Wire(gateway, {INITIAL_WINDOW_SIZE: 0}) as wire:
        wire.get(1, path)
        wire.until(lambda taken: taken.stream == 1 and taken.kind == "HEADERS")
        wire.get(3, path + "/none")
        wire.until_over(3)
        assert wire.body(1) == b""
        for step in (1, 3, 6):
            before = len(wire.body(1))
            wire.window_update(1, step)
            wire.until(lambda taken: taken.stream == 1 and taken.kind == "DATA")
            wire.ping(bytes([step] * 8))
            assert len(wire.body(1)) == before + step
        assert wire.of(1)[-1].ends


def test_a_changed_first_window_moves_the_windows_of_open_streams_below_zero_and_back(gateway, upstream, path):
    upstream.script[path] = answer(bytes(100))
    with Wire(gateway, {INITIAL_WINDOW_SIZE: 30}) as wire:
        wire.get(1, path)
        wire.until(lambda taken: taken.kind == "DATA" and len(wire.body(1)) == 30)
        wire.until_acknowledged({INITIAL_WINDOW_SIZE: 10})  # −20
        wire.window_update(1, 20)  # 0
        wire.ping()
        assert len(wire.body(1)) == 30
        wire.window_update(1, 5)
        wire.until(lambda taken: taken.kind == "DATA")
        assert len(wire.body(1)) == 35
        wire.until_acknowledged({INITIAL_WINDOW_SIZE: 25})
        if len(wire.body(1)) < 50:
            wire.until(lambda taken: taken.kind == "DATA")
        wire.ping(b"the last")
        assert len(wire.body(1)) == 50


def test_a_first_window_changes_streams_and_not_the_connection(gateway, upstream, path):
    upstream.script[path] = answer(bytes(200_000))
    with Wire(gateway, {INITIAL_WINDOW_SIZE: 1 << 20}) as wire:
        wire.get(1, path)
        wire.until(lambda taken: taken.kind == "DATA" and len(wire.body(1)) == 65_535)
        wire.until_acknowledged({INITIAL_WINDOW_SIZE: 1 << 21})
        wire.ping()
        assert len(wire.body(1)) == 65_535
        wire.window_update(0, 200_000)
        wire.until_over(1)
        assert len(wire.body(1)) == 200_000


def test_a_first_window_that_lets_an_open_streams_overflow_ends_the_connection(wire, path):
    wire.post(1, path)
    wire.window_update(1, MAX_WINDOW - 65_535)
    wire.until_acknowledged({INITIAL_WINDOW_SIZE: 65_535})
    wire.settings({INITIAL_WINDOW_SIZE: 65_536})
    assert (wire.until_goaway().code, wire.ended) == ("FLOW_CONTROL_ERROR", True)


def test_data_beyond_the_streams_window_is_a_flow_control_error(wire, upstream, path):
    """§6.9.1: 24 MiB for an upstream that reads none of it, whatever the gateway's window is."""
    held = Held()
    upstream.script[path] = lambda line, request: held.go_on.wait(20)
    wire.post(1, path, [(b"content-length", str(24 << 20).encode())])
    upstream.wait_for(path)
    try:
        for _ in range(1_536):
            wire.data(1, bytes(16_384))
    except (OSError, ssl.SSLError):
        pass
    while (taken := wire.next()).kind not in ("RST_STREAM", "GOAWAY"):
        pass
    assert taken.code == "FLOW_CONTROL_ERROR"
    held.go_on.set()


# --- Messages (§8)


def test_a_translated_response_is_made_of_what_http_2_allows(wire, upstream, path):
    """§8.2, §8.2.2, §8.3, §8.3.2: small letters, no field of a connection, `:status` first and alone, in interim responses and trailers too."""
    path = f"/trailers{path}"
    upstream.script[path] = raw(
        b"HTTP/1.1 103 Early Hints\r\nLINK: </a>\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nX-Z: 1\r\nX-UPPER: A\r\nX-B: 2\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n"
        b"Upgrade: h2c\r\nTransfer-Encoding: chunked\r\nTrailer: X-Checksum\r\n\r\n2\r\nok\r\n0\r\nX-CHECKSUM: 9\r\n\r\n")
    wire.headers(1, literal_block(default_head("GET", path)))
    wire.until_over(1)
    sections = [fields for _, fields in wire.fields()]
    assert [fields[0] for fields in sections] == [(b":status", b"103"), (b":status", b"200"), (b"x-checksum", b"9")]
    for fields in sections:
        for name, value in fields:
            assert name == name.lower() and value == value.strip(b" \t"), (name, value)
            assert name not in (b"connection", b"x-hop", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade", b"te"), name
        assert [name for name, _ in fields[1:] if name.startswith(b":")] == []
    assert (b"link", b"</a>") in sections[0]
    # In their order (RFC 7541 §2.1).
    assert [pair for pair in sections[1] if pair[0] in (b"x-z", b"x-upper", b"x-b")] == [(b"x-z", b"1"), (b"x-upper", b"A"), (b"x-b", b"2")]
    # Only the last head ends the stream (§8.1).
    assert [taken.ends for taken in wire.of(1) if taken.kind == "HEADERS"] == [False, False, True]


@pytest.mark.parametrize(("target", "status"), [("/nowhere", 404), ("/secure/own", 401), ("/dead/own", 503), ("/moved", 308), ("/a%2Fb", 400)])
def test_the_gateways_own_answers_hold_to_it_too(wire, target, status):
    wire.get(1, target)
    wire.until_over(1)
    ((_, fields),) = wire.fields()
    names = [name for name, _ in fields]
    assert fields[0] == (b":status", str(status).encode())
    assert [name for name in names[1:] if name.startswith(b":")] == []
    assert names == [name.lower() for name in names]
    assert not {b"connection", b"keep-alive", b"transfer-encoding", b"upgrade"} & set(names)


def test_a_101_from_the_upstream_never_becomes_a_switch(wire, upstream, path):
    """§8.6."""
    upstream.script[path] = raw(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    wire.get(1, path)
    wire.until_over(1)
    assert status_of(wire, 1) == 502
    assert [fields[0][1] for _, fields in wire.fields()] == [b"502"]


def test_secrets_are_never_indexed(wire, upstream, path):
    """RFC 7541 §6.2.3, §7.1.3: a cookie is a literal that no hop may index."""
    upstream.script[path] = answer(b"ok", fields="Set-Cookie: a=secret-of-mine; Secure\r\n")
    for number in (1, 3):
        wire.get(number, path)
        wire.until_over(number)
    for _, block in wire.blocks():
        # Never indexed with the name of the static table (55): 0001 1111, 55 − 15.
        assert b"\x1f\x28" in block, block.hex()
    for _, fields in wire.fields():
        assert (b"set-cookie", b"a=secret-of-mine; Secure") in fields


# --- TLS (§3.2, §9.2)


def test_h2c_is_never_chosen(gateway):
    port = gateway.port("listeners[0].address")
    with Client(port, tls=trusting(gateway.authority, alpn=["h2c", "http/1.1"])) as client:
        assert client.sock.selected_alpn_protocol() == "http/1.1"
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        Client(port, tls=trusting(gateway.authority, alpn=["h2c"]))


def test_h2_is_chosen_by_alpn_alone(gateway):
    """§3.3: prior knowledge is for clear text, which has no HTTP/2 here."""
    with gateway.client(alpn=["http/1.1"]) as client:
        client.send(PREFACE + settings_frame({}))
        assert client.response().status in (400, 501, 505)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_http_2_is_spoken_over_tls_12_and_13_with_allowed_suites(gateway, path, version):
    context = trusting(gateway.authority, alpn=["h2"])
    context.minimum_version = context.maximum_version = version
    context.post_handshake_auth = True
    with Client(gateway.port("listeners[0].address"), tls=context) as client:
        client.send(PREFACE + settings_frame({}))
        assert client.read_exactly(9)[3] == FRAMES["SETTINGS"]
        assert "GCM" in client.sock.cipher()[0] or "CHACHA20" in client.sock.cipher()[0]


def test_the_suite_that_every_server_must_have_is_there(start, surroundings, tmp_path):
    """§9.2.2: TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 with P-256, which needs an RSA certificate."""
    import subprocess

    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,DNS:second.localhost",
         "-keyout", tmp_path / "rsa.key", "-out", tmp_path / "rsa.pem"], check=True, capture_output=True)
    certificate = {"chain": str(tmp_path / "rsa.pem"), "key": str(tmp_path / "rsa.key")}
    gateway = start(surroundings.configuration(listeners=[{"address": "127.0.0.1:0", "tls": {"certificates": [certificate]}, "public_port": 8443}]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
    context.set_ecdh_curve("prime256v1")
    context.set_alpn_protocols(["h2"])
    with Client(gateway.port("listeners[0].address"), tls=context) as client:
        assert (client.sock.cipher()[0], client.sock.selected_alpn_protocol()) == ("ECDHE-RSA-AES128-GCM-SHA256", "h2")
