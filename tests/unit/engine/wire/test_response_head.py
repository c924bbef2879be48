"""Response heads of servers: what they say, how the body behind them ends, and what is refused."""

from __future__ import annotations

import pytest

from mockrec.engine.wire.parts import Fault, ResponseHead
from mockrec.engine.wire.response_head import (
    CHUNKED,
    UNTIL_CLOSE,
    body_length,
    head_end,
    keeps_alive,
    read_response_head,
)


def head(*fields: str, status: int = 200, version: str = "1.1") -> ResponseHead:
    raw = "\r\n".join([f"HTTP/{version} {status} Reason", *fields, "", ""]).encode("latin-1")
    read = read_response_head(raw)
    assert isinstance(read, ResponseHead), read
    return read


def length(*fields: str, method: str = "GET", status: int = 200, version: str = "1.1") -> int | str:
    """How the body ends, or the fault's code."""
    found = body_length(head(*fields, status=status, version=version), method)
    return found.code if isinstance(found, Fault) else found


# ── where a head ends ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("raw", "end"),
    [
        (b"", -1),
        (b"HTTP/1.1 200\r\n", -1),
        (b"HTTP/1.1 200\r\n\r", -1),
        (b"HTTP/1.1 200\r\r\n", -1),
        (b"HTTP/1.1 200\r\n\r\n", 16),
        (b"HTTP/1.1 200\r\n\r\n\r\n\r\n", 16),
        (b"HTTP/1.1 200\n\n", 14),
        (b"HTTP/1.1 200\n\r\n", 15),
        (b"HTTP/1.1 200\r\n\n", 15),
        (b"A\n\nB\r\n\r\n", 3),
        (b"A\r\n\r\nB\n\n", 5),
    ],
)
def test_a_head_ends_with_its_first_empty_line(raw: bytes, end: int) -> None:
    assert head_end(raw, 0) == end


@pytest.mark.parametrize("mark", [b"\r\n\r\n", b"\n\n", b"\n\r\n", b"\r\n\n"])
@pytest.mark.parametrize("seen", range(5))
def test_an_empty_line_that_comes_in_pieces_is_found(mark: bytes, seen: int) -> None:
    raw = b"HTTP/1.1 200" + mark
    checked = len(raw) - len(mark) + min(seen, len(mark) - 1)
    assert head_end(raw[:checked], 0) == -1
    assert head_end(raw, checked) == len(raw)


# ── what it says ───────────────────────────────────────────────────────────────────────────────────


def test_a_head_is_read_as_it_stands() -> None:
    read = read_response_head(
        b"HTTP/1.1 404 Not  \xe9Found \r\nX-A:  b \r\nset-cookie: a\r\nSet-Cookie:b\r\nx-a:\r\n\r\n"
    )
    assert isinstance(read, ResponseHead)
    assert (read.status, read.reason, read.version) == (404, "Not  éFound ", "1.1")
    assert read.raw_headers == [["X-A", "b"], ["set-cookie", "a"], ["Set-Cookie", "b"], ["x-a", ""]]
    assert read.headers == {"x-a": "b, ", "set-cookie": ["a", "b"]}


@pytest.mark.parametrize(("line", "reason"), [(b"HTTP/1.0 299", ""), (b"HTTP/1.0 299 ", ""), (b"HTTP/1.0 299  ", " ")])
def test_a_reason_may_be_missing(line: bytes, reason: str) -> None:
    read = read_response_head(line + b"\r\n\r\n")
    assert isinstance(read, ResponseHead)
    assert (read.status, read.reason, read.version, read.raw_headers) == (299, reason, "1.0", [])


