"""Where TLS records end, however their bytes are cut."""

from __future__ import annotations

from itertools import accumulate, pairwise
from random import Random

import pytest

from mockrec.engine.transport.tls_records import RecordCounter


def record(size: int) -> bytes:
    return b"\x17\x03\x03" + size.to_bytes(2, "big") + bytes(size)


def test_whole_records_are_counted() -> None:
    counter = RecordCounter()
    assert [counter.count(record(7)), counter.count(record(0) + record(300)), counter.count(b"")] == [1, 2, 0]


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_cut_record_counts_when_it_is_complete(cut: int) -> None:
    counter, both = RecordCounter(), record(2) + record(3)
    first = counter.count(both[:cut])
    assert (first, counter.count(both[cut:])) == ((1, 1) if cut == 7 else (0, 1 if cut > 7 else 2))
    assert counter.count(record(1)) == 1


def test_any_cuts() -> None:
    chance = Random(1)
    for _ in range(300):
        sizes = [chance.choice([0, 1, 3, 300]) for _ in range(chance.randint(1, 6))]
        raw = b"".join(record(size) for size in sizes)
        ends = set(accumulate(5 + size for size in sizes))
        places = sorted({0, len(raw), *(chance.randint(0, len(raw)) for _ in range(chance.randint(0, 8)))})
        counter = RecordCounter()
        for start, end in pairwise(places):
            expected = len([one for one in ends if start < one <= end]) if end in ends else 0
            assert counter.count(raw[start:end]) == expected


def test_a_flood_of_short_records_is_not_counted() -> None:
    counter = RecordCounter()
    assert counter.count(record(0) * 10_000) == 0
    assert counter.count(record(0)) == 0
