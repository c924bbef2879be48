"""Heads of HTTP/2 made of fields, and fields made of heads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from mockrec.engine.wire.http2.server import H2Server

Pairs = Sequence[tuple[str, str]]
NewPeer = Callable[..., Any]

LIMIT = 1024


def framed(status: int, headers: Pairs, length: int | None, date: str = "now") -> Pairs:
    head = H2Server(head_limit=LIMIT, streams=1).frame(status, "Odd", headers, length, date)
    assert head.reason == "" and head.version == "2.0"
    (_, told), *rest = head.raw_headers
    assert head.raw_headers[0] == [":status", str(status)] and head.headers[":status"] == told
    return [(name, value) for name, value in rest]


def test_a_head_is_framed_for_http_2() -> None:
    headers = [("X-B", " 1\t"), ("Connection", "close"), ("Transfer-Encoding", "chunked"), ("Keep-Alive", "1")]
    headers += [("Proxy-Connection", "a"), ("UPGRADE", "b"), ("TE", "gzip"), ("Set-Cookie", "a"), ("set-cookie", "b")]
    kept = [("x-b", "1"), ("set-cookie", "a"), ("set-cookie", "b")]
    assert framed(200, headers, 5) == [*kept, ("date", "now"), ("content-length", "5")]
    assert framed(200, headers, None) == [*kept, ("date", "now")]
    assert framed(200, [("Date", "then"), ("Content-Length", "9")], 5) == [("date", "then"), ("content-length", "9")]
    assert framed(200, [("TE", "Trailers")], 0, "") == [("te", "Trailers")]


def test_lengths_where_no_body_can_be() -> None:
    length = [("content-length", "5")]
    assert framed(204, length, 0, "") == []
    assert framed(304, length, 0, "") == length
    assert framed(304, [], 0, "") == []
    assert framed(200, [], 0, "") == []
    assert framed(200, [*length, ("a", "b"), *length], 5, "") == [*length, ("a", "b")]


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (199, []),
        (1000, []),
        (200, [("a b", "c")]),
        (200, [("", "c")]),
        (200, [("\u212a", "kelvin")]),
        (200, [(":path", "/")]),
        (200, [("a", "b\r\nc: d")]),
        (200, [("a", "\u20ac")]),
    ],
)
def test_what_no_head_can_hold(status: int, headers: Pairs) -> None:
    with pytest.raises(ValueError):
        framed(status, headers, 0)


def test_a_status_among_the_headers_is_left_out() -> None:
    assert framed(200, [(":status", "404"), ("a", "b")], None, "") == [("a", "b")]


def test_equal_heads_are_one(new_peer: NewPeer) -> None:
    peer = new_peer()
    assert peer.ask(1) is peer.ask(3) is new_peer().ask(1)
    assert peer.ask(5, end=False) is not peer.ask(7)
