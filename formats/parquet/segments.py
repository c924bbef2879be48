"""Converts a journal to its Parquet file or data set, segment by segment; at the end the journal is removed.

Every step may be the last before a crash: files appear by rename, a segment is removed when its part exists, and the
journal when the whole output exists.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow.fs import FileSelector, FileType, LocalFileSystem

from mockrec.formats.parquet.atomic_file import sync_folder
from mockrec.formats.parquet.columns import TableMaker
from mockrec.formats.parquet.files import EventsFile, file_system
from mockrec.formats.parquet.line_tables import BLOCK
from mockrec.formats.parquet.operation_names import exchange_batches
from mockrec.formats.parquet.paths import EVENTS_FOLDER, EXCHANGES_FOLDER, is_data_set, is_uri, part_number, segments
from mockrec.formats.parquet.sink import DataSetTables
from mockrec.formats.parquet.tables import TableFile
from mockrec.formats.schema.errors import OutputExistsError


def open_converter(path: str, journal: Path, *, file_mode: int) -> FileConverter | DataSetConverter:
    """The converter for an output. Raises `OSError`."""
    filesystem, inner = file_system(path)
    kind = DataSetConverter if is_data_set(path) else FileConverter
    return kind(filesystem, inner, journal, file_mode)


class FileConverter:
    """Converts all segments to one file, which is written in the journal and appears when it is complete."""

    def __init__(self, filesystem: Any, path: str, journal: Path, file_mode: int) -> None:
        self._filesystem = filesystem
        self._path = path
        self._journal = journal
        self._maker = TableMaker()
        self._done = 0
        local = isinstance(filesystem, LocalFileSystem)
        self._own = Path(path) if local else journal.absolute() / "rows.parquet"
        self._file = TableFile(
            LocalFileSystem(), str(self._own), "events", file_mode=file_mode, hidden=journal.absolute() / "rows.tmp"
        )
        self._is_local = local

    @property
    def next(self) -> int:
        """The number of the next segment."""
        return self._done + 1

    def convert(self, last: int) -> None:
        """Convert the segments up to this number."""
        for number, segment in segments(self._journal).items():
            if self._done < number <= last:
                for block in _blocks(segment):
                    self._file.add(self._maker.table(block))
                self._done = number

    def finish(self) -> None:
        """Complete the file and remove the journal."""
        self._file.finish()
        if not self._is_local:
            with self._own.open("rb") as source, self._filesystem.open_output_stream(self._path) as target:
                shutil.copyfileobj(source, target, BLOCK)
        remove_journal(self._journal)

    def discard(self) -> None:
        """Remove the unfinished file; the journal stays."""
        self._file.discard()


class DataSetConverter:
    """Converts each segment to a part of the events and a part of the exchanges that ended in it."""

    def __init__(self, filesystem: Any, folder: str, journal: Path, file_mode: int) -> None:
        self._filesystem = filesystem
        self._folder = folder.rstrip("/")
        self._journal = journal
        self._tables = DataSetTables(filesystem, folder, file_mode)
        self._maker = TableMaker()
        self._resume()

    @property
    def next(self) -> int:
        """The number of the next segment."""
        return self._tables.part

    def convert(self, last: int) -> None:
        """Convert the segments up to this number; each is removed when its parts exist."""
        for number, segment in segments(self._journal).items():
            if number > last:
                break
            if number >= self._tables.part:
                self._tables.part = number
                for block in _blocks(segment):
                    self._tables.add(self._maker.table(block))
                self._tables.end_part()
            segment.unlink()

    def finish(self) -> None:
        """Complete the data set and remove the journal."""
        self._tables.finish()
        remove_journal(self._journal)

    def discard(self) -> None:
        """Remove the unfinished part."""
        self._tables.discard()

    def _resume(self) -> None:
        """Continue after the existing parts: their events are aggregated again, for the exchanges that are open."""
        found, exchanges = (
            self._filesystem.get_file_info(FileSelector(f"{self._folder}/{name}", allow_not_found=True))
            for name in (EVENTS_FOLDER, EXCHANGES_FOLDER)
        )
        for info in (*found, *exchanges):
            if info.type == FileType.File and info.base_name.startswith(".part-"):
                self._filesystem.delete_file(info.path)
        numbers = {number: info.path for info in found if (number := part_number(info.base_name)) is not None}
        for number, path in sorted(numbers.items()):
            file = EventsFile(path, self._filesystem, path)
            try:
                for batch in exchange_batches(file, self._tables.bodies_folder):
                    self._tables.aggregator.add(batch)
            finally:
                file.close()
            self._tables.part = number
            self._tables.write_exchanges()
            self._tables.part = number + 1


def check_place(path: str, *, force: bool) -> None:
    """Check that an output can be written in an object store. Raises `OutputExistsError` or `OSError`."""
    filesystem, inner = file_system(path)
    above = os.path.dirname(inner.rstrip("/")) if filesystem.type_name == "local" else inner.partition("/")[0]
    if filesystem.get_file_info(above).type == FileType.NotFound:
        raise FileNotFoundError(errno.ENOENT, f"there is no {above}")
    if not is_data_set(path):
        if filesystem.get_file_info(inner).type == FileType.File and not force:
            raise OutputExistsError(path)
        return
    for folder in (EVENTS_FOLDER, EXCHANGES_FOLDER):
        tables = f"{inner.rstrip('/')}/{folder}"
        if filesystem.get_file_info(FileSelector(tables, allow_not_found=True)):
            if not force:
                raise OutputExistsError(path)
            filesystem.delete_dir(tables)


def remove_journal(journal: Path) -> None:
    """Rename the journal, so that it disappears in one step, then remove its files."""
    hidden = journal.with_name(f".{journal.name}.done")
    shutil.rmtree(hidden, ignore_errors=True)
    journal.rename(hidden)
    sync_folder(journal.absolute().parent)
    shutil.rmtree(hidden)


def _blocks(segment: Path) -> Iterator[bytes]:
    """The whole lines of a segment in blocks; a torn last line is left out."""
    rest = b""
    with segment.open("rb") as file:
        while chunk := file.read(BLOCK):
            head, newline, tail = chunk.rpartition(b"\n")
            if newline:
                yield rest + head + newline
                rest = tail
            else:
                rest += chunk


def needs_check(path: str, how: str) -> bool:
    """Whether the helper process has to check for an existing output; on disk, its parent has done that."""
    return is_uri(path) and how != "ours"


CONVERTER_ERRORS = (OSError, pa.ArrowException)
