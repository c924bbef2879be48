"""Chunked request bodies: strict lines, and the same parts in any cut."""

from __future__ import annotations

import pytest

from mockrec.engine.wire.http1.chunked import ChunkedBody
from mockrec.engine.wire.parts import Data, End, Fault, Part

LIMIT = 64


def read(raw: bytes, step: int, limit: int = LIMIT) -> tuple[bytes, list[Part], bytes]:
    """The data, the other parts and the rest of a body that comes in pieces of `step` bytes."""
    body = ChunkedBody(limit)
    data, parts, at = b"", [], 0
    while at < len(raw) and not parts:
        for part in body.receive(raw[at : at + step]):
            if isinstance(part, Data):
                assert part.data
                data += part.data
            else:
                parts.append(part)
        at += step
    return data, parts, body.rest + raw[at:]


STEPS = pytest.mark.parametrize("step", [1, 2, 3, 7, 10_000])


@STEPS
@pytest.mark.parametrize(
    ("raw", "data"),
    [
        (b"0\r\n\r\n", b""),
        (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", b"hello!"),
        (b"A\r\n\r\n0\r\n\r\n\r\n\x00\r\n0\r\n\r\n", b"\r\n0\r\n\r\n\r\n\x00"),
        (b"0005\r\nhello\r\n000\r\n\r\n", b"hello"),
        (b"000000000000000a\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
        (b"1f\r\n" + b"x" * 31 + b"\r\n1F\r\n" + b"y" * 31 + b"\r\n0\r\n\r\n", b"x" * 31 + b"y" * 31),
        (b'5;a\r\nhello\r\n0 ; b = "c\xe9;d"\r\n\r\n', b"hello"),
    ],
)
def test_a_body_is_its_data_and_an_end(raw: bytes, data: bytes, step: int) -> None:
    assert read(raw, step) == (data, [End([])], b"")


@STEPS
def test_trailers_keep_case_order_and_duplicates(step: int) -> None:
    raw = b"0\r\nX-B: 1\r\nx-a:2\t\r\nX-b: \xe9\r\nempty:\r\n\r\n"
    end = End([["X-B", "1"], ["x-a", "2"], ["X-b", "é"], ["empty", ""]])
    assert read(raw, step) == (b"", [end], b"")


@STEPS
def test_what_is_behind_the_end_is_left(step: int) -> None:
    raw = b"1\r\na\r\n0\r\nX: y\r\n\r\nGET / HTTP/1.1\r\n\r\n"
    assert read(raw, step) == (b"a", [End([["X", "y"]])], b"GET / HTTP/1.1\r\n\r\n")


@STEPS
@pytest.mark.parametrize(
    ("raw", "data", "code"),
    [
        (b"\r\n\r\n", b"", "HPE_INVALID_CHUNK_SIZE"),
        (b"g\r\n", b"", "HPE_INVALID_CHUNK_SIZE"),
        (b"5g\r\nhello\r\n", b"", "HPE_INVALID_CHUNK_SIZE"),
        (b"-5\r\nhello\r\n", b"", "HPE_INVALID_CHUNK_SIZE"),
        (b"+5\r\nhello\r\n", b"", "HPE_INVALID_CHUNK_SIZE"),
        (b"0x5\r\nhello\r\n", b"", "HPE_INVALID_CHUNK_SIZE"),
        (b"5_0\r\nhello\r\n", b"", "HPE_INVALID_CHUNK_SIZE"),
        (b" 5\r\nhello\r\n", b"", "HPE_INVALID_CHUNK_SIZE"),
        (b"5 \r\nhello\r\n", b"", "HPE_INVALID_CHUNK_SIZE"),
        (b"5\nhello\r\n", b"", "HPE_INVALID_CHUNK_SIZE"),
        (b"5\r\r\nhello\r\n", b"", "HPE_INVALID_CHUNK_SIZE"),
        (b"5;a\nb\r\nhello\r\n", b"", "HPE_INVALID_CHUNK_SIZE"),
        (b"5;a\rb\r\nhello\r\n", b"", "HPE_INVALID_CHUNK_SIZE"),
        (b"5;a\x00\r\nhello\r\n", b"", "HPE_INVALID_CHUNK_SIZE"),
        (b"10000000000000000\r\n", b"", "HPE_INVALID_CHUNK_SIZE"),
        (b"hello", b"", "HPE_INVALID_CHUNK_SIZE"),
        (b"5\r\nhello0\r\n\r\n", b"hello", "HPE_INVALID_CHUNK_SIZE"),
        (b"5\r\nhello\n0\r\n\r\n", b"hello", "HPE_INVALID_CHUNK_SIZE"),
        (b"5\r\nhello\r0\r\n\r\n", b"hello", "HPE_INVALID_CHUNK_SIZE"),
        (b"5\r\nhello\r\n\r\n", b"hello", "HPE_INVALID_CHUNK_SIZE"),
        (b"0\r\n\n" + b"x" * 1000, b"", "HPE_INVALID_HEADER_TOKEN"),
        (b"0\r\nX: y\n\r\n", b"", "HPE_INVALID_HEADER_TOKEN"),
        (b"0\r\nX: y\n\n", b"", "HPE_INVALID_HEADER_TOKEN"),
        (b"0\r\nX: y\r\n folded\r\n\r\n", b"", "HPE_INVALID_HEADER_TOKEN"),
        (b"0\r\n X: y\r\n\r\n", b"", "HPE_INVALID_HEADER_TOKEN"),
        (b"0\r\nX : y\r\n\r\n", b"", "HPE_INVALID_HEADER_TOKEN"),
        (b"0\r\nno colon\r\n\r\n", b"", "HPE_INVALID_HEADER_TOKEN"),
        (b"0\r\nX: a\x00\r\n\r\n", b"", "HPE_INVALID_HEADER_TOKEN"),
    ],
)
def test_a_bad_line_is_a_fault(raw: bytes, data: bytes, code: str, step: int) -> None:
    found, parts, _ = read(raw, step)
    assert (found, parts) == (data, [Fault(code)])


@STEPS
@pytest.mark.parametrize("extra", [0, 1, 2, 3])
def test_a_size_line_has_a_limit(extra: int, step: int) -> None:
    line = b"1;" + b"x" * (LIMIT - 4 + extra) + b"\r\n"
    _, parts, _ = read(line + b"a\r\n0\r\n\r\n", step)
    assert parts == ([End([])] if extra == 0 else [Fault("HPE_INVALID_CHUNK_SIZE")])


@STEPS
@pytest.mark.parametrize("extra", [0, 1, 2, 3])
@pytest.mark.parametrize("lines", [1, 2])
def test_trailers_have_a_limit_together(lines: int, extra: int, step: int) -> None:
    trailers = [b"A: " + b"x" * 20 for _ in range(lines - 1)]
    trailers.append(b"B: " + b"x" * (LIMIT - 7 - 25 * (lines - 1) + extra))
    section = b"\r\n".join([*trailers, b"", b""])
    assert len(section) == LIMIT + extra
    _, parts, _ = read(b"0\r\n" + section, step)
    if extra:
        assert parts == [Fault("HPE_HEADER_OVERFLOW", 431)]
    else:
        assert isinstance(parts[0], End)


@STEPS
def test_a_long_line_that_never_ends_is_a_fault(step: int) -> None:
    assert read(b"1" * 1000, step)[1] == [Fault("HPE_INVALID_CHUNK_SIZE")]
    assert read(b"0\r\n" + b"a" * 1000, step)[1] == [Fault("HPE_HEADER_OVERFLOW", 431)]
    assert read(b"0\r\n" + b"a" * 1000 + b"\n", step)[1] == [Fault("HPE_HEADER_OVERFLOW", 431)]


def test_a_chunk_is_passed_on_before_it_is_complete() -> None:
    body = ChunkedBody(LIMIT)
    assert body.receive(b"ffffffffffffffff\r\nab") == [Data(b"ab")]
    assert body.receive(b"c") == [Data(b"c")]


def test_an_incomplete_line_waits() -> None:
    body = ChunkedBody(LIMIT)
    assert body.receive(b"5") == []
    assert body.receive(b"\r") == []
    assert body.receive(b"\nhello\r") == [Data(b"hello")]
    assert body.receive(b"\n") == []


@pytest.mark.parametrize("step", [1, 2, 3, 10_000])
@pytest.mark.parametrize(
    ("raw", "odd"),
    [
        (b"5\nhello\n0\n\n", ("chunk-bare-lf",)),
        (b"5\r\nhello\r\n0\n\n", ("chunk-bare-lf",)),
        (b"5\r\nhello\n0\r\n\r\n", ("chunk-bare-lf",)),
        (b"0005 \t\r\nhello\r\n0 \r\n\r\n", ("chunk-padded-size",)),
        (b"5 ;a=b\r\nhello\r\n0\r\n\r\n", ()),
        (b"5\r\nhello\r\n0\r\n\r\n", ()),
    ],
)
def test_a_forgiving_reader_names_what_it_forgives(raw: bytes, odd: tuple[str, ...], step: int) -> None:
    body = ChunkedBody(LIMIT, odd=True)
    parts = [part for at in range(0, len(raw), step) for part in body.receive(raw[at : at + step])]
    assert parts.pop() == End([], odd=odd)
    assert b"".join([part.data for part in parts if isinstance(part, Data)]) == b"hello"
    assert body.rest == b""


@pytest.mark.parametrize(
    "raw",
    [
        b"5;a\nhello\r\n0\r\n\r\n",
        b"5;a\n\r\nhello\r\n0\r\n\r\n",
        b"5\rhello\r\n0\r\n\r\n",
        b"5 x\r\nhello\r\n0\r\n\r\n",
        b" 5\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\r0\r\n\r\n",
        b"\n5\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\n\n0\r\n\r\n",
        b"5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n",
        b"5\r\nhello\r\n0\r\nContent-Length : 3\r\n\r\n",
        b"5\r\nhello\r\n0\r\nX\r\n\r\n",
    ],
)
def test_a_forgiving_reader_refuses_what_two_read_differently(raw: bytes) -> None:
    *_, last = ChunkedBody(LIMIT, odd=True).receive(raw)
    assert isinstance(last, Fault)
