"""The lines of many sessions that a filter expression selects, read by a cluster; as `ManySelection`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import orjson

from mockrec.formats.fleet.skipped import Skipped
from mockrec.formats.fleet.spark import SparkEngine
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.select.inputs import AnyInput, SelectedLine
from mockrec.formats.select.selection import open_input
from mockrec.formats.sessions.units import SESSION


class ClusterSelection:
    """Sessions that the tasks of a cluster read. The lines come back in order, which Spark's sort makes."""

    def __init__(
        self,
        engine: SparkEngine,
        paths: Sequence[str],
        expression: str | None,
        skipped: Skipped,
        *,
        records: bool,
        limit: int | None = None,
    ) -> None:
        self.inputs: list[AnyInput] = [open_input(path) for path in paths]
        self.found = 0
        """The number of exchanges (or records) selected so far."""
        self._engine = engine
        self._paths = list(paths)
        self._expression = expression
        self._records = records
        self._limit = limit
        self._skipped = skipped

    def only(self, paths: Iterable[tuple[str, ...]]) -> None:
        """Do nothing: whole lines are sent."""

    def close(self) -> None:
        """Do nothing: no session is open here."""

    def count(self) -> int:
        """The number of exchanges (or records) that match."""
        for _ in self:
            pass
        return self.found

    def __iter__(self) -> Iterator[SelectedLine]:
        """The lines in the order of their timestamps; those of one session in file order."""
        kept: set[tuple[int, int]] = set()
        for row in self._engine.lines(self._paths, self._expression, records=self._records):
            if row["note"] is not None:
                self._note(self.inputs[row["source"]], orjson.loads(row["note"]))
                continue
            unit = (row["source"], row["unit"])
            if unit[1] != SESSION and unit not in kept:
                if self._limit is not None and self.found >= self._limit:
                    continue
                self.found += 1
                kept.add(unit)
            yield SelectedLine(bytes(row["line"]), row["unit"], row["source"])

    def _note(self, session: AnyInput, note: dict[str, Any]) -> None:
        """Note what a task says of a session, as if it had been read here."""
        if "error" in note:
            self._skipped.add(SessionError(*note["error"]))
            return
        session.cut_off = note["cutOff"]
        session.problems.extend(note["problems"])
        if note["notes"]:
            getattr(session, "notes", []).extend(note["notes"])
