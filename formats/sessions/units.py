"""Groups the records of a session into units: exchanges, tunnels, and single records that belong to neither."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mockrec.formats.schema.lifecycle import CONNECTION_TYPES, ENDING_TYPES, SESSION_TYPES

REMEMBERED = 65_536
"""How many ended units are kept for late records (a rule-event, a request that was complete after its response)."""

_ALONE = SESSION_TYPES | CONNECTION_TYPES
SESSION = 0
"""The unit of all records about the session itself."""


class Units:
    """Numbers units in the order of their first records, and joins the answers of their records.

    Needs 4 bytes for each record and 8 bytes for each unit, and the ids of units that are open or ended recently.
    """

    def __init__(self, counted: Mapping[int, frozenset[str]]) -> None:
        self.of_record = array("I")
        """The unit of each record, in file order."""
        self.bits: list[int] = [0]
        """The answers of each unit: those of all its records, joined."""
        self._open: dict[str, int] = {}
        self._ended: deque[str] = deque()
        self._counted = dict(counted)
        self._counts: dict[int, dict[int, int]] = {number: {} for number in counted}

    def add(self, records: Iterable[Any], answer: Callable[[Any], int]) -> None:
        """Add records, each with its `type` and `id`; `answer` returns the answers of one."""
        known, bits, ended = self._open, self.bits, self._ended
        add = self.of_record.append
        for record in records:
            kind, identity, answered = record.type, record.id, answer(record)
            # An id of a record about the session, or of a fault of a connection, is not that of an exchange.
            joins = type(identity) is str and kind not in _ALONE
            unit = known.get(identity) if joins else None
            if unit is not None:
                bits[unit] |= answered
            elif kind in SESSION_TYPES:
                unit = SESSION
            else:
                unit = len(bits)
                bits.append(answered)
                if joins:
                    known[identity] = unit
            if kind in ENDING_TYPES and type(identity) is str:
                ended.append(identity)
                if len(ended) > REMEMBERED:
                    known.pop(ended.popleft(), None)
            if self._counted:
                self._count(kind, unit)
            add(unit)

    def _count(self, kind: str, unit: int) -> None:
        for number, kinds in self._counted.items():
            if kind in kinds:
                counts = self._counts[number]
                counts[unit] = counts.get(unit, 0) + 1

    def judge(self, decide: Callable[[int], bool], tests: Mapping[int, Callable[[int], bool]]) -> bytearray:
        """For each unit, 1 if it is selected. `tests` are those on the number of a unit's records.

        The session itself (unit 0) is always selected.
        """
        for number, holds in tests.items():
            for unit, count in self._counts[number].items():
                if holds(count):
                    self.bits[unit] |= 1 << number
        verdicts = bytearray(map(decide, self.bits))
        verdicts[SESSION] = 1
        return verdicts
