"""Bytes from a client, good and bad, cut anywhere: they give the same parts, or the same fault, and never more.

The server is driven as a connection drives it: each request is answered as soon as it is complete, and the
next one begins where the connection stays open.
"""

from __future__ import annotations

import gzip
import random
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

import brotli
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutation import mutated

from mockrec.engine.wire.http1.server import H1Server
from mockrec.engine.wire.parts import Data, End, Fault, Part, RequestPart
from mockrec.engine.wire.request_line import METHODS
from mockrec.formats.content.codings import UndecodableError, decode

LIMIT = 512
CODES = {
    "HPE_INVALID_METHOD",
    "HPE_INVALID_URL",
    "HPE_INVALID_CONSTANT",
    "HPE_INVALID_VERSION",
    "HPE_INVALID_HEADER_TOKEN",
    "HPE_INVALID_CONTENT_LENGTH",
    "HPE_UNEXPECTED_CONTENT_LENGTH",
    "HPE_INVALID_TRANSFER_ENCODING",
    "HPE_INVALID_CHUNK_SIZE",
    "HPE_HEADER_OVERFLOW",
    "HPE_INVALID_EOF_STATE",
    "ERR_INVALID_URL",
}
ORDINARY = settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])

# What a part comes to, whatever the cuts: pieces of data are joined.
Seen = tuple[object, ...]


class Driver:
    """A server that answers whatever is asked, until the connection ends."""

    def __init__(self) -> None:
        self.server = H1Server(LIMIT)
        self.seen: list[Seen] = []
        self.ended = False

    def feed(self, data: bytes) -> None:
        if not self.ended:
            self._take(self.server.receive(data))

    def finish(self) -> None:
        if not self.ended:
            self._take(self.server.receive_eof())

    def _take(self, parts: list[Part]) -> None:
        while parts:
            for part in parts:
                self._note(part)
            complete = type(parts[-1]) is End
            parts = self._answer() if complete else []

    def _note(self, part: Part) -> None:
        assert not self.ended, "a part behind a fault"
        if isinstance(part, RequestPart):
            head = part.head
            self.seen.append(("request", head.method, head.target, head.version, tuple(map(tuple, head.raw_headers))))
        elif isinstance(part, Data):
            assert part.data
            assert self.seen[-1][0] in ("request", "data"), "data outside a request"
            if self.seen[-1][0] == "data":
                part.data = self.seen.pop()[1] + part.data  # type: ignore[operator]
            self.seen.append(("data", part.data))
        elif isinstance(part, End):
            assert self.seen[-1][0] in ("request", "data"), "an end outside a request"
            self.seen.append(("end", tuple(map(tuple, part.trailers))))
        else:
            assert part.code in CODES
            self.seen.append(("fault", part.code, part.status))
            self.ended = True

    def _answer(self) -> list[Part]:
        server = self.server
        out = server.send_head(server.frame(404, "", (), None, "now")) + server.send_end()
        assert out.startswith(b"HTTP/1.1 404 \r\nDate: now\r\n")
        if server.reusable:
            return server.next_request()
        self.ended = True
        return []


def parts_of(pieces: Iterable[bytes], *, eof: bool = True) -> list[Seen]:
    """What a client says who sends `pieces` and then ends."""
    driver = Driver()
    for piece in pieces:
        driver.feed(piece)
    if eof:
        driver.finish()
    return driver.seen


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """`data` in pieces, none of them empty."""
    marks = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(marks)]


CUTS = st.lists(st.integers(0, 1 << 16), max_size=12)


# ── good requests ──────────────────────────────────────────────────────────────────────────────────

NAMES = st.sampled_from(["X-A", "x-a", "Accept", "COOKIE", "!#$%&'*+-.^_`|~", "Content-Type", "Via"])
VALUES = st.text(st.sampled_from('aZ09 \t,;="\x80\xff'), max_size=8).map(lambda text: text.strip(" \t"))
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=4)
PADDING = st.sampled_from(["", " ", "\t", "  \t "])
TARGETS = st.sampled_from(["/", "/a/b?c=d", "*", "http://b.test/x", "/%00/../~", "//"])


@dataclass
class Said:
    """A request as bytes, and what must be seen of it."""

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
    out += b"0\r\n" + lines_of(trailers) + b"\r\n"
    return out, trailers


