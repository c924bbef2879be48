"""Sinks that write Parquet as the lines come: for converting what is recorded already.

A recording does not use these: until its footer is written, such a file cannot be read at all. See `journal.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow.fs import FileType, LocalFileSystem

from mockrec.formats.parquet.columns import TableMaker
from mockrec.formats.parquet.exchange_rows import ExchangeAggregator
from mockrec.formats.parquet.files import GROUP_ROWS, file_system
from mockrec.formats.parquet.journal import refuse_live_journal
from mockrec.formats.parquet.paths import EVENTS_FOLDER, EXCHANGES_FOLDER, check_name, is_data_set, part_name
from mockrec.formats.parquet.tables import TableFile
from mockrec.formats.schema.errors import OutputError, OutputExistsError, RecordError

BLOCK = 2 * 1024 * 1024
"""Bytes of lines that become rows at a time."""
PART_ROWS = 16 * GROUP_ROWS
"""Rows of a part of a data set: some hundred megabytes of lines."""

_ERRORS = (OSError, pa.ArrowException)


class TableSink:
    """Writes whole lines as rows of one file, or of the parts of a data set (a `Sink`, `formats/files/frames.py`)."""

    def __init__(self, name: str, consumer: FileTables | DataSetTables) -> None:
        self.name = name
        self._tables = consumer
        self._maker = TableMaker()
        self._waiting: list[bytes] = []
        self._size = 0
        self._failure: OutputError | None = None
        self._closed = False

    def write(self, data: bytes) -> None:
        """Take whole lines. Raises `OutputError`, after a failure again and again; `RecordError` for what is none."""
        self._waiting.append(data)
        self._size += len(data)
        if self._size >= BLOCK:
            self._flush()

    def sync_point(self, now: float | None = None) -> None:
        """Nothing can be read before the end; see `Sink`."""

    def close(self) -> None:
        """Write what is left, and the footer; the file appears."""
        if self._closed:
            return
        self._closed = True
        try:
            self._flush()
            self._do(self._tables.finish)
        except BaseException:
            self._tables.discard()
            raise

    def discard(self) -> None:
        """Leave no file that is not complete."""
        if not self._closed:
            self._closed = True
            self._tables.discard()

    def _flush(self) -> None:
        data = b"".join(self._waiting)
        self._waiting, self._size = [], 0
        start = 0
        while start < len(data):
            end = start + BLOCK
            if end < len(data):
                # The last line end in the block, or that of a line which is longer than a block.
                end = data.rfind(b"\n", start, end) + 1 or data.find(b"\n", end) + 1 or len(data)
            block = data[start:end]
            try:
                self._do(lambda block=block: self._tables.add(self._maker.table(block)))  # type: ignore[misc]
            except RecordError as error:
                self._failure = OutputError(self.name, str(error))
                raise
            start = end

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
    """One file, with the events or with the exchanges folded from them."""

    def __init__(self, filesystem: Any, path: str, table: str, file_mode: int) -> None:
        self._file = TableFile(filesystem, path, table, file_mode=file_mode)
        self._fold = ExchangeAggregator() if table == "exchanges" else None

    def add(self, batch: pa.RecordBatch) -> None:
        """The next events."""
        if self._fold is None:
            self._file.add(batch)
            return
        self._fold.add(batch)
        if self._fold.waiting >= GROUP_ROWS:
            self._file.add(self._fold.take())

    def finish(self) -> None:
        """The file is complete."""
        if self._fold is not None:
            self._file.add(self._fold.take(last=True))
        self._file.finish()

    def discard(self) -> None:
        """Leave no file."""
        self._file.discard()


class DataSetTables:
    """Parts of both tables in a folder: `events/part-000001.parquet`, `exchanges/part-000001.parquet` and so on."""

    def __init__(self, filesystem: Any, folder: str, file_mode: int) -> None:
        self.part = 1
        """The number of the part that is written, or of the next one."""
        self.fold = ExchangeAggregator()
        self._filesystem = filesystem
        self._folder = folder.rstrip("/")
        self._mode = file_mode
        self._events: TableFile | None = None
        self._rows = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """The next events."""
        if self._events is None:
            self._events = self._new(EVENTS_FOLDER)
        self._events.add(batch)
        self.fold.add(batch)
        self._rows += batch.num_rows
        if self._rows >= PART_ROWS:
            self.end_part()

    def end_part(self, *, last: bool = False) -> None:
        """The part is complete, and so is that of the exchanges that ended in it."""
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
        """The part of the exchanges that have ended since the one before."""
        exchanges = self._new(EXCHANGES_FOLDER)
        try:
            exchanges.add(self.fold.take(last=last))
            exchanges.finish()
        except BaseException:
            exchanges.discard()
            raise

    def finish(self) -> None:
        """The data set is complete."""
        if self._events is None and self.fold.open:
            self.write_exchanges(last=True)
        self.end_part(last=True)

    def discard(self) -> None:
        """Leave no part that is not complete."""
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
    """A sink for `NAME.parquet`, or for a data set in any other folder or URI (both tables; `table` is not asked).

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
    """Refuse to overwrite; with `force` what is there goes, in a data set no more than its tables."""
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
