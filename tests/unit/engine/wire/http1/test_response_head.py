"""Response heads of servers: what is read, how the content after them is framed, and what is refused."""

from __future__ import annotations

import pytest

from mockrec.engine.wire.http1.response_head import (
    CHUNKED,
    UNTIL_CLOSE,
    body_length,
    head_end,
    keeps_alive,
    read_response_head,
)
from mockrec.engine.wire.parts import Fault, ResponseHead


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
        b"HTTP/1.1 20 OK",
        b"HTTP/1.1 2000 OK",
        b"HTTP/1.1 099 OK",
        b"HTTP/1.1 -99 OK",
        b"HTTP/1.1 2\xb20 OK",
        b"HTTP/1.1 200 O\rK",
        b"HTTP/1.1 200 O\0K",
        b" HTTP/1.1 200 OK",
        b"HTTP/1.1 200 OK\r",
        b"GET / HTTP/1.1",
        b"HTTP/1.4.2015 200 OK",
        b"HTTP/3 200 OK",
        b"HTTP/1.1\n200 OK",
    ],
)
def test_a_bad_status_line_is_refused(line: bytes) -> None:
    raw = line + b"\r\n\r\n"
    fault = read_response_head(raw)
    assert isinstance(fault, Fault)
    assert (fault.code, fault.raw) == ("HPE_INVALID_CONSTANT", raw)
    assert "no status line" in fault.detail


@pytest.mark.parametrize(
    ("line", "version", "reason", "kind"),
    [
        (b"http/1.1 200 OK", "1.1", "OK", "status-line"),
        (b"HTTP/2.0 200 OK", "1.1", "OK", "status-line"),
        (b"HTTP/2 200", "1.1", "", "status-line"),
        (b"HTTP/1.2 200 OK", "1.1", "OK", "status-line"),
        (b"http/1.0 200 OK", "1.0", "OK", "status-line"),
        (b"HTTP/1.1  200 OK", "1.1", "OK", "status-line"),
        (b"HTTP/1.1 200\tOK", "1.1", "OK", "status-line"),
        (b"HTTP/1.1 200 O\x01K", "1.1", "O\x01K", "control-character"),
        (b"\r\n\nHTTP/1.1 200 OK", "1.1", "OK", "empty-lines"),
    ],
)
def test_a_status_line_that_curl_or_browsers_read_is_read(line: bytes, version: str, reason: str, kind: str) -> None:
    raw = line + b"\r\nA: b\r\n\r\n"
    read = read_response_head(raw)
    assert isinstance(read, ResponseHead)
    assert (read.status, read.version, read.reason, read.raw_headers) == (200, version, reason, [["A", "b"]])
    assert kind in read.odd and read.raw == raw
    assert not keeps_alive(read)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"no colon", "no colon"),
        (b"A: b\rC: d", "bare CR"),
        (b"A: b\0", "NUL"),
        (b"A\0: b", "control character"),
        (b"A\x7f: b", "control character"),
        (b"A\tB: b", "control character"),
        (b" folded: a", "begins with a blank"),
        (b"A: b\r\n \0", "NUL"),
        (b"A: b\r\n  ", "blanks alone"),
        (b"A: b\r\n Content-Length: 5", "looks like a field that frames"),
        (b"A: b\r\n\ttransfer-encoding : chunked", "looks like a field that frames"),
        (b"Content-Length:\r\n 5", "frames, and is folded"),
        (b"Transfer-Encoding: chunked\r\n , gzip", "frames, and is folded"),
        (b"Content-Length : 5", "not written as it should be"),
        (b"Transfer-Encoding\t: chunked", "not written as it should be"),
        (b"Content-Length: \x0b5", "not written as it should be"),
        (b"Content Length: 5", "not written as it should be"),
        (b"Transfer@Encoding: chunked", "not written as it should be"),
        (b"Content-Length\xa0: 5", "not written as it should be"),
        (b"(Content-Length): 5", "not written as it should be"),
    ],
)
def test_a_field_that_two_may_read_differently_is_refused(line: bytes, text: str) -> None:
    raw = b"HTTP/1.1 200 OK\r\n" + line + b"\r\n\r\n"
    fault = read_response_head(raw)
    assert isinstance(fault, Fault)
    assert (fault.code, fault.raw) == ("HPE_INVALID_HEADER_TOKEN", raw)
    assert text in fault.detail


@pytest.mark.parametrize(
    ("line", "fields", "kind"),
    [
        (b"A: b\r\n c", [["A", "b c"]], "folded-field"),
        (b"A: b \r\n\t c \r\n d", [["A", "b c d"]], "folded-field"),
        (b"A:\r\n b: c", [["A", "b: c"]], "folded-field"),
        (b"Connection:\r\n close", [["Connection", "close"]], "folded-field"),
        (b"A : b", [["A", "b"]], "space-before-colon"),
        (b"A \t:b", [["A", "b"]], "space-before-colon"),
        (b"X@Y: v", [["X@Y", "v"]], "odd-name"),
        (b"HTTP 1/1 302: v", [["HTTP 1/1 302", "v"]], "odd-name"),
        (b"get-ban/forum.php: userdata", [["get-ban/forum.php", "userdata"]], "odd-name"),
        (b"\xe9: a", [["é", "a"]], "odd-name"),
        (b": no name", [], "empty-name"),
        (b"A: b\x7f", [["A", "b\x7f"]], "control-character"),
        (b"A: \x01b", [["A", "\x01b"]], "control-character"),
    ],
)
def test_what_is_odd_and_means_one_thing_is_repaired_and_named(line: bytes, fields: list[list[str]], kind: str) -> None:
    raw = b"HTTP/1.1 200 OK\r\nE: f\r\n" + line + b"\r\nG: h\r\n\r\n"
    read = read_response_head(raw)
    assert isinstance(read, ResponseHead)
    assert read.raw_headers == [["E", "f"], *fields, ["G", "h"]]
    assert (read.odd, read.raw) == ((kind,), raw)
    assert not keeps_alive(read)


@pytest.mark.parametrize(
    ("raw", "odd", "kept"),
    [
        (b"HTTP/1.1 200 OK\nContent-Length: 2\n\n", ("bare-lf",), True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\ncontent-length: 2\r\n\r\n", ("repeated-length",), True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", ("both-lengths",), False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", (), True),
    ],
)
def test_what_was_always_taken_is_named_too(raw: bytes, odd: tuple[str, ...], kept: bool) -> None:
    read = read_response_head(raw)
    assert isinstance(read, ResponseHead)
    assert (read.odd, read.raw) == (odd, raw if odd else b"")
    assert keeps_alive(read) is kept


def test_a_long_fold_takes_work_in_proportion() -> None:
    raw = b"HTTP/1.1 200 OK\r\nA: b\r\n" + b" c\r\n" * 50_000 + b"\r\n"
    read = read_response_head(raw)
    assert isinstance(read, ResponseHead)
    assert read.raw_headers == [["A", "b" + " c" * 50_000]]


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
