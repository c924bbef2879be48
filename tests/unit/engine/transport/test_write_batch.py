"""Small writes of one turn of the event loop."""

from __future__ import annotations

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


async def test_what_is_added_while_flushing_has_its_turn_next() -> None:
    flushed: list[str] = []
    outbox = WriteCoalescer()
    outbox.add(Stream(flushed, "a", outbox))
    outbox.add(Stream(flushed, "b"))
    await anyio.lowlevel.checkpoint()
    assert flushed == ["a", "b"]
    await anyio.lowlevel.checkpoint()
    assert flushed == ["a", "b", "a"]
