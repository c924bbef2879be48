"""Reads the row groups of a session's Parquet files: those columns that have values, a group or some rows at a time."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from mockrec.formats.parquet.files import EventsFile
from mockrec.formats.parquet.files_of_store import StoredFile
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.sessions.blocks import Progress, no_progress

SMALL_ROWS = 2_048
"""Rows up to which a group is read by this thread alone: others would take longer to be woken than to read it."""


class ParquetReader:
    """The files of one session, opened one after the other."""

    def __init__(self, name: str, files: Sequence[Path | StoredFile], progress: Progress = no_progress) -> None:
        self.name = name
        self._files = files
        self._progress = progress
        self._filled: tuple[EventsFile, frozenset[str]] | None = None
        self._kept: dict[tuple[str, ...], EventsFile] | None = None

    @property
    def has_one_file(self) -> bool:
        """Whether the session is a single file."""
        return len(self._files) == 1

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Context for several readings of a session of one file, which is opened once for all of them."""
        if not self.has_one_file or self._kept is not None:
            yield
            return
        self._kept = {}
        try:
            yield
        finally:
            kept, self._kept = self._kept, None
            for file in kept.values():
                file.close()

    def files(self, dictionaries: Sequence[str] = ()) -> Iterator[tuple[EventsFile, list[int]]]:
        """Each file with its row groups. `dictionaries`: columns that are read as dictionaries.

        Raises `SessionError`.
        """
        for path in self._files:
            key = tuple(dictionaries)
            kept = self._kept
            file = kept.get(key) if kept is not None else None
            if file is None:
                file = self._open(path, dictionaries)
                if kept is not None:
                    kept[key] = file
            try:
                yield file, list(range(file.parquet.metadata.num_row_groups))
            finally:
                if kept is None:
                    file.close()

    def groups(self) -> Iterator[tuple[int, EventsFile, int]]:
        """Each row group: the number of its first row, its file, and its number in the file."""
        start = 0
        for file, groups in self.files():
            for number in groups:
                yield start, file, number
                group = file.parquet.metadata.row_group(number)
                start += group.num_rows
                self._progress(group.total_byte_size)

    def filled(self, file: EventsFile) -> frozenset[str]:
        """The columns of a file that have values."""
        if self._filled is None or self._filled[0] is not file:
            self._filled = file, file.names - _empty(file)
        return self._filled[1]

    def batches(
        self, file: EventsFile, groups: list[int], columns: Sequence[str], *, rows: int | None = None
    ) -> list[pa.RecordBatch] | Iterator[pa.RecordBatch]:
        """Read those of `columns` that the file has, one batch for each group, or batches of at most `rows` rows
        (but groups of few rows whole).

        Columns without values may be left out. Raises `SessionError`.
        """
        count = sum(file.parquet.metadata.row_group(group).num_rows for group in groups)
        # Reading a few empty columns takes less time than finding them.
        known = file.names if count <= SMALL_ROWS and len(columns) < len(file.names) // 2 else self.filled(file)
        present = [name for name in columns if name in known]
        try:
            if rows is not None and count > max(rows, SMALL_ROWS):
                return self._iterate(file, groups, present, rows)
            found = file.parquet.read_row_groups(groups, columns=present, use_threads=count > SMALL_ROWS)
            return found.combine_chunks().to_batches()  # type: ignore[no-any-return]
        except (OSError, pa.ArrowException) as error:
            raise _damaged(self.name, error) from None

    def ahead(
        self, file: EventsFile, groups: Sequence[list[int]], columns: Sequence[str]
    ) -> Generator[list[pa.RecordBatch] | Iterator[pa.RecordBatch]]:
        """The batches of each of several lists of row groups; those of the next are read while these are used."""
        if len(groups) < 2 or not file.has_second:
            yield from (self.batches(file, some, columns) for some in groups)
            return
        self.filled(file)  # found once, before there are two threads
        with ThreadPoolExecutor(1, thread_name_prefix="mockrec-read") as thread:
            reading = thread.submit(self.batches, file, groups[0], columns)
            for some in groups[1:]:
                batches, reading = reading.result(), thread.submit(self.batches, file, some, columns)
                yield batches
            yield reading.result()

    def _iterate(self, file: EventsFile, groups: list[int], columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        try:
            yield from file.parquet.iter_batches(rows, row_groups=groups, columns=columns)
        except (OSError, pa.ArrowException) as error:
            raise _damaged(self.name, error) from None

    def _open(self, path: Path | StoredFile, dictionaries: Sequence[str]) -> EventsFile:
        try:
            if isinstance(path, StoredFile):
                return path.open(self.name, dictionaries)
            return EventsFile(str(path), None, str(path), dictionaries)
        except FileNotFoundError as error:
            raise SessionError(self.name, f"{path.name} has gone while the session was read") from error


def _damaged(name: str, error: Exception) -> SessionError:
    return SessionError(name, f"this Parquet file is damaged: {str(error).partition(chr(10))[0]}")


def _empty(file: EventsFile) -> set[str]:
    """Columns that are null in all row groups, according to their statistics."""
    metadata: Any = file.parquet.metadata
    left = dict(file.leaves)
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        for name, number in list(left.items()):
            statistics = group.column(number).statistics
            if statistics is None or not statistics.has_null_count or statistics.null_count < group.num_rows:
                del left[name]
    return set(left) - {"type", "id"}
