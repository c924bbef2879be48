"""`--only`: the exchanges of a session that a filter expression selects, found before the session is read."""

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
    """Which records of a session belong to exchanges that are looked for: five bytes a record and exchange."""

    units: array[int]
    """Record → exchange, in file order."""
    verdicts: bytearray

    def of(self, records: Records) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """The records that are looked for."""
        for unit, record in zip(self.units, records, strict=False):
            if self.verdicts[unit]:
                yield record


def judge(path: str, plan: Plan) -> ExchangeFilter:
    """Read a session for the first time. Raises SessionError."""
    known = Input(path)
    try:
        judged = known.judge(plan)
    finally:
        known.blocks.close()
    return ExchangeFilter(judged.units.of_record, judged.verdicts)
