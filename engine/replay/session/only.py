"""`--only`: the exchanges of a session that a filter expression selects, found in a pass before the replay reads it."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mockrec.formats.query import Plan
from mockrec.formats.select.inputs import Input

Records = Iterable[tuple[int, Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class ExchangeFilter:
    """Which records of a session belong to selected exchanges: four bytes per record and one per exchange."""

    units: array[int]
    """The exchange number of each record, in file order."""
    verdicts: bytearray
    """Whether an exchange is selected, by its number."""

    def has(self, number: int) -> bool:
        """Whether the record with this number, counted from 0, belongs to a selected exchange."""
        return bool(self.verdicts[self.units[number]])

    def of(self, records: Records) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Yield the records of selected exchanges."""
        for unit, record in zip(self.units, records, strict=False):
            if self.verdicts[unit]:
                yield record


class EveryExchange:
    """Selects all exchanges."""

    def has(self, number: int) -> bool:
        """See `ExchangeFilter.has`."""
        return True


def judge(path: str, plan: Plan) -> ExchangeFilter:
    """Evaluate a filter expression on a session. Raises SessionError."""
    session = Input(path)
    try:
        judged = session.judge(plan)
    finally:
        session.blocks.close()
    return ExchangeFilter(judged.units.of_record, judged.verdicts)
