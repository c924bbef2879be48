"""When the pieces of a recorded body are sent again."""

from __future__ import annotations

import pytest

from mockrec.engine.replay.serve.chunk_times import ticks
from mockrec.engine.replay.serve.latency import Latency

RECORD = {
    "timingEvents": {"startTimestamp": 1000.0, "headersSentTimestamp": 1010.0, "responseSentTimestamp": 1310.0},
}
SSE = [("Content-Type", "text/event-stream; charset=utf-8")]
BODY = b"data: 1\n\ndata: 2\r\n\r\ndata: 3\n\n"
EVENTS = [b"data: 1\n\n", b"data: 2\r\n\r\n", b"data: 3\n\n"]


def test_events_are_spread_evenly() -> None:
    found = ticks(BODY, SSE, RECORD, [], Latency(1.0))
    assert found == list(zip([10.0, 160.0, 310.0], EVENTS, strict=True))


def test_an_open_stream_had_its_last_event_before_its_client_left() -> None:
    found = ticks(BODY, SSE, RECORD, [], Latency(2.0), is_open=True)
    assert found == list(zip([20.0, 220.0, 420.0], EVENTS, strict=True))


def test_recorded_pieces_come_as_they_came() -> None:
    found = ticks(b"abcdef", [], RECORD, [1010.0, 2, 1100.0, 1, 1300.0, 9], Latency(1.0))
    assert found == [(10.0, b"ab"), (100.0, b"c"), (300.0, b"def")]


def test_what_no_piece_tells_of_comes_at_the_end() -> None:
    assert ticks(b"abc", [], RECORD, [1010.0, 2], Latency(1.0)) == [(10.0, b"ab"), (310.0, b"c")]


@pytest.mark.parametrize("fields", [[], [("Content-Type", "text/plain")], [*SSE, ("Content-Encoding", "gzip")]])
def test_other_bodies_come_at_their_end(fields: list[tuple[str, str]]) -> None:
    assert ticks(BODY, fields, RECORD, [], Latency(1.0)) == [(310.0, BODY)]


@pytest.mark.parametrize("body", [b"", b"data", b"data\n\n"])
def test_one_event_or_none(body: bytes) -> None:
    assert ticks(body, SSE, RECORD, [], Latency(1.0)) == [(10.0, body)]


def test_nothing_is_lost_of_many_events() -> None:
    body = b"\n\n" * 30_000 + b"rest"
    found = ticks(body, SSE, RECORD, [], Latency(1.0))
    assert len(found) <= 10_000
    assert b"".join(data for _, data in found) == body
