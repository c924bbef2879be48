"""Sinks that write Parquet directly, for the conversion of a recorded session.

A recording does not use these, because such a file is unreadable until its footer is written. See `journal.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow.fs import FileType, LocalFileSystem

from mockrec.formats.parquet.exchange_columns import ExchangeTable
from mockrec.formats.parquet.files import GROUP_ROWS, file_system
from mockrec.formats.parquet.journal import refuse_live_journal
from mockrec.formats.parquet.line_tables import BLOCK, LineTables, RowBlocks
from mockrec.formats.parquet.paths import (
    EVENTS_FOLDER,
    EXCHANGES_FOLDER,
    check_name,
    is_data_set,
    part_name,
    session_name,
)
from mockrec.formats.parquet.tables import TableFile
from mockrec.formats.schema.errors import OutputError, OutputExistsError, RecordError

PART_ROWS = 16 * GROUP_ROWS
"""Rows of a part of a data set: about a hundred megabytes of lines or more."""

_ERRORS = (OSError, pa.ArrowException)


class TableSink:
    """Writes whole lines as rows of one file or of a data set's parts. See `Sink` in `formats/files/frames.py`."""

    def __init__(self, name: str, consumer: FileTables | DataSetTables) -> None:
        self.name = name
        self._tables = consumer
        self._lines = LineTables(exchanges=not consumer.takes_all)
        self._waiting: list[bytes] = []
        self._size = 0
        self._failure: OutputError | None = None
        self._closed = False

    def write(self, data: bytes) -> None:
        """Write whole lines.

        Raises `OutputError`, also in each call after a failure; `RecordError` for a bad line, of this or an earlier
        call.
        """
        self._waiting.append(data)
        self._size += len(data)
        if self._size >= BLOCK:
            self._flush()

    def add(self, batch: pa.RecordBatch) -> None:
        """Add rows of the events table; those of an exchanges table may lack columns. Raises as `write` does."""
        if self._waiting:
            self._flush()
        self._add_all(self._lines.rest())
        self._put(batch)

    def blocks(self, source: str) -> RowBlocks:
        """Return a decoder of blocks of lines to rows for `add`; `source` is the file that they are of."""
        return RowBlocks(exchanges=not self._tables.takes_all, source=source)

    def sync_point(self, now: float | None = None) -> None:
        """Do nothing: the file is unreadable before its end. See `Sink`."""

    def close(self) -> None:
        """Write the waiting lines and the footer; the file appears. Raises as `write` does."""
        if self._closed:
            return
        self._closed = True
        try:
            self._flush()
            self._add_all(self._lines.rest())
            self._do(self._tables.finish)
        except BaseException:
            self._tables.discard()
            raise
        finally:
            self._lines.close()

    def discard(self) -> None:
        """Remove the unfinished file."""
        if not self._closed:
            self._closed = True
            self._lines.close()
            self._tables.discard()

    def _flush(self) -> None:
        if self._failure is not None:
            raise self._failure
        data = b"".join(self._waiting)
        self._waiting, self._size = [], 0
        start = 0
        while start < len(data):
            end = start + BLOCK
            if end < len(data):
                # The last line end in the block, or that of a line which is longer than a block.
                end = data.rfind(b"\n", start, end) + 1 or data.find(b"\n", end) + 1 or len(data)
            self._add_all(self._lines.add(data[start:end]))
            start = end

    def _add_all(self, batches: Iterator[pa.RecordBatch]) -> None:
        try:
            for batch in batches:
                self._put(batch)
        except RecordError as error:
            self._failure = OutputError(self.name, str(error))
            raise

    def _put(self, batch: pa.RecordBatch) -> None:
        self._do(lambda: self._tables.add(batch))

    def _do(self, act: Callable[[], None]) -> None:
        if self._failure is not None:
            raise self._failure
        try:
            act()
        except _ERRORS as error:
            text = (getattr(error, "strerror", None) or str(error)).partition("\n")[0]
            self._failure = OutputError(self.name, text)
            raise self._failure from None


class FileTables:
    """One file, with the events or with the exchanges that are aggregated from them."""

    def __init__(self, filesystem: Any, path: str, table: str, file_mode: int) -> None:
        self._file = TableFile(filesystem, path, table, file_mode=file_mode)
        self._aggregator = ExchangeTable() if table == "exchanges" else None
        self.takes_all = self._aggregator is None
        """Whether all columns of the events are needed, not only those that exchanges are made of."""

    def add(self, batch: pa.RecordBatch) -> None:
        """Add events."""
        if self._aggregator is None:
            self._file.add(batch)
            return
        self._aggregator.add(batch)
        if self._aggregator.waiting >= GROUP_ROWS:
            self._add_all(self._aggregator.take())

    def finish(self) -> None:
        """Complete the file."""
        if self._aggregator is not None:
            self._add_all(self._aggregator.take(last=True))
        self._file.finish()

    def discard(self) -> None:
        """Remove the unfinished file."""
        self._file.discard()

    def _add_all(self, batches: list[pa.RecordBatch]) -> None:
        for batch in batches:
            self._file.add(batch)


