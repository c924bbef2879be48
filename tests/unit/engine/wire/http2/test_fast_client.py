"""Streams of a client that bypass h2: what is unusual on them goes as on any stream."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hpack.hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from mockrec.engine.wire.http2.client import H2Client
from mockrec.engine.wire.http2.limits import IDLE_FRAMES
from mockrec.engine.wire.http2.streams import CONNECTION_WINDOW, STREAM_WINDOW, StreamPart
from mockrec.engine.wire.parts import Data, End, Fault, GoAway, Interim, ResetPart, ResponsePart

PROTOCOL, FLOW, CLOSED, CANCEL, COMPRESSION, CALM = 1, 3, 5, 8, 9, 11
LIMIT = 1024


class Server:
    """A client with one answered request, so that its next ones bypass h2, and a server of single frames."""

    def __init__(self) -> None:
        self.client = H2Client(head_limit=LIMIT)
        self.client.start()
        self.encoder = Encoder()
        self.send(SettingsFrame(0))
        assert self.ask() == 1
        self.send(self.head(1, "204", end=True))
        self.client.outgoing()

    def ask(self, method: str = "GET") -> int:
        return self.client.request(method, "/", "https", "a.test", [("x", "y")], end=True)

    def send(self, *frames: Frame | bytes) -> list[StreamPart | Fault | GoAway]:
        return self.client.receive(b"".join(one if isinstance(one, bytes) else one.serialize() for one in frames))

    def parts(self, *frames: Frame | bytes) -> list[object]:
        return [one.part if isinstance(one, StreamPart) else one for one in self.send(*frames)]

    def head(self, stream: int, status: str, *fields: tuple[str, str], end: bool = False) -> HeadersFrame:
        flags = ["END_HEADERS", "END_STREAM"] if end else ["END_HEADERS"]
        return HeadersFrame(stream, self.encoder.encode([(":status", status), *fields]), flags=flags)

    def sent(self) -> list[Frame]:
        raw, found = self.client.outgoing(), []
        while raw:
            frame, length = Frame.parse_frame_header(memoryview(raw[:9]))
            frame.parse_body(memoryview(raw[9 : 9 + length]))
            raw = raw[9 + length :]
            found.append(frame)
        return found

    def resets(self) -> list[tuple[int, int]]:
        return [(one.stream_id, one.error_code) for one in self.sent() if isinstance(one, RstStreamFrame)]

    def increments(self) -> list[tuple[int, int]]:
        return [(one.stream_id, one.window_increment) for one in self.sent() if isinstance(one, WindowUpdateFrame)]


@pytest.fixture
def server() -> Server:
    return Server()


def data(stream: int, content: bytes, *flags: str) -> DataFrame:
    return DataFrame(stream, content, flags=flags)


def kinds(parts: Sequence[object]) -> list[type]:
    return [type(part) for part in parts]


# ── plain responses ────────────────────────────────────────────────────────────────────────────────


def test_a_plain_response(server: Server) -> None:
    assert [server.ask(), server.ask()] == [3, 5]
    heads = [frame for frame in server.sent() if isinstance(frame, HeadersFrame)]
    assert [(one.stream_id, "END_STREAM" in one.flags, "END_HEADERS" in one.flags) for one in heads] == [
        (3, True, True),
        (5, True, True),
    ]
    head, first, last, end = server.parts(
        server.head(5, "200", ("content-length", "5")), data(5, b"ab"), data(5, b"cde", "END_STREAM")
    )
    assert isinstance(head, ResponsePart)
    assert head.head.raw_headers == [[":status", "200"], ["content-length", "5"]]
    assert (first, last, end) == (Data(b"ab"), Data(b"cde"), End())
    assert not server.client.is_open(5) and server.client.is_open(3)


def test_a_response_that_is_only_a_head(server: Server) -> None:
    server.ask()
    assert kinds(server.parts(server.head(3, "204", end=True))) == [ResponsePart, End]
    assert server.client.open_streams == 0


def test_a_huge_request_head_goes_on_in_continuations(server: Server) -> None:
    server.client.request("GET", "/", "https", "a", [(f"x-{number}", "y" * 4000) for number in range(10)], end=True)
    frames = server.sent()
    assert kinds(frames) == [HeadersFrame, ContinuationFrame, ContinuationFrame]
    assert ["END_HEADERS" in frame.flags for frame in frames] == [False, False, True]


@pytest.mark.parametrize("bytes_left", [2, 4])
def test_a_body_of_another_length_than_announced(server: Server, bytes_left: int) -> None:
    server.ask()
    server.send(server.head(3, "200", ("content-length", str(bytes_left))))
    *before, reset = server.parts(data(3, b"abc", "END_STREAM"))
    assert before == [Data(b"abc")][: int(bytes_left > 3)]
    assert isinstance(reset, ResetPart) and reset.code == PROTOCOL and not reset.by_peer


# ── what h2 is shown ───────────────────────────────────────────────────────────────────────────────


def test_interim_responses_and_trailers(server: Server) -> None:
    server.ask()
    parts = server.parts(
        server.head(3, "103", ("link", "a")),
        server.head(3, "200"),
        data(3, b"x"),
        HeadersFrame(3, server.encoder.encode([("a", "b")]), flags=["END_HEADERS", "END_STREAM"]),
    )
    assert kinds(parts) == [Interim, ResponsePart, Data, End]
    assert parts[-1] == End([["a", "b"]])


def test_trailers_after_data_that_bypassed_h2(server: Server) -> None:
    server.ask()
    server.send(server.head(3, "200"), data(3, b"x"))
    block = server.encoder.encode([("grpc-status", "0")])
    trailers = HeadersFrame(3, block[:1], flags=["END_STREAM"])
    parts = server.parts(trailers, ContinuationFrame(3, block[1:], flags=["END_HEADERS"]))
    assert parts == [End([["grpc-status", "0"]])]


def test_padding_priority_and_continuation(server: Server) -> None:
    server.ask()
    head = server.head(3, "200")
    head.flags |= {"PADDED", "PRIORITY"}
    head.pad_length, head.depends_on = 7, 1
    padded = data(3, b"abc", "PADDED")
    padded.pad_length = 200
    assert kinds(server.parts(head, PriorityFrame(3, depends_on=1), padded, data(3, b"", "END_STREAM"))) == [
        ResponsePart,
        Data,
        End,
    ]


def test_a_frame_of_another_stream_inside_a_field_block(server: Server) -> None:
    server.ask(), server.ask()
    server.send(server.head(3, "200"))
    (fault,) = server.parts(HeadersFrame(5, server.encoder.encode([(":status", "200")])), data(3, b"x"))
    assert isinstance(fault, Fault) and fault.error == PROTOCOL


@pytest.mark.parametrize("received", ["nothing", "head", "data"])
def test_resets_of_both_sides(server: Server, received: str) -> None:
    server.ask(), server.ask()
    for stream in (3, 5):
        if received != "nothing":
            server.send(server.head(stream, "200"))
        if received == "data":
            server.send(data(stream, b"x"))
    server.sent()
    assert server.send(RstStreamFrame(3, error_code=CANCEL)) == [StreamPart(3, ResetPart(CANCEL))]
    server.client.reset(5, CANCEL)
    assert server.resets() == [(5, CANCEL)]
    assert server.send(data(5, b"late")) == []
    assert server.client.open_streams == 0


def test_a_window_opened_by_nothing(server: Server) -> None:
    server.ask()
    (reset,) = server.parts(b"\0\0\4\x08\0\0\0\0\3" + bytes(4))
    assert isinstance(reset, ResetPart) and reset.code == PROTOCOL
    assert server.resets()[-1] == (3, PROTOCOL)


def test_requests_that_a_goaway_leaves_out(server: Server) -> None:
    server.ask(), server.ask()
    server.send(server.head(3, "200"))
    parts = server.send(GoAwayFrame(0, last_stream_id=3))
    assert kinds(parts) == [GoAway, StreamPart]
    assert isinstance(parts[1], StreamPart) and parts[1].stream == 5
    assert kinds(server.parts(data(3, b"x", "END_STREAM"))) == [Data, End]


def test_a_second_head_without_the_end_of_the_stream(server: Server) -> None:
    server.ask()
    server.send(server.head(3, "200"))
    (fault,) = server.parts(server.head(3, "200"))
    assert isinstance(fault, Fault) and fault.error == PROTOCOL


def test_a_block_that_cannot_be_decoded(server: Server) -> None:
    server.ask()
    (fault,) = server.parts(HeadersFrame(3, b"\xff\xff\xff", flags=["END_HEADERS"]))
    assert isinstance(fault, Fault) and fault.error == COMPRESSION


def test_data_before_the_head(server: Server) -> None:
    server.ask()
    parts = server.parts(data(3, b"x"))
    assert isinstance(parts[-1], Fault) and parts[-1].error == PROTOCOL


def test_a_head_after_the_end_is_a_fault_of_the_connection(server: Server) -> None:
    server.ask()
    server.send(server.head(3, "200", end=True))
    (fault,) = server.parts(server.head(3, "200", end=True))
    assert isinstance(fault, Fault) and fault.error == CLOSED


def test_many_empty_frames_are_a_flood(server: Server) -> None:
    server.ask()
    server.send(server.head(3, "200"))
    parts = server.parts(*[data(3, b"")] * (IDLE_FRAMES + 1))
    assert isinstance(parts[-1], Fault) and parts[-1].error == CALM


def test_streams_that_h2_was_shown_do_not_stay_there(server: Server) -> None:
    for _ in range(50):
        stream = server.ask()
        server.send(server.head(stream, "103"), server.head(stream, "200", end=True))
    assert len(server.client._conn.streams) <= 2


# ── windows ────────────────────────────────────────────────────────────────────────────────────────


def test_data_opens_both_windows_again(server: Server) -> None:
    stream = server.ask()
    server.sent()
    server.send(server.head(stream, "200"), *[data(stream, bytes(16384))] * 8)
    server.client.consumed(stream, 8 * 16384)
    assert server.increments() == [(stream, 8 * 16384)]
    server.send(*[data(stream, bytes(16384))] * 16)  # as much as the window allows
    (fault,) = server.parts(data(stream, b"x"))
    assert isinstance(fault, Fault) and fault.error == FLOW


def test_the_window_goes_along_into_h2(server: Server) -> None:
    stream = server.ask()
    padded = data(stream, bytes(100), "PADDED")
    padded.pad_length = 155
    server.send(server.head(stream, "200"), *[data(stream, bytes(16384))] * 15, padded)
    server.sent()
    server.client.consumed(stream, 15 * 16384 + 100)
    assert server.increments() == [(stream, 15 * 16384 + 256)]
    assert kinds(server.parts(*[data(stream, bytes(16384))] * 16)) == [Data] * 16


def test_the_connection_window_counts_streams_of_both_kinds(server: Server) -> None:
    sent, half = 0, CONNECTION_WINDOW // 2
    while sent + STREAM_WINDOW < half:
        stream = server.ask()
        frames = [data(stream, bytes(16384))] * (STREAM_WINDOW // 16384)
        if stream % 4 == 1:
            frames.insert(0, PriorityFrame(stream))  # h2 is shown the stream
        server.send(server.head(stream, "200"), *frames, data(stream, b"", "END_STREAM"))
        sent += STREAM_WINDOW
        server.client.consumed(stream, STREAM_WINDOW)
    assert server.increments() == []
    stream = server.ask()
    server.send(server.head(stream, "200"), *[data(stream, bytes(16384))] * (STREAM_WINDOW // 16384))
    server.client.reset(stream, CANCEL)
    assert server.increments() == [(0, sent + STREAM_WINDOW)]


def test_data_on_a_stream_that_has_ended_is_credited_to_the_connection(server: Server) -> None:
    stream = server.ask()
    server.send(server.head(stream, "200", end=True))
    server.sent()
    for _ in range(900):  # a thousand would be a flood
        assert server.send(data(stream, bytes(16384))) == []
    sent = server.sent()
    assert [one.error_code for one in sent if isinstance(one, RstStreamFrame)][:1] == [CLOSED]
    assert sum(one.window_increment for one in sent if isinstance(one, WindowUpdateFrame)) >= CONNECTION_WINDOW // 2
