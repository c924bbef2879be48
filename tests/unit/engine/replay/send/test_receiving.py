"""The answer to a replayed request: what is told to the log, and when there is enough of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import anyio
import pytest
from memory_servers import NoBackpressure

from mockrec.engine.replay.send.receiving import ResponseRecorder
from mockrec.engine.upstream.errors import UpstreamError
from mockrec.engine.wire.parts import Data, End, Part, ResponseHead, header_table

pytestmark = pytest.mark.anyio


def head(status: int, *fields: Sequence[str]) -> ResponseHead:
    raw = [[*pair] for pair in fields]
    return ResponseHead(status, "", raw, header_table(raw))


class Said:
    """A stream that has these parts to give, and then the last ones for ever."""

    def __init__(self, *parts: list[Part]) -> None:
        self.parts = list(parts)
        self.allowed = 0.0
        self.received = 0

    def set_deadline(self, seconds: float) -> None:
        self.allowed = seconds

    async def receive(self, seconds: float | None) -> list[Part]:
        assert seconds is None
        self.received += 1
        return self.parts.pop(0) if len(self.parts) > 1 else self.parts[0]


def recorder(stage: Any, stream: Said, seconds: float = 60.0) -> ResponseRecorder:
    return ResponseRecorder(stream, stage.exchange(), seconds, NoBackpressure())  # type: ignore[arg-type]


async def test_interim_heads_are_recorded(stage: Any) -> None:
    early = head(103, (":status", "103"), ("link", "</a>"))
    stream = Said([])
    made = recorder(stage, stream, 7.0)
    for _ in range(2):
        await made.interim(early)
    assert stream.allowed == 7.0
    assert stage.channel.done == [("interim", 103, "Early Hints", [("link", "</a>")])] * 2


async def test_an_answer_that_is_there_is_told_at_once(stage: Any) -> None:
    made = recorder(stage, Said([]))
    assert await made.record(head(200), [Data(b"a"), Data(b"b"), End([["x", "1"]])])
    assert stage.log.only("response")["body"] == {"size": 2, "text": "ab"}


async def test_an_answer_in_pieces(stage: Any) -> None:
    made = recorder(stage, Said([Data(b"b")], [], [End([])]))
    assert await made.record(head(200), [Data(b"a")])
    assert stage.log.only("response")["body"] == {"size": 2, "text": "ab"}


@pytest.mark.parametrize(("enough", "received"), [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2)])
async def test_no_more_is_read_than_the_recorded_client_has(stage: Any, enough: int, received: int) -> None:
    stream = Said([Data(b"xy")])
    assert not await recorder(stage, stream).record(head(200), [Data(b"a")], enough)
    assert stream.received == received


async def test_one_that_never_stops_talking_runs_out_of_time(stage: Any) -> None:
    async def interims(made: ResponseRecorder) -> None:
        while True:
            await made.interim(head(103))

    for kind in ("body", "interim"):
        made = recorder(stage, Said([Data(b"x")]), 0.05)
        with pytest.raises(UpstreamError, match=r"no end of its answer within 0\.05s") as caught:
            await (interims(made) if kind == "interim" else made.record(head(200), []))
        assert caught.value.code == "ETIMEDOUT"


async def test_one_that_never_stops_talking_can_be_stopped(stage: Any) -> None:
    stream = Said([Data(b"x")])
    with anyio.CancelScope() as scope:
        scope.cancel()
        await recorder(stage, stream, math.inf).record(head(200), [])
    assert scope.cancelled_caught and stream.received == 0


async def test_a_log_that_is_behind_is_waited_for(stage: Any) -> None:
    class Behind(NoBackpressure):
        behind = True
        waited = 0

        async def wait_for_room(self) -> None:
            self.waited += 1

    behind = Behind()
    stream: Any = Said([Data(b"a")], [End([])])
    assert await ResponseRecorder(stream, stage.exchange(), 60.0, behind).record(head(200), [])
    assert behind.waited == 2
