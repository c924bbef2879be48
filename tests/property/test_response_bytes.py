"""Bytes from a server, good and bad, cut anywhere: they give the same parts, or the same fault, and never more."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutation import mutated

from mockrec.engine.wire.http1.client import H1Client
from mockrec.engine.wire.parts import Data, End, Fault, Interim, Part, ResponsePart

LIMIT = 512
CODES = {
    "HPE_INVALID_CONSTANT",
    "HPE_INVALID_HEADER_TOKEN",
    "HPE_INVALID_CONTENT_LENGTH",
    "HPE_INVALID_TRANSFER_ENCODING",
    "HPE_INVALID_CHUNK_SIZE",
    "HPE_HEADER_OVERFLOW",
    "HPE_INVALID_EOF_STATE",
    "HPE_UNEXPECTED_SWITCH",
    "ECONNRESET",
}
ORDINARY = settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])

# What a part comes to, whatever the cuts: pieces of data are joined.
Seen = tuple[object, ...]


class Driver:
    """A client that asks, by one method after another, for as long as the connection may be used."""

    def __init__(self, methods: Iterable[str]) -> None:
        self.client = H1Client(LIMIT)
        self.methods = iter(methods)
        self.seen: list[Seen] = []
        self.over = False
        self._ask()

    def _ask(self) -> None:
        method = next(self.methods, None)
        if method is None or not self.client.reusable:
            self.over = True
        else:
            self.client.send_request(method, "/", [["Host", "a"]], body=False)
            self.seen.append(("asked", method))

    def feed(self, data: bytes) -> None:
        for part in self.client.receive(data):
            self._note(part)

    def finish(self) -> None:
        for part in self.client.receive_eof():
            self._note(part)
        assert not self.client.reusable

    def _note(self, part: Part) -> None:
        assert not self.over, "a part behind the end"
        last = self.seen[-1]
        if isinstance(part, (Interim, ResponsePart)):
            assert last[0] in ("asked", "interim")
            head = part.head
            kind = "interim" if isinstance(part, Interim) else "response"
            assert (kind == "interim") == (head.status < 200)
            told = (head.version, head.status, head.reason, tuple(map(tuple, head.raw_headers)))
            self.seen.append((kind, *told, getattr(part, "keep_alive", None)))
        elif isinstance(part, Data):
            assert part.data
            assert last[0] in ("response", "data"), "data outside a response"
            if last[0] == "data":
                part = Data(self.seen.pop()[1] + part.data)  # type: ignore[operator]
            self.seen.append(("data", part.data))
        elif isinstance(part, End):
            assert last[0] in ("response", "data"), "an end outside a response"
            self.seen.append(("end", tuple(map(tuple, part.trailers))))
            self.over = True
        else:
            assert isinstance(part, Fault)
            assert part.code in CODES
            self.seen.append(("fault", part.code))
            self.over = True
            assert not self.client.reusable


def parts_of(pieces: Iterable[bytes], method: str = "GET", *, eof: bool = True) -> list[Seen]:
    """What one request gets from a server that sends `pieces` and then ends, and what is left behind it."""
    driver = Driver([method])
    for piece in pieces:
        driver.feed(piece)
    if driver.over and driver.seen[-1][0] == "end":
        driver.seen.append(("rest", driver.client.rest, driver.client.reusable))
    if eof:
        driver.finish()
    return driver.seen


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """`data` in pieces, none of them empty."""
    marks = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(marks)]


CUTS = st.lists(st.integers(0, 1 << 16), max_size=12)


# ── good responses ─────────────────────────────────────────────────────────────────────────────────

NAMES = st.sampled_from(["X-A", "x-a", "Server", "SET-COOKIE", "!#$%&'*+-.^_`|~", "Content-Type", "Via", "Date"])
VALUES = st.text(st.sampled_from('aZ09 \t,;="\x80\xff'), max_size=8).map(lambda text: text.strip(" \t"))
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=4)
PADDING = st.sampled_from(["", " ", "\t", "  \t "])
REASONS = st.text(st.sampled_from("OK \t\x80\xff~"), max_size=8)
BODIES = st.binary(max_size=40) | st.sampled_from([b"\r\n\r\n", b"0\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
LINE_ENDS = st.sampled_from(["\r\n", "\r\n", "\n"])


@dataclass
class Said:
    """What a server answers to a request by `method`, as bytes, and what must be seen of it."""

    method: str
    raw: bytes
    seen: list[Seen]


@st.composite
def chunked(draw: st.DrawFn, body: bytes) -> tuple[bytes, list[tuple[str, str]]]:
    """A body in chunks, and its trailers."""
    pieces = cut(body, draw(st.lists(st.integers(0, 40), max_size=3)))
    out = b""
    for piece in pieces:
        size = draw(st.sampled_from(["%x", "%X", "0%x"])) % len(piece)
        extension = draw(st.sampled_from(["", ";a", ' ; a="b"', ";"]))
        out += f"{size}{extension}\r\n".encode() + piece + b"\r\n"
    trailers = draw(FIELDS)
    out += b"0\r\n" + "".join(f"{name}: {value}\r\n" for name, value in trailers).encode("latin-1") + b"\r\n"
    return out, trailers


@st.composite
def heads(draw: st.DrawFn, status: int, fields: list[tuple[str, str]], version: str = "1.1") -> tuple[bytes, Seen]:
    """A head, and what must be seen of it, but for its kind."""
    reason, before, after, end = draw(REASONS), draw(PADDING), draw(PADDING), draw(LINE_ENDS)
    lines = [f"HTTP/{version} {status} {reason}", *(f"{name}:{before}{value}{after}" for name, value in fields)]
    raw = "".join(f"{line}{end}" for line in [*lines, ""]).encode("latin-1")
    return raw, (version, status, reason, tuple(fields))


@st.composite
def responses(draw: st.DrawFn) -> Said:
    """One response that leaves the connection open, with interim ones before it."""
    method = draw(st.sampled_from(["GET", "HEAD", "POST", "Odd"]))
    raw, seen = b"", [("asked", method)]
    for status in draw(st.lists(st.sampled_from([100, 102, 103, 199]), max_size=2)):
        head, told = draw(heads(status, draw(FIELDS)))
        raw, seen = raw + head, [*seen, ("interim", *told, None)]
    status = draw(st.sampled_from([200, 204, 206, 304, 404, 599, 999]))
    fields = draw(FIELDS)
    body = draw(BODIES) if status != 204 else b""  # one that announces a body is the connection's last
    trailers: list[tuple[str, str]] = []
    if draw(st.booleans()) or status == 204:
        repeated = draw(st.sampled_from([1, 1, 1, 2]))
        fields += [("content-Length", str(len(body)))] * repeated
        framed = body
    else:
        fields.append(("Transfer-Encoding", draw(st.sampled_from(["chunked", "CHUNKED"]))))
        framed, trailers = draw(chunked(body))
    if method == "HEAD" or status in (204, 304):
        framed, body, trailers = b"", b"", []
    head, told = draw(heads(status, draw(st.permutations(fields))))
    seen.append(("response", *told, True))
    if body:
        seen.append(("data", body))
    return Said(method, raw + head + framed, [*seen, ("end", tuple(trailers))])


STREAMS = st.lists(responses(), min_size=1, max_size=4)


def conversation(said: list[Said], places: Iterable[int]) -> list[Seen]:
    """What is seen on one connection; each response is cut in the same places."""
    driver = Driver([one.method for one in said])
    for one in said:
        for piece in cut(one.raw, places):
            driver.feed(piece)
        assert driver.client.reusable
        driver.over = False
        driver._ask()
    driver.finish()
    return driver.seen


@ORDINARY
@given(STREAMS, CUTS)
def test_responses_are_read_as_they_were_meant_however_they_are_cut(said: list[Said], places: list[int]) -> None:
    meant = [seen for one in said for seen in one.seen]
    assert conversation(said, ()) == meant
    assert conversation(said, places) == meant


@settings(ORDINARY, max_examples=100)
@given(STREAMS)
def test_responses_are_read_byte_by_byte(said: list[Said]) -> None:
    assert conversation(said, range(4096)) == [seen for one in said for seen in one.seen]


@settings(ORDINARY, max_examples=200)
@given(responses(), st.integers(0, 1 << 16))
def test_a_server_that_leaves_early_is_seen_up_to_there(said: Said, place: int) -> None:
    seen = parts_of([said.raw[: place % len(said.raw)]], said.method)
    assert seen.pop() in (("fault", "HPE_INVALID_EOF_STATE"), ("fault", "ECONNRESET"))
    if seen[-1][0] == "data":
        data = seen.pop()[1]
        assert said.seen[len(seen)][1].startswith(data)  # type: ignore[attr-defined]
    assert seen == said.seen[: len(seen)]


@ORDINARY
@given(FIELDS, BODIES, CUTS, st.sampled_from(["1.0", "1.1"]), st.data())
def test_a_body_without_framing_is_everything_until_the_end(
    fields: list[tuple[str, str]], body: bytes, places: list[int], version: str, data: st.DataObject
) -> None:
    head, told = data.draw(heads(200, fields, version))
    meant = [("asked", "GET"), ("response", *told, False), *([("data", body)] if body else []), ("end", ())]
    assert parts_of(cut(head + body, places)) == meant


# ── bad responses ──────────────────────────────────────────────────────────────────────────────────

SEEDS = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nab",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nX-T: z\r\n\r\n",
    b"HTTP/1.1 200 OK\nContent-Length: 1\n\na",
    b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: " + b"a" * 470 + b"\r\nContent-Length: 5, 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"b" * 600 + b"\r\n\r\n",
]
SPLINTERS = [
    *(bytes([byte]) for byte in b"\r\n\t :;,/*0159afGH\x00\x7f\x80\xff"),
    b"\r\n",
    b"\r\n\r\n",
    b"\n\n",
    b"\r\n ",
    b"HTTP/1.1 ",
    b"HTTP/1.0 ",
    b" 200 ",
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"0\r\n\r\n",
    b"ffffffff\r\n",
    b"x" * 300,
]


METHODS = st.sampled_from(["GET", "HEAD", "CONNECT"])
SOUP = st.lists(st.sampled_from([*SPLINTERS, *SEEDS]) | st.binary(max_size=5), max_size=8).map(b"".join)
MUTATED = st.builds(mutated, st.sampled_from(SEEDS), st.just(SPLINTERS), st.randoms(use_true_random=False))


@settings(ORDINARY, max_examples=1500)
@given(SOUP | MUTATED, CUTS, METHODS)
def test_any_bytes_give_parts_and_at_most_one_fault_however_they_are_cut(
    data: bytes, places: list[int], method: str
) -> None:
    whole = parts_of([data] if data else [], method)
    assert whole[-1][0] in ("fault", "rest", "end")
    assert parts_of(cut(data, places), method) == whole


@settings(ORDINARY, max_examples=150)
@given(SOUP | MUTATED, METHODS)
def test_any_bytes_give_the_same_one_by_one(data: bytes, method: str) -> None:
    assert parts_of(cut(data, range(len(data))), method) == parts_of([data] if data else [], method)


def test_thousands_of_inputs_give_parts_or_a_fault() -> None:
    source = random.Random(20240229)
    outcomes = set()
    for number in range(20_000):
        noise = source.randbytes(source.randint(0, 40))
        data = mutated(SEEDS[number % len(SEEDS)], SPLINTERS, source) if number % 10 else noise
        places = [source.randint(0, len(data)) for _ in range(source.choice((0, 1, 1, 2, 6)))]
        seen = parts_of(cut(data, places))
        faults = [part[1] for part in seen if part[0] == "fault"]
        outcomes.add(faults[0] if faults else "parts")
    # The inputs are worth something only if they come everywhere.
    assert outcomes == CODES | {"parts"}
