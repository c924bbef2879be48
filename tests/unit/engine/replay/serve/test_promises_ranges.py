"""What docs/replay.md promises of `Range`."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import pytest
from promises import WHOLE, WHOLE_FILE, Ask, Row, Taped, assert_kept, part, ranged

from mockrec.engine.exchange.websocket import SocketSettings
from mockrec.engine.replay.serve.cassette import Cassette
from mockrec.engine.replay.serve.latency import Latency
from mockrec.engine.replay.serve.step import replay_handler

pytestmark = pytest.mark.anyio

ROWS = [
    Row(
        "Range: the recorded part",
        (part(0, 3), part(4, 7), part(8, 11)),
        (
            ranged("bytes=8-11", b"CCCC", head=("Content-Range", "bytes 8-11/12")),
            ranged("bytes=0-3", b"AAAA", head=("Content-Range", "bytes 0-3/12")),
            ranged("bytes=9-10", b"CC", head=("Content-Range", "bytes 9-10/12")),
            ranged("bytes=-2", b"CC", head=("Content-Range", "bytes 10-11/12")),
            ranged("bytes=9-", b"CCC", head=("Content-Range", "bytes 9-11/12")),
            ranged("bytes=2-5", 503, says='asked for "bytes=2-5"'),
            Ask("GET /f", 503, says="header:range: recorded"),
        ),
    ),
    Row(
        "Range: the part cut from a recorded whole",
        (WHOLE_FILE,),
        (
            ranged("bytes=0-3", (206, b"AAAA"), head=("Content-Range", "bytes 0-3/12")),
            ranged("bytes=4-7", (206, b"BBBB"), head=("Content-Length", "4")),
            ranged("BYTES = 8-", (206, b"CCCC"), head=("ETag", '"v1"')),
            ranged("bytes=-4", (206, b"CCCC"), head=("Content-Range", "bytes 8-11/12")),
            ranged("bytes=-99", (206, WHOLE), head=("Content-Range", "bytes 0-11/12")),
            ranged("bytes=10-99", (206, b"CC"), head=("Content-Range", "bytes 10-11/12")),
            ranged("bytes=12-", (416, b""), head=("Content-Range", "bytes */12")),
            ranged("bytes=-0", (416, b"")),
            ranged("bytes=0-0,-1", (200, WHOLE)),
            ranged("bytes=5-2", (200, WHOLE)),
            ranged("items=0-3", (200, WHOLE)),
            Ask("GET /f", (200, WHOLE)),
        ),
    ),
    Row(
        "Range with If-Range: the part of what the client knows, the whole of anything else",
        (WHOLE_FILE,),
        (
            ranged("bytes=0-3", (206, b"AAAA"), fields=(("If-Range", '"v1"'),)),
            ranged("bytes=0-3", (206, b"AAAA"), fields=(("If-Range", "Thu, 01 Jan 2026 00:00:00 GMT"),)),
            ranged("bytes=0-3", (200, WHOLE), fields=(("If-Range", '"v0"'),)),
            ranged("bytes=0-3", (200, WHOLE), fields=(("If-Range", 'W/"v1"'),)),
        ),
    ),
    Row(
        "Range with If-Range: no part of something else",
        (part(0, 3, fields=(("ETag", '"v1"'),)),),
        (
            ranged("bytes=0-3", b"AAAA", fields=(("If-Range", '"v1"'),)),
            ranged("bytes=0-3", 503, fields=(("If-Range", '"v0"'),), says="header:if-range"),
        ),
    ),
    Row(
        "Range: a part that holds everything is the whole",
        (part(0, 11),),
        (Ask("GET /f", (200, WHOLE)), ranged("bytes=4-7", (206, b"BBBB")), ranged("bytes=0-11", (206, WHOLE))),
    ),
    Row(
        "Range: a server that sends everything does so again",
        (Taped("GET /f", WHOLE, asked=(("Range", "bytes=0-3"),)),),
        (ranged("bytes=0-3", (200, WHOLE)), ranged("bytes=4-7", (200, WHOLE)), Ask("GET /f", (200, WHOLE))),
    ),
    Row(
        "Range: no ranges where the server says that it has none",
        (Taped("GET /f", WHOLE, (("Accept-Ranges", "none"),)),),
        (ranged("bytes=0-3", (200, WHOLE)),),
    ),
    Row(
        "Range: pages in other units are told apart",
        (
            Taped("GET /f", "ab", (("Content-Range", "0-1/9"),), (("Range", "0-1"),), status=206),
            Taped("GET /f", "cd", (("Content-Range", "2-3/9"),), (("Range", "2-3"),), status=206),
        ),
        (ranged("2-3", "cd"), ranged("0-1", "ab"), ranged("4-5", 503, says="header:range")),
    ),
    Row(
        "Range: 416 as recorded, and errors whatever the range",
        (
            Taped("GET /f", "", (("Content-Range", "bytes */12"),), (("Range", "bytes=50-"),), status=416),
            part(0, 3),
            Taped("GET /gone", "no", asked=(("Range", "bytes=0-"),), status=404),
        ),
        (ranged("bytes=50-", 416), ranged("bytes=0-3", b"AAAA"), Ask("GET /gone", (404, b"no"))),
    ),
    Row(
        "Range: counts for GET alone",
        (Taped("POST /f", WHOLE),),
        (Ask("POST /f", (200, WHOLE), (("Range", "bytes=0-3"),)),),
    ),
    Row(
        "a part that was sent to a client without a Range is for none that asks for another part",
        (Taped("GET /f", "abc", (("Content-Range", "bytes 0-2/9"),), status=206),),
        (ranged("bytes=5-6", 503, says='header:range: recorded nothing, asked for "bytes=5-6"'),),
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=[row.promise for row in ROWS])
async def test_promise(row: Row, stage: Any, recorded: Any, cassette: Callable[..., Cassette]) -> None:
    await assert_kept(row, stage, recorded, cassette)


async def test_ranges_are_of_the_encoded_body(stage: Any, recorded: Any, cassette: Callable[..., Cassette]) -> None:
    """A client that puts the parts together has to get what it can decode (RFC 9110, 14.1)."""
    recorded.add("request", "1", method="GET", url="http://shop.test/f", path="/f", rawHeaders=[])
    body = {"size": 5, "text": "hello", "contentEncoding": "gzip"}
    recorded.add("response", "1", statusCode=200, rawHeaders=[["Content-Encoding", "gzip"]], body=body)
    act = replay_handler(cassette(), Latency(), SocketSettings())
    got = b""
    for text in ("bytes=0-9", "bytes=10-"):
        stage.channel.done.clear()
        await stage.act(act, "GET /f", ("Range", text))
        got += stage.channel.done[0][3]
    assert gzip.decompress(got) == b"hello"


async def test_every_one_of_many_parts_is_found(stage: Any, recorded: Any, cassette: Callable[..., Cassette]) -> None:
    """A map of tiles in one file is read by thousands of ranges, more than are judged one by one."""
    for number in range(1500):
        asked = f"{number * 10}-{number * 10 + 9}"
        head = {"method": "GET", "url": "http://shop.test/f", "path": "/f", "rawHeaders": [["Range", f"bytes={asked}"]]}
        recorded.add("request", str(number), **head)
        fields = [["Content-Range", f"bytes {asked}/15000"]]
        body = {"size": 10, "text": f"{number:010}"}
        recorded.add("response", str(number), statusCode=206, rawHeaders=fields, body=body)
    act = replay_handler(cassette(), Latency(), SocketSettings())
    for number in (0, 999, 1000, 1499):
        stage.channel.done.clear()
        await stage.act(act, "GET /f", ("Range", f"bytes={number * 10}-{number * 10 + 9}"))
        assert stage.channel.done[0][1:4:2] == (206, f"{number:010}".encode())
