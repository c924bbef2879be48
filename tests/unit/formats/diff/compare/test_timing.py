"""Slower and faster endpoints: relevance and significance."""

from __future__ import annotations

import random
from array import array
from collections.abc import Callable
from typing import Any

import pytest

from mockrec.formats.diff.compare.timing import rank_sum
from mockrec.formats.diff.result import Result

Compare = Callable[..., Result]
Differences = Callable[[Result], list[tuple[str, str, str]]]


def calls(make: Any, durations: list[float], first_byte: float = 1.0) -> Any:
    timing = {"startTimestamp": 0.0, "headersSentTimestamp": first_byte}
    return [
        make.exchange(url=f"http://x.test/u/{number}", duration=duration, timingEvents=timing)
        for number, duration in enumerate(durations)
    ]


@pytest.mark.parametrize(
    ("a", "b", "found"),
    [
        (100.0, 200.0, [("timing", "changed", "duration")]),
        (200.0, 100.0, [("timing", "info", "duration")]),
        (10.0, 25.0, []),  # more than a fifth, but less than 20 ms
        (500.0, 530.0, []),  # more than 20 ms, but less than a fifth
    ],
)
def test_both_limits(make: Any, compare: Compare, differences: Differences, a: float, b: float, found: Any) -> None:
    slow, fast = calls(make, [a + n / 10 for n in range(20)]), calls(make, [b + n / 10 for n in range(20)])
    assert differences(compare(slow, fast, timing=True)) == found
    assert differences(compare(slow, fast)) == []


def test_first_bytes_where_durations_show_nothing(make: Any, compare: Compare, differences: Differences) -> None:
    a, b = calls(make, [300.0] * 12, first_byte=10), calls(make, [300.0] * 12, first_byte=90)
    assert differences(compare(a, b, timing=True)) == [("timing", "changed", "firstByte")]


def test_too_few_samples(make: Any, compare: Compare, differences: Differences) -> None:
    result = compare(calls(make, [1.0] * 9), calls(make, [500.0] * 9), timing=True)
    assert differences(result) == []
    assert result.notes == ["timing: 1 of 1 endpoints have not enough samples (10 on each side are needed)"]


def test_noise_is_no_news(make: Any, compare: Compare, differences: Differences) -> None:
    source = random.Random(7)
    a, b = ([source.choice((10.0, 200.0)) + source.random() for _ in range(12)] for _ in range(2))
    assert differences(compare(calls(make, a), calls(make, b), timing=True)) == []


def test_rank_sums() -> None:
    low, high = array("d", range(10)), array("d", range(100, 110))
    assert rank_sum(low, high) > 3.7
    assert rank_sum(high, low) == -rank_sum(low, high)
    assert rank_sum(low, low) == 0
    assert rank_sum(array("d", [1.0] * 10), array("d", [1.0] * 10)) == 0
