"""Records that `--on-full drop` leaves out in a worker, reported to the parent: a worker that dies cannot log them."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from mockrec.engine.run.workers.messages import LeftOut
from mockrec.formats.schema.lifecycle import ENDING_TYPES, ENDS_OF

_MOST_UNOPENED: Final = 100_000
"""Exchanges whose first record was left out that are remembered, until they end."""


class LeftOutRecords:
    """Counts records that are left out, until `take`."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._ended: list[str] = []
        self._unopened: dict[str, None] = {}
        """Exchanges and tunnels whose first record was left out, so that the parent does not wait for their end."""

    def add(self, record: dict[str, Any]) -> None:
        """Count a record that was left out."""
        kind = record["type"]
        self._counts[kind] += 1
        if kind in ENDS_OF:
            if len(self._unopened) >= _MOST_UNOPENED:
                del self._unopened[next(iter(self._unopened))]
            self._unopened[record["id"]] = None
        elif kind in ENDING_TYPES and self._unopened.pop(record["id"], self) is self:
            self._ended.append(record["id"])

    def take(self) -> LeftOut | None:
        """Return what was counted since the last call; None if no record was left out."""
        if not self._counts:
            return None
        message = LeftOut(dict(self._counts), tuple(self._ended))
        self._counts, self._ended = Counter(), []
        return message