@pytest.mark.parametrize("ends", [("\n", "\n"), ("\r\n", "\n"), ("\n", "\r\n"), ("\r\n", "\r\n")])
def test_a_line_may_end_with_a_bare_line_feed(ends: tuple[str, str]) -> None:
    first, other = ends
    read = read_response_head(f"HTTP/1.1 200 OK{first}A: b{other}C: d{first}{other}".encode())
    assert isinstance(read, ResponseHead)
    assert (read.reason, read.raw_headers) == ("OK", [["A", "b"], ["C", "d"]])


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"ICY 200 OK",
        b"http/1.1 200 OK",
        b"HTTP/2.0 200 OK",
        b"HTTP/1.2 200 OK",
        b"HTTP/1.1  200 OK",
        b"HTTP/1.1 20 OK",
        b"HTTP/1.1 2000 OK",
        b"HTTP/1.1 099 OK",
        b"HTTP/1.1 -99 OK",
        b"HTTP/1.1 2\xb20 OK",
        b"HTTP/1.1 200\tOK",
        b"HTTP/1.1 200 O\rK",
        b"HTTP/1.1 200 O\0K",
        b" HTTP/1.1 200 OK",
        b"HTTP/1.1 200 OK\r",
        b"GET / HTTP/1.1",
    ],
)
def test_a_bad_status_line_is_refused(line: bytes) -> None:
    raw = line + b"\r\n\r\n"
    assert read_response_head(raw) == Fault("HPE_INVALID_CONSTANT", raw=raw)


@pytest.mark.parametrize(
    "line",
    [
        b"no colon",
        b": no name",
        b"A : b",
        b"A b: c",
        b"A: b\rC: d",
        b"A: b\0",
        b"A: b\x7f",
        b" folded: a",
        b"A: b\r\n c",
        b"A: b\r\n\tc",
        b"\xe9: a",
    ],
)
def test_a_bad_field_is_refused_and_so_is_a_folded_one(line: bytes) -> None:
    raw = b"HTTP/1.1 200 OK\r\n" + line + b"\r\n\r\n"
    assert read_response_head(raw) == Fault("HPE_INVALID_HEADER_TOKEN", raw=raw)


# ── how its body ends (RFC 9112, 6.3) ──────────────────────────────────────────────────────────────

FIVE = "Content-Length: 5"
IN_CHUNKS = "Transfer-Encoding: chunked"


@pytest.mark.parametrize(
    "fields", [(), (FIVE,), (IN_CHUNKS,), (FIVE, IN_CHUNKS), ("Transfer-Encoding: gzip, chunked",)]
)
@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", 200), ("HEAD", 404), ("GET", 204), ("POST", 304), ("GET", 103)]
)
def test_some_responses_never_have_a_body(fields: tuple[str, ...], method: str, status: int) -> None:
    assert length(*fields, method=method, status=status) == 0


@pytest.mark.parametrize("fields", [(), (FIVE,), (IN_CHUNKS,), ("Content-Length: x",), ("Transfer-Encoding: gzip",)])
@pytest.mark.parametrize("status", [200, 204, 299])
def test_a_tunnel_begins_behind_the_head_whatever_that_says(fields: tuple[str, ...], status: int) -> None:
    assert length(*fields, method="CONNECT", status=status) == 0


def test_a_refused_tunnel_has_an_ordinary_body() -> None:
    assert length(FIVE, method="CONNECT", status=407) == 5
    assert length(method="CONNECT", status=300) == UNTIL_CLOSE


