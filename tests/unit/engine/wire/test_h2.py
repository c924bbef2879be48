"""HTTP/2 as a server sees it: good clients, broken ones and hostile ones, and what goes back to them.

Most clients here are made of single frames, because no library would send what they send.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, InformationalResponseReceived, ResponseReceived, TrailersReceived
from hpack.hpack import Decoder, Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    ExtensionFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from mockrec.engine.wire.h2 import (
    CONNECTION_WINDOW,
    IDLE_FRAMES,
    RESETS,
    STREAM_WINDOW,
    H2Server,
    StreamPart,
)
from mockrec.engine.wire.parts import Data, End, Fault, GoAway, Request, RequestHead, Reset

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
LIMIT = 1024
NO_ERROR, PROTOCOL, FLOW, CLOSED, SIZE, REFUSED, CANCEL, COMPRESSION, CALM = 0, 1, 3, 5, 6, 7, 8, 9, 11
GET = [(":method", "GET"), (":scheme", "https"), (":authority", "a.test"), (":path", "/")]
POST = [(":method", "POST"), *GET[1:]]

Pairs = Sequence[tuple[str, str]]


class Peer:
    """A server, and a client of single frames beside it."""

    def __init__(self, streams: int = 10, settings: dict[int, int] | None = None) -> None:
        self.server = H2Server(head_limit=LIMIT, streams=streams)
        self.server.start()
        self.encoder = Encoder()
        self.first = frames(self.server.outgoing())
        self.decoder = Decoder()
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
        assert isinstance(first, StreamPart) and isinstance(first.part, Request) and first.stream == stream
        return first.part.head

    def heard(self) -> list[Frame]:
        return frames(self.server.outgoing())

    def fields(self, frame: Frame) -> list[tuple[str, str]]:
        assert isinstance(frame, HeadersFrame)
        return [(name.decode(), value.decode()) for name, value in self.decoder.decode(frame.data, raw=True)]


def frames(raw: bytes) -> list[Frame]:
    found = []
    while raw:
        frame, length = Frame.parse_frame_header(memoryview(raw[:9]))
        frame.parse_body(memoryview(raw[9 : 9 + length]))
        found.append(frame)
        raw = raw[9 + length :]
    return found


def resets(heard: list[Frame]) -> list[tuple[int, int]]:
    return [(frame.stream_id, frame.error_code) for frame in heard if isinstance(frame, RstStreamFrame)]


def broken(peer: Peer, parts: list[StreamPart | Fault | GoAway], code: int, tag: str = "") -> Fault:
    """The one fault that ended the connection, which everybody has been told of."""
    fault = parts[-1]
    assert isinstance(fault, Fault)
    assert (fault.code, fault.status, fault.error, fault.tag) == ("ERR_HTTP2_ERROR", 0, code, tag)
    assert fault.detail
    last = peer.heard()[-1]
    assert isinstance(last, GoAwayFrame) and last.error_code == code
    assert peer.say(PingFrame(0)) == [] and peer.server.outgoing() == b""
    return fault


def given_up(peer: Peer, parts: list[StreamPart | Fault | GoAway], stream: int, code: int) -> Reset:
    """The one stream that ended, while the connection went on."""
    part = parts[-1]
    assert isinstance(part, StreamPart) and isinstance(part.part, Reset)
    assert (part.stream, part.part.code, part.part.by_peer) == (stream, code, False)
    assert part.part.reason
    assert resets(peer.heard()) == [(stream, code)]
    assert not peer.server.is_open(stream)
    peer.ask(stream + 2)
    return part.part


# ── the connection ─────────────────────────────────────────────────────────────────────────────────


def test_the_server_begins_with_its_settings_and_a_window() -> None:
    settings, window = Peer(streams=7).first
    assert isinstance(settings, SettingsFrame) and isinstance(window, WindowUpdateFrame)
    wanted = {SettingsFrame.MAX_CONCURRENT_STREAMS: 7, SettingsFrame.MAX_HEADER_LIST_SIZE: LIMIT}
    wanted |= {SettingsFrame.ENABLE_CONNECT_PROTOCOL: 1, SettingsFrame.INITIAL_WINDOW_SIZE: STREAM_WINDOW}
    assert settings.settings.items() >= wanted.items()
    assert window.window_increment == CONNECTION_WINDOW - 65535


def test_settings_and_pings_are_acknowledged() -> None:
    peer = Peer()
    assert peer.say(SettingsFrame(0), PingFrame(0, b"12345678")) == []
    settings, ping = peer.heard()
    assert isinstance(settings, SettingsFrame) and "ACK" in settings.flags
    assert isinstance(ping, PingFrame) and ping.opaque_data == b"12345678" and "ACK" in ping.flags


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n", b"PRI * HTTP/2.0\r\n\r\nXX", b"\0"])
def test_a_bad_preface_has_a_tag(first: bytes) -> None:
    peer = Peer.__new__(Peer)
    peer.server = H2Server(head_limit=LIMIT, streams=1)
    peer.server.start()
    broken(peer, peer.say(first), PROTOCOL, "bad-preface")


@pytest.mark.parametrize("frame", [PingFrame(0), SettingsFrame(0, flags=["ACK"]), HeadersFrame(1)])
def test_the_first_frame_must_be_settings(frame: Frame) -> None:
    peer = Peer.__new__(Peer)
    peer.server = H2Server(head_limit=LIMIT, streams=1)
    peer.server.start()
    broken(peer, peer.say(PREFACE, frame), PROTOCOL)


def test_a_client_that_leaves_may_wait_for_its_answers() -> None:
    peer = Peer()
    peer.ask(1)
    assert peer.say(GoAwayFrame(0, 0, NO_ERROR, b"bye")) == [GoAway(NO_ERROR, 0, b"bye")]
    head = peer.server.frame(200, "", [], 2, "", bodiless=False)
    peer.server.send_head(1, head, end=False)
    peer.server.send_data(1, b"ok", end=True)
    head_frame, body = peer.heard()
    assert isinstance(head_frame, HeadersFrame) and isinstance(body, DataFrame) and body.data == b"ok"


def test_a_server_that_closes_gently_ends_what_it_has_begun() -> None:
    peer = Peer()
    peer.ask(1)
    peer.server.close()
    peer.server.close()
    (notice,) = peer.heard()
    assert isinstance(notice, GoAwayFrame) and (notice.last_stream_id, notice.error_code) == (1, NO_ERROR)
    assert peer.say(peer.head(3, GET)) == [
        StreamPart(3, Reset(REFUSED, "the connection is being closed", by_peer=False))
    ]
    peer.server.send_head(1, peer.server.frame(204, "", [], 0, "", bodiless=False), end=True)
    rst, answer = peer.heard()
    assert isinstance(rst, RstStreamFrame) and isinstance(answer, HeadersFrame)


def test_a_server_that_closes_with_an_error_is_done() -> None:
    peer = Peer()
    peer.ask(1)
    peer.server.close(2)
    (notice,) = peer.heard()
    assert isinstance(notice, GoAwayFrame) and notice.error_code == 2
    peer.server.close()
    assert not peer.server.is_open(1) and peer.server.window(1) == 0 and peer.server.outgoing() == b""
    assert peer.say(peer.head(3, GET)) == [] and peer.server.receive_eof() == []


def test_the_end_of_the_connection_ends_requests_that_are_not_complete() -> None:
    peer = Peer()
    peer.ask(1)
    peer.ask(3, POST, end=False)
    assert peer.server.receive_eof() == [StreamPart(3, Reset(CANCEL, "the connection ended"))]
    assert peer.server.is_open(1) and not peer.server.is_open(3)


def test_the_end_inside_a_frame_is_a_fault() -> None:
    peer = Peer()
    assert peer.say(peer.head(1, GET).serialize()[:12]) == []
    (fault,) = peer.server.receive_eof()
    assert isinstance(fault, Fault) and fault.code == "ERR_HTTP2_ERROR"
    server = H2Server(head_limit=LIMIT, streams=1)
    server.start()
    assert server.receive_eof() == []
    server.receive(PREFACE[:5])
    (fault,) = server.receive_eof()
    assert isinstance(fault, Fault) and fault.tag == "bad-preface"


# ── requests ───────────────────────────────────────────────────────────────────────────────────────


def test_a_request_is_read_as_it_was_sent() -> None:
    fields = [
        (":path", "/a?b"),
        (":method", "GET"),
        (":authority", "a.test:1"),
        (":scheme", "https"),
        ("x-b", "1"),
        ("cookie", "a=1"),
        ("x-b", ""),
        ("cookie", "b=2"),
        ("user-agent", "x"),
        ("user-agent", "y"),
        ("host", "b.test"),
        ("te", "trailers"),
    ]
    head = Peer().ask(1, fields)
    assert (head.method, head.target, head.version) == ("GET", "/a?b", "2.0")
    assert head.raw_headers == [list(pair) for pair in fields]
    assert head.headers[":authority"] == "a.test:1" and head.headers["cookie"] == "a=1; b=2"
    assert head.headers["x-b"] == "1, " and head.headers["user-agent"] == "x, y"
    assert (head.content_length, head.has_body, head.upgrade, head.keep_alive) == (None, False, "", True)


def test_values_are_latin_1() -> None:
    peer = Peer()
    peer.encoder = Encoder()
    block = peer.encoder.encode([(name.encode(), value.encode()) for name, value in GET] + [(b"x", b"\xe9\xff\t\x80")])
    first, _ = peer.say(HeadersFrame(1, block, flags=["END_HEADERS", "END_STREAM"]))
    assert isinstance(first, StreamPart) and isinstance(first.part, Request)
    assert first.part.head.headers["x"] == "\xe9\xff\t\x80"


def test_equal_heads_are_one() -> None:
    peer = Peer()
    assert peer.ask(1) is peer.ask(3) is Peer().ask(1)
    assert peer.ask(5, end=False) is not peer.ask(7)


def test_a_repeated_head_is_read_right_after_the_table_changed() -> None:
    peer = Peer(streams=100)
    for at in range(40):
        fields = [*GET, ("x", str(at // 3)), ("y", "z" * (at // 7))]
        assert peer.ask(2 * at + 1, fields).raw_headers == [list(pair) for pair in fields]


def test_a_body_and_its_trailers() -> None:
    peer = Peer()
    head = peer.ask(1, [*POST, ("content-length", "5"), ("expect", "100-continue")], end=False)
    assert (head.content_length, head.has_body, head.expects_continue) == (5, True, True)
    said = peer.say(DataFrame(1, b"ab"), DataFrame(1, b"cde"), peer.head(1, [("x-sum", "1"), ("x-sum", "2")]))
    trailers = [["x-sum", "1"], ["x-sum", "2"]]
    assert said == [StreamPart(1, Data(b"ab")), StreamPart(1, Data(b"cde")), StreamPart(1, End(trailers))]


def test_the_end_of_a_body_in_its_last_data() -> None:
    peer = Peer()
    peer.ask(1, POST, end=False)
    said = peer.say(DataFrame(1, b"a"), DataFrame(1), DataFrame(1, b"b", flags=["END_STREAM"]))
    assert said == [StreamPart(1, Data(b"a")), StreamPart(1, Data(b"b")), StreamPart(1, End())]


def test_connect() -> None:
    peer = Peer()
    head = peer.ask(1, [(":method", "CONNECT"), (":authority", "b.test:443"), ("content-length", "0")], end=False)
    assert (head.method, head.target, head.upgrade, head.content_length) == ("CONNECT", "b.test:443", "", None)
    head = peer.ask(3, [(":method", "CONNECT"), (":protocol", "websocket"), *GET[1:3], (":path", "/chat")], end=False)
    assert (head.method, head.target, head.upgrade) == ("CONNECT", "/chat", "websocket")


def test_a_head_in_many_frames() -> None:
    peer = Peer()
    block = peer.encoder.encode([*GET, ("x", "y" * 500)])
    pieces = [HeadersFrame(1, block[:1], flags=["END_STREAM"])]
    rest = [ContinuationFrame(1, block[at : at + 100]) for at in range(1, len(block), 100)]
    rest[-1].flags.add("END_HEADERS")
    first, end = peer.say(*pieces, *rest)
    assert isinstance(first, StreamPart) and isinstance(first.part, Request)
    assert first.part.head.headers["x"] == "y" * 500 and end == StreamPart(1, End())


def test_padding_priority_and_unknown_frames_change_nothing() -> None:
    peer = Peer()
    head = HeadersFrame(1, peer.encoder.encode(POST), pad_length=9, flags=["END_HEADERS", "PADDED", "PRIORITY"])
    body = DataFrame(1, b"a", pad_length=7, flags=["PADDED", "END_STREAM"])
    said = peer.say(PriorityFrame(3), b"\0\0\1\xfa\xff\0\0\0\x09x", head, body)
    assert [type(one.part) for one in said if isinstance(one, StreamPart)] == [Request, Data, End]


@pytest.mark.parametrize(
    "fields",
    [
        [],
        GET[1:],
        GET[:3],
        [*GET[:1], *GET[2:]],
        [GET[0], GET[1], GET[3]],
        [*GET, (":path", "/")],
        [("x", "y"), *GET],
        [*GET, (":status", "200")],
        [*GET, (":odd", "1")],
        [*GET, (":protocol", "websocket")],
        [(":method", "G T"), *GET[1:]],
        [*GET[:3], (":path", "")],
        [*GET[:3], (":path", "a")],
        [*GET[:3], (":path", "*")],
        [*GET[:3], (":path", "/ b")],
        [*GET[:3], (":path", "/\xe9")],
        [GET[0], GET[1], (":authority", "u@a.test"), GET[3]],
        [GET[0], (":scheme", ""), *GET[2:]],
        [(":method", "CONNECT")],
        [(":method", "CONNECT"), *GET[1:]],
        [*GET, ("X", "y")],
        [*GET, ("", "y")],
        [*GET, ("a b", "y")],
        [*GET, ("x", "a\nb")],
        [*GET, ("x", "a\0")],
        [*GET, ("x", " a")],
        [*GET, ("connection", "close")],
        [*GET, ("transfer-encoding", "chunked")],
        [*GET, ("upgrade", "h2c")],
        [*GET, ("te", "gzip")],
        [*GET, ("content-length", "1")],
        [*GET, ("content-length", "-1")],
        [*GET, ("content-length", "0"), ("content-length", "0")],
    ],
)
def test_a_malformed_request_ends_its_stream_alone(fields: Pairs) -> None:
    peer = Peer()
    head = peer.head(1, fields)
    head.data = head.data or b"\x20"
    given_up(peer, peer.say(head), 1, PROTOCOL)


def test_a_status_among_the_fields_of_a_request_ends_its_stream_alone() -> None:
    peer = Peer()
    given_up(peer, peer.say(peer.head(1, [(":status", "100"), *GET], end=False)), 1, PROTOCOL)


def test_options_of_everything() -> None:
    assert Peer().ask(1, [(":method", "OPTIONS"), *GET[1:3], (":path", "*")]).target == "*"


@pytest.mark.parametrize("body", [b"1234", b"123456"])
def test_a_body_of_another_length_than_announced(body: bytes) -> None:
    peer = Peer()
    peer.ask(1, [*POST, ("content-length", "5")], end=False)
    said = peer.say(DataFrame(1, body, flags=["END_STREAM"]))
    given_up(peer, said, 1, PROTOCOL)
    assert len(said) == (2 if len(body) < 5 else 1)


@pytest.mark.parametrize("trailers", [[(":path", "/")], [("x", "a\r\n")], [("x", "y" * LIMIT)]])
def test_malformed_trailers(trailers: Pairs) -> None:
    peer = Peer()
    peer.ask(1, POST, end=False)
    given_up(peer, peer.say(peer.head(1, trailers)), 1, PROTOCOL)


# ── limits ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_stream_too_many_is_refused_and_the_others_go_on() -> None:
    peer = Peer(streams=2)
    peer.ask(1)
    peer.ask(3)
    refused = StreamPart(5, Reset(REFUSED, "too many streams at once", by_peer=False))
    assert peer.say(peer.head(5, GET)) == [refused]
    peer.server.send_head(1, peer.server.frame(204, "", [], 0, "", bodiless=False), end=True)
    peer.ask(7)
    assert resets(peer.heard()) == [(5, REFUSED)]


def test_a_head_that_is_too_large_can_be_answered() -> None:
    peer = Peer()
    (part,) = peer.say(peer.head(1, [*POST, ("x", "y" * LIMIT)], end=False))
    assert isinstance(part, StreamPart) and isinstance(part.part, Fault)
    assert (part.part.code, part.part.status, part.part.tag) == ("HPE_HEADER_OVERFLOW", 431, "header-overflow")
    assert peer.say(DataFrame(1, b"ignored", flags=["END_STREAM"])) == []
    peer.server.send_head(1, peer.server.frame(431, "", [], 0, "", bodiless=False), end=True)
    (answer,) = peer.heard()
    assert (":status", "431") in peer.fields(answer)
    peer.ask(3)


def test_a_huge_head_ends_the_connection() -> None:
    peer = Peer()
    entry = peer.encoder.encode([("x", "y" * 3000)])
    bomb = HeadersFrame(1, entry + b"\xbe" * 60, flags=["END_HEADERS"])
    broken(peer, peer.say(bomb), CALM, "header-overflow")


def test_continuations_without_end() -> None:
    peer = Peer()
    said = peer.say(HeadersFrame(1), *[ContinuationFrame(1, b"\0" * 16000)] * 5)
    broken(peer, said, CALM, "header-overflow")
    peer = Peer()
    broken(peer, peer.say(HeadersFrame(1), *[ContinuationFrame(1)] * 100), PROTOCOL)


def test_rapid_resets() -> None:
    peer = Peer()
    said = []
    for stream in range(1, 2 * RESETS + 20, 2):
        said += peer.say(peer.head(stream, GET), RstStreamFrame(stream, CANCEL))
    fault = broken(peer, said, CALM)
    assert said.index(fault) == 3 * RESETS + 2
    assert said[2] == StreamPart(1, Reset(CANCEL))


def test_resets_now_and_then_are_no_attack() -> None:
    peer = Peer()
    for stream in range(1, 4 * RESETS, 2):
        said = peer.say(peer.head(stream, POST, end=False), *[DataFrame(stream, b"a")] * 5, RstStreamFrame(stream))
        assert said[-1] == StreamPart(stream, Reset(NO_ERROR))


@pytest.mark.parametrize(
    "frame",
    [
        PingFrame(0),
        SettingsFrame(0),
        PriorityFrame(3),
        DataFrame(1),
        DataFrame(1, pad_length=3, flags=["PADDED"]),
        WindowUpdateFrame(1, 1),
        ExtensionFrame(type=0xFA, stream_id=0),
    ],
    ids=lambda frame: type(frame).__name__,
)
def test_floods(frame: Frame) -> None:
    peer = Peer()
    peer.ask(1, POST, end=False)
    assert peer.say(*[frame] * (IDLE_FRAMES - 1)) == []
    peer.say(DataFrame(1, b"a"))
    assert peer.say(*[frame] * IDLE_FRAMES) == []
    broken(peer, peer.say(frame), CALM)


def test_sending_counts_as_progress() -> None:
    peer = Peer()
    peer.ask(1)
    peer.server.send_head(1, peer.server.frame(200, "", [], None, "", bodiless=False), end=False)
    for _ in range(3):
        assert peer.say(*[WindowUpdateFrame(1, 1)] * (IDLE_FRAMES - 1)) == []
        peer.server.send_data(1, b"a", end=False)


def test_settings_of_everything() -> None:
    peer = Peer()
    broken(peer, peer.say(SettingsFrame(0, settings=dict.fromkeys(range(100, 133), 1))), CALM)


# ── broken frames ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda peer: peer.head(2, GET), PROTOCOL),
        (lambda peer: DataFrame(5, b"a"), PROTOCOL),
        (lambda peer: RstStreamFrame(5), PROTOCOL),
        (lambda peer: RstStreamFrame(2), PROTOCOL),
        (lambda peer: WindowUpdateFrame(5, 1), PROTOCOL),
        (lambda peer: WindowUpdateFrame(0, 2**31 - 1), FLOW),
        (lambda peer: b"\0\0\4\x08\0\0\0\0\0" + bytes(4), PROTOCOL),
        (lambda peer: ContinuationFrame(1), PROTOCOL),
        (lambda peer: HeadersFrame(5).serialize() + PingFrame(0).serialize(), PROTOCOL),
        (lambda peer: HeadersFrame(5).serialize() + GoAwayFrame(0).serialize(), PROTOCOL),
        (lambda peer: HeadersFrame(5, b"\xff\xff\xff\xff", flags=["END_HEADERS"]), COMPRESSION),
        (lambda peer: HeadersFrame(5, b"\x80", flags=["END_HEADERS"]), COMPRESSION),
        (lambda peer: HeadersFrame(5, b"\x00\x05a", flags=["END_HEADERS"]), COMPRESSION),
        (lambda peer: PushPromiseFrame(1, 4, peer.encoder.encode(GET), flags=["END_HEADERS"]), PROTOCOL),
        (lambda peer: SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 2**31}), FLOW),
        (lambda peer: SettingsFrame(0, settings={SettingsFrame.MAX_FRAME_SIZE: 1}), PROTOCOL),
        (lambda peer: b"\0\0\1\x04\0\0\0\0\0a", SIZE),
        (lambda peer: b"\0\0\0\x00\0\0\0\0\0", PROTOCOL),
        (lambda peer: b"\0\0\2\x00\x08\0\0\0\1\x09a", PROTOCOL),
        (lambda peer: b"\0\x40\1\x00\0\0\0\0\1", SIZE),
        (lambda peer: b"\0\0\1\x06\0\0\0\0\0a", SIZE),
        (lambda peer: b"\0\0\1\x07\0\0\0\0\0a", SIZE),
    ],
)
def test_frames_that_end_the_connection(make: Callable[[Peer], Frame | bytes], code: int) -> None:
    peer = Peer()
    peer.ask(1, POST, end=False)
    said = peer.say(PingFrame(0), DataFrame(1, b"good"), make(peer), DataFrame(1, b"not read"))
    assert said[0] == StreamPart(1, Data(b"good"))
    assert len(said) == 2
    broken(peer, said, code)
    assert not peer.server.is_open(1)


def test_a_stream_cannot_begin_twice() -> None:
    peer = Peer()
    peer.ask(3)
    peer.server.send_head(3, peer.server.frame(204, "", [], 0, "", bodiless=False), end=True)
    broken(peer, peer.say(peer.head(1, GET)), PROTOCOL)


def test_a_head_on_a_stream_that_is_over() -> None:
    peer = Peer()
    peer.ask(1)
    peer.server.send_head(1, peer.server.frame(204, "", [], 0, "", bodiless=False), end=True)
    broken(peer, peer.say(peer.head(1, GET)), CLOSED)


@pytest.mark.parametrize("late", [lambda peer: peer.head(1, GET), lambda peer: DataFrame(1, b"a")])
def test_more_after_the_end_of_a_request(late: Callable[[Peer], Frame]) -> None:
    peer = Peer()
    peer.ask(1)
    given_up(peer, peer.say(late(peer)), 1, CLOSED)


def test_a_window_opened_by_nothing() -> None:
    peer = Peer()
    peer.ask(1)
    given_up(peer, peer.say(b"\0\0\4\x08\0\0\0\0\1" + bytes(4)), 1, PROTOCOL)


def test_a_window_opened_too_far() -> None:
    peer = Peer()
    peer.ask(1)
    given_up(peer, peer.say(WindowUpdateFrame(1, 2**31 - 1)), 1, FLOW)


def test_whatever_h2_stumbles_over_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    peer = Peer()
    monkeypatch.setattr(H2Connection, "receive_data", lambda self, data: dict[str, list[object]]()["odd"])
    fault = broken(peer, peer.say(PingFrame(0)), PROTOCOL)
    assert fault.detail == "KeyError: 'odd'"


# ── flow control ───────────────────────────────────────────────────────────────────────────────────


def windows(heard: list[Frame]) -> list[tuple[int, int]]:
    return [(frame.stream_id, frame.window_increment) for frame in heard if isinstance(frame, WindowUpdateFrame)]


def test_no_credit_is_given_before_the_data_is_used() -> None:
    peer = Peer()
    peer.ask(1, POST, end=False)
    piece = DataFrame(1, b"a" * 16384)
    assert len(peer.say(*[piece] * (STREAM_WINDOW // 16384))) == STREAM_WINDOW // 16384
    assert windows(peer.heard()) == []
    peer.server.consumed(1, STREAM_WINDOW)
    assert windows(peer.heard()) == [(1, STREAM_WINDOW)]
    broken(peer, peer.say(*[piece] * (STREAM_WINDOW // 16384), DataFrame(1, b"a")), FLOW)


def test_more_than_was_received_cannot_be_used() -> None:
    peer = Peer()
    peer.ask(1, POST, end=False)
    peer.say(DataFrame(1, b"a" * 10))
    peer.server.consumed(1, STREAM_WINDOW)
    peer.server.consumed(1, STREAM_WINDOW)
    peer.server.consumed(99, STREAM_WINDOW)
    assert windows(peer.heard()) == []


def test_data_for_a_stream_that_was_given_up_is_settled_here() -> None:
    peer = Peer()
    peer.ask(1, POST, end=False)
    peer.say(*[DataFrame(1, b"a" * 16384)] * 10)
    peer.server.reset(1, CANCEL)
    peer.server.reset(1, CANCEL)
    for _ in range(600):
        assert peer.say(DataFrame(1, b"a" * 16384)) == []
    assert sum(size for _, size in windows(peer.heard())) > CONNECTION_WINDOW


def test_data_behind_a_head_that_was_too_large_is_settled_here() -> None:
    peer = Peer()
    peer.say(peer.head(1, [*POST, ("x", "y" * LIMIT)], end=False))
    for _ in range(600):
        assert peer.say(DataFrame(1, b"a" * 16384)) == []
    assert {stream for stream, _ in windows(peer.heard())} == {0, 1}


def test_padding_is_settled_here() -> None:
    peer = Peer()
    peer.ask(1, POST, end=False)
    padded = DataFrame(1, b"a", pad_length=255, flags=["PADDED"])
    for _ in range(STREAM_WINDOW // 250):
        assert peer.say(padded) == [StreamPart(1, Data(b"a"))]
    assert windows(peer.heard()) == [(1, STREAM_WINDOW // 2)] * 2


def test_what_was_not_used_when_the_client_gave_up_is_settled_here() -> None:
    peer = Peer()
    for stream in range(1, 40, 2):
        peer.ask(stream, POST, end=False)
        peer.say(*[DataFrame(stream, b"a" * 16384)] * 60)
        assert peer.say(RstStreamFrame(stream, CANCEL)) == [StreamPart(stream, Reset(CANCEL))]
        peer.server.consumed(stream, 16384)


def test_the_peer_s_windows_bound_what_is_sent() -> None:
    peer = Peer(settings={SettingsFrame.INITIAL_WINDOW_SIZE: 10})
    server = peer.server
    assert server.window(1) == 0
    peer.ask(1)
    assert server.window(1) == 10
    server.send_head(1, server.frame(200, "", [], None, "", bodiless=False), end=False)
    server.send_data(1, b"0123456789", end=False)
    assert server.window(1) == 0
    peer.say(SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 4}))
    assert server.window(1) == 0
    peer.say(WindowUpdateFrame(1, 100))
    assert server.window(1) == 94
    peer.say(WindowUpdateFrame(1, 100_000))
    assert server.window(1) == 65535 - 10
    server.send_data(1, b"", end=True)
    assert server.window(1) == 0 and not server.is_open(1)


def test_data_is_cut_into_frames_that_the_peer_takes() -> None:
    for size in (0, 1, 16383, 16384, 16385, 32768, 40000):
        peer = Peer()
        peer.ask(1)
        peer.server.send_head(1, peer.server.frame(200, "", [], None, "", bodiless=False), end=False)
        peer.heard()
        body = bytes(range(250)) * 200
        peer.server.send_data(1, body[:size], end=True)
        heard = [frame for frame in peer.heard() if isinstance(frame, DataFrame)]
        assert b"".join(frame.data for frame in heard) == body[:size]
        assert max(len(frame.data) for frame in heard) <= 16384
        assert ["END_STREAM" in frame.flags for frame in heard] == [False] * (len(heard) - 1) + [True]
        assert all(frame.data for frame in heard) or size == 0


# ── answers ────────────────────────────────────────────────────────────────────────────────────────


def framed(status: int, headers: Pairs, length: int | None, date: str = "now", bodiless: bool = False) -> Pairs:
    head = H2Server(head_limit=LIMIT, streams=1).frame(status, "Odd", headers, length, date, bodiless=bodiless)
    assert head.reason == "" and head.version == "2.0"
    (_, told), *rest = head.raw_headers
    assert head.raw_headers[0] == [":status", str(status)] and head.headers[":status"] == told
    return [(name, value) for name, value in rest]


def test_a_head_is_framed_for_http_2() -> None:
    headers = [("X-B", " 1\t"), ("Connection", "close"), ("Transfer-Encoding", "chunked"), ("Keep-Alive", "1")]
    headers += [("Proxy-Connection", "a"), ("UPGRADE", "b"), ("TE", "gzip"), ("Set-Cookie", "a"), ("set-cookie", "b")]
    kept = [("x-b", "1"), ("set-cookie", "a"), ("set-cookie", "b")]
    assert framed(200, headers, 5) == [*kept, ("date", "now"), ("content-length", "5")]
    assert framed(200, headers, None) == [*kept, ("date", "now")]
    assert framed(200, [("Date", "then"), ("Content-Length", "9")], 5) == [("date", "then"), ("content-length", "9")]
    assert framed(200, [("TE", "Trailers")], 0, "") == [("te", "Trailers")]  # as the other server has it


def test_lengths_where_no_body_can_be() -> None:
    length = [("content-length", "5")]
    assert framed(204, length, 0, "") == []
    assert framed(304, length, 0, "") == length
    assert framed(304, [], 0, "") == []
    assert framed(200, [], 5, bodiless=True) == [("date", "now"), *length]
    assert framed(200, [], 0, "", bodiless=True) == []
    assert framed(200, [*length, ("a", "b"), *length], 5, "") == [*length, ("a", "b")]


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (199, []),
        (1000, []),
        (200, [("a b", "c")]),
        (200, [("", "c")]),
        (200, [("\u212a", "kelvin")]),
        (200, [(":path", "/")]),
        (200, [("a", "b\r\nc: d")]),
        (200, [("a", "\u20ac")]),
    ],
)
def test_what_no_head_can_hold(status: int, headers: Pairs) -> None:
    with pytest.raises(ValueError):
        framed(status, headers, 0)


def test_a_status_among_the_headers_is_left_out() -> None:
    assert framed(200, [(":status", "404"), ("a", "b")], None, "") == [("a", "b")]


def pairs(event: InformationalResponseReceived | ResponseReceived | TrailersReceived) -> list[tuple[object, object]]:
    return [(name, value) for name, value in event.headers]


def test_an_answer_with_everything_reaches_a_client_of_h2() -> None:
    client = H2Connection(H2Configuration(client_side=True, header_encoding="latin-1"))
    server = H2Server(head_limit=LIMIT, streams=5)
    client.initiate_connection()
    server.start()
    client.send_headers(1, GET, end_stream=True)
    assert [type(part.part) for part in server.receive(client.data_to_send()) if isinstance(part, StreamPart)] == [
        Request,
        End,
    ]
    server.send_interim(1, 103, [("Link", "</a>")])
    server.send_head(1, server.frame(200, "", [("X", "\xe9")], 5, "now", bodiless=False), end=False)
    server.send_data(1, b"hello", end=False)
    server.send_end(1, [("X-Sum", "1"), ("connection", "close")])
    wanted = (InformationalResponseReceived, ResponseReceived, DataReceived, TrailersReceived)
    heard = [event for event in client.receive_data(server.outgoing()) if isinstance(event, wanted)]
    interim, head, data, trailers = heard
    assert isinstance(interim, InformationalResponseReceived) and isinstance(head, ResponseReceived)
    assert isinstance(data, DataReceived) and isinstance(trailers, TrailersReceived)
    assert pairs(interim) == [(":status", "103"), ("link", "</a>")]
    assert pairs(head) == [(":status", "200"), ("x", "\xe9"), ("date", "now"), ("content-length", "5")]
    assert data.data == b"hello" and pairs(trailers) == [("x-sum", "1")]
    assert not server.is_open(1)
    assert server.outgoing() == b""


def test_the_table_follows_the_peer_s_settings() -> None:
    peer = Peer(streams=50)
    answer = peer.server.frame(200, "", [("x", "y"), ("z", "longer")], 0, "now", bodiless=False)
    sizes = [4096, 0, 0, 100, 65536, 2**32 - 1, 40, 4096, 4096]
    for at, size in enumerate(sizes):
        # A client that shrinks its table insists on being told; h2's own client checks that.
        peer.say(SettingsFrame(0, settings={SettingsFrame.HEADER_TABLE_SIZE: size}))
        peer.decoder.max_allowed_table_size = size
        for stream in (4 * at + 1, 4 * at + 3):
            peer.ask(stream)
            peer.server.send_head(stream, answer, end=True)
        for frame in peer.heard():
            if isinstance(frame, HeadersFrame):
                assert peer.fields(frame) == [(name, value) for name, value in answer.raw_headers]
    assert peer.server._conn.encoder.header_table.maxsize == 4096


def test_a_table_that_shrank_twice_before_it_was_used() -> None:
    peer = Peer()
    peer.ask(1)
    answer = peer.server.frame(200, "", [("x", "y")], 0, "", bodiless=False)
    peer.server.send_head(1, answer, end=True)
    peer.fields(peer.heard()[-1])
    for size in (0, 0):
        peer.say(SettingsFrame(0, settings={SettingsFrame.HEADER_TABLE_SIZE: size}))
    peer.heard()
    peer.decoder.max_allowed_table_size = 0
    peer.ask(3)
    peer.server.send_head(3, answer, end=True)
    assert peer.fields(peer.heard()[-1])[1] == ("x", "y")


@pytest.mark.parametrize("status", [101, 99, 200])
def test_what_is_no_interim_answer(status: int) -> None:
    peer = Peer()
    peer.ask(1)
    with pytest.raises(ValueError):
        peer.server.send_interim(1, status, [])


def test_an_answer_for_nobody_goes_nowhere() -> None:
    peer = Peer()
    server = peer.server
    peer.ask(1)
    peer.say(RstStreamFrame(1, CANCEL))
    server.send_interim(1, 100, [])
    server.send_head(1, server.frame(200, "", [], None, "", bodiless=False), end=False)
    server.send_data(1, b"a", end=False)
    server.send_end(1)
    server.reset(1, CANCEL)
    assert server.outgoing() == b"" and server.window(1) == 0


def test_trailers_that_cannot_be_sent_change_nothing() -> None:
    peer = Peer()
    peer.ask(1)
    peer.server.send_head(1, peer.server.frame(200, "", [], None, "", bodiless=False), end=False)
    peer.heard()
    with pytest.raises(ValueError):
        peer.server.send_end(1, [("a", "b\n")])
    assert peer.server.outgoing() == b"" and peer.server.is_open(1)
    peer.server.send_end(1)
    (end,) = peer.heard()
    assert isinstance(end, DataFrame) and "END_STREAM" in end.flags


def test_a_server_that_answers_early_may_give_up_the_rest() -> None:
    peer = Peer()
    peer.ask(1, POST, end=False)
    peer.server.send_head(1, peer.server.frame(413, "", [], 0, "", bodiless=False), end=True)
    assert peer.server.is_open(1) and peer.server.window(1) == 0
    peer.server.reset(1, NO_ERROR)
    assert resets(peer.heard()) == [(1, NO_ERROR)] and not peer.server.is_open(1)
