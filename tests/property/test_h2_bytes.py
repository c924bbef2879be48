"""HTTP/2 bytes, good and bad, cut anywhere: they give the same parts, or the same fault, and never more.

And a conversation between our client and our server arrives as it was said, however small the windows are and
whoever comes first.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import pairwise
from unittest.mock import patch

import pytest
from hpack.hpack import Encoder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mockrec.engine.wire.http2 import streams as h2_streams
from mockrec.engine.wire.http2.client import H2Client
from mockrec.engine.wire.http2.connection import H2Side
from mockrec.engine.wire.http2.server import H2Server, StreamPart
from mockrec.engine.wire.parts import Data, End, Fault, GoAway, Interim, RequestPart, ResetPart, ResponsePart

LIMIT = 512
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\0\0\0\4\0\0\0\0\0"
ORDINARY = settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])

Seen = list[object]


def server() -> H2Server:
    made = H2Server(head_limit=LIMIT, streams=4)
    made.start()
    return made


def client() -> H2Client:
    """A client that waits for the answers to three requests, one of which is not complete."""
    made = H2Client(head_limit=LIMIT)
    made.start()
    for method, end in (("GET", True), ("HEAD", True), ("POST", False)):
        made.request(method, "/", "https", "a.test", [], end=end)
    made.outgoing()
    return made


def parts_of(side: H2Side, pieces: Iterable[bytes], *, eof: bool = True) -> Seen:
    """What comes of bytes in pieces. Data is not joined: frames, not pieces, make it."""
    seen: Seen = []
    for piece in pieces:
        note(seen, side.receive(piece), side)
    if eof:
        note(seen, side.receive_eof(), side)
    return seen


def note(seen: Seen, parts: Iterable[object], side: H2Side) -> None:
    for part in parts:
        assert not (seen and isinstance(seen[-1], tuple) and seen[-1][0] == "fault"), "a part behind a fault"
        if isinstance(part, Fault):
            assert (part.code, part.status) == ("ERR_HTTP2_ERROR", 0) and part.detail
            last_goaway(side.outgoing(), part.error)
            seen.append(("fault", part.error, part.tag, part.detail))
        elif isinstance(part, GoAway):
            seen.append(part)
        else:
            assert isinstance(part, StreamPart)
            said = part.part
            if isinstance(said, (RequestPart, ResponsePart, Interim)):
                seen.append((part.stream, type(said), said.head.raw_headers))
            else:
                assert isinstance(said, (Data, End, ResetPart, Fault))
                seen.append((part.stream, said))


def last_goaway(out: bytes, code: int) -> None:
    last = b""
    while out:
        size = 9 + int.from_bytes(out[:3], "big")
        last, out = out[:size], out[size:]
    assert last[3] == 7 and int.from_bytes(last[13:17], "big") == code


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """`data` in pieces, none of them empty."""
    marks = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(marks)]


CHANCE = st.integers(0, 1 << 32).map(random.Random)
CUTS = st.lists(st.integers(0, 1 << 16), max_size=12)


# ── frames, legal and illegal ──────────────────────────────────────────────────────────────────────


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


FIELD = st.sampled_from(
    [
        (":method", "GET"),
        (":method", "CONNECT"),
        (":path", "/"),
        (":scheme", "http"),
        (":authority", "a"),
        (":protocol", "websocket"),
        (":status", "200"),
        (":status", "100"),
        ("content-length", "3"),
        ("cookie", "a"),
        ("te", "x"),
        ("x", "y" * 300),
        ("X", ""),
    ]
)
GOOD = [(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/")]
ANSWER = [(":status", "200")]
FIELDS = st.one_of(
    st.just(GOOD),
    st.just(ANSWER),
    st.lists(FIELD, max_size=3).map(lambda more: GOOD + more),
    st.lists(FIELD, max_size=3).map(lambda more: ANSWER + more),
    st.lists(FIELD, max_size=4),
)
STREAMS = st.sampled_from([0, 1, 1, 1, 3, 3, 5, 7, 9, 2, 2**31 - 1, 2**31 + 1])
FLAGS = st.one_of(st.sampled_from([0, 1, 4, 5, 5, 0x24, 0x2D, 8, 9]), st.integers(0, 255))
# (kind, flags, stream, fields or payload)
FRAME = st.one_of(
    st.tuples(st.just(1), FLAGS, STREAMS, FIELDS),
    st.tuples(st.just(1), st.sampled_from([4, 5]), st.sampled_from([1, 3, 5]), st.just(GOOD)),
    st.tuples(st.just(0), FLAGS, STREAMS, st.binary(max_size=9)),
    st.tuples(st.sampled_from([2, 3, 6, 7, 8, 9]), FLAGS, STREAMS, st.binary(max_size=9)),
    st.tuples(st.sampled_from([3, 8]), st.just(0), STREAMS, st.binary(min_size=4, max_size=4)),
    st.tuples(st.just(7), st.just(0), st.just(0), st.binary(min_size=8, max_size=10)),
    st.tuples(
        st.just(4), st.sampled_from([0, 1]), st.just(0), st.sampled_from([b"", b"\0\4\0\0\0\1", b"\0\1\0\0\0\0"])
    ),
    st.tuples(st.integers(0, 255), FLAGS, STREAMS, st.binary(max_size=40)),
)


def built(said: Iterable[tuple[int, int, int, bytes | list[tuple[str, str]]]]) -> bytes:
    encoder, raw = Encoder(), b""
    for kind, flags, stream, content in said:
        raw += frame(kind, flags, stream, content if isinstance(content, bytes) else encoder.encode(content))
    return raw


@given(st.lists(FRAME, max_size=14), CUTS)
@ORDINARY
def test_frames_cut_anywhere_are_the_same_for_a_server(
    said: list[tuple[int, int, int, bytes]], places: list[int]
) -> None:
    raw = PREFACE + SETTINGS + built(said)
    whole = parts_of(server(), [raw])
    assert parts_of(server(), cut(raw, places)) == whole


@given(st.lists(FRAME, max_size=14), CUTS)
@ORDINARY
def test_frames_cut_anywhere_are_the_same_for_a_client(
    said: list[tuple[int, int, int, bytes]], places: list[int]
) -> None:
    raw = SETTINGS + built(said)
    whole = parts_of(client(), [raw])
    assert parts_of(client(), cut(raw, places)) == whole


@given(st.lists(FRAME, min_size=1, max_size=6))
@settings(ORDINARY, max_examples=40)
def test_bytes_one_by_one(said: list[tuple[int, int, int, bytes]]) -> None:
    raw = PREFACE + SETTINGS + built(said)
    assert parts_of(server(), [raw[at : at + 1] for at in range(len(raw))]) == parts_of(server(), [raw])


@given(st.binary(max_size=200), CUTS, st.sampled_from([b"", PREFACE, PREFACE + SETTINGS]))
@ORDINARY
def test_garbage(garbage: bytes, places: list[int], before: bytes) -> None:
    raw = before + garbage
    assert parts_of(server(), cut(raw, places)) == parts_of(server(), [raw])
    assert parts_of(client(), cut(garbage, places)) == parts_of(client(), [garbage])


@given(st.lists(FRAME, max_size=10), st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=4))
@ORDINARY
def test_frames_with_broken_bytes(said: list[tuple[int, int, int, bytes]], breaks: list[tuple[int, int]]) -> None:
    raw = bytearray(PREFACE + SETTINGS + built(said))
    for at, byte in breaks:
        raw[at % len(raw)] = byte
    parts_of(server(), [bytes(raw)])
    parts_of(client(), [bytes(raw[len(PREFACE) :])])


@given(st.lists(FRAME, max_size=14), CHANCE)
@ORDINARY
def test_a_server_that_acts_meanwhile_never_stumbles(
    said: list[tuple[int, int, int, bytes]], chance: random.Random
) -> None:
    side, seen = server(), Seen()
    encoder = Encoder()
    note(seen, side.receive(PREFACE + SETTINGS), side)
    head = side.frame(200, "", [("a", "b")], None, "now")
    started: set[int] = set()
    for kind, flags, stream, content in said:
        payload = content if isinstance(content, bytes) else encoder.encode(content)
        note(seen, side.receive(frame(kind, flags, stream, payload)), side)
        for open_stream in [one for one in (1, 3, 5, 7, 9) if side.is_open(one)]:
            act = chance.randrange(7)
            if act == 0 and open_stream not in started:
                started.add(open_stream)
                side.send_head(open_stream, head, end=chance.random() < 0.3)
            elif act == 1 and open_stream in started and side.window(open_stream):
                side.send_data(open_stream, b"a", end=chance.random() < 0.3)
            elif act == 2 and open_stream not in started:
                side.send_interim(open_stream, 103, [])
            elif act == 3:
                side.consumed(open_stream, 2)
            elif act == 4:
                side.reset(open_stream, 8)
        if chance.random() < 0.05:
            side.close()
        assert side.outgoing() is not None


# ── a conversation ─────────────────────────────────────────────────────────────────────────────────

NAMES = st.sampled_from(["x-a", "X-A", "accept", "Cookie", "set-cookie", "authorization", "x-b"])
VALUES = st.text(st.sampled_from('aZ09 \t,;="\x80\xff'), max_size=8).map(lambda text: text.strip(" \t"))
PAIRS = st.lists(st.tuples(NAMES, VALUES), max_size=5)
BODIES = st.one_of(st.just(b""), st.binary(max_size=40), st.integers(1, 50_000).map(lambda size: b"ab" * size))
MESSAGES = st.tuples(PAIRS, BODIES, PAIRS)
EXCHANGES = st.lists(st.tuples(MESSAGES, st.lists(PAIRS, max_size=2), MESSAGES), min_size=1, max_size=7)

Message = tuple[list[tuple[str, str]], bytes, list[tuple[str, str]]]
Exchange = tuple[Message, list[list[tuple[str, str]]], Message]


def lower(pairs: Iterable[tuple[str, str]]) -> list[list[str]]:
    return [[name.lower(), value] for name, value in pairs]


class Talk:
    """One stream: what is still to be said on it, and what was heard on either side."""

    def __init__(self, exchange: Exchange) -> None:
        (self.asked, self.question, self.question_end), self.hints, (self.told, self.answer, self.answer_end) = exchange
        self.left = {"client": self.question, "server": self.answer}
        self.over = {"client": False, "server": False}
        self.answering = False
        self.heard: dict[str, list[object]] = {"client": [], "server": []}
        self.bodies = {"client": b"", "server": b""}

    def take(self, side: str, part: object) -> None:
        if isinstance(part, Data):
            self.bodies[side] += part.data
        elif isinstance(part, End):
            self.heard[side].append(("end", [list(pair) for pair in part.trailers]))
        else:
            assert isinstance(part, (RequestPart, ResponsePart, Interim)), part
            self.heard[side].append(part.head.raw_headers)

    def check(self) -> None:
        pseudo = [[":method", "POST"], [":scheme", "https"], [":authority", "a.test"], [":path", "/"]]
        hints = [[[":status", "103"], *lower(hint)] for hint in self.hints]
        assert self.heard["server"] == [[*pseudo, *lower(self.asked)], ("end", lower(self.question_end))]
        assert self.heard["client"] == [
            *hints,
            [[":status", "200"], *lower(self.told)],
            ("end", lower(self.answer_end)),
        ]
        assert self.bodies == {"server": self.question, "client": self.answer}


class Line:
    """A client, a server, and what is on its way between them."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.client, self.server = H2Client(head_limit=LIMIT), H2Server(head_limit=LIMIT, streams=3)
        self.sides: dict[str, H2Side] = {"client": self.client, "server": self.server}
        self.wire = {"client": b"", "server": b""}
        self.talks: dict[int, Talk] = {}
        self.unread: list[tuple[str, int, int]] = []
        for side in self.sides.values():
            side.start()
        self.move("client", whole=True)
        self.move("server", whole=True)

    def move(self, to: str, *, whole: bool = False) -> None:
        other = "server" if to == "client" else "client"
        raw = self.wire[to] + self.sides[other].outgoing()
        size = len(raw) if whole else self.chance.randint(0, len(raw))
        self.wire[to] = raw[size:]
        for part in self.sides[to].receive(raw[:size]):
            assert isinstance(part, StreamPart), part
            self.talks[part.stream].take(to, part.part)
            if isinstance(part.part, Data):
                self.unread.append((to, part.stream, len(part.part.data)))

    def use(self) -> None:
        """Somebody uses what has come, in any order."""
        self.chance.shuffle(self.unread)
        for _ in range(self.chance.randint(0, len(self.unread))):
            side, stream, size = self.unread.pop()
            self.sides[side].consumed(stream, size)

    def say(self, side: str, stream: int) -> None:
        talk, codec = self.talks[stream], self.sides[side]
        left = talk.left[side]
        if talk.over[side]:
            return
        size = min(codec.window(stream), len(left), self.chance.choice([1, 10, 20_000, 40_000]))
        talk.left[side] = left[size:]
        trailers = talk.question_end if side == "client" else talk.answer_end
        talk.over[side] = size == len(left)
        end = talk.over[side] and not trailers and bool(self.chance.randrange(2))
        codec.send_data(stream, left[:size], end=end)
        if talk.over[side] and not end:
            codec.send_end(stream, trailers)

    def begin_answer(self, stream: int) -> None:
        talk = self.talks[stream]
        if not talk.answering and talk.heard["server"]:
            talk.answering = True
            for hint in talk.hints:
                self.server.send_interim(stream, 103, hint)
            head = self.server.frame(200, "", talk.told, None, "")
            whole = not (talk.hints or talk.answer_end) and bool(self.chance.randrange(2))
            if whole and self.server.send_whole(stream, head, talk.answer):
                talk.over["server"] = True
                return
            talk.over["server"] = not talk.answer and not talk.answer_end and bool(self.chance.randrange(2))
            self.server.send_head(stream, head, end=talk.over["server"])


