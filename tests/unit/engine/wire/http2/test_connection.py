"""Frames, good, broken and hostile: the parts that a side of HTTP/2 returns, and what it sends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from h2.connection import H2Connection
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

from mockrec.engine.wire.http2.connection import stream_fault
from mockrec.engine.wire.http2.limits import IDLE_FRAMES, RESETS, RESETS_A_SECOND
from mockrec.engine.wire.http2.server import H2Server, StreamPart
from mockrec.engine.wire.parts import Data, End, Fault, GoAway, RequestPart, ResetPart

Pairs = Sequence[tuple[str, str]]
NewPeer = Callable[..., Any]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
LIMIT = 1024
NO_ERROR, PROTOCOL, FLOW, CLOSED, SIZE, CANCEL, COMPRESSION, CALM = 0, 1, 3, 5, 6, 8, 9, 11
GET = [(":method", "GET"), (":scheme", "https"), (":authority", "a.test"), (":path", "/")]
POST = [(":method", "POST"), *GET[1:]]


def test_settings_and_pings_are_acknowledged(new_peer: NewPeer) -> None:
    peer = new_peer()
    assert peer.say(SettingsFrame(0), PingFrame(0, b"12345678")) == []
    settings, ping = peer.heard()
    assert isinstance(settings, SettingsFrame) and "ACK" in settings.flags
    assert isinstance(ping, PingFrame) and ping.opaque_data == b"12345678" and "ACK" in ping.flags


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n", b"PRI * HTTP/2.0\r\n\r\nXX", b"\0"])
def test_a_bad_preface_has_a_tag(new_peer: NewPeer, first: bytes) -> None:
    peer = new_peer(silent=True)
    peer.broken(peer.say(first), PROTOCOL, "bad-preface")


@pytest.mark.parametrize("frame", [PingFrame(0), SettingsFrame(0, flags=["ACK"]), HeadersFrame(1)])
def test_the_first_frame_must_be_settings(new_peer: NewPeer, frame: Frame) -> None:
    peer = new_peer(silent=True)
    peer.broken(peer.say(PREFACE, frame), PROTOCOL)


def test_a_client_that_leaves_may_wait_for_its_answers(new_peer: NewPeer) -> None:
    peer = new_peer()
    peer.ask(1)
    assert peer.say(GoAwayFrame(0, 0, NO_ERROR, b"bye")) == [GoAway(NO_ERROR, 0, b"bye")]
    head = peer.server.frame(200, "", [], 2, "")
    peer.server.send_head(1, head, end=False)
    peer.server.send_data(1, b"ok", end=True)
    head_frame, body = peer.heard()
    assert isinstance(head_frame, HeadersFrame) and isinstance(body, DataFrame) and body.data == b"ok"


def test_the_end_of_the_connection_ends_requests_that_are_not_complete(new_peer: NewPeer) -> None:
    peer = new_peer()
    peer.ask(1)
    peer.ask(3, POST, end=False)
    assert peer.server.receive_eof() == [StreamPart(3, ResetPart(CANCEL, "the connection ended"))]
    assert peer.server.is_open(1) and not peer.server.is_open(3)


def test_the_end_inside_a_frame_is_a_fault(new_peer: NewPeer) -> None:
    peer = new_peer()
    assert peer.say(peer.head(1, GET).serialize()[:12]) == []
    (fault,) = peer.server.receive_eof()
    assert isinstance(fault, Fault) and fault.code == "ERR_HTTP2_ERROR"
    server = H2Server(head_limit=LIMIT, streams=1)
    server.start()
    assert server.receive_eof() == []
    server.receive(PREFACE[:5])
    (fault,) = server.receive_eof()
    assert isinstance(fault, Fault) and fault.tag == "bad-preface"


def test_padding_priority_and_unknown_frames_change_nothing(new_peer: NewPeer) -> None:
    peer = new_peer()
    head = HeadersFrame(1, peer.encoder.encode(POST), pad_length=9, flags=["END_HEADERS", "PADDED", "PRIORITY"])
    body = DataFrame(1, b"a", pad_length=7, flags=["PADDED", "END_STREAM"])
    said = peer.say(PriorityFrame(3), b"\0\0\1\xfa\xff\0\0\0\x09x", head, body)
    assert [type(one.part) for one in said if isinstance(one, StreamPart)] == [RequestPart, Data, End]


@pytest.mark.parametrize("body", [b"1234", b"123456"])
def test_a_body_of_another_length_than_announced(new_peer: NewPeer, body: bytes) -> None:
    peer = new_peer()
    peer.ask(1, [*POST, ("content-length", "5")], end=False)
    said = peer.say(DataFrame(1, body, flags=["END_STREAM"]))
    peer.given_up(said, 1, PROTOCOL)
    assert len(said) == (2 if len(body) < 5 else 1)


@pytest.mark.parametrize("trailers", [[(":path", "/")], [("x", "a\r\n")], [("x", "y" * LIMIT)]])
def test_malformed_trailers(new_peer: NewPeer, trailers: Pairs) -> None:
    peer = new_peer()
    peer.ask(1, POST, end=False)
    peer.given_up(peer.say(peer.head(1, trailers)), 1, PROTOCOL)


def test_a_huge_head_ends_the_connection(new_peer: NewPeer) -> None:
    peer = new_peer()
    entry = peer.encoder.encode([("x", "y" * 3000)])
    bomb = HeadersFrame(1, entry + b"\xbe" * 60, flags=["END_HEADERS"])
    peer.broken(peer.say(bomb), CALM, "header-overflow")


def test_continuations_without_end(new_peer: NewPeer) -> None:
    peer = new_peer()
    said = peer.say(HeadersFrame(1), *[ContinuationFrame(1, b"\0" * 16000)] * 5)
    peer.broken(said, CALM, "header-overflow")
    peer = new_peer()
    peer.broken(peer.say(HeadersFrame(1), *[ContinuationFrame(1)] * 100), PROTOCOL)


def test_rapid_resets(new_peer: NewPeer) -> None:
    peer = new_peer()
    said = []
    for stream in range(1, 2 * RESETS + 20, 2):
        said += peer.say(peer.head(stream, GET), RstStreamFrame(stream, CANCEL))
    fault = peer.broken(said, CALM)
    assert said.index(fault) == 3 * RESETS + 2
    assert said[2] == StreamPart(1, ResetPart(CANCEL))


def test_resets_now_and_then_are_no_attack(new_peer: NewPeer) -> None:
    peer = new_peer()
    for stream in range(1, 4 * RESETS, 2):
        head, data = peer.head(stream, POST, end=False), DataFrame(stream, b"a")
        raw = b"".join(frame.serialize() for frame in (head, *[data] * 5, RstStreamFrame(stream)))
        said = peer.server.receive(raw, stream / RESETS_A_SECOND)
        assert said[-1] == StreamPart(stream, ResetPart(NO_ERROR))


def test_resets_behind_an_answer_are_no_attack(new_peer: NewPeer) -> None:
    peer = new_peer()
    for stream in range(1, 4 * RESETS, 2):
        peer.ask(stream)
        peer.server.send_head(stream, peer.server.frame(204, "", [], None, ""), end=True)
        assert peer.say(RstStreamFrame(stream)) == []


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
def test_floods(new_peer: NewPeer, frame: Frame) -> None:
    peer = new_peer()
    peer.ask(1, POST, end=False)
    assert peer.say(*[frame] * (IDLE_FRAMES - 1)) == []
    peer.say(DataFrame(1, b"a"))
    assert peer.say(*[frame] * IDLE_FRAMES) == []
    peer.broken(peer.say(frame), CALM)


def test_sending_counts_as_progress(new_peer: NewPeer) -> None:
    peer = new_peer()
    peer.ask(1)
    peer.server.send_head(1, peer.server.frame(200, "", [], None, ""), end=False)
    for _ in range(3):
        assert peer.say(*[WindowUpdateFrame(1, 1)] * (IDLE_FRAMES - 1)) == []
        peer.server.send_data(1, b"a", end=False)


def test_settings_of_everything(new_peer: NewPeer) -> None:
    peer = new_peer()
    peer.broken(peer.say(SettingsFrame(0, settings=dict.fromkeys(range(100, 133), 1))), CALM)


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
def test_frames_that_end_the_connection(new_peer: NewPeer, make: Callable[[Any], Frame | bytes], code: int) -> None:
    peer = new_peer()
    peer.ask(1, POST, end=False)
    said = peer.say(PingFrame(0), DataFrame(1, b"good"), make(peer), DataFrame(1, b"not read"))
    assert said[0] == StreamPart(1, Data(b"good"))
    assert len(said) == 2
    peer.broken(said, code)
    assert not peer.server.is_open(1)


def test_a_stream_cannot_begin_twice(new_peer: NewPeer) -> None:
    peer = new_peer()
    peer.ask(3)
    peer.server.send_head(3, peer.server.frame(204, "", [], 0, ""), end=True)
    peer.broken(peer.say(peer.head(1, GET)), PROTOCOL)


def test_a_head_on_a_stream_that_is_over(new_peer: NewPeer) -> None:
    peer = new_peer()
    peer.ask(1)
    peer.server.send_head(1, peer.server.frame(204, "", [], 0, ""), end=True)
    peer.broken(peer.say(peer.head(1, GET)), CLOSED)


@pytest.mark.parametrize("late", [lambda peer: peer.head(1, GET), lambda peer: DataFrame(1, b"a")])
def test_more_after_the_end_of_a_request(new_peer: NewPeer, late: Callable[[Any], Frame]) -> None:
    peer = new_peer()
    peer.ask(1)
    peer.given_up(peer.say(late(peer)), 1, CLOSED)


def test_a_window_opened_by_nothing(new_peer: NewPeer) -> None:
    peer = new_peer()
    peer.ask(1)
    peer.given_up(peer.say(b"\0\0\4\x08\0\0\0\0\1" + bytes(4)), 1, PROTOCOL)


def test_a_window_opened_too_far(new_peer: NewPeer) -> None:
    peer = new_peer()
    peer.ask(1)
    peer.given_up(peer.say(WindowUpdateFrame(1, 2**31 - 1)), 1, FLOW)


def test_whatever_h2_stumbles_over_is_a_fault(new_peer: NewPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    peer = new_peer()
    monkeypatch.setattr(H2Connection, "receive_data", lambda self, data: dict[str, list[object]]()["odd"])
    fault = peer.broken(peer.say(PingFrame(0)), PROTOCOL)
    assert fault.detail == "a frame does not belong to its stream, or cannot be read (PROTOCOL_ERROR)"


def test_a_fault_of_a_stream_for_the_log() -> None:
    head = [[":method", "GET"]]
    fault = stream_fault(ResetPart(PROTOCOL, "odd", by_peer=False, raw_headers=head))
    assert (fault.code, fault.status, fault.error, fault.tag) == ("ERR_HTTP2_ERROR", 0, PROTOCOL, "")
    assert (fault.detail, fault.raw_headers) == ("odd (PROTOCOL_ERROR)", head)


def test_an_acknowledgement_has_no_settings(new_peer: NewPeer) -> None:
    peer = new_peer()
    peer.broken(peer.say(b"\0\0\6\4\1\0\0\0\0" + bytes(6)), 6)


def test_inside_a_head(new_peer: NewPeer) -> None:
    peer = new_peer()
    assert not peer.server.inside_head
    block = peer.encoder.encode(GET)
    peer.say(HeadersFrame(1, block[:1], flags=["END_STREAM"]))
    assert peer.server.inside_head
    peer.say(ContinuationFrame(1, block[1:], flags=["END_HEADERS"]))
    assert not peer.server.inside_head
