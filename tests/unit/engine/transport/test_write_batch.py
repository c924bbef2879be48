"""Small writes of one turn of the event loop."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio.lowlevel
import pytest

from mockrec.engine.transport.write_batch import WriteCoalescer

pytestmark = pytest.mark.anyio


class Stream:
    def __init__(self, flushed: list[str], name: str, outbox: WriteCoalescer | None = None) -> None:
        self.flushed = flushed
        self.name = name
        self.outbox = outbox

    def flush(self) -> None:
        self.flushed.append(self.name)
        if self.outbox is not None:
            outbox, self.outbox = self.outbox, None
            outbox.add(self)


async def test_streams_are_flushed_together_at_the_end_of_the_turn() -> None:
    flushed: list[str] = []
    outbox = WriteCoalescer()
    for name in "abc":
        outbox.add(Stream(flushed, name))
        assert flushed == []
    await anyio.lowlevel.checkpoint()
    assert flushed == ["a", "b", "c"]


async def test_each_turn_begins_anew() -> None:
    flushed: list[str] = []
    outbox = WriteCoalescer()
    for name in "abc":
        outbox.add(Stream(flushed, name))
        await anyio.lowlevel.checkpoint()
    assert flushed == ["a", "b", "c"]


async def test_a_stream_that_fails_takes_nothing_from_the_others() -> None:
    class Failing(Stream):
        def flush(self) -> None:
            raise RuntimeError(self.name)

    flushed: list[str] = []
    reports: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, report: reports.append(report["exception"]))
    outbox = WriteCoalescer()
    for stream in (Stream(flushed, "a"), Failing(flushed, "b"), Stream(flushed, "c")):
        outbox.add(stream)
    await anyio.lowlevel.checkpoint()
    assert flushed == ["a", "c"]
    assert [str(report) for report in reports] == ["b"]
    outbox.add(Stream(flushed, "d"))
    await anyio.lowlevel.checkpoint()
    assert flushed == ["a", "c", "d"]


async def test_what_is_added_while_flushing_has_its_turn_next() -> None:
    flushed: list[str] = []
    outbox = WriteCoalescer()
    outbox.add(Stream(flushed, "a", outbox))
    outbox.add(Stream(flushed, "b"))
    await anyio.lowlevel.checkpoint()
    assert flushed == ["a", "b"]
    await anyio.lowlevel.checkpoint()
    assert flushed == ["a", "b", "a"]