@given(EXCHANGES, CHANCE, st.sampled_from([3, 100, 30_000, 1 << 20]))
@settings(ORDINARY, max_examples=80)
def test_a_conversation_arrives_as_it_was_said(exchanges: list[Exchange], chance: random.Random, window: int) -> None:
    if window < 1000:
        exchanges = [((a, b[:60], c), d, (e, f[:60], g)) for (a, b, c), d, (e, f, g) in exchanges]
    with patch.object(h2_streams, "STREAM_WINDOW", window), patch.object(h2_streams, "CONNECTION_WINDOW", 65_536):
        line = Line(chance)
    waiting = [Talk(exchange) for exchange in exchanges]
    talks = list(waiting)
    for _ in range(3000):
        if waiting and line.client.can_request:
            talk = waiting.pop()
            end = not talk.question and not talk.question_end and bool(chance.randrange(2))
            stream = line.client.request("POST", "/", "https", "a.test", talk.asked, end=end)
            line.talks[stream] = talk
            talk.over["client"] = end
        for stream, talk in line.talks.items():
            line.say("client", stream)
            line.begin_answer(stream)
            if talk.answering:
                line.say("server", stream)
        line.move("server")
        line.move("client")
        line.use()
        if not waiting and not line.client.open_streams and not any(map(line.server.is_open, line.talks)):
            break
    else:
        pytest.fail("the conversation does not end")
    for talk in talks:
        talk.check()
