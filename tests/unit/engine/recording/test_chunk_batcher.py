"""Batches of body chunks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mockrec.engine.recording.chunk_batcher import BodyChunk, BodyChunkBatcher
from mockrec.engine.redaction.placeholders import Placeholders
from mockrec.engine.redaction.policy import Policy
from mockrec.engine.redaction.redactor import Redactor

pytestmark = pytest.mark.anyio

Written = list[tuple[bytes, bool]]


class Timers:
    """An event loop's timers, which fire on `fire`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waiting: list[tuple[float, Any]] = []
        self.cancelled = 0
        monkeypatch.setattr(asyncio, "get_running_loop", lambda: self)

    def call_later(self, seconds: float, call: Any) -> Any:
        self.waiting.append((seconds, call))
        return self

    def cancel(self) -> None:
        self.cancelled += 1
        self.waiting.clear()

    def fire(self) -> None:
        ((_, call),) = self.waiting
        call()


@pytest.fixture
def timers(monkeypatch: pytest.MonkeyPatch) -> Timers:
    return Timers(monkeypatch)


@pytest.fixture
def written() -> Written:
    return []


@pytest.fixture
def batch(timers: Timers, written: Written) -> BodyChunkBatcher:
    def write(exchange: Any, piece: BodyChunk) -> None:
        assert piece.kind == "request-body-data"
        written.append((piece.data, piece.is_ended))

    return BodyChunkBatcher(None, "request-body-data", write)  # type: ignore[arg-type]


def test_chunks_are_gathered_for_20_ms(batch: BodyChunkBatcher, timers: Timers, written: Written) -> None:
    batch.add(b"a")
    batch.add(b"b")
    assert written == []
    assert [seconds for seconds, _ in timers.waiting] == [0.02]
    timers.fire()
    assert written == [(b"ab", False)]
    batch.add(b"c")
    timers.fire()
    assert written == [(b"ab", False), (b"c", False)]


def test_the_end_does_not_wait(batch: BodyChunkBatcher, timers: Timers, written: Written) -> None:
    batch.add(b"a")
    batch.end()
    assert written == [(b"a", True)]
    assert timers.waiting == []


@pytest.mark.parametrize("before", [False, True])
def test_the_last_chunk_may_be_empty(batch: BodyChunkBatcher, timers: Timers, written: Written, before: bool) -> None:
    if before:
        batch.add(b"a")
        timers.fire()
    batch.end()
    assert written == [(b"a", False)] * before + [(b"", True)]


def test_an_empty_batch_is_not_written(batch: BodyChunkBatcher, written: Written) -> None:
    batch.flush()
    assert written == []


def test_a_fast_body_is_not_held_in_memory(batch: BodyChunkBatcher, timers: Timers, written: Written) -> None:
    piece = bytes(256 * 1024)
    for _ in range(4):
        batch.add(piece)
    assert written == [(piece * 4, False)]
    assert timers.waiting == []


async def test_a_record_has_the_time_of_its_first_byte(stage: Any) -> None:
    exchange = stage.exchange("POST /", ("Content-Length", "3"), complete=False)
    exchange.take_data(b"a")
    began = exchange.request_chunks._since
    exchange.take_data(b"b")
    while "request-body-data" not in stage.log.types:
        await asyncio.sleep(0.005)
    exchange.take_data(b"\xff")
    exchange.take_end(())
    first, last = (record for record in stage.log.records if record["type"] == "request-body-data")
    assert (first["content"], first["isEnded"], first["eventTimestamp"]) == ({"size": 2, "text": "ab"}, False, began)
    assert (last["content"], last["isEnded"]) == ({"size": 1, "base64": "/w=="}, True)
    assert last["eventTimestamp"] > began


def test_held_bytes_are_released_after_the_hold_time(timers: Timers) -> None:
    pieces: list[BodyChunk] = []
    exchange = type("E", (), {"known": None})()
    hold = Redactor(Policy(), Placeholders(b"k")).hold()

    def write(_: Any, piece: BodyChunk) -> None:
        held = piece.released()
        if held is not None:
            pieces.append(held)

    batch = BodyChunkBatcher(exchange, "request-body-data", write, hold, 0.5)
    batch.add(b"half a line")
    timers.fire()
    assert pieces == []
    assert [seconds for seconds, _ in timers.waiting] == [pytest.approx(0.48)]
    timers.fire()
    assert [piece.data for piece in pieces] == [b"half a line"]
    batch.add(b", password=hunter2")
    batch.end()
    assert [(piece.data, piece.before, piece.is_ended) for piece in pieces[1:]] == [
        (b", password=hunter2", b"half a line", True)
    ]