def lines_of(fields: list[tuple[str, str]], before: str = "", after: str = "") -> bytes:
    return "".join(f"{name}:{before}{value}{after}\r\n" for name, value in fields).encode("latin-1")


@st.composite
def requests(draw: st.DrawFn) -> Said:
    """One request that leaves the connection open."""
    method = draw(st.sampled_from(sorted(METHODS - {b"CONNECT"}))).decode()
    target = draw(TARGETS)
    body = draw(st.binary(max_size=40) | st.sampled_from([b"\r\n\r\n", b"0\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"]))
    fields = [*draw(FIELDS), ("hOst", "a.test")]
    trailers: list[tuple[str, str]] = []
    framing = draw(st.sampled_from(["none", "length", "chunked"]))
    if framing == "none":
        body = framed = b""
    elif framing == "length":
        fields.append(("content-Length", str(len(body))))
        framed = body
    else:
        fields.append(("Transfer-Encoding", draw(st.sampled_from(["chunked", "CHUNKED"]))))
        framed, trailers = draw(chunked(body))
    fields = draw(st.permutations(fields))
    empty_lines = b"\r\n" * draw(st.integers(0, 2))
    start = f"{method} {target} HTTP/1.1\r\n".encode()
    raw = empty_lines + start + lines_of(fields, draw(PADDING), draw(PADDING)) + b"\r\n" + framed
    seen: list[Seen] = [("request", method, target, "1.1", tuple(fields))]
    if body:
        seen.append(("data", body))
    return Said(raw, [*seen, ("end", tuple(trailers))])


STREAMS = st.lists(requests(), min_size=1, max_size=4)


@ORDINARY
@given(STREAMS, CUTS)
def test_requests_are_read_as_they_were_meant_however_they_are_cut(said: list[Said], places: list[int]) -> None:
    raw = b"".join(one.raw for one in said)
    meant = [seen for one in said for seen in one.seen]
    assert parts_of([raw]) == meant
    assert parts_of(cut(raw, places)) == meant


@settings(ORDINARY, max_examples=100)
@given(STREAMS)
def test_requests_are_read_byte_by_byte(said: list[Said]) -> None:
    raw = b"".join(one.raw for one in said)
    assert parts_of(cut(raw, range(len(raw)))) == [seen for one in said for seen in one.seen]


@settings(ORDINARY, max_examples=100)
@given(STREAMS, st.integers(0, 1 << 16))
def test_a_client_that_leaves_early_is_seen_up_to_there(said: list[Said], place: int) -> None:
    raw = b"".join(one.raw for one in said)
    meant = [seen for one in said for seen in one.seen]
    seen = parts_of([raw[: place % len(raw)]])
    if seen and seen[-1] == ("fault", "HPE_INVALID_EOF_STATE", 0):
        seen.pop()
    if seen and seen[-1][0] == "data":
        data = seen.pop()[1]
        assert meant[len(seen)][1].startswith(data)  # type: ignore[attr-defined]
    assert seen == meant[: len(seen)]


# ── bad requests ───────────────────────────────────────────────────────────────────────────────────

SEEDS = [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET http://b/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n",
    b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nX-T: z\r\n\r\n"
    b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\r\nPUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"GET /" + b"a" * 400 + b" HTTP/1.1\r\nHost: a\r\nX: " + b"b" * 200 + b"\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"b" * 600 + b"\r\n\r\n",
]
SPLINTERS = [
    *(bytes([byte]) for byte in b"\r\n\t :;,/*0159afGH\x00\x7f\x80\xff"),
    b"\r\n",
    b"\r\n\r\n",
    b"\n\n",
    b"\r\n ",
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"GET ",
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Host: b\r\n",
    b"Connection: close\r\n",
    b"0\r\n\r\n",
    b"ffffffff\r\n",
    b"x" * 300,
]


def pieces_of(data: bytes, source: random.Random) -> list[bytes]:
    return cut(data, [source.randint(0, len(data)) for _ in range(source.choice((0, 1, 1, 2, 6)))])


SOUP = st.lists(st.sampled_from([*SPLINTERS, *SEEDS]) | st.binary(max_size=5), max_size=8).map(b"".join)
MUTATED = st.builds(mutated, st.sampled_from(SEEDS), st.just(SPLINTERS), st.randoms(use_true_random=False))


