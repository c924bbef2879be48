"""Statistics of many sessions: those in Parquet by columns, all others line by line. The result is the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from mockrec.formats.analysis.stats import COUNTED_TYPES, NEEDED, Stats, StatsBody, StatsRecord
from mockrec.formats.fleet.fetching import fetched
from mockrec.formats.fleet.skipped import Skipped
from mockrec.formats.parquet import arrays
from mockrec.formats.parquet.files_of_store import FoundSession, StoredFile
from mockrec.formats.parquet.layout import EXTRA
from mockrec.formats.parquet.lines import damaged, lines_of
from mockrec.formats.parquet.table_files import table_files
from mockrec.formats.query.arrow import columns_for
from mockrec.formats.query.plan import Plan
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.schema.lifecycle import CLOSED_TYPES, COMPLETE_TYPES
from mockrec.formats.select.selection import Selection
from mockrec.formats.sessions.blocks import Progress, no_progress
from mockrec.formats.sessions.live import why_incomplete
from mockrec.formats.sessions.session import Reading

_SIMPLE = frozenset({"response", "websocket-close", *COMPLETE_TYPES, *CLOSED_TYPES})
"""Types of which all that is counted is in columns with single values."""
_COLUMNS = list(dict.fromkeys(["type", EXTRA, *(name for path in NEEDED for name in columns_for(path))]))
_ERRORS = (OSError, ValueError, pa.ArrowException)


def add_sessions(
    collected: Stats, paths: Sequence[str], plan: Plan | None, skipped: Skipped, progress: Progress = no_progress
) -> Iterator[Reading]:
    """Add sessions one by one, and yield what is to be said about each. Sessions that cannot be read are skipped."""
    for path in fetched(paths):
        try:
            # Of a session that is damaged further on, nothing is to be counted.
            own = Stats() if skipped.allowed else collected
            reading = _add(own, path, plan, progress)
            if own is not collected:
                collected.merge(own)
        except SessionError as error:
            skipped.add(error)
        else:
            yield reading


def _add(collected: Stats, path: str, plan: Plan | None, progress: Progress) -> Reading:
    files = _files(path) if plan is None else []
    if files:
        last = None
        for file in files:
            last = _add_file(collected, path, file, progress) or last
        return Reading(path, (), why_incomplete(path, "", ended=last == "session-ended"))
    selection = Selection([path], plan, progress=progress)
    selection.only(NEEDED)
    try:
        collected.add(selection)
        (known,) = selection.inputs
        return Reading(known.name, tuple(known.problems), known.cut_off, tuple(getattr(known, "notes", ())))
    finally:
        selection.close()


def _files(path: str) -> Sequence[StoredFile]:
    if isinstance(path, FoundSession):
        return path.files
    try:
        local = table_files(path) or []
    except OSError as error:
        raise SessionError(path, error.strerror or str(error)) from None
    return [StoredFile(None, str(file), 0) for file in local]


def _add_file(collected: Stats, name: str, file: StoredFile, progress: Progress) -> str | None:
    """Add a file, and return the type of its last record."""
    try:
        opened = file.open(name)
    except FileNotFoundError as error:
        raise SessionError(name, str(error)) from None
    last = None
    try:
        metadata, known = opened.parquet.metadata, set(opened.parquet.schema_arrow.names)
        columns = [column for column in _COLUMNS if column in known]
        for group in range(metadata.num_row_groups):
            table = opened.parquet.read_row_group(group, columns=columns, use_threads=False)
            for batch in table.combine_chunks().to_batches():
                add_batch(collected, batch, name)
                last = batch.column("type")[-1].as_py() if batch.num_rows else last
            progress(metadata.row_group(group).total_byte_size)
    except _ERRORS as error:
        raise damaged(name, error) from None
    finally:
        opened.close()
    return last


def add_batch(collected: Stats, batch: pa.RecordBatch, name: str = "session") -> None:
    """Add rows of the events table, in order."""
    kinds = _list(batch, "type")
    urls = _list(batch, "url")
    extras = _column(batch, EXTRA)
    plain = [True] * batch.num_rows if extras is None else extras.is_null().to_pylist()
    decode = msgspec.json.Decoder(StatsRecord).decode
    other = [
        row
        for row, (kind, url) in enumerate(zip(kinds, urls, strict=True))
        if not plain[row] or (kind in COUNTED_TYPES and (kind not in _SIMPLE or url is None))
    ]
    lines = dict(zip(other, lines_of(batch.take(arrays.integers(other)), name).split(b"\n"), strict=False))
    _add_times(collected, batch, other)
    columns = (
        kinds,
        *(_list(batch, column) for column in ("id", "method")),
        urls,
        *(_list(batch, column) for column in ("statusCode", "duration", "matchedRuleId")),
        *(_list(batch, column) for column in ("bodySize", "bytesReceived", "bytesSent")),
    )
    for row, (kind, identity, method, url, status, duration, rule, size, received, sent) in enumerate(
        zip(*columns, strict=True)
    ):
        if row in lines:
            collected.add_line(lines[row], decode)
        elif kind not in COUNTED_TYPES:
            collected.records[kind or ""] += 1
        else:
            collected.add_record(
                StatsRecord(
                    kind,
                    identity,
                    None,
                    method,
                    url,
                    status,
                    duration,
                    rule,
                    bytesReceived=received,
                    bytesSent=sent,
                    body=StatsBody(size),
                )
            )


def _add_times(collected: Stats, batch: pa.RecordBatch, other: list[int]) -> None:
    """Add the first and the last time of rows whose lines are not read."""
    times = _column(batch, "timestamp")
    if times is None:
        return
    if other:
        chosen = pc.invert(pc.is_in(arrays.integers(range(batch.num_rows)), value_set=arrays.integers(other)))
        times = times.filter(chosen)
    found = pc.min_max(times)
    for end in ("min", "max"):
        if found[end].is_valid:
            text = found[end].cast(pa.timestamp("us")).cast(pa.string()).as_py()
            collected.add_time(f"{text[:10]}T{text[11:]}Z")


def _column(batch: pa.RecordBatch, name: str) -> Any:
    index = batch.schema.get_field_index(name)
    return None if index < 0 else batch.column(index)


def _list(batch: pa.RecordBatch, name: str) -> list[Any]:
    column = _column(batch, name)
    return [None] * batch.num_rows if column is None else column.to_pylist()
