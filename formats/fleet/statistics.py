"""Statistics of many sessions: those in Parquet by columns, small ones together, all others by lines.

The result is the same: a session is added with others only if each of its rows is counted by columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mockrec.formats.analysis.session_stats import add_session
from mockrec.formats.analysis.stats import Stats
from mockrec.formats.fleet.fetching import prepared
from mockrec.formats.fleet.skipped import Skipped
from mockrec.formats.query.plan import Plan
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.select.inputs import AnyInput
from mockrec.formats.select.selection import Selection
from mockrec.formats.sessions.blocks import Progress, no_progress
from mockrec.formats.sessions.session import Reading

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = 32_768
"""Rows of small sessions that are added together."""
_BYTES = 32 * 1024 * 1024
"""Bytes of these rows."""


@dataclass(slots=True)
class _Gathered:
    """Small sessions that are in memory, but not counted."""

    sessions: list[tuple[Reading, Path | None, list[pa.RecordBatch]]] = field(default_factory=list)
    rows: int = 0
    bytes: int = 0

    def add(self, session: AnyInput, batches: list[pa.RecordBatch]) -> None:
        self.sessions.append((_reading(session), session.context.bodies_folder, batches))
        self.rows += sum(batch.num_rows for batch in batches)
        self.bytes += sum(batch.nbytes for batch in batches)

    @property
    def is_full(self) -> bool:
        return self.rows >= _ROWS or self.bytes >= _BYTES


def add_sessions(
    collected: Stats, paths: Sequence[str], plan: Plan | None, skipped: Skipped, progress: Progress = no_progress
) -> Iterator[Reading]:
    """Add sessions one by one, and yield what is to be said about each. Sessions that cannot be read are skipped."""

    def prepare(_number: int, path: str) -> tuple[Selection, list[pa.RecordBatch] | None]:
        selection = Selection([path], plan, progress=progress)
        return selection, _of_small(selection.inputs[0]) if plan is None else None

    gathered = _Gathered()
    for _, done in prepared(paths, prepare):
        try:
            selection, batches = done.result()
            if batches is not None:
                gathered.add(selection.inputs[0], batches)
                if gathered.is_full:
                    yield from _add_gathered(collected, gathered, skipped)
                    gathered = _Gathered()
                continue
        except SessionError as error:
            skipped.add(error)
            continue
        yield from _add_gathered(collected, gathered, skipped)
        gathered = _Gathered()
        try:
            # Of a session that is damaged further on, nothing is to be counted.
            own = Stats() if skipped.allowed else collected
            reading = _add(own, selection, plan)
            if own is not collected:
                collected.merge(own)
        except SessionError as error:
            skipped.add(error)
        else:
            yield reading
    yield from _add_gathered(collected, gathered, skipped)


def _add(collected: Stats, selection: Selection, plan: Plan | None) -> Reading:
    (session,) = selection.inputs
    try:
        collected.bodies_folders = [session.context.bodies_folder]
        add_session(collected, selection, plan)
        return _reading(session)
    finally:
        selection.close()


def _reading(session: AnyInput) -> Reading:
    return Reading(session.name, tuple(session.problems), session.cut_off, tuple(getattr(session, "notes", ())))


def _of_small(session: AnyInput) -> list[pa.RecordBatch] | None:
    """All rows of a small session in Parquet, with the columns that statistics need; None for any other session."""
    small_rows = getattr(session, "small_rows", None)
    if small_rows is None:
        return None
    # Imported here: only Parquet needs pyarrow.
    from mockrec.formats.analysis.stats_columns import ColumnStats

    found: list[pa.RecordBatch] | None = small_rows(ColumnStats.names, ColumnStats.all_names)
    return found


def _add_gathered(collected: Stats, gathered: _Gathered, skipped: Skipped) -> Iterator[Reading]:
    if not gathered.sessions:
        return
    # Imported here: only Parquet needs pyarrow.
    from mockrec.formats.analysis.stats_columns import ColumnStats

    together = _joined([batch for _, _, batches in gathered.sessions for batch in batches])
    collected.end_session()
    if together is not None and ColumnStats(collected).add_plain(together):
        yield from (reading for reading, _, _ in gathered.sessions)
        return
    for reading, folder, batches in gathered.sessions:
        try:
            own = Stats(bodies_folders=[folder])
            columns = ColumnStats(own)
            for batch in batches:
                columns.add(batch)
            collected.merge(own)
        except SessionError as error:
            skipped.add(SessionError(reading.name, error.message))
        else:
            yield reading


def _joined(batches: Sequence[pa.RecordBatch]) -> Any:
    """The rows of all batches as one; None if their columns differ in type."""
    import pyarrow as pa

    tables = [pa.Table.from_batches([_without_extensions(batch)]) for batch in batches if batch.num_rows]
    try:
        joined = pa.concat_tables(tables, promote_options="default").unify_dictionaries().combine_chunks()
    except pa.ArrowException:
        return None
    return next(iter(joined.to_batches()), None)


def _without_extensions(batch: pa.RecordBatch) -> pa.RecordBatch:
    import pyarrow as pa

    columns = [column.storage if isinstance(column, pa.ExtensionArray) else column for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