@settings(ORDINARY, max_examples=1500)
@given(SOUP | MUTATED, CUTS)
def test_any_bytes_give_parts_and_at_most_one_fault_however_they_are_cut(data: bytes, places: list[int]) -> None:
    whole = parts_of([data])
    assert sum(seen[0] == "fault" for seen in whole) <= 1
    assert parts_of(cut(data, places)) == whole


@settings(ORDINARY, max_examples=150)
@given(SOUP | MUTATED)
def test_any_bytes_give_the_same_one_by_one(data: bytes) -> None:
    assert parts_of(cut(data, range(len(data)))) == parts_of([data])


@settings(ORDINARY, max_examples=300)
@given(SOUP | MUTATED, CUTS)
def test_a_fault_does_not_depend_on_the_end_of_the_bytes(data: bytes, places: list[int]) -> None:
    seen = parts_of(cut(data, places), eof=False)
    if seen and seen[-1][0] == "fault":
        assert parts_of([data + b"\r\n\r\nmore"], eof=False) == seen


def unanswered(pieces: list[bytes]) -> list[Part]:
    """The parts of a connection that nobody answers."""
    server = H1Server(LIMIT)
    parts = [part for piece in pieces for part in server.receive(piece)]
    return parts + server.receive_eof()


def test_a_hundred_thousand_inputs_give_parts_or_a_fault() -> None:
    source = random.Random(20240229)
    outcomes = set()
    for number in range(100_000):
        noise = source.randbytes(source.randint(0, 40))
        data = mutated(SEEDS[number % len(SEEDS)], SPLINTERS, source) if number % 10 else noise
        found = []
        for parts in (unanswered([data]), unanswered(pieces_of(data, source))):
            faults = [part for part in parts if type(part) is Fault]
            assert len(faults) <= 1
            assert not faults or parts[-1] is faults[0]
            found.append(faults[0].code if faults else "parts")
        assert found[0] == found[1]
        outcomes.add(found[0])
    # The inputs are worth something only if they come everywhere.
    assert outcomes == CODES | {"parts"}


# ── content codings ────────────────────────────────────────────────────────────────────────────────

ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),  # the same bytes whenever it is
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
}
BODIES = st.binary(max_size=200) | st.builds(bytes, st.integers(0, 300_000))


@settings(ORDINARY, max_examples=400)
@given(
    st.binary(max_size=60) | BODIES,
    st.lists(st.sampled_from(list(ENCODERS)), min_size=1, max_size=3),
    st.booleans(),
    st.randoms(use_true_random=False),
    st.booleans(),
    st.integers(0, 100_000),
)
def test_any_content_gives_bytes_or_is_undecodable_and_never_too_much(
    data: bytes, codings: list[str], encode: bool, source: random.Random, whole: bool, limit: int
) -> None:
    if encode:
        for coding in codings:
            data = ENCODERS[coding](data)
        data = mutated(data, SPLINTERS, source)
    try:
        decoded, _ = decode(data, codings, limit, whole=whole)
    except UndecodableError as error:
        message: str | None = str(error)
    else:
        message = None
        assert len(decoded) <= min(limit + 65536, max(200 * len(data), 1 << 20))
    assert message != ""


@settings(ORDINARY, max_examples=200)
@given(BODIES, st.lists(st.sampled_from(list(ENCODERS)), max_size=3))
def test_what_was_encoded_comes_back_or_is_told_to_be_cut(body: bytes, codings: list[str]) -> None:
    data = body
    for coding in codings:
        data = ENCODERS[coding](data)
    decoded, whole = decode(data, codings, 1 << 20)
    assert decoded == body if whole else body.startswith(decoded)


@pytest.mark.parametrize("coding", list(ENCODERS))
def test_thousands_of_mutations_of_each_coding_are_survived(coding: str) -> None:
    source = random.Random(7)
    data = ENCODERS[coding](b"The quick brown fox jumps over the lazy dog. " * 10)
    undecodable = 0
    for _ in range(3000):
        try:
            decode(mutated(data, SPLINTERS, source), [coding], 1000)
        except UndecodableError:
            undecodable += 1
    assert undecodable > 1000
