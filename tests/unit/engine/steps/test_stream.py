"""Bodies in pieces: what is sent, and when."""

from __future__ import annotations

import time
from typing import Any

import anyio
import pytest

pytestmark = pytest.mark.anyio

CHUNKED = ("Transfer-Encoding", "chunked")


async def test_the_head_goes_first_then_the_pieces_then_the_end(stage: Any, steps: Any) -> None:
    await steps.run(
        stage, "stream: {status: 201, headers: {X: y}, chunks: [{data: a}, {data: ''}, {data: bc}], trailers: {Z: 1}}"
    )
    assert stage.channel.done == [
        ("head", 201, [("X", "y"), CHUNKED]),
        ("data", b"a"),
        ("data", b"bc"),
        ("end", (("Z", "1"),)),
    ]
    record = stage.log.only("response")
    assert record["body"] == {"size": 3, "text": "abc"}
    assert record["trailers"] == {"z": "1"}


async def test_each_piece_waits_its_time(stage: Any, steps: Any) -> None:
    times: list[tuple[float, bytes]] = []
    send_data = stage.channel.send_data

    async def timed(data: bytes) -> None:
        times.append((time.monotonic(), data))
        await send_data(data)

    stage.channel.send_data = timed
    began = time.monotonic()
    await steps.run(stage, "stream: {chunks: [{data: a, after: 20ms}, {data: b}, {data: c, after: 30ms}]}")
    assert [data for _, data in times] == [b"a", b"b", b"c"]
    assert times[0][0] - began >= 0.02
    assert times[2][0] - began >= 0.05


async def test_server_sent_events(stage: Any, steps: Any) -> None:
    await steps.run(stage, 'stream: {sse: [{event: e, data: "x\\ny", id: 7}, {data: z}]}')
    head, *pieces, end = stage.channel.done
    assert head[2] == [("content-type", "text/event-stream"), ("cache-control", "no-cache"), CHUNKED]
    text = b"".join(data for _, data in pieces).decode()
    first, second, rest = text.split("\n\n")
    assert sorted(first.split("\n")) == ["data: x", "data: y", "event: e", "id: 7"]
    assert (second, rest, end) == ("data: z", "", ("end", ()))


async def test_head_gets_no_pieces(stage: Any, steps: Any) -> None:
    await steps.run(stage, "stream: {chunks: [{data: a}], trailers: {Z: 1}}", "HEAD /")
    assert [sent[0] for sent in stage.channel.done] == ["head", "end"]
    assert stage.channel.done[-1] == ("end", ())
    assert stage.log.only("response")["body"]["size"] == 0


async def test_a_client_that_leaves_ends_it(stage: Any, steps: Any) -> None:
    stage.channel._gone_after = 2
    with pytest.raises(anyio.BrokenResourceError):
        await steps.run(stage, "stream: {chunks: [{data: a}, {data: b}, {data: c}]}")
    assert stage.channel.done == [("head", 200, [CHUNKED]), ("data", b"a")]
    assert "response" not in stage.log.types
