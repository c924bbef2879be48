"""Which exchanges a report shows if there are too many: all failures, the slowest, and an even sample of the rest."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from mockrec.formats.report.gather import ReportRow

MOST_ROWS = 100_000
_FAILURES = 0.8
"""Most failures, as a share of all shown."""
_SLOWEST = 0.05


@dataclass(frozen=True)
class Choice:
    """The shown rows, in order, and how many of each kind they are."""

    rows: Sequence[ReportRow]
    total: int
    failures: int = 0
    all_failures: int = 0
    slowest: int = 0

    @property
    def words(self) -> str:
        """What is shown, in a sentence; empty if everything is."""
        if len(self.rows) == self.total:
            return ""
        failures = f"all {self.failures:,}" if self.failures == self.all_failures else f"{self.failures:,}"
        of_all = "" if self.failures == self.all_failures else f" of {self.all_failures:,}"
        sample = len(self.rows) - self.failures - self.slowest
        return (
            f"This report shows {len(self.rows):,} of {self.total:,} exchanges: {failures}{of_all} failures, "
            f"the {self.slowest:,} slowest of the others, and an even sample of {sample:,} of the rest."
        )


def choose(rows: Sequence[ReportRow], most: int) -> Choice:
    """Choose at most this many rows. Their order stays."""
    if len(rows) <= most:
        return Choice(rows, len(rows))
    failed = [place for place, row in enumerate(rows) if row.failed]
    kept = set(_sample(failed, int(most * _FAILURES)))
    failures = len(kept)
    slow = heapq.nlargest(
        min(int(most * _SLOWEST), most - failures),
        (place for place, row in enumerate(rows) if not row.failed),
        key=lambda place: rows[place].duration or 0.0,
    )
    kept.update(slow)
    rest = [place for place, row in enumerate(rows) if not row.failed and place not in kept]
    kept.update(_sample(rest, most - len(kept)))
    return Choice([rows[place] for place in sorted(kept)], len(rows), failures, len(failed), len(slow))


def _sample(places: Sequence[int], most: int) -> Sequence[int]:
    """Return at most this many places, at even distances."""
    if len(places) <= most:
        return places
    return [places[number * len(places) // most] for number in range(most)]
