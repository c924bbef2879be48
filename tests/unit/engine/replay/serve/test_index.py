"""Which recordings have a hash, and what that costs."""

from __future__ import annotations

import random
import sys
from array import array
from typing import Any

from mockrec.engine.replay.serve.index import Index


def test_recordings_are_found_by_both_hashes_in_the_order_of_the_session() -> None:
    index = Index()
    for number, exact, loose in ((3, 10, 1), (0, 11, 1), (2, 10, 1), (1, 7, 2)):
        index.add(number, exact, loose, 0, 1, (number * 100, 9))
    index.done()
    assert list(index.places(index.run(1, loose=True), loose=True)) == [1, 2, 0]
    assert list(index.places(index.run(10, loose=False), loose=False)) == [2, 0]
    assert list(index.places(index.run(7, loose=True), loose=True)) == []
    assert list(index.in_order) == [1, 3, 2, 0]
    assert index.card(0) == (300, 9)
    index.used[2] += 1
    assert list(index.unused()) == [1, 3, 0]


def test_an_empty_session() -> None:
    index = Index()
    index.done()
    assert index.run(5, loose=True) == (0, 0)
    assert len(index) == 0


def test_a_recording_takes_less_than_a_hundred_bytes() -> None:
    index, count = Index(), 20_000
    numbers = random.Random(1)
    for number in range(count):
        index.add(
            number, numbers.getrandbits(64), numbers.getrandbits(64), numbers.getrandbits(64), 1, (number << 20, 500)
        )
    index.done()
    held: list[Any] = [getattr(index, name) for name in vars(index)]
    arrays = [
        one for found in held for one in (found if isinstance(found, tuple) else (found,)) if isinstance(one, array)
    ]
    assert len(arrays) == 13
    assert sum(map(sys.getsizeof, arrays)) / count < 100
