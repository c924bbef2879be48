"""Streams that bypass h2: the client sees what it would see on any stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived
from h2.exceptions import ProtocolError
from hpack.hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    HeadersFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from mockrec.engine.wire.http2.fast_path import introduce
from mockrec.engine.wire.http2.hpack import FieldDecoder
from mockrec.engine.wire.http2.server import StreamPart
from mockrec.engine.wire.parts import End, ResetPart, ResponseHead

NewPeer = Callable[..., Any]
Pairs = Sequence[tuple[str, str]]

GET = [(":method", "GET"), (":scheme", "https"), (":authority", "a.test"), (":path", "/")]


@pytest.fixture
def peer(new_peer: NewPeer) -> Any:
    """A connection that has carried one request, so that h2 has seen one."""
    made = new_peer(streams=3)
    made.ask(1)
    made.server.send_head(1, answer(made, 204), end=True)
    (head,) = made.heard()
    made.fields(head)  # for the table
    return made


def answer(peer: Any, status: int = 200, headers: Pairs = (), length: int | None = None) -> ResponseHead:
    head: ResponseHead = peer.server.frame(status, "", headers, length, "now")
    return head


def test_the_first_request_is_for_h2(new_peer: NewPeer) -> None:
    peer = new_peer()
    peer.ask(1)
    assert not peer.server.send_whole(1, answer(peer), b"ok")
    assert peer.server.is_open(1)


def test_a_whole_answer(peer: Any) -> None:
    peer.ask(3)
    assert peer.server.send_whole(3, answer(peer, 200, [("x-a", "1")], 2), b"ok")
    assert not peer.server.is_open(3)
    head, body = peer.heard()
    assert peer.fields(head) == [(":status", "200"), ("x-a", "1"), ("date", "now"), ("content-length", "2")]
    assert (head.stream_id, "END_STREAM" in head.flags) == (3, False)
    assert isinstance(body, DataFrame)
    assert (body.stream_id, body.data, "END_STREAM" in body.flags) == (3, b"ok", True)


def test_an_answer_without_a_body(peer: Any) -> None:
    peer.ask(3)
    assert peer.server.send_whole(3, answer(peer, 204), b"")
    (head,) = peer.heard()
    assert "END_STREAM" in head.flags
    assert peer.fields(head) == [(":status", "204"), ("date", "now")]


def test_many_at_once_keep_their_order_and_the_table_of_fields(peer: Any) -> None:
    for stream in (3, 5, 7):
        peer.ask(stream, [*GET, ("x-n", str(stream))])
    for stream in (7, 3):
        assert peer.server.send_whole(stream, answer(peer, 200, [("x-n", str(stream))]), b"")
    peer.server.send_head(5, answer(peer, 200, [("x-n", "5")]), end=True)
    sent = [(frame.stream_id, dict(peer.fields(frame))["x-n"]) for frame in peer.heard()]
    assert sent == [(7, "7"), (3, "3"), (5, "5")]


def test_a_body_larger_than_the_windows_is_for_h2(new_peer: NewPeer) -> None:
    peer = new_peer(settings={SettingsFrame.INITIAL_WINDOW_SIZE: 10})
    peer.ask(1)
    peer.server.send_head(1, answer(peer), end=True)
    peer.ask(3)
    assert not peer.server.send_whole(3, answer(peer), bytes(11))
    assert peer.server.window(3) == 10
    peer.ask(5)
    assert peer.server.send_whole(5, answer(peer), bytes(10))


def test_what_is_sent_counts_against_the_window_of_the_connection(peer: Any) -> None:
    for stream in range(3, 11, 2):
        peer.ask(stream)
        assert peer.server.send_whole(stream, answer(peer), bytes(16000))
    peer.ask(11)
    assert not peer.server.send_whole(11, answer(peer), bytes(16000))
    assert peer.server.window(11) == 65535 - 4 * 16000
    peer.say(WindowUpdateFrame(0, window_increment=1000))
    assert peer.server.window(11) == 65535 - 4 * 16000 + 1000


def test_a_body_larger_than_a_frame_is_for_h2(peer: Any) -> None:
    peer.ask(3)
    assert not peer.server.send_whole(3, answer(peer), bytes(16385))
    peer.server.send_head(3, answer(peer), end=False)
    peer.server.send_data(3, bytes(16385), end=True)
    assert [len(frame.data) for frame in peer.heard() if isinstance(frame, DataFrame)] == [16384, 1]


def test_a_huge_head_goes_on_in_continuations(peer: Any) -> None:
    peer.ask(3)
    headers = [(f"x-{number}", "y" * 4000) for number in range(10)]
    assert peer.server.send_whole(3, answer(peer, 200, headers), b"z")
    head, *more, data = peer.heard()
    assert isinstance(head, HeadersFrame) and isinstance(data, DataFrame)
    assert all(isinstance(frame, ContinuationFrame) for frame in more)
    assert ["END_HEADERS" in frame.flags for frame in (head, *more)] == [False] * len(more) + [True]
    fields = peer.decoder.decode(b"".join(frame.data for frame in (head, *more)), raw=True)
    assert len(fields) == 12


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        (RstStreamFrame(3, error_code=8), [StreamPart(3, ResetPart(8, "", by_peer=True))]),
        (WindowUpdateFrame(3, window_increment=5), []),
        (PriorityFrame(3, depends_on=1), []),
    ],
)
def test_whatever_else_happens_on_the_stream_is_for_h2(peer: Any, said: Any, heard: list[object]) -> None:
    peer.ask(3)
    peer.ask(5)
    assert peer.say(said) == heard
    assert not peer.server.send_whole(3, answer(peer), b"ok")
    assert peer.server.is_open(3) is (heard == [])
    assert peer.server.send_whole(5, answer(peer), b"ok")


def test_data_on_a_stream_that_has_ended_is_a_fault_of_the_stream(peer: Any) -> None:
    peer.ask(3)
    parts = peer.say(DataFrame(3, b"x"))
    assert [part.part.code for part in parts if isinstance(part, StreamPart)] == [5]  # STREAM_CLOSED


@pytest.mark.parametrize("said", [WindowUpdateFrame(3, window_increment=5), RstStreamFrame(3, error_code=8)])
def test_late_frames_for_a_stream_that_is_over(peer: Any, said: Any) -> None:
    peer.ask(3)
    assert peer.server.send_whole(3, answer(peer), b"ok")
    peer.heard()
    assert peer.say(said) == []
    peer.ask(5)


def test_streams_must_grow(peer: Any) -> None:
    peer.ask(5)
    assert peer.server.send_whole(5, answer(peer), b"ok")
    peer.heard()
    peer.broken(peer.say(peer.head(3, GET)), 1)  # RFC 9113, 5.1.1


def test_an_answer_that_is_not_whole_after_all(peer: Any) -> None:
    peer.ask(3)
    peer.ask(5)
    peer.server.send_head(3, answer(peer), end=False)
    peer.server.send_data(3, b"ok", end=False)
    peer.server.send_end(3, [("x-sum", "1")])
    peer.server.reset(5, 2)
    head, data, trailers, reset = peer.heard()
    assert dict(peer.fields(head))[":status"] == "200"
    assert data.data == b"ok"
    assert peer.fields(trailers) == [("x-sum", "1")]
    assert isinstance(reset, RstStreamFrame) and (reset.stream_id, reset.error_code) == (5, 2)
    assert not peer.server.is_open(3)


def test_a_broken_head(peer: Any) -> None:
    peer.broken(peer.say(HeadersFrame(3, b"\xbf\xff\xff\xff\xff\xff", flags=["END_HEADERS", "END_STREAM"])), 9)


def test_a_malformed_head_is_a_fault_of_the_stream(peer: Any) -> None:
    parts = peer.say(peer.head(3, [(":method", "GET")]))
    assert [part.part.code for part in parts] == [1]
    assert peer.resets() == [(3, 1)]
    assert [part.part for part in peer.say(peer.head(5, GET))][1] == End()


def test_after_goodbye_nothing_begins(peer: Any) -> None:
    peer.server.close()
    peer.heard()
    (refused,) = peer.say(peer.head(3, GET))
    assert (refused.part.code, refused.part.reason) == (7, "the connection is being closed")


# ── a field block that is not complete ─────────────────────────────────────────────────────────────


def test_a_stream_may_leave_the_fast_path_while_the_head_of_another_is_incomplete(peer: Any) -> None:
    peer.ask(3)
    block = peer.encoder.encode(GET)
    assert peer.say(HeadersFrame(5, block[:2], flags=["END_STREAM"])) == []
    peer.server.send_head(3, answer(peer), end=False)
    peer.server.send_data(3, b"ok", end=True)
    assert [frame.stream_id for frame in peer.heard()] == [3, 3]
    assert [part.stream for part in peer.say(ContinuationFrame(5, block[2:], flags=["END_HEADERS"]))] == [5, 5]


def test_a_frame_inside_the_head_of_another_stream_is_a_fault(peer: Any) -> None:
    peer.ask(3)
    assert peer.say(HeadersFrame(5, peer.encoder.encode(GET)[:2], flags=["END_STREAM"])) == []
    peer.broken(peer.say(WindowUpdateFrame(3, window_increment=5)), 1)  # RFC 9113, 6.10


# ── h2 as it is installed ──────────────────────────────────────────────────────────────────────────


@pytest.fixture
def h2_server() -> H2Connection:
    """h2 as the codec configures it, after requests on streams 1 and 9."""
    config = H2Configuration(client_side=False, validate_inbound_headers=False, normalize_inbound_headers=False)
    made = H2Connection(config)
    made.decoder = FieldDecoder(1000, shown=0)
    made.initiate_connection()
    made.receive_data(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SettingsFrame(0).serialize())
    encoder = Encoder()
    for stream in (1, 9):
        head = HeadersFrame(stream, encoder.encode(GET), flags=["END_HEADERS", "END_STREAM"])
        made.receive_data(head.serialize())
    made.data_to_send()
    return made


def test_h2_goes_on_with_a_stream_that_it_is_introduced_to(h2_server: H2Connection) -> None:
    buffer = h2_server.incoming_buffer
    introduce(h2_server, 5)
    assert (h2_server.highest_inbound_stream_id, h2_server.incoming_buffer) == (9, buffer)
    h2_server.send_headers(5, [(":status", "200")], end_stream=True)
    assert h2_server.data_to_send()
    (began,) = [
        event
        for event in h2_server.receive_data(HeadersFrame(11, b"", flags=["END_HEADERS", "END_STREAM"]).serialize())
        if isinstance(event, RequestReceived)
    ]
    assert began.stream_id == 11


def test_h2_is_as_before_where_it_refuses_the_introduction(h2_server: H2Connection) -> None:
    h2_server.close_connection()
    buffer = h2_server.incoming_buffer
    with pytest.raises(ProtocolError):
        introduce(h2_server, 5)
    assert (h2_server.highest_inbound_stream_id, h2_server.incoming_buffer) == (9, buffer)
