"""Selects from Parquet: reads the columns that the filter needs first, and whole rows only of exchanges that match."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from mockrec.formats.parquet import arrays
from mockrec.formats.parquet.arrow_schema import EVENTS, REPEATING
from mockrec.formats.parquet.files import EventsFile
from mockrec.formats.parquet.files_of_store import StoredFile
from mockrec.formats.parquet.layout import EXTRA, FROM_HEADERS
from mockrec.formats.parquet.lines import damaged, lines_of
from mockrec.formats.parquet.operation_columns import marked
from mockrec.formats.parquet.paths import session_name
from mockrec.formats.query.arrow import ArrowPlan, BatchAnswerer, column_of, columns_for, compile_arrow
from mockrec.formats.query.checks import compile_any
from mockrec.formats.query.extract import Context
from mockrec.formats.query.plan import Plan
from mockrec.formats.query.pruning import may_match, possible_tests
from mockrec.formats.schema.lifecycle import CONNECTION_TYPES, SESSION_TYPES
from mockrec.formats.select.answers import ProbedRecord
from mockrec.formats.select.inputs import SelectedLine
from mockrec.formats.select.parquet_reader import SMALL_ROWS, ParquetReader
from mockrec.formats.sessions.blocks import Progress, no_progress
from mockrec.formats.sessions.units import SESSION, Units

_SESSION_TYPES = arrays.texts(sorted(SESSION_TYPES))
_CONNECTION_TYPES = arrays.texts(sorted(CONNECTION_TYPES))
_WHOLE_ROWS = 2_048
"""The number of rows that are in memory with all their columns."""
_SCANNED_GROUPS = 4
"""Row groups that are in memory together while a few columns of all rows are read."""
_DICTIONARIES = tuple(name for name in EVENTS.names if name in REPEATING and EVENTS.field(name).type == pa.string())
"""Columns of repeating texts: as dictionaries, each text is decoded and looked at once."""


@dataclass(slots=True)
class TableVerdicts:
    """The result of the first reading: the unit of each record, or, where few records match, the ids of the units."""

    verdicts: bytearray
    """See `AnyVerdicts`."""
    of_record: array[int] | None = None
    """The unit of each record, in file order."""
    ids: list[str] = field(default_factory=list)
    """The ids of the units from 1 on; units after these are single rows."""
    singles: dict[int, int] = field(default_factory=dict)
    """The unit of each row that belongs to no exchange; rows are counted through all files."""


class ParquetInput:
    """A session in Parquet files; see `AnyInput`."""

    takes_at_once = True
    """See `AnyInput`."""

    def __init__(self, path: str, files: Sequence[Path | StoredFile], progress: Progress = no_progress) -> None:
        self.name = path
        self.context = Context(Path(f"{session_name(path)}.bodies"))
        self.cut_off = ""
        self.problems: list[str] = []
        self.wanted: frozenset[tuple[str, ...]] | None = None
        """See `AnyInput`."""
        self._reader = ParquetReader(path, files, progress)
        self._places: tuple[EventsFile, dict[str, int]] | None = None
        self._progress = progress
        self._scanned: tuple[EventsFile, list[int], int, int] | None = None
        """Of the last batch of `columns`: its file, its groups, its first row in them, and its number of rows."""

    def close(self) -> None:
        """Do nothing: no file is open between two readings."""

    def opened(self) -> AbstractContextManager[None]:
        """See `AnyInput`."""
        return self._reader.opened()

    def probe(self) -> None:
        """See `AnyInput`."""
        for _ in self._reader.files():
            return

    def header(self) -> dict[str, Any] | None:
        """See `AnyInput`."""
        for file, groups in self._reader.files():
            for batch in self._reader.batches(file, groups[:1], self._all(file), rows=1):
                record = orjson.loads(self._lines_of(batch.slice(0, 1))[0])
                return record if record.get("type") == "session-started" else None
        return None

    def judge(self, plan: Plan) -> TableVerdicts:
        """See `AnyInput`."""
        made = compile_arrow(plan)
        # If a record for which no test holds cannot match, such rows need no unit.
        if plan.counted or plan.decide(0):
            return self._judge_all(made)
        return self._judge_few(made)

    def take(self, judged: TableVerdicts, source: int = 0) -> Iterator[SelectedLine]:
        """See `AnyInput`."""
        ids = arrays.texts(judged.ids)
        for start, file, group in self._reader.groups():
            if judged.of_record is not None:
                units = judged.of_record[start : start + file.parquet.metadata.row_group(group).num_rows]
                wanted = {row: unit for row, unit in enumerate(units) if judged.verdicts[unit]}
            else:
                wanted = self._wanted(file, group, start, ids, judged)
            yield from self._rows(file, group, wanted, source, judged.verdicts)

    def match(self, plan: Plan, source: int = 0) -> Iterator[SelectedLine]:
        """See `AnyInput`."""
        for start, file, group, wanted in self._matching(plan, session=True):
            units = {row: start + row + 1 if unit else SESSION for row, unit in wanted.items()}
            yield from self._rows(file, group, units, source, None)

    def count(self, plan: Plan) -> int:
        """See `AnyInput`."""
        if plan.records:
            return sum(len(wanted) for *_, wanted in self._matching(plan, session=False))
        return sum(self.judge(plan).verdicts) - 1

    def copy(self) -> Iterator[bytes]:
        """See `AnyInput`."""
        for _, file, group in self._reader.groups():
            for batch in self._reader.batches(file, [group], self._all(file), rows=_WHOLE_ROWS):
                yield lines_of(batch, self.name)
        self._note_end()

    def columns(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """See `AnyInput`. Columns that are null in a whole file may be missing; repeating texts are dictionaries."""
        batch = None
        for file, groups in self._reader.files(_DICTIONARIES):
            parts = [groups[first : first + _SCANNED_GROUPS] for first in range(0, len(groups), _SCANNED_GROUPS)]
            with closing(self._reader.ahead(file, parts, list(dict.fromkeys([*names, "type"])))) as reading:
                for some, batches in zip(parts, reading, strict=True):
                    start = 0
                    for batch in batches:
                        self._scanned = file, some, start, batch.num_rows
                        yield marked(batch, no_operations=file.has_no_operations)
                        start += batch.num_rows
                    self._scanned = None
                    self._progress(sum(file.parquet.metadata.row_group(group).total_byte_size for group in some))
        self._note_end(batch)

    def small_rows(self, names: Sequence[str], hinted: Sequence[str]) -> list[pa.RecordBatch] | None:
        """All rows with the columns `names` and, if some may have an operation, `hinted`, as `columns` gives them; None
        if they are many, or in several files."""
        if not self._reader.has_one_file:
            return None
        with self._reader.opened():
            file, groups = next(self._reader.files(_DICTIONARIES))
            if len(groups) > 1 or file.parquet.metadata.num_rows > SMALL_ROWS:
                return None
            return list(self.columns(names if file.has_no_operations else [*names, *hinted]))

    def rows_again(self, names: Sequence[str] | None = None, rows: pa.Array | None = None) -> Iterator[pa.RecordBatch]:
        """See `AnyInput`."""
        if self._scanned is None:
            return
        file, groups, start, count = self._scanned
        wanted = self._reader.filled(file, names or self._all(file))
        numbers = range(count) if rows is None else arrays.plain(rows)
        first, done = -start, 0
        for group in groups:
            end = first + file.parquet.metadata.row_group(group).num_rows
            stop = bisect_left(numbers, end, done)
            if stop > done:
                yield from file.rows(group, wanted, [number - first for number in numbers[done:stop]])
            first, done = end, stop

    # ── the first reading ──────────────────────────────────────────────────────────────────────────

    def _judge_few(self, made: ArrowPlan) -> TableVerdicts:
        answerer = BatchAnswerer(made, self.context)
        by_id: dict[str, int] = {}
        singles: dict[int, int] = {}
        batch = None
        for start, file, group in self._reader.groups():
            if not self._possible(made, file, group):
                batch = None
                continue
            (batch,) = self._reader.batches(file, [group], made.columns) or (None,)
            found = answerer.answer(batch) if batch is not None else {}
            if not found:
                continue
            (named,) = self._reader.batches(file, [group], ["type", "id"])
            rows = arrays.integers(found)
            kinds = _plain(named, "type").take(rows).to_pylist()
            identities = _plain(named, "id").take(rows).to_pylist()
            for row, kind, identity in zip(found, kinds, identities, strict=True):
                if kind in SESSION_TYPES:
                    continue
                if identity is None or kind in CONNECTION_TYPES:
                    singles[start + row] = found[row]
                else:
                    by_id[identity] = by_id.get(identity, 0) | found[row]
        ids = [identity for identity, bits in by_id.items() if made.plan.decide(bits)]
        alone = [row for row, bits in singles.items() if made.plan.decide(bits)]
        numbers = {row: number for number, row in enumerate(alone, len(ids) + 1)}
        self._note_end(batch)
        return TableVerdicts(bytearray(b"\1") * (1 + len(ids) + len(alone)), None, ids, numbers)

    def _judge_all(self, made: ArrowPlan) -> TableVerdicts:
        answerer = BatchAnswerer(made, self.context)
        units = Units(made.plan.counted)
        batch = None
        for _, file, group in self._reader.groups():
            columns = list(dict.fromkeys([*made.columns, "id"]))
            for batch in self._reader.batches(file, [group], columns):
                found = answerer.answer(batch)
                kinds, identities = _plain(batch, "type").to_pylist(), _plain(batch, "id").to_pylist()
                records = [
                    ProbedRecord(kind or "", identity, found.get(row, 0))
                    for row, (kind, identity) in enumerate(zip(kinds, identities, strict=True))
                ]
                units.add(records, lambda record: record.bits)
        tests = {number: compile_any(made.plan.tests[number].checks) for number in made.plan.counted}
        self._note_end(batch)
        return TableVerdicts(units.judge(made.plan.decide, tests), units.of_record)

    def _matching(self, plan: Plan, *, session: bool) -> Iterator[tuple[int, EventsFile, int, dict[int, int]]]:
        """Row groups with the rows that match (1) and, with `session`, the rows about the session (0)."""
        made = compile_arrow(plan)
        answerer = BatchAnswerer(made, self.context)
        always = plan.decide(0)
        for start, file, group in self._reader.groups():
            wanted: dict[int, int] = {}
            matching = always or may_match(plan.root, self._possible(made, file, group))
            columns = made.columns if matching else ["type"] if session else []
            for batch in self._reader.batches(file, [group], columns) if columns else ():
                if matching:
                    found = answerer.answer(batch)
                    rows = range(batch.num_rows) if always else found
                    wanted = {row: 1 for row in rows if plan.decide(found.get(row, 0))}
                if session:
                    kinds = pc.is_in(_plain(batch, "type"), value_set=_SESSION_TYPES)
                    for row in pc.indices_nonzero(kinds).to_pylist():
                        wanted.setdefault(row, 0)
            if wanted:
                yield start, file, group, dict(sorted(wanted.items()))
        self._note_end()

    def _possible(self, made: ArrowPlan, file: EventsFile, group: int) -> set[int]:
        if self._places is None or self._places[0] is not file:
            self._places = file, _places(made, file)
        return possible_tests(made, file.parquet.metadata.row_group(group), self._places[1])

    # ── the second reading ─────────────────────────────────────────────────────────────────────────

    def _wanted(self, file: EventsFile, group: int, start: int, ids: Any, judged: TableVerdicts) -> dict[int, int]:
        """The unit of each row of a group that belongs to a unit that matches."""
        wanted: dict[int, int] = {}
        for batch in self._reader.batches(file, [group], ["type", "id"]):
            about = pc.is_in(_plain(batch, "type"), value_set=_SESSION_TYPES)
            wanted.update(dict.fromkeys(pc.indices_nonzero(about).to_pylist(), SESSION))
            if len(ids):
                places = pc.index_in(_plain(batch, "id"), value_set=ids)
                alone = pc.is_in(_plain(batch, "type"), value_set=_CONNECTION_TYPES)
                rows = pc.indices_nonzero(pc.and_not(pc.is_valid(places), alone))
                for row, place in zip(rows.to_pylist(), places.take(rows).to_pylist(), strict=True):
                    wanted.setdefault(row, place + 1)
            for row, unit in judged.singles.items():
                if start <= row < start + batch.num_rows:
                    wanted[row - start] = unit
        return dict(sorted(wanted.items()))

    def _rows(
        self, file: EventsFile, group: int, wanted: dict[int, int], source: int, verdicts: bytearray | None
    ) -> Iterator[SelectedLine]:
        """The lines of rows of a group, in file order."""
        rows = [row for row, unit in wanted.items() if verdicts is None or verdicts[unit]]
        if not rows:
            return
        first = place = 0
        # Whole rows have bodies, so only a limited number is read at a time.
        at_once = _WHOLE_ROWS if self.wanted is None else None
        for batch in self._reader.batches(file, [group], self._all(file), rows=at_once):
            of_batch = []
            while place < len(rows) and rows[place] < first + batch.num_rows:
                of_batch.append(rows[place])
                place += 1
            if of_batch:
                part = batch.take(arrays.integers(row - first for row in of_batch))
                for row, line in zip(of_batch, self._lines_of(part), strict=True):
                    if verdicts is None or verdicts[wanted[row]]:
                        yield SelectedLine(line, wanted[row], source)
            first += batch.num_rows
            if place == len(rows):
                return

    def _lines_of(self, batch: pa.RecordBatch) -> list[bytes]:
        """The lines of a batch. Checks that each is a record, because callers parse them."""
        lines = lines_of(batch, self.name).split(b"\n")[:-1]
        try:
            for line in lines:
                orjson.loads(line)
            if len(lines) != batch.num_rows:
                raise ValueError(f"{len(lines)} lines of {batch.num_rows} rows")
        except ValueError as error:
            raise damaged(self.name, error) from None
        return lines

    def _all(self, file: EventsFile) -> list[str]:
        """The columns of whole records, or of the paths that the caller needs."""
        if self.wanted is None:
            names = [name for name in EVENTS.names if name not in FROM_HEADERS]
        else:
            paths = (*self.wanted, ("type",))
            names = list(dict.fromkeys([EXTRA, *(name for path in paths for name in columns_for(path))]))
        return self._reader.filled(file, names)

    # ── files and groups ───────────────────────────────────────────────────────────────────────────

    def _note_end(self, last: pa.RecordBatch | None = None) -> None:
        """Find out how the session ends. `last` has its last row, if that has been read."""
        kind = None
        if last is not None and last.num_rows:
            kind = last.column("type")[-1].as_py()
        else:
            for file, groups in self._reader.files():
                for batch in self._reader.batches(file, groups[-1:], ["type"]):
                    kind = _plain(batch, "type")[-1].as_py() if batch.num_rows else kind
        self.cut_off = "" if kind == "session-ended" else "it has no session-ended record at its end"


def _places(made: ArrowPlan, file: EventsFile) -> dict[str, int]:
    """The number of each column in the file's statistics; -1 for a column that the file does not have.

    A list has leaves with other names. It is left out, so that it counts as a column with values.
    """
    leaves, names = file.leaves, file.names
    return {name: leaves.get(name, -1) for name in made.columns if name in leaves or name not in names}


def _plain(batch: pa.RecordBatch, name: str) -> pa.Array:
    found = column_of(batch, name)
    return found if found is not None else pa.nulls(batch.num_rows, pa.string())
