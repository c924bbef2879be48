"""One session to select from: its lines, read once to judge its exchanges and once more to take those that match."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from mockrec.formats.parquet.paths import session_name
from mockrec.formats.query.checks import compile_any
from mockrec.formats.query.extract import Context
from mockrec.formats.query.parser import parse
from mockrec.formats.query.plan import Plan
from mockrec.formats.schema.lifecycle import SESSION_TYPES
from mockrec.formats.select.answers import Answerer, BlockDecoder, ProbedRecord, lines_at, lines_of
from mockrec.formats.sessions.blocks import Blocks, Progress, no_progress
from mockrec.formats.sessions.live import why_incomplete
from mockrec.formats.sessions.units import SESSION, Units

LARGE_BLOCK = 1024 * 1024
"""Bytes of a block where what is made of one costs something, too."""
EVERYTHING = "type"
"""An expression that every record matches."""


class SelectedLine(NamedTuple):
    """A line that was selected."""

    raw: bytes
    """The line as in the session, without its line end."""
    unit: int
    """The number of its exchange in the session; 0 for records about the session itself."""
    source: int
    """The number of the session."""


@dataclass(slots=True)
class Verdicts:
    """The result of the first reading of a session."""

    units: Units
    verdicts: bytearray
    """See `AnyVerdicts`."""
    lines: list[int]
    """The number of records in each block."""
    cut_off: str
    """Why the session is not complete; empty if it is complete."""


class AnyVerdicts(Protocol):
    """The result of the first reading of a session."""

    @property
    def verdicts(self) -> bytearray:
        """For each unit, whether it is selected; unit 0 is the session itself. May change while lines are taken."""


class AnyInput(Protocol):
    """One session to select from."""

    name: str
    context: Context
    cut_off: str
    """Why the session is not complete. Set when it has been read."""
    wanted: frozenset[tuple[str, ...]] | None
    """Paths in the records that the caller needs; other fields may be left out of the lines. None: whole records."""

    @property
    def problems(self) -> list[str]:
        """What was left out, one sentence for each problem."""

    @property
    def takes_at_once(self) -> bool:
        """Whether lines are best taken right after the first reading: the file is open, or its content in memory."""

    def probe(self) -> None:
        """Raise `SessionError` if it is no session. A stream is not read for this."""

    def header(self) -> dict[str, Any] | None:
        """Its `session-started` record; None for a stream, which cannot be read ahead."""

    def opened(self) -> AbstractContextManager[None]:
        """Context for several readings in a row, so that a small file is opened once for all of them.

        Raises `SessionError`.
        """

    def judge(self, plan: Plan) -> Any:
        """The first reading: decide which exchanges are selected. Returns an `AnyVerdicts`."""

    def take(self, judged: Any, source: int = 0) -> Iterator[SelectedLine]:
        """The second reading: the lines whose unit is selected by then."""

    def match(self, plan: Plan, source: int = 0) -> Iterator[SelectedLine]:
        """The single records that match, each a unit, and the records about the session, in one reading."""

    def count(self, plan: Plan) -> int:
        """The number of exchanges (or records) that match."""

    def copy(self) -> Iterator[bytes]:
        """The whole session, as whole lines in blocks; a torn last line is left out."""

    def columns(self, names: Sequence[str]) -> Iterator[Any] | None:
        """Columns of the events table of the whole session, in batches; None if it is no session in columns."""

    def rows_again(self, names: Sequence[str] | None = None, rows: Any = None) -> Iterator[Any]:
        """The rows of the last batch of `columns` with other columns, some at a time.

        `names`: these columns, as far as they have values; None: all that the lines of `wanted` need. `rows`: an array
        with the numbers of these rows, in ascending order; None: all.
        """

    def close(self) -> None:
        """Remove the copy that was kept of a stream."""


class Input:
    """A session that is read line by line."""

    def __init__(self, path: str, progress: Progress = no_progress) -> None:
        self.blocks = Blocks(path, progress)
        self.name = self.blocks.name
        self.context = Context(None if path == "-" else Path(f"{session_name(path)}.bodies"))
        self.wanted: frozenset[tuple[str, ...]] | None = None
        self.cut_off = ""
        """See `AnyInput`."""

    def probe(self) -> None:
        """See `AnyInput`."""
        self.blocks.probe()

    def header(self) -> dict[str, Any] | None:
        """See `AnyInput`."""
        return self.blocks.probe()

    def opened(self) -> AbstractContextManager[None]:
        """See `AnyInput`. Each reading of a large file opens it."""
        return self.blocks.kept()

    @property
    def takes_at_once(self) -> bool:
        """See `AnyInput`."""
        return self.blocks.is_kept

    def judge(self, plan: Plan) -> Verdicts:
        """See `AnyInput`."""
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
        """See `AnyInput`."""
        start = 0
        verdicts = judged.verdicts
        for block, count in zip(self.blocks, judged.lines, strict=False):
            units = judged.units.of_record[start : start + count]
            start += count
            wanted = [verdicts[unit] for unit in units]
            if not any(wanted):
                continue
            lines = lines_at(block, count, self.name, list(compress(range(count), wanted)))
            for line, unit in zip(lines, compress(units, wanted), strict=True):
                # Checked again: the caller may have reached its limit since.
                if verdicts[unit]:
                    yield SelectedLine(line, unit, source)

    def match(self, plan: Plan, source: int = 0) -> Iterator[SelectedLine]:
        """See `AnyInput`."""
        answerer = Answerer(plan, self.blocks, self.context)
        decide = plan.decide
        before = 0
        for block, (records, bits) in answerer:
            units: dict[int, int] = {}
            for place, record in enumerate(records):
                if decide(bits(record)):
                    units[place] = before + place + 1
                elif record.type in SESSION_TYPES:
                    units[place] = SESSION
            before += len(records)
            lines = lines_at(block, len(records), self.name, list(units))
            for line, unit in zip(lines, units.values(), strict=True):
                yield SelectedLine(line, unit, source)
        self._note_end(answerer)

    def count(self, plan: Plan) -> int:
        """See `AnyInput`."""
        if plan.records:
            return sum(1 for line in self.match(plan) if line.unit != SESSION)
        return sum(self.judge(plan).verdicts) - 1

    def copy(self) -> Iterator[bytes]:
        """See `AnyInput`. Raises `SessionError` for a line that is no record, except a torn last one."""
        answerer = Answerer(parse(EVERYTHING, records=True), self.blocks, self.context)
        for block, (records, _) in answerer:
            if answerer.torn:
                block = b"\n".join(lines_of(block, len(records), self.name)[: len(records)])
            if block:
                yield block if block.endswith(b"\n") else block + b"\n"
        self._note_end(answerer)

    def decoded(self, decoder: BlockDecoder) -> Iterator[tuple[Any, bytes]]:
        """The records of the whole session, as `decoder` decodes its blocks of lines.

        Each block is given as what the decoder made of it, and its lines; None, and whole lines with a record each, for
        one that it rejects. Raises `SessionError` for a line that is no record, except a torn last one.
        """
        self.blocks.smallest = LARGE_BLOCK
        answerer = Answerer(parse(EVERYTHING, records=True), self.blocks, self.context, decoder)
        for block, (records, _) in answerer:
            if not records:
                continue
            if type(records[-1]) is not ProbedRecord:
                yield records, block
                continue
            # Without blank lines and a torn last one, which are no records.
            yield None, b"\n".join(lines_of(block, len(records), self.name)[: len(records)]) + b"\n"
        self._note_end(answerer)

    def columns(self, names: Sequence[str]) -> None:
        """See `AnyInput`: it is read by lines."""

    def rows_again(self, names: Sequence[str] | None = None, rows: Any = None) -> Iterator[Any]:
        """See `AnyInput`: it has no columns."""
        return iter(())

    def close(self) -> None:
        """See `AnyInput`."""
        self.blocks.close()

    @property
    def problems(self) -> list[str]:
        """See `AnyInput`."""
        return self.blocks.problems

    @property
    def notes(self) -> list[str]:
        """What was repaired, one sentence for each repair."""
        return self.blocks.notes

    def _note_end(self, answerer: Answerer) -> None:
        torn = answerer.torn or self.blocks.torn
        self.cut_off = why_incomplete(self.blocks.path, torn, ended=answerer.last_kind == "session-ended")
