"""Request heads of HTTP/2 that are repaired, and those that are not."""

from __future__ import annotations

import pytest

from mockrec.engine.wire.http2.lenient_head import read_lenient_request
from mockrec.engine.wire.parts import RequestHead


def fields(*more: tuple[bytes, bytes], authority: bytes = b"a") -> tuple[tuple[bytes, bytes], ...]:
    return ((b":method", b"GET"), (b":scheme", b"http"), (b":authority", authority), (b":path", b"/"), *more)


def test_a_request_of_http2_is_repaired_too() -> None:
    read = read_lenient_request(fields((b"x", b" a\x01 "), (b"x@y", b"v")), True)
    assert isinstance(read, tuple)
    head = read[0]
    assert isinstance(head, RequestHead)
    assert head.raw_headers[4:] == [["x", "a\x01"], ["x@y", "v"]]
    assert head.odd == tuple(f"client-odd:{kind}" for kind in ("padded-value", "control-character", "odd-name"))


@pytest.mark.parametrize(
    "more",
    [
        ((b"host", b" a"),),
        ((b"content-length", b" 2"),),
        ((b"x", b"a\0"), (b"y", b" b")),
        ((b"X", b"v"), (b"y", b" b")),
        ((b"x@y", b"a\0b"), (b"y", b" b")),
    ],
)
def test_a_request_of_http2_that_frames_oddly_is_refused(more: tuple[tuple[bytes, bytes], ...]) -> None:
    assert isinstance(read_lenient_request(fields(*more), True), str)


def test_an_odd_authority_is_refused() -> None:
    assert isinstance(read_lenient_request(fields((b"x", b" a"), authority=b" a"), True), str)
