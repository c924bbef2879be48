"""HTTP/2 as a server sees it: requests of all kinds, and what goes back for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, InformationalResponseReceived, ResponseReceived, TrailersReceived
from hpack.hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    HeadersFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from mockrec.engine.wire.http2.server import H2Server, StreamPart
from mockrec.engine.wire.http2.streams import CONNECTION_WINDOW, STREAM_WINDOW
from mockrec.engine.wire.parts import Data, End, Fault, RequestPart, ResetPart

Pairs = Sequence[tuple[str, str]]
NewPeer = Callable[..., Any]

LIMIT = 1024
PROTOCOL, CLOSED, REFUSED, CANCEL = 1, 5, 7, 8
GET = [(":method", "GET"), (":scheme", "https"), (":authority", "a.test"), (":path", "/")]
POST = [(":method", "POST"), *GET[1:]]


def test_the_server_begins_with_its_settings_and_a_window(new_peer: NewPeer) -> None:
    settings, window = new_peer(streams=7).first
    assert isinstance(settings, SettingsFrame) and isinstance(window, WindowUpdateFrame)
    wanted = {SettingsFrame.MAX_CONCURRENT_STREAMS: 7, SettingsFrame.MAX_HEADER_LIST_SIZE: LIMIT}
    wanted |= {SettingsFrame.ENABLE_CONNECT_PROTOCOL: 1, SettingsFrame.INITIAL_WINDOW_SIZE: STREAM_WINDOW}
    assert settings.settings.items() >= wanted.items()
    assert window.window_increment == CONNECTION_WINDOW - 65535


def test_a_request_is_read_as_it_was_sent(new_peer: NewPeer) -> None:
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
    head = new_peer().ask(1, fields)
    assert (head.method, head.target, head.version) == ("GET", "/a?b", "2.0")
    assert head.raw_headers == [list(pair) for pair in fields]
    assert head.headers[":authority"] == "a.test:1" and head.headers["cookie"] == "a=1; b=2"
    assert head.headers["x-b"] == "1, " and head.headers["user-agent"] == "x, y"
    assert (head.content_length, head.has_body, head.upgrade, head.keep_alive) == (None, False, "", True)


def test_values_are_latin_1(new_peer: NewPeer) -> None:
    peer = new_peer()
    peer.encoder = Encoder()
    block = peer.encoder.encode([(name.encode(), value.encode()) for name, value in GET] + [(b"x", b"\xe9\xff\t\x80")])
    first, _ = peer.say(HeadersFrame(1, block, flags=["END_HEADERS", "END_STREAM"]))
    assert isinstance(first, StreamPart) and isinstance(first.part, RequestPart)
    assert first.part.head.headers["x"] == "\xe9\xff\t\x80"


def test_a_body_and_its_trailers(new_peer: NewPeer) -> None:
    peer = new_peer()
    head = peer.ask(1, [*POST, ("content-length", "5"), ("expect", "100-continue")], end=False)
    assert (head.content_length, head.has_body, head.expects_continue) == (5, True, True)
    said = peer.say(DataFrame(1, b"ab"), DataFrame(1, b"cde"), peer.head(1, [("x-sum", "1"), ("x-sum", "2")]))
    trailers = [["x-sum", "1"], ["x-sum", "2"]]
    assert said == [StreamPart(1, Data(b"ab")), StreamPart(1, Data(b"cde")), StreamPart(1, End(trailers))]


def test_the_end_of_a_body_in_its_last_data(new_peer: NewPeer) -> None:
    peer = new_peer()
    peer.ask(1, POST, end=False)
    said = peer.say(DataFrame(1, b"a"), DataFrame(1), DataFrame(1, b"b", flags=["END_STREAM"]))
    assert said == [StreamPart(1, Data(b"a")), StreamPart(1, Data(b"b")), StreamPart(1, End())]


def test_connect(new_peer: NewPeer) -> None:
    peer = new_peer()
    head = peer.ask(1, [(":method", "CONNECT"), (":authority", "b.test:443"), ("content-length", "0")], end=False)
    assert (head.method, head.target, head.upgrade, head.content_length) == ("CONNECT", "b.test:443", "", None)
    head = peer.ask(3, [(":method", "CONNECT"), (":protocol", "websocket"), *GET[1:3], (":path", "/chat")], end=False)
    assert (head.method, head.target, head.upgrade) == ("CONNECT", "/chat", "websocket")


def test_a_head_in_many_frames(new_peer: NewPeer) -> None:
    peer = new_peer()
    block = peer.encoder.encode([*GET, ("x", "y" * 500)])
    pieces = [HeadersFrame(1, block[:1], flags=["END_STREAM"])]
    rest = [ContinuationFrame(1, block[at : at + 100]) for at in range(1, len(block), 100)]
    rest[-1].flags.add("END_HEADERS")
    first, end = peer.say(*pieces, *rest)
    assert isinstance(first, StreamPart) and isinstance(first.part, RequestPart)
    assert first.part.head.headers["x"] == "y" * 500 and end == StreamPart(1, End())


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
        [*GET[:3], (":path", "/\x85")],
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
def test_a_malformed_request_ends_its_stream_alone(new_peer: NewPeer, fields: Pairs) -> None:
    peer = new_peer()
    head = peer.head(1, fields)
    head.data = head.data or b"\x20"
    peer.given_up(peer.say(head), 1, PROTOCOL)


def test_a_status_among_the_fields_of_a_request_ends_its_stream_alone(new_peer: NewPeer) -> None:
    peer = new_peer()
    peer.given_up(peer.say(peer.head(1, [(":status", "100"), *GET], end=False)), 1, PROTOCOL)


def test_options_of_everything(new_peer: NewPeer) -> None:
    assert new_peer().ask(1, [(":method", "OPTIONS"), *GET[1:3], (":path", "*")]).target == "*"


def test_a_stream_too_many_is_refused_and_the_others_go_on(new_peer: NewPeer) -> None:
    peer = new_peer(streams=2)
    peer.ask(1)
    peer.ask(3)
    refused = StreamPart(
        5, ResetPart(REFUSED, "too many streams at once", by_peer=False, raw_headers=[list(pair) for pair in GET])
    )
    assert peer.say(peer.head(5, GET)) == [refused]
    peer.server.send_head(1, peer.server.frame(204, "", [], 0, ""), end=True)
    peer.ask(7)
    assert peer.resets() == [(5, REFUSED)]


def test_a_head_that_is_too_large_can_be_answered(new_peer: NewPeer) -> None:
    peer = new_peer()
    (part,) = peer.say(peer.head(1, [*POST, ("x", "y" * LIMIT)], end=False))
    assert isinstance(part, StreamPart) and isinstance(part.part, Fault)
    assert (part.part.code, part.part.status, part.part.tag) == ("HPE_HEADER_OVERFLOW", 431, "header-overflow")
    assert peer.say(DataFrame(1, b"ignored", flags=["END_STREAM"])) == []
    peer.server.send_head(1, peer.server.frame(431, "", [], 0, ""), end=True)
    (answer,) = peer.heard()
    assert (":status", "431") in peer.fields(answer)
    peer.ask(3)


def pairs(event: InformationalResponseReceived | ResponseReceived | TrailersReceived) -> list[tuple[object, object]]:
    return [(name, value) for name, value in event.headers]


def test_an_answer_with_everything_reaches_a_client_of_h2() -> None:
    client = H2Connection(H2Configuration(client_side=True, header_encoding="latin-1"))
    server = H2Server(head_limit=LIMIT, streams=5)
    client.initiate_connection()
    server.start()
    client.send_headers(1, GET, end_stream=True)
    assert [type(part.part) for part in server.receive(client.data_to_send()) if isinstance(part, StreamPart)] == [
        RequestPart,
        End,
    ]
    server.send_interim(1, 103, [("Link", "</a>")])
    server.send_head(1, server.frame(200, "", [("X", "\xe9")], 5, "now"), end=False)
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


@pytest.mark.parametrize("status", [101, 99, 200])
def test_what_is_no_interim_answer(new_peer: NewPeer, status: int) -> None:
    peer = new_peer()
    peer.ask(1)
    with pytest.raises(ValueError):
        peer.server.send_interim(1, status, [])


def test_an_answer_for_nobody_goes_nowhere(new_peer: NewPeer) -> None:
    peer = new_peer()
    server = peer.server
    peer.ask(1)
    peer.say(RstStreamFrame(1, CANCEL))
    server.send_interim(1, 100, [])
    server.send_head(1, server.frame(200, "", [], None, ""), end=False)
    server.send_data(1, b"a", end=False)
    server.send_end(1)
    server.reset(1, CANCEL)
    assert server.outgoing() == b"" and server.window(1) == 0


def test_trailers_that_do_not_end_the_stream(new_peer: NewPeer) -> None:
    peer = new_peer()
    peer.ask(1, POST, end=False)
    said = peer.say(peer.head(1, [("x-sum", "1")], end=False))
    assert peer.given_up(said, 1, PROTOCOL).reason == "the trailers do not end the stream"


@pytest.mark.parametrize("late", [lambda peer: DataFrame(1, b"a"), lambda peer: peer.head(1, GET)])
def test_more_on_a_stream_that_the_client_has_reset_is_told_once(
    new_peer: NewPeer, late: Callable[[Any], Frame]
) -> None:
    peer = new_peer()
    peer.ask(1, POST, end=False)
    peer.say(RstStreamFrame(1, CANCEL))
    reset = ResetPart(CLOSED, "a frame after the end of a stream", by_peer=False)
    assert peer.say(late(peer)) == [StreamPart(1, reset)]
    assert peer.say(late(peer)) == []
    assert peer.resets() == [(1, CLOSED)] * 2
    peer.ask(3)


def test_more_on_a_stream_that_was_given_up_is_no_fault(new_peer: NewPeer) -> None:
    peer = new_peer()
    peer.ask(1, POST, end=False)
    peer.server.reset(1, CANCEL)
    assert peer.say(DataFrame(1, b"a"), peer.head(1, [("x", "y")])) == []
    peer.ask(3)