@pytest.mark.parametrize(
    ("fields", "ends"),
    [
        ((), UNTIL_CLOSE),
        ((FIVE,), 5),
        (("content-length: 0",), 0),
        (("Content-Length: 007",), 7),
        (("Content-Length: 9223372036854775807",), 9223372036854775807),
        ((FIVE, FIVE), 5),
        (("Content-Length: 5, 5",), 5),
        (("Content-Length: 5,5", "content-length: 5"), 5),
        ((IN_CHUNKS,), CHUNKED),
        (("Transfer-Encoding: CHUNKED",), CHUNKED),
        ((FIVE, IN_CHUNKS), CHUNKED),
        ((IN_CHUNKS, FIVE), CHUNKED),
    ],
)
@pytest.mark.parametrize("status", [200, 205, 301, 500])
def test_a_body_ends_as_its_framing_says(fields: tuple[str, ...], ends: int, status: int) -> None:
    assert length(*fields, status=status) == ends


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        (("Content-Length: 5", "Content-Length: 6"), "HPE_INVALID_CONTENT_LENGTH"),
        (("Content-Length: 5, 6",), "HPE_INVALID_CONTENT_LENGTH"),
        (("Content-Length: 5, 05",), "HPE_INVALID_CONTENT_LENGTH"),
        (("Content-Length: 9223372036854775808",), "HPE_INVALID_CONTENT_LENGTH"),
        (("Content-Length: 5\xa0",), "HPE_INVALID_CONTENT_LENGTH"),
        (("Content-Length: 5,",), "HPE_INVALID_CONTENT_LENGTH"),
        (("Content-Length:",), "HPE_INVALID_CONTENT_LENGTH"),
        (("Content-Length: +5",), "HPE_INVALID_CONTENT_LENGTH"),
        (("Content-Length: -5",), "HPE_INVALID_CONTENT_LENGTH"),
        (("Content-Length: 0x5",), "HPE_INVALID_CONTENT_LENGTH"),
        (("Content-Length: 5 5",), "HPE_INVALID_CONTENT_LENGTH"),
        (("Content-Length: \xb2",), "HPE_INVALID_CONTENT_LENGTH"),
        (("Content-Length: 10000000000000000000",), "HPE_INVALID_CONTENT_LENGTH"),
        (("Content-Length: x", IN_CHUNKS), "HPE_INVALID_CONTENT_LENGTH"),
        (("Transfer-Encoding: gzip",), "HPE_INVALID_TRANSFER_ENCODING"),
        (("Transfer-Encoding: gzip, chunked",), "HPE_INVALID_TRANSFER_ENCODING"),
        (("Transfer-Encoding: chunked, gzip",), "HPE_INVALID_TRANSFER_ENCODING"),
        (("Transfer-Encoding: identity",), "HPE_INVALID_TRANSFER_ENCODING"),
        (("Transfer-Encoding:",), "HPE_INVALID_TRANSFER_ENCODING"),
        ((IN_CHUNKS, IN_CHUNKS), "HPE_INVALID_TRANSFER_ENCODING"),
        (("Transfer-Encoding: xchunked",), "HPE_INVALID_TRANSFER_ENCODING"),
    ],
)
def test_framing_that_can_be_understood_in_two_ways_is_refused(fields: tuple[str, ...], code: str) -> None:
    assert length(*fields) == code


def test_a_length_that_would_be_passed_on_has_to_be_one_even_without_a_body() -> None:
    assert length("Content-Length: x", method="HEAD") == "HPE_INVALID_CONTENT_LENGTH"
    assert length("Content-Length: 1, 2", status=304) == "HPE_INVALID_CONTENT_LENGTH"


# ── whether the connection goes on ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("version", "fields", "goes_on"),
    [
        ("1.1", (), True),
        ("1.1", ("Connection: keep-alive",), True),
        ("1.1", ("Connection: x, y",), True),
        ("1.1", ("Connection: close",), False),
        ("1.1", ("Connection: X", "connection: CLOSE"), False),
        ("1.1", ("Connection: keep-alive, close",), False),
        ("1.1", ("Connection: not-close",), True),
        ("1.0", (), False),
        ("1.0", ("Connection: keep-alive",), True),
        ("1.0", ("Connection: x ,Keep-Alive",), True),
        ("1.0", ("Connection: keep-alive, close",), False),
        ("1.0", ("Keep-Alive: timeout=5",), False),
        ("1.1", (IN_CHUNKS,), True),
        ("1.1", (IN_CHUNKS, FIVE), False),
        ("1.0", ("Connection: keep-alive", IN_CHUNKS), False),
        ("1.0", ("Connection: keep-alive", FIVE), True),
    ],
)
def test_a_connection_goes_on_where_that_is_said_and_certain(
    version: str, fields: tuple[str, ...], goes_on: bool
) -> None:
    assert keeps_alive(head(*fields, version=version)) is goes_on