class DataSetTables:
    """Parts of both tables in a folder: `events/part-000001.parquet`, `exchanges/part-000001.parquet` and so on."""

    takes_all = True
    """See `FileTables`."""

    def __init__(self, filesystem: Any, folder: str, file_mode: int) -> None:
        self.part = 1
        """The number of the part that is written, or of the next part."""
        local = isinstance(filesystem, LocalFileSystem)
        self.bodies_folder = Path(f"{session_name(folder)}.bodies") if local else None
        """The folder with bodies in files of their own, if there are any."""
        self.aggregator = ExchangeTable(bodies_folder=self.bodies_folder)
        self._filesystem = filesystem
        self._folder = folder.rstrip("/")
        self._mode = file_mode
        self._events: TableFile | None = None
        self._rows = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Add events."""
        if self._events is None:
            self._events = self._new(EVENTS_FOLDER)
        self._events.add(batch)
        self.aggregator.add(batch)
        self._rows += batch.num_rows
        if self._rows >= PART_ROWS:
            self.end_part()

    def end_part(self, *, last: bool = False) -> None:
        """Complete the part of the events, and that of the exchanges that ended in it."""
        if self._events is None:
            return
        events, self._events = self._events, None
        try:
            self.write_exchanges(last=last)
            events.finish()
        except BaseException:
            events.discard()
            raise
        self.part += 1
        self._rows = 0

    def write_exchanges(self, *, last: bool = False) -> None:
        """Write a part with the exchanges that have ended since the part before."""
        exchanges = self._new(EXCHANGES_FOLDER)
        try:
            for batch in self.aggregator.take(last=last):
                exchanges.add(batch)
            exchanges.finish()
        except BaseException:
            exchanges.discard()
            raise

    def finish(self) -> None:
        """Complete the data set."""
        if self._events is None and self.aggregator.open:
            self.write_exchanges(last=True)
        self.end_part(last=True)

    def discard(self) -> None:
        """Remove the unfinished part."""
        if self._events is not None:
            self._events.discard()

    def _new(self, folder: str) -> TableFile:
        table = "events" if folder == EVENTS_FOLDER else "exchanges"
        if isinstance(self._filesystem, LocalFileSystem):
            for place in (Path(self._folder), Path(self._folder, folder)):
                place.mkdir(mode=0o700 | self._mode | (self._mode & 0o444) >> 2, exist_ok=True)
        path = f"{self._folder}/{folder}/{part_name(self.part)}"
        return TableFile(self._filesystem, path, table, file_mode=self._mode)


def open_table_sink(path: str, *, force: bool = False, file_mode: int = 0o600, table: str = "events") -> TableSink:
    """A sink for `NAME.parquet`, or for a data set in any other folder or URI, which has both tables.

    Raises `OutputExistsError` or `OutputError`.
    """
    check_name(path)
    try:
        refuse_live_journal(path)
        filesystem, inner = file_system(path)
        _make_room(filesystem, path, inner, force=force)
        if is_data_set(path):
            return TableSink(path, DataSetTables(filesystem, inner, file_mode))
        return TableSink(path, FileTables(filesystem, inner, table, file_mode))
    except _ERRORS as error:
        text = (getattr(error, "strerror", None) or str(error)).partition("\n")[0]
        raise OutputError(path, text) from None


def _make_room(filesystem: Any, path: str, inner: str, *, force: bool) -> None:
    """Raise `OutputExistsError` for an existing output; with `force` remove it, of a data set only its tables."""
    if not is_data_set(path):
        kind = filesystem.get_file_info(inner).type
        if kind == FileType.Directory:
            raise OutputError(path, "it is a folder")
        if kind == FileType.File and not force:
            raise OutputExistsError(path)
        return
    for folder in (EVENTS_FOLDER, EXCHANGES_FOLDER):
        tables = f"{inner.rstrip('/')}/{folder}"
        if filesystem.get_file_info(tables).type == FileType.NotFound:
            continue
        if not force:
            raise OutputExistsError(path)
        filesystem.delete_dir(tables)
