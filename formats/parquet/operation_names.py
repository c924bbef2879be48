"""The names of operations, for whole batches of rows: bodies are read only of requests that may have one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from mockrec.formats.operations.readers import may_have_operation
from mockrec.formats.parquet import arrays
from mockrec.formats.parquet.arrow_schema import EVENTS
from mockrec.formats.parquet.columns import TableMaker
from mockrec.formats.parquet.exchange_rows import COLUMNS, OPERATION, operation_name
from mockrec.formats.parquet.files import EventsFile
from mockrec.formats.parquet.layout import EXTRA, all_columns
from mockrec.formats.parquet.lines import lines_of
from mockrec.formats.parquet.operation_columns import Again, hinted_rows, marked, naming_rows
from mockrec.formats.schema.errors import SessionError

_KEYS = frozenset({"type", "method", "url", "rawHeaders", "rawTrailers", "body", "content", "operation"})
NAMED_BY = (*(column.name for column in all_columns().values() if column.path[0] in _KEYS), EXTRA)
"""The columns of which the name of an operation is made."""


def with_operations(
    batch: pa.RecordBatch, again: Again | None = None, bodies_folder: Path | None = None
) -> pa.RecordBatch:
    """Return rows of the events table with the column `operation`: the name that a request or a message has.

    `batch` has the columns `type`, `method` and `url`, and those of `NAMED_BY` unless `again` gives them.
    `bodies_folder` has the bodies in files of their own.
    """
    if OPERATION in batch.schema.names:
        return batch
    possible = naming_rows(*(_column(batch, name) for name in ("type", "method", "url")))
    rows = hinted_rows(batch, pc.indices_nonzero(possible), again)
    names: dict[int, str] = {}
    start = 0
    for part in () if not len(rows) else (batch.take(rows),) if again is None else again(NAMED_BY, rows):
        lines = lines_of(part).split(b"\n")
        for row, line in zip(arrays.plain(rows.slice(start, part.num_rows)), lines, strict=False):
            if may_have_operation(line) and (name := operation_name(line, bodies_folder)) is not None:
                names[row] = name
        start += part.num_rows
    return batch.append_column(OPERATION, _spread(names, batch.num_rows))


def _column(batch: pa.RecordBatch, name: str) -> pa.Array:
    index = batch.schema.get_field_index(name)
    return pa.nulls(batch.num_rows, EVENTS.field(name).type) if index < 0 else batch.column(index)


def _spread(names: dict[int, str], count: int) -> pa.Array:
    """The names at their rows, and nulls at all others."""
    if not names:
        return pa.nulls(count, pa.string())
    places = pc.index_in(arrays.integers(range(count)), value_set=arrays.integers(names))
    return arrays.texts(names.values()).take(places)


EXCHANGE_LINES = pa.schema([*(EVENTS.field(name) for name in COLUMNS), pa.field(OPERATION, pa.string())])
"""The columns of `ExchangeLines`."""


class ExchangeLines:
    """Makes the rows of lines that exchanges are made of, with the names of operations."""

    def __init__(self, bodies_folder: Path | None = None) -> None:
        """`bodies_folder` has the bodies in files of their own, of which operations are named."""
        self._bodies_folder = bodies_folder
        self._plain = TableMaker(COLUMNS)
        self._full = TableMaker({*COLUMNS, *NAMED_BY})

    def table(self, lines: bytes) -> pa.RecordBatch:
        """Whole lines as a batch of rows. Raises `RecordError` for a line that is no object."""
        batch = self._plain.table(lines)
        names = self._operations(batch, lines)
        if names is None:
            return with_operations(self._full.table(lines), None, self._bodies_folder).select(EXCHANGE_LINES.names)
        return batch.append_column(OPERATION, _spread(names, batch.num_rows)).select(EXCHANGE_LINES.names)

    def _operations(self, batch: pa.RecordBatch, lines: bytes) -> dict[int, str] | None:
        """The names by row, read of the lines themselves; None if rows and lines are not one to one.

        Only lines that can name an operation are searched for hints: a search of all takes as long as decoding them.
        """
        rows = pc.indices_nonzero(naming_rows(*(batch.column(name) for name in ("type", "method", "url"))))
        if not len(rows):
            return {}
        raw = lines.split(b"\n")
        if not raw[-1]:
            raw.pop()
        if len(raw) != batch.num_rows:
            return None
        naming = arrays.plain(rows)
        if not may_have_operation(b"\n".join([raw[row] for row in naming])):
            return {}
        found: dict[int, str] = {}
        try:
            for row in naming:
                if may_have_operation(raw[row]) and (name := operation_name(raw[row], self._bodies_folder)) is not None:
                    found[row] = name
        except SessionError:  # a record on several lines
            return None
        return found


def exchange_batches(file: EventsFile, bodies_folder: Path | None) -> Iterator[pa.RecordBatch]:
    """The rows of a file that exchanges are made of, with their operations. Raises `SessionError`."""
    for group in range(file.parquet.metadata.num_row_groups):
        start = 0
        for batch in file.group(group, COLUMNS):

            def again(
                names: Sequence[str], rows: pa.Array, group: int = group, start: int = start
            ) -> Iterator[pa.RecordBatch]:
                return file.rows(group, names, [start + row for row in arrays.plain(rows)])

            yield with_operations(marked(batch, no_operations=file.has_no_operations), again, bodies_folder)
            start += batch.num_rows
