"""An HTTP/2 server with a client of single frames: no library would send what it sends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hpack.hpack import Decoder, Encoder
from hyperframe.frame import (
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from mockrec.engine.wire.http2.server import H2Server, StreamPart
from mockrec.engine.wire.parts import End, Fault, GoAway, RequestHead, RequestPart, ResetPart

Pairs = Sequence[tuple[str, str]]
NewPeer = Callable[..., Any]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
LIMIT = 1024
GET = [(":method", "GET"), (":scheme", "https"), (":authority", "a.test"), (":path", "/")]


class Peer:
    """A server, and a client of single frames."""

    def __init__(self, streams: int = 10, settings: dict[int, int] | None = None, *, silent: bool = False) -> None:
        """`silent`: it has not said anything yet."""
        self.server = H2Server(head_limit=LIMIT, streams=streams)
        self.server.start()
        self.encoder = Encoder()
        self.first = frames(self.server.outgoing())
        self.decoder = Decoder()
        if silent:
            return
        assert self.server.receive(PREFACE + SettingsFrame(0, settings=settings or {}).serialize()) == []
        self.server.outgoing()

    def say(self, *said: Frame | bytes) -> list[StreamPart | Fault | GoAway]:
        return self.server.receive(b"".join(one if isinstance(one, bytes) else one.serialize() for one in said))

    def head(self, stream: int, fields: Pairs, *, end: bool = True) -> HeadersFrame:
        flags = ["END_HEADERS", "END_STREAM"] if end else ["END_HEADERS"]
        return HeadersFrame(stream, self.encoder.encode(fields), flags=flags)

    def ask(self, stream: int, fields: Pairs = GET, *, end: bool = True) -> RequestHead:
        first, *rest = self.say(self.head(stream, fields, end=end))
        assert rest == ([StreamPart(stream, End())] if end else [])
        assert isinstance(first, StreamPart) and isinstance(first.part, RequestPart) and first.stream == stream
        return first.part.head

    def heard(self) -> list[Frame]:
        return frames(self.server.outgoing())

    def fields(self, frame: Frame) -> list[tuple[str, str]]:
        assert isinstance(frame, HeadersFrame)
        return [(name.decode(), value.decode()) for name, value in self.decoder.decode(frame.data, raw=True)]

    def resets(self) -> list[tuple[int, int]]:
        return [(frame.stream_id, frame.error_code) for frame in self.heard() if isinstance(frame, RstStreamFrame)]

    def windows(self) -> list[tuple[int, int]]:
        heard = [frame for frame in self.heard() if isinstance(frame, WindowUpdateFrame)]
        return [(frame.stream_id, frame.window_increment) for frame in heard]

    def broken(self, parts: list[StreamPart | Fault | GoAway], code: int, tag: str = "") -> Fault:
        """The one fault that ended the connection, with its GOAWAY."""
        fault = parts[-1]
        assert isinstance(fault, Fault)
        assert (fault.code, fault.status, fault.error, fault.tag) == ("ERR_HTTP2_ERROR", 0, code, tag)
        assert fault.detail
        last = self.heard()[-1]
        assert isinstance(last, GoAwayFrame) and last.error_code == code
        assert self.say(PingFrame(0)) == [] and self.server.outgoing() == b""
        return fault

    def given_up(self, parts: list[StreamPart | Fault | GoAway], stream: int, code: int) -> ResetPart:
        """The one stream that ended, while the connection went on."""
        part = parts[-1]
        assert isinstance(part, StreamPart) and isinstance(part.part, ResetPart)
        assert (part.stream, part.part.code, part.part.by_peer) == (stream, code, False)
        assert part.part.reason
        assert self.resets() == [(stream, code)]
        assert not self.server.is_open(stream)
        self.ask(stream + 2)
        return part.part


def frames(raw: bytes) -> list[Frame]:
    found = []
    while raw:
        frame, length = Frame.parse_frame_header(memoryview(raw[:9]))
        frame.parse_body(memoryview(raw[9 : 9 + length]))
        found.append(frame)
        raw = raw[9 + length :]
    return found


@pytest.fixture
def new_peer() -> type[Peer]:
    """`new_peer(streams=…, settings=…)`."""
    return Peer
