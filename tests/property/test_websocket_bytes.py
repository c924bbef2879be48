"""WebSocket bytes, cut anywhere: what was said arrives, with every agreement, and garbage ends in a fault.

What is said is told by one of our ends to the other, and by wsproto's `WSConnection` to ours and back, from the
handshake on.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wsproto import ConnectionType, WSConnection
from wsproto import events as theirs
from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import CloseReason

from mockrec.engine.wire.http1.request_head import read_head
from mockrec.engine.wire.parts import RequestHead, header_table
from mockrec.engine.wire.websocket.connection import CloseFrame, Fragment, Ping, Pong, Side, WebSocket, WsFault, WsPart
from mockrec.engine.wire.websocket.handshake import (
    Deflate,
    accept_headers,
    agreed,
    check_upgrade,
    negotiate,
    offered_protocols,
)

ORDINARY = settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
LIMIT = 1 << 20


@dataclass(frozen=True)
class Message:
    """A message in frames, with a ping before some of them."""

    pieces: tuple[bytes, ...]
    is_binary: bool
    pings: tuple[int, ...] = ()


Said = Message | Ping | Pong | CloseFrame
Heard = tuple[bytes, bool] | Ping | Pong | CloseFrame | WsFault


def pieces(raw: bytes, cuts: list[int]) -> list[bytes]:
    bounds = [0, *sorted(cut % (len(raw) + 1) for cut in cuts), len(raw)]
    return [raw[start:stop] for start, stop in pairwise(bounds)]


def said_by(ws: WebSocket, said: Said) -> bytes:
    if isinstance(said, Ping):
        return ws.send_ping(said.data)
    if isinstance(said, Pong):
        return ws.send_pong(said.data)
    if isinstance(said, CloseFrame):
        return ws.send_close(said.code, said.reason)
    if len(said.pieces) == 1:
        return ws.send_message(said.pieces[0], is_binary=said.is_binary)
    sent, last = b"", len(said.pieces) - 1
    for number, piece in enumerate(said.pieces):
        if number in said.pings:
            sent += ws.send_ping(piece[:10])
        sent += ws.send_fragment(piece, is_binary=said.is_binary, starts=number == 0, ends=number == last)
    return sent


def as_heard(said: Said) -> list[Heard]:
    if not isinstance(said, Message):
        return [said]
    inside = range(len(said.pieces)) if len(said.pieces) > 1 else ()
    pings: list[Heard] = [Ping(said.pieces[number][:10]) for number in inside if number in said.pings]
    return [*pings, (b"".join(said.pieces), said.is_binary)]


def heard(parts: list[WsPart]) -> tuple[list[Heard], bytes]:
    """The parts with the fragments of a message joined where it ends, and what there is of the last message."""
    told: list[Heard] = []
    data, is_binary = b"", None
    for number, part in enumerate(parts):
        if isinstance(part, Fragment):
            assert part.starts is (is_binary is None)
            assert part.is_binary is is_binary or part.starts
            assert part.data or part.starts or part.ends
            data, is_binary = data + part.data, part.is_binary
            if part.ends:
                told.append((data, is_binary))
                data, is_binary = b"", None
        else:
            told.append(part)
            assert not isinstance(part, CloseFrame | WsFault) or number == len(parts) - 1, "something follows the end"
    return told, data


def received(ws: WebSocket, raw: list[bytes]) -> list[WsPart]:
    return [part for piece in raw for part in ws.receive(piece)]


TEXTS = st.one_of(st.text(max_size=40), st.sampled_from(["hello", "{}", '{"id": 1}' * 20, "é€😀" * 300]))
BLOBS = st.one_of(
    st.binary(max_size=40), st.integers(0, 70_000).map(bytes), st.binary(max_size=50).map(lambda data: data * 99)
)
CUTS = st.lists(st.integers(0, 100_000), max_size=12)
INSIDE = st.lists(st.integers(0, 100_000), max_size=4)
CONTROL = st.binary(max_size=125)


def message(data: bytes, cuts: list[int], is_binary: bool, pings: list[int]) -> Message:
    return Message(tuple(pieces(data, cuts)), is_binary, tuple(pings))


PINGS = st.lists(st.integers(0, 5), max_size=2)
MESSAGES = st.one_of(
    st.builds(message, TEXTS.map(str.encode), INSIDE, st.just(False), PINGS),
    st.builds(message, BLOBS, INSIDE, st.just(True), PINGS),
    st.builds(message, TEXTS.map(str.encode), st.just([]), st.booleans(), st.just([])),
)
CLOSES = st.one_of(
    st.just(CloseFrame(None, "")),
    st.builds(CloseFrame, st.sampled_from([1000, 1001, 1011, 1014, 3000, 4999]), st.text(max_size=30)),
)
TALK: st.SearchStrategy[list[Said]] = st.lists(
    st.one_of(MESSAGES, MESSAGES, st.builds(Ping, CONTROL), st.builds(Pong, CONTROL)), max_size=6
)
DEFLATES = st.one_of(
    st.none(), st.builds(Deflate, st.booleans(), st.booleans(), st.integers(8, 15), st.integers(8, 15))
)
SIDES: st.SearchStrategy[Side] = st.sampled_from(["server", "client"])


def other(side: Side) -> Side:
    return "client" if side == "server" else "server"


# ── our ends ───────────────────────────────────────────────────────────────────────────────────────


@ORDINARY
@given(SIDES, DEFLATES, st.lists(st.tuples(TALK, TALK, CUTS, CUTS), max_size=3), CLOSES)
def test_a_conversation_arrives_as_it_was_said(
    side: Side,
    deflate: Deflate | None,
    turns: list[tuple[list[Said], list[Said], list[int], list[int]]],
    close: CloseFrame,
) -> None:
    one = WebSocket(side, deflate=deflate, message_limit=LIMIT)
    two = WebSocket(other(side), deflate=deflate, message_limit=LIMIT)
    turns = [*turns, ([close], [close], [1], [1])]
    for saying, answering, cuts, back_cuts in turns:
        for speaker, listener, talk, at in ((one, two, saying, cuts), (two, one, answering, back_cuts)):
            raw = b"".join(said_by(speaker, said) for said in talk)
            told, rest = heard(received(listener, pieces(raw, at)))
            assert told == [part for said in talk for part in as_heard(said)]
            assert rest == b""
    assert one.close_sent and one.close_received and two.close_sent and two.close_received


@ORDINARY
@given(SIDES, DEFLATES, TALK, CUTS)
def test_one_byte_at_a_time_is_the_same(side: Side, deflate: Deflate | None, talk: list[Said], cuts: list[int]) -> None:
    speaker = WebSocket(side, deflate=deflate, message_limit=LIMIT)
    raw = b"".join(said_by(speaker, said) for said in talk)[:3000]
    answers = [
        heard(received(WebSocket(other(side), deflate=deflate, message_limit=LIMIT), cut))
        for cut in ([raw], pieces(raw, cuts), [raw[at : at + 1] for at in range(len(raw))])
    ]
    # Where the bytes stop inside a compressed message, zlib may hold back what it has read.
    assert answers[0][0] == answers[1][0] == answers[2][0]
    assert deflate is not None or answers[0] == answers[1] == answers[2]


# ── garbage ────────────────────────────────────────────────────────────────────────────────────────


@st.composite
def damaged(draw: st.DrawFn, speaking: Side, deflate: Deflate | None) -> bytes:
    """A good talk, a few bytes of it replaced or taken out, and something behind it."""
    speaker = WebSocket(speaking, deflate=deflate, message_limit=LIMIT)
    raw = bytearray(b"".join(said_by(speaker, said) for said in draw(TALK))[:2000])
    for _ in range(draw(st.integers(0, 3))):
        if raw:
            at = draw(st.integers(0, len(raw) - 1))
            raw[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return bytes(raw) + draw(st.binary(max_size=20))


@settings(ORDINARY, max_examples=600)
@given(st.data(), SIDES, DEFLATES, st.sampled_from([0, 5, 125, 1000, LIMIT]), st.booleans(), CUTS)
def test_any_bytes_give_parts_or_a_fault_and_the_same_in_any_cut(
    data: st.DataObject, side: Side, deflate: Deflate | None, limit: int, check_text: bool, cuts: list[int]
) -> None:
    raw = data.draw(st.one_of(damaged(other(side), deflate), st.binary(max_size=60)))
    answers = []
    for cut in ([raw], pieces(raw, cuts), [raw[at : at + 1] for at in range(len(raw))]):
        ws = WebSocket(side, deflate=deflate, message_limit=limit, check_text=check_text)
        parts = received(ws, cut)
        told, rest = heard(parts)
        assert all(len(each[0]) <= limit for each in told if isinstance(each, tuple))
        assert len(rest) <= limit
        if told and isinstance(told[-1], CloseFrame | WsFault):
            assert ws.close_received is isinstance(told[-1], CloseFrame)
            assert ws.receive(raw) == []
        if told and isinstance(told[-1], WsFault):
            assert told[-1].code in (1002, 1007, 1009)
        # What a message is compressed in may be damaged, inflate to too much, and to bad text: which of these comes
        # first depends on what zlib had given by then, that there is a fault does not.
        either = (1007, 1009) if deflate is not None else ()
        codes = [part.code for part in told if isinstance(part, WsFault)]
        answers.append((told[: len(told) - len(codes)], ["either" if code in either else code for code in codes]))
    assert answers[0] == answers[1] == answers[2]


# ── wsproto as the peer ────────────────────────────────────────────────────────────────────────────


def told_by_wsproto(peer: WSConnection, raw: list[bytes]) -> list[Heard]:
    """What wsproto hears, joined as `heard` does it."""
    told: list[Heard] = []
    data = b""
    for piece in raw:
        peer.receive_data(piece)
        for event in peer.events():
            if isinstance(event, theirs.TextMessage | theirs.BytesMessage):
                data += event.data.encode() if isinstance(event, theirs.TextMessage) else event.data
                if event.message_finished:
                    told.append((data, isinstance(event, theirs.BytesMessage)))
                    data = b""
            elif isinstance(event, theirs.Ping):
                told.append(Ping(bytes(event.payload)))
            elif isinstance(event, theirs.Pong):
                told.append(Pong(bytes(event.payload)))
            elif isinstance(event, theirs.CloseConnection):
                told.append(CloseFrame(None if event.code == 1005 else int(event.code), event.reason or ""))
    return told


def said_by_wsproto(peer: WSConnection, said: Said) -> bytes:
    if isinstance(said, Ping):
        return peer.send(theirs.Ping(payload=said.data))
    if isinstance(said, Pong):
        return peer.send(theirs.Pong(payload=said.data))
    if isinstance(said, CloseFrame):
        code = CloseReason.NO_STATUS_RCVD if said.code is None else said.code
        return peer.send(theirs.CloseConnection(code=code, reason=said.reason))
    if said.is_binary:
        whole: list[theirs.Event] = [
            theirs.BytesMessage(data=piece, message_finished=False) for piece in said.pieces[:-1]
        ]
        whole.append(theirs.BytesMessage(data=said.pieces[-1]))
    else:
        whole = [theirs.TextMessage(data=b"".join(said.pieces).decode())]  # it cannot be cut inside a character
    return b"".join(peer.send(each) for each in whole)


def without_pings(said: Said) -> Said:
    return Message(said.pieces, said.is_binary) if isinstance(said, Message) else said


@st.composite
def extensions(draw: st.DrawFn) -> list[PerMessageDeflate]:
    if draw(st.booleans()):
        return []
    return [
        PerMessageDeflate(
            client_no_context_takeover=draw(st.booleans()),
            client_max_window_bits=draw(st.integers(9, 15)),
            server_no_context_takeover=draw(st.booleans()),
            server_max_window_bits=draw(st.integers(9, 15)),
        )
    ]


def with_wsproto_client(offer: list[PerMessageDeflate]) -> tuple[WSConnection, WebSocket]:
    peer = WSConnection(ConnectionType.CLIENT)
    request = theirs.Request(host="a.test", target="/", subprotocols=["one", "two"], extensions=list(offer))
    head = read_head(peer.send(request))
    assert isinstance(head, RequestHead)
    assert check_upgrade(head) == ""
    chosen = negotiate(head.headers.get("sec-websocket-extensions", ""))
    assert (chosen is not None) is bool(offer)
    protocols = offered_protocols(head.headers)
    assert protocols == ("one", "two")
    fields = accept_headers(head.headers["sec-websocket-key"], "two", chosen[1] if chosen else "")
    lines = ["HTTP/1.1 101 Switching Protocols", *(f"{name}: {value}" for name, value in fields), "", ""]
    peer.receive_data("\r\n".join(lines).encode())
    (accepted,) = peer.events()
    assert isinstance(accepted, theirs.AcceptConnection)
    assert accepted.subprotocol == "two"
    return peer, WebSocket("server", deflate=chosen[0] if chosen else None, message_limit=LIMIT)


OFFERS = st.sampled_from(
    [
        "",
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; client_max_window_bits=12; server_max_window_bits=9",
        "permessage-deflate; client_max_window_bits; server_no_context_takeover; client_no_context_takeover",
    ]
)


def with_wsproto_server(offer: str, no_context: tuple[bool, bool]) -> tuple[WSConnection, WebSocket]:
    peer = WSConnection(ConnectionType.SERVER)
    lines = [
        "GET / HTTP/1.1",
        "Host: a.test",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        *([f"Sec-WebSocket-Extensions: {offer}"] if offer else []),
        "",
        "",
    ]
    peer.receive_data("\r\n".join(lines).encode())
    (request,) = peer.events()
    assert isinstance(request, theirs.Request)
    extension = PerMessageDeflate(
        client_no_context_takeover="client_no" in offer or no_context[0],
        server_no_context_takeover="server_no" in offer or no_context[1],
    )
    raw = peer.send(theirs.AcceptConnection(extensions=[extension])).decode()
    table = header_table([line.split(": ", 1) for line in raw.split("\r\n")[1:] if line])
    assert table["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    deflate = agreed(table.get("sec-websocket-extensions", ""), offer)
    assert (deflate is not None) is bool(offer)
    return peer, WebSocket("client", deflate=deflate, message_limit=LIMIT)


def converse(
    peer: WSConnection, ours: WebSocket, turns: list[tuple[list[Said], list[Said], list[int]]], compressed: bool
) -> None:
    for saying, answering, cuts in turns:
        if compressed:
            saying = [without_pings(said) for said in saying]  # wsproto forgets at a ping that a message is compressed
        raw = b"".join(said_by(ours, said) for said in saying)
        assert told_by_wsproto(peer, pieces(raw, cuts)) == [part for said in saying for part in as_heard(said)]
        raw = b"".join(said_by_wsproto(peer, said) for said in answering)
        expected = [part for said in answering for part in as_heard(without_pings(said))]
        assert heard(received(ours, pieces(raw, cuts))) == (expected, b"")


TURNS = st.lists(st.tuples(TALK, TALK, CUTS), max_size=3)


@ORDINARY
@given(extensions(), TURNS, st.sampled_from([CloseFrame(None, ""), CloseFrame(1000, "bye"), CloseFrame(4000, "")]))
def test_wsproto_is_understood_as_a_client(
    offer: list[PerMessageDeflate], turns: list[tuple[list[Said], list[Said], list[int]]], close: CloseFrame
) -> None:
    peer, ours = with_wsproto_client(offer)
    converse(peer, ours, [*turns, ([close], [close], [1])], bool(offer))


@ORDINARY
@given(OFFERS, st.tuples(st.booleans(), st.booleans()), TURNS)
def test_wsproto_is_understood_as_a_server(
    offer: str, no_context: tuple[bool, bool], turns: list[tuple[list[Said], list[Said], list[int]]]
) -> None:
    peer, ours = with_wsproto_server(offer, no_context)
    converse(peer, ours, [*turns, ([CloseFrame(1000, "")], [CloseFrame(1000, "")], [1])], bool(offer))
