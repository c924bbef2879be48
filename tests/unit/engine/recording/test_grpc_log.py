"""The records of gRPC messages: one for each, with what it means, bounded for what a client may send at once."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from mockrec.engine.message.response import PreparedResponse
from mockrec.formats.operations.grpc.frames import join_frames
from mockrec.formats.operations.grpc.wire_format import encode_fields

pytestmark = pytest.mark.anyio

START = "POST /shop.v1.Cart/AddItem"
FIELDS = (("Content-Type", "application/grpc"), ("Grpc-Encoding", "gzip"), ("Transfer-Encoding", "chunked"))


def of(stage: Any, kind: str) -> list[dict[str, Any]]:
    return [record for record in stage.log.records if record["type"] == kind]


async def test_each_message_has_a_record(stage: Any) -> None:
    exchange = stage.exchange(START, *FIELDS, complete=False)
    first, second = encode_fields({1: "x1"}), encode_fields({2: 5})
    body = join_frames([first]) + join_frames([gzip.compress(second)], flags=1)
    for byte in body:
        exchange.take_data(bytes([byte]))
    exchange.take_end(())
    await exchange.begin(PreparedResponse(200, (("Content-Type", "application/grpc"),)))
    await exchange.send(join_frames([first])[:3])
    assert of(stage, "grpc-message-sent") == []
    await exchange.send(join_frames([first])[3:])
    await exchange.finish([("grpc-status", "0")])
    received = of(stage, "grpc-message-received")
    assert [(one["index"], one["size"], one["message"], one.get("compressed")) for one in received] == [
        (0, len(first), {"1": "x1"}, None),
        (1, len(gzip.compress(second)), {"2": 5}, True),
    ]
    (sent,) = of(stage, "grpc-message-sent")
    assert (sent["index"], sent["message"]) == (0, {"1": "x1"})
    assert sent["eventTimestamp"] >= received[1]["eventTimestamp"]


async def test_a_response_of_another_type_has_no_messages(stage: Any) -> None:
    exchange = stage.exchange(START, *FIELDS)
    await exchange.reply(PreparedResponse(503, (("Content-Type", "text/plain"),), b"\0\0\0\0\0"))
    assert of(stage, "grpc-message-sent") == []


async def test_malformed_messages_are_recorded_with_their_problem(stage: Any) -> None:
    exchange = stage.exchange(START, *FIELDS, body=join_frames([b"\x0a\x09a"]) + b"\x7f\0\0\0\0junk")
    (record,) = of(stage, "grpc-message-received")
    assert record["message"]["problem"] == "it is no protobuf: the value at byte 2 is cut: 1 of 9 bytes"
    assert exchange.request_body.size == 17


async def test_many_messages_at_once_have_64_records(stage: Any) -> None:
    stage.exchange(START, *FIELDS, body=bytes(5 * 1000))
    received = of(stage, "grpc-message-received")
    assert len(received) == 64
    assert received[-1]["followedBy"] == 1000 - 64
    assert "followedBy" not in received[0]


async def test_long_messages_and_bombs_have_their_size_only(stage: Any) -> None:
    bomb = gzip.compress(bytes(50_000_000), 9)
    stage.exchange(START, *FIELDS, body=join_frames([bytes(20_000)]) + join_frames([bomb[:16_000]], flags=1))
    long, cut = of(stage, "grpc-message-received")
    assert long["size"] == 20_000
    assert "message" not in long
    assert "message" not in cut


async def test_of_messages_that_arrive_together_the_first_16_kib_are_decoded(stage: Any) -> None:
    bombs = [gzip.compress(b"\x08\x01" * 3000)] * 60
    stage.exchange(START, *FIELDS, body=join_frames(bombs, flags=1))
    received = of(stage, "grpc-message-received")
    assert [("message" in one, one["compressed"]) for one in received] == [(True, True)] * 2 + [(False, True)] * 58


async def test_types_that_are_not_recorded_are_counted_all_the_same(stage: Any) -> None:
    stage.record("request", "response")
    exchange = stage.exchange(START, *FIELDS, body=join_frames([b"", b""]))
    assert of(stage, "grpc-message-received") == []
    assert exchange.grpc.received == 2
    assert await exchange.grpc.wait_for(2, exchange)
    assert not await exchange.grpc.wait_for(3, exchange)


async def test_other_requests_are_not_watched(stage: Any) -> None:
    assert stage.exchange("POST /a", ("Content-Type", "application/json"), body=b"{}").grpc is None
    assert stage.exchange("GET /a").grpc is None
