"""One session to select from: its lines, read once to judge its exchanges and once more to take those that match."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from mockrec.formats.parquet.paths import session_name
from mockrec.formats.query.checks import compile_any
from mockrec.formats.query.extract import Context
from mockrec.formats.query.parser import parse
from mockrec.formats.query.plan import Plan
from mockrec.formats.select.answers import Answerer, lines_of
from mockrec.formats.sessions.blocks import Blocks, Progress, no_progress
from mockrec.formats.sessions.live import why_incomplete
from mockrec.formats.sessions.units import SESSION, SESSION_TYPES, Units

EVERYTHING = "type"
"""An expression that all records match."""


class SelectedLine(NamedTuple):
    """A line that is selected."""

    raw: bytes
    """As it stands in the session, without the line end."""
    unit: int
    """Which exchange of that session it belongs to; 0: the session itself."""
    source: int
    """Which of the sessions."""


@dataclass(slots=True)
class Verdicts:
    """What the first reading of a session finds out."""

    units: Units
    verdicts: bytearray
    lines: list[int]
    """Records in each block."""
    cut_off: str
    """Why the session is not complete; empty when it is."""


class AnyJudged(Protocol):
    """What the first reading of a session finds out."""

    @property
    def verdicts(self) -> bytearray:
        """Unit → whether it is looked for; 0 is the session itself. May be changed while lines are taken."""


class AnyInput(Protocol):
    """One session to select from."""

    name: str
    context: Context
    cut_off: str
    """Why the session is not complete; known when it was read."""
    wanted: frozenset[tuple[str, ...]] | None
    """Places in the records that will be asked for; others may be left out. None: whole records."""

    @property
    def problems(self) -> list[str]:
        """What had to be left out, a sentence each."""

    def probe(self) -> None:
        """Raises `SessionError` at once for what is no session; of a stream nothing is known before it is read."""

    def header(self) -> dict[str, Any] | None:
        """Its `session-started` record, where that can be known before it is read."""

    def judge(self, plan: Plan) -> Any:
        """The first reading: an `AnyJudged`."""

    def take(self, judged: Any, source: int = 0) -> Iterator[SelectedLine]:
        """The second reading: lines whose unit is judged to be kept at that moment."""

    def match(self, plan: Plan, source: int = 0) -> Iterator[SelectedLine]:
        """Single records that match, and the records about the session, in one reading. Each is a unit."""

    def count(self, plan: Plan) -> int:
        """How many match."""

    def copy(self) -> Iterator[bytes]:
        """All of it, as whole lines in blocks; a torn last line is left out."""

    def close(self) -> None:
        """Forget what was kept of it."""


class Input:
    """A session that is read by lines."""

    def __init__(self, path: str, progress: Progress = no_progress) -> None:
        self.blocks = Blocks(path, progress)
        self.name = self.blocks.name
        self.context = Context(None if path == "-" else Path(f"{session_name(path)}.bodies"))
        self.wanted: frozenset[tuple[str, ...]] | None = None
        self.cut_off = ""
        """Why the session is not complete; known when it was read."""

    def probe(self) -> None:
        """Raises `SessionError` for what is no session, unless it is a stream."""
        self.blocks.probe()

    def header(self) -> dict[str, Any] | None:
        """Its `session-started` record; None for a stream."""
        return self.blocks.probe()

    def judge(self, plan: Plan) -> Verdicts:
        """The first reading."""
        units = Units(plan.counted)
        answerer = Answerer(plan, self.blocks, self.context)
        lines = []
        for _, (records, bits) in answerer:
            units.add(records, bits)
            lines.append(len(records))
        self._note_end(answerer)
        tests = {number: compile_any(plan.tests[number].checks) for number in plan.counted}
        return Verdicts(units, units.judge(plan.decide, tests), lines, self.cut_off)

    def take(self, judged: Verdicts, source: int = 0) -> Iterator[SelectedLine]:
        """The second reading: lines whose unit is judged to be kept at that moment."""
        start = 0
        verdicts = judged.verdicts
        for block, count in zip(self.blocks, judged.lines, strict=False):
            units = judged.units.of_record[start : start + count]
            start += count
            wanted = [verdicts[unit] for unit in units]
            if not any(wanted):
                continue
            lines = lines_of(block, count, self.name)
            for line, unit in compress(zip(lines, units, strict=False), wanted):
                # Asked again: a limit may have been reached since.
                if verdicts[unit]:
                    yield SelectedLine(line, unit, source)

    def match(self, plan: Plan, source: int = 0) -> Iterator[SelectedLine]:
        """Single records that match, and the records about the session, in one reading. Each is a unit."""
        answerer = Answerer(plan, self.blocks, self.context)
        number = 0
        for block, (records, bits) in answerer:
            lines = lines_of(block, len(records), self.name)
            for line, record in zip(lines, records, strict=False):
                number += 1
                if plan.decide(bits(record)):
                    yield SelectedLine(line, number, source)
                elif record.type in SESSION_TYPES:
                    yield SelectedLine(line, SESSION, source)
        self._note_end(answerer)

    def count(self, plan: Plan) -> int:
        """How many exchanges (or records) match."""
        if plan.records:
            return sum(1 for kept in self.match(plan) if kept.unit != SESSION)
        return sum(self.judge(plan).verdicts) - 1

    def copy(self) -> Iterator[bytes]:
        """All of it, as whole lines in blocks; a torn last line is left out.

        Raises `SessionError` for any other line that is no record.
        """
        answerer = Answerer(parse(EVERYTHING, records=True), self.blocks, self.context)
        for block, (records, _) in answerer:
            if answerer.torn:
                block = b"\n".join(lines_of(block, len(records), self.name)[: len(records)])
            if block:
                yield block if block.endswith(b"\n") else block + b"\n"
        self._note_end(answerer)

    def close(self) -> None:
        """Forget what was kept of a stream."""
        self.blocks.close()

    @property
    def problems(self) -> list[str]:
        """What had to be left out, a sentence each."""
        return self.blocks.problems

    @property
    def notes(self) -> list[str]:
        """What was repaired, a sentence each."""
        return self.blocks.notes

    def _note_end(self, answerer: Answerer) -> None:
        torn = answerer.torn or self.blocks.torn
        self.cut_off = why_incomplete(self.blocks.path, torn, ended=answerer.last_kind == "session-ended")
