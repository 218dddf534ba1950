"""An HTTP/2 client by the `h2` package, with its own checks switched off where a test wants to say what no client would."""

from __future__ import annotations

import json
import ssl
import time
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
from gateway import Gateway
from wire import PATIENCE, Client, Cut

Fields = list[tuple[str, str]]


@dataclass
class Stream:
    """What has come on one stream."""

    heads: list[Fields] = field(default_factory=list)
    informational: list[Fields] = field(default_factory=list)
    body: bytes = b""
    trailers: Fields | None = None
    ended: bool = False
    reset: int | None = None

    @property
    def status(self) -> int:
        return int(dict(self.heads[0])[":status"])

    def get(self, name: str) -> str | None:
        values = [value for key, value in self.heads[0] if key == name]
        assert len(values) <= 1, values
        return values[0] if values else None

    def json(self) -> dict:
        return json.loads(self.body)


class Session(h2.connection.H2Connection):
    """The package takes every GOAWAY for the end; streams under way go on behind a graceful one (RFC 9113 §6.8), in the same read too."""

    def _receive_goaway_frame(self, frame):
        waiting = self._data_to_send
        taken = super()._receive_goaway_frame(frame)
        if frame.error_code == 0:
            self._data_to_send = waiting
            self.state_machine.state = h2.connection.ConnectionState.CLIENT_OPEN
        return taken


class H2:
    """A connection to the gateway that speaks HTTP/2."""

    def __init__(self, gateway: Gateway, *, takes_bodies: bool = True, server_name: str = "localhost", listener: int = 0, **more) -> None:
        self.client: Client = gateway.client(listener, alpn=["h2", "http/1.1"], server_name=server_name, **more)
        assert self.client.sock.selected_alpn_protocol() == "h2"
        self.connection = Session(config=h2.config.H2Configuration(
            client_side=True, header_encoding="utf-8", validate_outbound_headers=False, normalize_outbound_headers=False, validate_inbound_headers=True,
        ))
        self.takes_bodies = takes_bodies
        self.streams: dict[int, Stream] = {}
        self.goaways: list[h2.events.ConnectionTerminated] = []
        self.ended = False
        self.connection.initiate_connection()
        self.flush()

    def flush(self) -> None:
        data = self.connection.data_to_send()
        if data:
            self.client.send(data)

    def send_raw(self, data: bytes) -> None:
        self.flush()
        self.client.send(data)

    # --- Requests

    def open(self, method: str, path: str, fields: Fields | None = None, *, authority: str = "localhost", scheme: str = "https", ends: bool = True) -> int:
        return self.open_raw([(":method", method), (":scheme", scheme), (":authority", authority), (":path", path), *(fields or [])], ends=ends)

    def open_raw(self, fields: Fields, *, ends: bool = True) -> int:
        number = self.connection.get_next_available_stream_id()
        self.streams[number] = Stream()
        self.connection.send_headers(number, fields, end_stream=ends)
        self.flush()
        return number

    def send_body(self, number: int, data: bytes, *, ends: bool = True, trailers: Fields | None = None) -> None:
        """Sends as the windows allow; reads while they are shut."""
        position = 0
        while position < len(data):
            room = min(self.connection.local_flow_control_window(number), self.connection.max_outbound_frame_size, len(data) - position)
            if room <= 0:
                self.read()
                if self.streams[number].ended or self.streams[number].reset is not None:
                    return
                continue
            self.connection.send_data(number, data[position : position + room])
            self.flush()
            position += room
        if trailers is not None:
            self.connection.send_headers(number, trailers, end_stream=True)
        elif ends:
            self.connection.end_stream(number)
        self.flush()

    def reset(self, number: int, code: int = 8) -> None:
        self.connection.reset_stream(number, code)
        self.flush()

    # --- Responses

    def read(self) -> None:
        """Takes in what comes next."""
        data = self.client._more()
        if not data:
            self.ended = True
            return
        for event in self.connection.receive_data(data):
            self._note(event)
        try:
            self.flush()
        except (ConnectionError, ssl.SSLEOFError):
            # Who has left needs no acknowledgement; the next read tells of the end.
            pass

    def _note(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ResponseReceived():
                self.streams[event.stream_id].heads.append(event.headers)
            case h2.events.InformationalResponseReceived():
                self.streams[event.stream_id].informational.append(event.headers)
            case h2.events.TrailersReceived():
                self.streams[event.stream_id].trailers = event.headers
            case h2.events.DataReceived():
                self.streams[event.stream_id].body += event.data
                if self.takes_bodies and event.flow_controlled_length:
                    self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.StreamEnded():
                self.streams[event.stream_id].ended = True
            case h2.events.StreamReset():
                self.streams[event.stream_id].reset = int(event.error_code)
            case h2.events.ConnectionTerminated():
                self.goaways.append(event)

    def until(self, condition, what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if self.ended:
                raise Cut(f"the connection ended before {what}")
            assert time.monotonic() < deadline, f"waited in vain for {what}"
            self.read()

    def response(self, number: int) -> Stream:
        """The whole response, or the reset, on this stream."""
        stream = self.streams[number]
        self.until(lambda: stream.ended or stream.reset is not None, f"the end of stream {number}")
        return stream

    def ask(self, method: str, path: str, fields: Fields | None = None, body: bytes | None = None, **more) -> Stream:
        number = self.open(method, path, fields, ends=body is None, **more)
        if body is not None:
            self.send_body(number, body)
        return self.response(number)

    def until_end(self) -> None:
        """Reads until the gateway has ended the connection."""
        deadline = time.monotonic() + PATIENCE
        while not self.ended:
            assert time.monotonic() < deadline, "the connection stays open"
            try:
                self.read()
            except Cut:
                self.ended = True

    def __enter__(self) -> H2:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
