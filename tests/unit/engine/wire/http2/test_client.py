"""HTTP/2 as a client sees it: requests for a server of h2, and parts from good and bad servers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded, TrailersReceived
from hpack.hpack import Encoder
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from mockrec.engine.wire.http2.client import STREAMS_AT_FIRST, H2Client
from mockrec.engine.wire.http2.server import H2Server, StreamPart
from mockrec.engine.wire.parts import Data, End, Fault, GoAway, Interim, RequestPart, ResetPart, ResponsePart

LIMIT = 1024
PROTOCOL, REFUSED, CANCEL, CALM = 1, 7, 8, 11

Pairs = Sequence[tuple[str, str]]


class Peer:
    """A client, and a server of single frames."""

    def __init__(self, settings: dict[int, int] | None = None) -> None:
        self.client = H2Client(head_limit=LIMIT)
        self.client.start()
        self.encoder = Encoder()
        self.first = self.client.outgoing()
        assert self.say(SettingsFrame(0, settings=settings or {})) == []
        self.client.outgoing()

    def say(self, *said: Frame | bytes) -> list[StreamPart | Fault | GoAway]:
        return self.client.receive(b"".join(one if isinstance(one, bytes) else one.serialize() for one in said))

    def ask(self, method: str = "GET", *, end: bool = True) -> int:
        return self.client.request(method, "/", "https", "a.test", [], end=end)

    def head(self, stream: int, status: str, *fields: tuple[str, str], end: bool = False) -> HeadersFrame:
        flags = ["END_HEADERS", "END_STREAM"] if end else ["END_HEADERS"]
        return HeadersFrame(stream, self.encoder.encode([(":status", status), *fields]), flags=flags)

    def resets(self) -> list[tuple[int, int]]:
        raw, found = self.client.outgoing(), []
        while raw:
            frame, length = Frame.parse_frame_header(memoryview(raw[:9]))
            frame.parse_body(memoryview(raw[9 : 9 + length]))
            raw = raw[9 + length :]
            if isinstance(frame, RstStreamFrame):
                found.append((frame.stream_id, frame.error_code))
        return found


def sent(
    method: str, target: str, scheme: str, authority: str, headers: Sequence[Sequence[str]], *, end: bool = True
) -> list[tuple[bytes, bytes]]:
    """The fields that a server of h2 gets."""
    client = H2Client(head_limit=LIMIT)
    # Its own checks are on, except that it would join cookies.
    config = H2Configuration(client_side=False, normalize_inbound_headers=False)
    server = H2Connection(config)
    client.start()
    server.initiate_connection()
    assert client.request(method, target, scheme, authority, headers, end=end) == 1
    (event,) = [one for one in server.receive_data(client.outgoing()) if isinstance(one, RequestReceived)]
    assert (event.stream_ended is not None) == end
    return [(name, value) for name, value in event.headers]


# ── requests ───────────────────────────────────────────────────────────────────────────────────────


def test_the_client_begins_without_pushes() -> None:
    first = Peer().first
    assert first.startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    frame, length = Frame.parse_frame_header(memoryview(first[24:33]))
    frame.parse_body(memoryview(first[33 : 33 + length]))
    assert isinstance(frame, SettingsFrame) and frame.settings[SettingsFrame.ENABLE_PUSH] == 0


def test_a_request_is_sent_in_the_usual_order() -> None:
    headers = [("X-B", "1"), ("Cookie", "a=1"), ("x-b", " \xe9 "), ("cookie", "b"), ("Connection", "x"), ("TE", "gzip")]
    headers += [("Authorization", "Basic x"), ("Upgrade", "h2c"), ("te", "trailers"), ("Host", "a.test")]
    assert sent("GET", "/a?b", "https", "a.test", headers) == [
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":authority", b"a.test"),
        (b":path", b"/a?b"),
        (b"x-b", b"1"),
        (b"cookie", b"a=1"),
        (b"x-b", b"\xe9"),
        (b"cookie", b"b"),
        (b"authorization", b"Basic x"),
        (b"te", b"trailers"),
        (b"host", b"a.test"),
    ]


def test_pseudo_headers_that_are_given_tell_the_order_and_no_values() -> None:
    given = [[":path", "/old"], [":method", "PUT"], ["a", "b"], [":odd", "x"]]
    pseudo = [(b":path", b"/"), (b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"b")]
    assert sent("GET", "/", "http", "b", given) == [*pseudo, (b"a", b"b")]


def test_connect() -> None:
    assert sent("CONNECT", "b:1", "https", "b:1", [], end=False) == [(b":method", b"CONNECT"), (b":authority", b"b:1")]
    assert sent("CONNECT", "b:1", "", "", [], end=False)[1] == (b":authority", b"b:1")
    extended = sent("CONNECT", "/c", "https", "b", [[":protocol", "websocket"]], end=False)
    assert extended[0] == (b":protocol", b"websocket") and len(extended) == 5


def test_no_authority() -> None:
    assert (b":authority", b"") not in sent("GET", "/", "http", "", [("host", "x")])


@pytest.mark.parametrize(
    ("method", "target", "scheme", "authority", "headers"),
    [
        ("G T", "/", "http", "a", []),
        ("", "/", "http", "a", []),
        ("GET", "", "http", "a", []),
        ("GET", "/ a", "http", "a", []),
        ("GET", "/\u20ac", "http", "a", []),
        ("GET", "/", "", "a", []),
        ("GET", "/", "http", "u@a", []),
        ("GET", "/", "http", "a", [("b c", "d")]),
        ("GET", "/", "http", "a", [("b", "d\n")]),
        ("GET", "/", "http", "a", [("b", "\u20ac")]),
    ],
)
def test_what_no_head_can_hold(method: str, target: str, scheme: str, authority: str, headers: Pairs) -> None:
    peer = Peer()
    with pytest.raises(ValueError):
        peer.client.request(method, target, scheme, authority, headers, end=True)
    assert peer.client.outgoing() == b"" and peer.ask() == 1


def test_a_body_and_its_trailers() -> None:
    client, server = H2Client(head_limit=LIMIT), H2Connection(H2Configuration(client_side=False))
    client.start()
    server.initiate_connection()
    stream = client.request("POST", "/", "http", "a", [], end=False)
    client.send_data(stream, b"hello", end=False)
    client.send_end(stream, [("X-Sum", "1")])
    events = server.receive_data(client.outgoing())
    wanted = (RequestReceived, DataReceived, TrailersReceived, StreamEnded)
    assert [type(event) for event in events if isinstance(event, wanted)] == list(wanted)
    client.receive(server.data_to_send())
    assert client.window(stream) == 0 and client.is_open(stream)


# ── how many ───────────────────────────────────────────────────────────────────────────────────────


def test_the_server_s_limit() -> None:
    peer = Peer({SettingsFrame.MAX_CONCURRENT_STREAMS: 2})
    assert peer.client.max_streams == 2
    assert [peer.ask(), peer.ask()] == [1, 3] and peer.client.open_streams == 2
    assert not peer.client.can_request
    with pytest.raises(RuntimeError):
        peer.ask()
    peer.say(peer.head(1, "204", end=True))
    assert peer.ask() == 5


def test_before_the_server_has_told_its_limit() -> None:
    client = H2Client(head_limit=LIMIT)
    client.start()
    assert client.max_streams == STREAMS_AT_FIRST and client.can_request


def test_the_stream_ids_run_out() -> None:
    peer = Peer()
    peer.client._conn.highest_outbound_stream_id = 2**31 - 3
    assert peer.ask() == 2**31 - 1
    assert not peer.client.can_request


def test_a_server_that_leaves_finishes_what_it_has_begun() -> None:
    peer = Peer()
    assert [peer.ask(), peer.ask()] == [1, 3]
    said = peer.say(GoAwayFrame(0, 1, 0, b"bye"))
    assert said == [GoAway(0, 1, b"bye"), StreamPart(3, ResetPart(REFUSED, "the server is leaving"))]
    assert not peer.client.can_request and peer.client.is_open(1) and not peer.client.is_open(3)
    said = peer.say(peer.head(1, "200"), DataFrame(1, b"a", flags=["END_STREAM"]))
    assert [type(one.part) for one in said if isinstance(one, StreamPart)] == [ResponsePart, Data, End]


def test_a_client_that_closes_asks_no_more() -> None:
    peer = Peer()
    peer.ask()
    peer.client.close()
    assert not peer.client.can_request and peer.client.is_open(1)
    assert peer.say(peer.head(1, "204", end=True)) != []


# ── responses ──────────────────────────────────────────────────────────────────────────────────────


def test_a_response_is_read_as_it_was_sent() -> None:
    peer = Peer()
    peer.ask()
    fields = [("x-b", "1"), ("set-cookie", "a"), ("x-b", "2"), ("set-cookie", "b"), ("content-length", "2")]
    said = peer.say(
        peer.head(1, "103", ("link", "a")),
        peer.head(1, "100"),
        peer.head(1, "200", *fields),
        DataFrame(1, b"a"),
        DataFrame(1, b"b"),
        HeadersFrame(1, peer.encoder.encode([("x-sum", "1")]), flags=["END_HEADERS", "END_STREAM"]),
    )
    hints, go_on, head, *rest = said
    assert isinstance(hints, StreamPart) and isinstance(hints.part, Interim)
    assert hints.part.head.raw_headers == [[":status", "103"], ["link", "a"]] and hints.part.head.status == 103
    assert isinstance(go_on, StreamPart) and isinstance(go_on.part, Interim) and go_on.part.head.status == 100
    assert isinstance(head, StreamPart) and isinstance(head.part, ResponsePart)
    got = head.part.head
    assert (got.status, got.reason, got.version) == (200, "", "2.0")
    assert got.raw_headers == [[":status", "200"], *map(list, fields)]
    assert got.headers["set-cookie"] == ["a", "b"] and got.headers[":status"] == "200"
    assert rest == [StreamPart(1, Data(b"a")), StreamPart(1, Data(b"b")), StreamPart(1, End([["x-sum", "1"]]))]
    assert not peer.client.is_open(1)
    peer.client.consumed(1, 2)


@pytest.mark.parametrize(("method", "status"), [("HEAD", "200"), ("GET", "304")])
def test_a_length_of_what_does_not_come(method: str, status: str) -> None:
    peer = Peer()
    peer.ask(method)
    said = peer.say(peer.head(1, status, ("content-length", "5"), end=True))
    assert [type(one.part) for one in said if isinstance(one, StreamPart)] == [ResponsePart, End]
    peer.ask(method)
    said = peer.say(peer.head(3, status, ("content-length", "5")), DataFrame(3, b"12345"))
    assert isinstance(said[-1], StreamPart) and isinstance(said[-1].part, ResetPart)


def test_a_tunnel_has_no_length() -> None:
    peer = Peer()
    peer.client.request("CONNECT", "b:1", "", "b:1", [], end=False)
    said = peer.say(peer.head(1, "200", ("content-length", "1")), DataFrame(1, b"abc"))
    assert said[-1] == StreamPart(1, Data(b"abc"))


@pytest.mark.parametrize(
    "fields",
    [
        [("x", "y")],
        [(":status", "20")],
        [(":status", "101")],
        [(":status", "2000")],
        [(":status", "abc")],
        [(":status", "200"), (":status", "200")],
        [(":status", "200"), (":path", "/")],
        [("x", "y"), (":status", "200")],
        [(":status", "200"), ("X", "y")],
        [(":status", "200"), ("connection", "close")],
        [(":status", "200"), ("x", "a\rb")],
        [(":status", "200"), ("x", "a\0b")],
        [(":status", "200"), ("x y", "b")],
        [(":status", "200"), ("x\x7f", "b")],
        [(":status", "200 ")],
        [(":status", "200"), ("content-length", " 2")],
        [(":status", "200"), ("content-length", "2\t")],
        [(":status", "200"), ("transfer-encoding", " chunked")],
        [(":status", "200"), ("content-length", "x")],
        [(":status", "200"), ("content-length", "1"), ("content-length", "2")],
    ],
)
def test_a_malformed_response_ends_its_stream_alone(fields: Pairs) -> None:
    peer = Peer()
    peer.ask()
    (part,) = peer.say(HeadersFrame(1, peer.encoder.encode(fields), flags=["END_HEADERS"]))
    assert isinstance(part, StreamPart) and isinstance(part.part, ResetPart)
    assert (part.part.code, part.part.by_peer) == (PROTOCOL, False) and part.part.reason
    assert peer.resets() == [(1, PROTOCOL)]
    peer.ask()
    assert len(peer.say(peer.head(3, "204", end=True))) == 2


@pytest.mark.parametrize(
    ("name", "value", "repaired", "kind"),
    [
        ("content-security-policy", "frame-ancestors 'none' ", "frame-ancestors 'none'", "padded-value"),
        ("x", " a", "a", "padded-value"),
        ("x", "\ta b\t", "a b", "padded-value"),
        ("x", " ", "", "padded-value"),
        ("x", "a\x01b", "a\x01b", "control-character"),
        ("x@y", "a", "a", "odd-name"),
        ("get-ban/forum.php", "a", "a", "odd-name"),
    ],
)
def test_what_is_odd_in_a_response_is_repaired_and_named(name: str, value: str, repaired: str, kind: str) -> None:
    peer = Peer()
    peer.ask()
    said = peer.say(
        peer.head(1, "200", ("a", "b"), (name, value)),
        HeadersFrame(1, peer.encoder.encode([(name, value)]), flags=["END_HEADERS", "END_STREAM"]),
    )
    head, end = said
    assert isinstance(head, StreamPart) and isinstance(head.part, ResponsePart)
    got = head.part.head
    assert got.raw_headers == [[":status", "200"], ["a", "b"], [name, repaired]]
    assert got.odd == (kind,)
    assert got.raw == f":status: 200\r\na: b\r\n{name}: {value}\r\n".encode("latin-1")
    assert end == StreamPart(1, End([[name, repaired]], odd=(kind,)))


@pytest.mark.parametrize("body", [b"", b"1", b"123"])
def test_a_body_of_another_length_than_announced(body: bytes) -> None:
    peer = Peer()
    peer.ask()
    said = peer.say(peer.head(1, "200", ("content-length", "2")), DataFrame(1, body, flags=["END_STREAM"]))
    assert isinstance(said[-1], StreamPart) and isinstance(said[-1].part, ResetPart)
    assert not peer.client.is_open(1)
    assert peer.client.can_request and peer.ask() == 3


def test_equal_lengths_count_as_one() -> None:
    peer = Peer()
    peer.ask()
    length = ("content-length", "1")
    said = peer.say(peer.head(1, "200", length, length), DataFrame(1, b"a", flags=["END_STREAM"]))
    assert said[-1] == StreamPart(1, End())


def test_a_head_that_is_too_large_ends_its_stream() -> None:
    peer = Peer()
    peer.ask()
    (part,) = peer.say(peer.head(1, "200", ("x", "y" * LIMIT)))
    assert isinstance(part, StreamPart) and isinstance(part.part, Fault)
    assert (part.part.code, part.part.tag) == ("HPE_HEADER_OVERFLOW", "header-overflow")
    assert peer.resets() == [(1, CANCEL)] and not peer.client.is_open(1)


def test_a_reset() -> None:
    peer = Peer()
    peer.ask()
    assert peer.say(RstStreamFrame(1, REFUSED)) == [StreamPart(1, ResetPart(REFUSED))]
    assert not peer.client.is_open(1) and peer.client.can_request


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (PushPromiseFrame(1, 2, b"\x82\x87\x84", flags=["END_HEADERS"]), PROTOCOL),
        (DataFrame(1, b"a"), PROTOCOL),
        (HeadersFrame(2, b"\x88", flags=["END_HEADERS"]), PROTOCOL),
        (HeadersFrame(9, b"\x88", flags=["END_HEADERS"]), PROTOCOL),
        (RstStreamFrame(9), PROTOCOL),
        (HeadersFrame(1, b"\x88" * 20_000, flags=["END_HEADERS"]), 6),
        (HeadersFrame(1, b"\x88" * 10_000, flags=["END_HEADERS"]), CALM),
    ],
)
def test_what_ends_the_connection(frame: Frame, code: int) -> None:
    peer = Peer()
    peer.ask()
    said = peer.say(frame, PingFrame(0))
    (fault,) = said
    assert isinstance(fault, Fault) and (fault.code, fault.error, fault.status) == ("ERR_HTTP2_ERROR", code, 0)
    assert not peer.client.can_request and not peer.client.is_open(1)
    notice = peer.client.outgoing()[-17:]
    assert notice[3] == 7 and notice[-4:] == code.to_bytes(4, "big")


def test_a_server_that_is_none() -> None:
    client = H2Client(head_limit=LIMIT)
    client.start()
    (fault,) = client.receive(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert isinstance(fault, Fault) and fault.code == "ERR_HTTP2_ERROR"


def test_the_end_of_the_connection_ends_every_stream() -> None:
    peer = Peer()
    peer.ask()
    peer.ask(end=False)
    assert [part.stream for part in peer.client.receive_eof() if isinstance(part, StreamPart)] == [1, 3]
    assert peer.client.open_streams == 0


# ── with our own server ────────────────────────────────────────────────────────────────────────────


def test_client_and_server_understand_each_other() -> None:
    client, server = H2Client(head_limit=LIMIT), H2Server(head_limit=LIMIT, streams=3)
    client.start()
    server.start()
    client.receive(server.outgoing())
    stream = client.request("POST", "/a", "https", "a.test", [("X", "y")], end=False)
    client.send_data(stream, b"a" * 70_000 if client.window(stream) >= 70_000 else b"a" * 10, end=True)
    said = server.receive(client.outgoing())
    assert isinstance(said[0], StreamPart) and isinstance(said[0].part, RequestPart)
    pseudo = [[":method", "POST"], [":scheme", "https"], [":authority", "a.test"], [":path", "/a"]]
    assert said[0].part.head.raw_headers == [*pseudo, ["x", "y"]]
    assert client.max_streams == 3
    head = server.frame(200, "OK", [("A", "b")], None, "")
    server.send_interim(stream, 100, [])
    server.send_head(stream, head, end=False)
    server.send_end(stream, [("t", "u")])
    client.receive(WindowUpdateFrame(0, 1).serialize())
    interim, response, end = client.receive(server.outgoing())
    assert isinstance(interim, StreamPart) and isinstance(interim.part, Interim)
    assert isinstance(response, StreamPart) and isinstance(response.part, ResponsePart)
    assert response.part.head == head and end == StreamPart(stream, End([["t", "u"]]))
    assert not client.is_open(stream) and not server.is_open(stream)
