"""Statistics of a group of exchanges: those of one endpoint, or of one operation."""

from __future__ import annotations

import sys
from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

PERCENTILES = (50, 90, 99)
_NAMES = (*(f"p{share}" for share in PERCENTILES), "max")
_MANY = 1_000
"""Values from which on Arrow finds those of a few ranks in a tenth of the time of a sort, if it is loaded."""


@dataclass(slots=True)
class EndpointStats:
    """Statistics of one method, host and path."""

    count: int = 0
    failed: int = 0
    """Responses with 5xx, and aborts."""
    statuses: Counter[str] = field(default_factory=Counter)
    durations: array[float] = field(default_factory=lambda: array("d"))
    first_bytes: array[float] = field(default_factory=lambda: array("d"))
    """Milliseconds from the start of a request to the head of its response."""
    bytes: int = 0
    """Of response bodies."""

    def merge(self, other: EndpointStats) -> None:
        """Add the statistics of the same endpoint in further sessions."""
        self.count += other.count
        self.failed += other.failed
        self.statuses.update(other.statuses)
        self.durations.extend(other.durations)
        self.first_bytes.extend(other.first_bytes)
        self.bytes += other.bytes


@dataclass(slots=True)
class OperationStats(EndpointStats):
    """Statistics of one operation at one place."""

    input_tokens: int = 0
    output_tokens: int = 0
    """Of answers of LLM APIs."""

    def merge(self, other: EndpointStats) -> None:
        """See `EndpointStats.merge`."""
        EndpointStats.merge(self, other)
        if isinstance(other, OperationStats):
            self.input_tokens += other.input_tokens
            self.output_tokens += other.output_tokens


def percentiles(values: Iterable[float]) -> dict[str, float]:
    """Return the percentiles by the nearest rank: each is a measured value."""
    if isinstance(values, array) and len(values) >= _MANY and "pyarrow" in sys.modules:
        from mockrec.formats.parquet.arrays import at_ranks

        return dict(zip(_NAMES, at_ranks(values, _ranks(len(values))), strict=True))
    ordered = sorted(values)
    if not ordered:
        return {}
    return dict(zip(_NAMES, [ordered[rank] for rank in _ranks(len(ordered))], strict=True))


def _ranks(count: int) -> list[int]:
    """The places among so many sorted values: of the smallest that at least `share` per cent of them do not exceed, and
    of the last."""
    return [*(max(0, -(-share * count // 100) - 1) for share in PERCENTILES), count - 1]
