"""Request heads that are repaired, and those that are not."""

from __future__ import annotations

import pytest

from mockrec.engine.wire.http1.lenient_head import read_lenient_head
from mockrec.engine.wire.http1.server import H1Server
from mockrec.engine.wire.parts import Data, End, Fault, RequestHead, RequestPart

GOOD = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def test_a_good_head_is_taken_as_it_is() -> None:
    read = read_lenient_head(GOOD)
    assert isinstance(read, RequestHead)
    assert (read.raw_headers, read.odd) == ([["Host", "a"]], ())


@pytest.mark.parametrize(
    ("line", "field", "kind"),
    [
        (b"X : v", ["X", "v"], "space-before-colon"),
        (b"X@Y: v", ["X@Y", "v"], "odd-name"),
        (b"X: a\x01b", ["X", "a\x01b"], "control-character"),
        (b"X: a\r\n b", ["X", "a b"], "folded-field"),
        (b": v", None, "empty-name"),
    ],
)
def test_what_is_odd_is_repaired_for_those_who_read_it_after_us(
    line: bytes, field: list[str] | None, kind: str
) -> None:
    head = read_lenient_head(b"POST / HTTP/1.1\r\nHost: a\r\n" + line + b"\r\nContent-Length: 2\r\n\r\n")
    assert isinstance(head, RequestHead)
    assert head.raw_headers == [["Host", "a"], *([field] if field else []), ["Content-Length", "2"]]
    assert (head.content_length, head.has_body, head.odd) == (2, True, (f"client-odd:{kind}",))


@pytest.mark.parametrize(
    "lines",
    [
        b"Host : a",
        b"Host: a\r\n b",
        b"Host: a\r\nContent-Length : 2",
        b"Host: a\r\nX: b\r\n Content-Length: 2",
        b"Host: a\r\nX: b\r\n host: c",
        b"Host: a\r\nX : b\r\nHost: b",
        b"Host: a\r\nX : b\r\nContent-Length: 2\r\nContent-Length: 2",
        b"X : b",
    ],
)
def test_what_frames_or_directs_is_as_it_should_be_or_refused(lines: bytes) -> None:
    assert isinstance(read_lenient_head(b"GET / HTTP/1.1\r\n" + lines + b"\r\n\r\n"), Fault)


@pytest.mark.parametrize("step", [1, 2, 3, 1000])
def test_a_lenient_codec_gives_the_same_in_any_cut(step: int) -> None:
    raw = b"POST /a HTTP/1.1\nHost: a\nX : b\nTransfer-Encoding: chunked\n\n2 \nok\n0\n\n" + GOOD
    codec = H1Server(4096, lenient=True)
    parts = [part for at in range(0, len(raw), step) for part in codec.receive(raw[at : at + step])]
    request, *rest = parts
    assert isinstance(request, RequestPart)
    assert request.head.odd == ("client-odd:bare-lf", "client-odd:space-before-colon")
    assert rest.pop() == End([], odd=("chunk-bare-lf", "chunk-padded-size"))
    assert b"".join([part.data for part in rest if isinstance(part, Data)]) == b"ok"
    assert codec.buffered == len(GOOD)
