"""A histogram of durations in one line of text."""

from __future__ import annotations

import math
from collections.abc import Iterable

_BARS = "▁▂▃▄▅▆▇█"
_BINS = 10
_LOWEST, _HIGHEST = 1.0, 10_000.0
"""Milliseconds. The bins are equal on a logarithmic scale between them, the same for every endpoint, so that lines can
be compared; the outer bins have all that is beyond."""


def sparkline(durations: Iterable[float]) -> str:
    """Return a bar for each bin of the durations (milliseconds); a blank for an empty one; nothing for no duration."""
    counts = [0] * _BINS
    for value in durations:
        counts[_bin(value)] += 1
    most = max(counts)
    if not most:
        return ""
    return "".join(_BARS[min(7, count * 8 // (most + 1))] if count else " " for count in counts)


def _bin(value: float) -> int:
    if not value > _LOWEST:  # also NaN
        return 0
    if value >= _HIGHEST:
        return _BINS - 1
    return int(math.log(value / _LOWEST) / math.log(_HIGHEST / _LOWEST) * _BINS)
