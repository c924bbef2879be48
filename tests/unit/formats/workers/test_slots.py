"""The memory that workers share, and the pipe with the numbers of its slots."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from mockrec.formats.workers.slots import Slot, claim, new_slot


@pytest.fixture(name="slot")
def _slot() -> Iterator[Slot]:
    slot = new_slot()
    yield slot
    os.close(slot.number)


def test_slot_holds_what_was_put_last(slot: Slot) -> None:
    for data in (b"x" * 3_000_000, b"", b"short"):
        slot.put(data)
        assert slot.get() == data


def test_memory_of_a_large_result_is_given_back(slot: Slot) -> None:
    slot.put(b"x" * 1_000)
    slot.shrink(2_000)
    assert slot.get() == b"x" * 1_000
    slot.shrink(500)
    assert os.fstat(slot.number).st_size == 0
    slot.put(b"next")
    assert slot.get() == b"next"


def test_length_without_data_takes_no_memory(slot: Slot) -> None:
    os.pwrite(slot.number, (2**62).to_bytes(8), 0)
    with pytest.raises(OSError, match="Input/output error"):
        slot.get()


def test_each_number_is_claimed_once() -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.write(writing, bytes([3, 0]))
    assert [claim(reading), claim(reading, wait=True), claim(reading)] == [3, 0, None]
    os.close(writing)
    assert claim(reading, wait=True) is None
    os.close(reading)
