"""Records in the order of the log → the exchange or tunnel that each belongs to. For late records there is one rule.

An exchange is *current* from the record that begins it until it is handed on: at once when it ends (`show`), when it
has ended and its request is complete (`diff`, `replay`), or when its row is taken (Parquet). While it is current, every
record of it counts, also one that comes after the end: a response may be sent before its request is complete. Once an
exchange was handed on, a record that begins or ends one starts another of the same id (a session that was merged with
itself has each exchange twice); any other record is late and is left out.

What the exchanges are is up to the user of an `Assembler`, and so is the decoding of lines: `diff` skips most of a
line. HAR keeps records whole with their places, writes long exchanges in several entries, and must lose no record, so
it has a state of its own (`har/assemble.py`) and shares the table and `is_upgrade`. Filters judge whole exchanges after
the last record and number them instead of handing them on (`sessions/units.py`); `stats` adds up single records, of
which it needs no exchange. Both share the table.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar

from mockrec.formats.schema.lifecycle import ENDING_TYPES, FIRST_TYPES, OPENED_TYPES

ItemT = TypeVar("ItemT")

REMEMBERED: Final = 20_000
"""Ids of exchanges that were handed on of which late records are known, at least; twice as many at most."""
_STARTS: Final = FIRST_TYPES | OPENED_TYPES | ENDING_TYPES


class Assembler(Generic[ItemT]):
    """Current exchanges and tunnels by id. Memory: those, and a bounded number of ids of former ones."""

    __slots__ = ("_former", "_older", "current")

    def __init__(self) -> None:
        self.current: dict[str, ItemT] = {}
        """Id → exchange or tunnel, in the order of their beginnings. Users add to it."""
        self._former: set[str] = set()
        self._older: set[str] = set()

    def is_late(self, kind: str, identity: str) -> bool:
        """Return whether a record of no current exchange belongs to one that was handed on."""
        known = identity in self._former or identity in self._older
        return known and kind not in _STARTS and identity != ""

    def hand_on(self, identity: str) -> None:
        """Nothing more counts for this exchange or tunnel."""
        self.current.pop(identity, None)
        former = self._former
        former.add(identity)
        if len(former) >= REMEMBERED:
            self._former, self._older = set(), former

    def rest(self) -> list[ItemT]:
        """Return what is still current, in the order of the beginnings; nothing is current after that."""
        items = list(self.current.values())
        self.current.clear()
        return items
