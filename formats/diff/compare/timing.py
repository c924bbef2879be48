"""Find endpoints that became slower or faster, by a relevant amount and with statistical significance."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median

from mockrec.formats.diff.model.exchange import Endpoint
from mockrec.formats.diff.model.finding import DifferenceKind, Finding, Severity, Subject

ENOUGH = 10
"""Minimum of exchanges on each side."""
RELATIVE = 0.2
ABSOLUTE = 20.0
"""Minimal difference: more than this share, and more than this number of milliseconds."""
_SURE = 3.0
"""Minimal deviation of the rank sum, in standard deviations: one in a thousand exceeds it by chance."""


@dataclass
class Samples:
    """Durations of one endpoint's exchanges in A and in B, in milliseconds."""

    duration: tuple[array[float], array[float]] = field(default_factory=lambda: (array("d"), array("d")))
    first_byte: tuple[array[float], array[float]] = field(default_factory=lambda: (array("d"), array("d")))


def compare(samples: dict[Endpoint, Samples]) -> Iterator[tuple[Endpoint, Finding]]:
    """Yield the endpoints that became slower or faster. The time to the first byte is reported only if the whole
    duration shows no difference."""
    for endpoint, taken in samples.items():
        for name, (a, b) in (("duration", taken.duration), ("firstByte", taken.first_byte)):
            finding = _finding(name, a, b)
            if finding is not None:
                yield endpoint, finding
                break


def too_few(samples: dict[Endpoint, Samples]) -> int:
    """Count endpoints without enough samples."""
    return sum(1 for taken in samples.values() if min(map(len, taken.duration)) < ENOUGH)


def _finding(name: str, a: array[float], b: array[float]) -> Finding | None:
    if min(len(a), len(b)) < ENOUGH:
        return None
    middle_a, middle_b = median(a), median(b)
    difference = abs(middle_b - middle_a)
    if difference <= ABSOLUTE or difference <= RELATIVE * min(middle_a, middle_b) or abs(rank_sum(a, b)) < _SURE:
        return None
    severity = Severity.changed if middle_b > middle_a else Severity.info
    return Finding(DifferenceKind.timing, severity, name, Subject("", "timing", name), _shown(a), _shown(b))


def _shown(taken: array[float]) -> str:
    ordered = sorted(taken)
    p90 = ordered[min(len(ordered) - 1, math.ceil(0.9 * len(ordered)) - 1)]
    return f"median {median(ordered):.1f}ms, p90 {p90:.1f}ms, {len(ordered)} samples"


def rank_sum(a: array[float], b: array[float]) -> float:
    """Return the deviation of B's rank sum from its expected value, in standard deviations (Mann and Whitney)."""
    ranked = sorted([(value, 0) for value in a] + [(value, 1) for value in b])
    total = ties = 0.0
    start = 0
    while start < len(ranked):
        end = start
        while end < len(ranked) and ranked[end][0] == ranked[start][0]:
            end += 1
        rank = (start + end + 1) / 2  # equal values share their middle rank
        total += rank * sum(side for _, side in ranked[start:end])
        ties += (end - start) ** 3 - (end - start)
        start = end
    count_a, count_b = len(a), len(b)
    expected = count_b * (count_a + count_b + 1) / 2
    count = count_a + count_b
    # Ties reduce the variance (Lehmann, Nonparametrics, 1.4); if all values are equal, it is 0.
    variance = count_a * count_b / 12 * ((count + 1) - ties / (count * (count - 1)))
    return (total - expected) / math.sqrt(variance) if variance > 0 else 0.0
