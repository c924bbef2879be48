"""A histogram of durations in one line of text."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from functools import cache, partial

_BARS = "▁▂▃▄▅▆▇█"
_BINS = 10
_LOWEST, _HIGHEST = 1.0, 10_000.0
"""Milliseconds. The bins are equal on a logarithmic scale between them, the same for every endpoint, so that lines can
be compared; the outer bins have all that is beyond."""


def sparkline(durations: Iterable[float]) -> str:
    """Return a bar for each bin of the durations (milliseconds); a blank for an empty one; nothing for no duration."""
    found = Counter(map(partial(bisect_left, _ends()), durations))
    counts = [found[number] for number in range(_BINS)]
    most = max(counts)
    if not most:
        return ""
    return "".join(_BARS[min(7, count * 8 // (most + 1))] if count else " " for count in counts)


@cache
def _ends() -> tuple[float, ...]:
    """The last value of each bin but the last one. A search among them takes a quarter of the time of a logarithm."""
    ends = []
    for number in range(1, _BINS):
        end = _LOWEST * (_HIGHEST / _LOWEST) ** (number / _BINS)
        while _bin(end) < number:
            end = math.nextafter(end, math.inf)
        while _bin(end) >= number:
            end = math.nextafter(end, 0.0)
        ends.append(end)
    return tuple(ends)


def _bin(value: float) -> int:
    return int(math.log(value / _LOWEST) / math.log(_HIGHEST / _LOWEST) * _BINS)
