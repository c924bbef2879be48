"""Reads the row groups of a session's Parquet files: those columns that have values, a group or some rows at a time."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
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
        self._filled: tuple[EventsFile, list[Any], dict[str, bool]] | None = None
        """Of the last file: its row groups, and of the columns that were asked for whether they have values."""
        self._kept: dict[tuple[str, ...], EventsFile] | None = None
        self._columns: dict[tuple[EventsFile, tuple[int, ...]], dict[str, pa.Array]] = {}
        """Columns of small groups that were read while the files are kept."""

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
            self._columns.clear()
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

    def filled(self, file: EventsFile, columns: Iterable[str]) -> list[str]:
        """Those of `columns` that the file has, without those that are null in all rows according to statistics."""
        if self._filled is None or self._filled[0] is not file:
            metadata = file.parquet.metadata
            self._filled = file, [metadata.row_group(number) for number in range(metadata.num_row_groups)], {}
        _, groups, known = self._filled
        found: list[str] = []
        for name in columns:
            has_values = known.get(name)
            if has_values is None:
                has_values = known[name] = name in file.names and not _is_empty(groups, name, file.leaves.get(name))
            if has_values:
                found.append(name)
        return found

    def batches(
        self, file: EventsFile, groups: list[int], columns: Sequence[str], *, rows: int | None = None
    ) -> list[pa.RecordBatch] | Iterator[pa.RecordBatch]:
        """Read those of `columns` that the file has, one batch for each group, or batches of at most `rows` rows
        (but groups of few rows whole).

        Columns without values may be left out. Raises `SessionError`.
        """
        count = sum(file.parquet.metadata.row_group(group).num_rows for group in groups)
        present = self.filled(file, columns)
        try:
            if rows is not None and count > max(rows, SMALL_ROWS):
                return self._iterate(file, groups, present, rows)
            if self._kept is not None and present and 0 < count <= SMALL_ROWS:
                remembered = self._remembered(file, groups, present)
                if remembered is not None:
                    return [remembered]
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
        # Imported here: a reading of one list needs no thread.
        from concurrent.futures import ThreadPoolExecutor

        self.filled(file, columns)  # found once, before there are two threads
        with ThreadPoolExecutor(1, thread_name_prefix="mockrec-read") as thread:
            reading = thread.submit(self.batches, file, groups[0], columns)
            for some in groups[1:]:
                batches, reading = reading.result(), thread.submit(self.batches, file, some, columns)
                yield batches
            yield reading.result()

    def _remembered(self, file: EventsFile, groups: list[int], columns: list[str]) -> pa.RecordBatch | None:
        """Read the columns that were not read before; None if they are too large for one batch."""
        known = self._columns.setdefault((file, tuple(groups)), {})
        if missing := [name for name in columns if name not in known]:
            found = file.parquet.read_row_groups(groups, columns=missing, use_threads=False).combine_chunks()
            batch, *more = found.to_batches()
            if more:
                return None
            known.update(zip(batch.schema.names, batch.columns, strict=True))
        return pa.RecordBatch.from_arrays([known[name] for name in columns], names=columns)

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


def _is_empty(groups: Sequence[Any], name: str, number: int | None) -> bool:
    """Whether a column is null in all row groups. `number`: see `EventsFile.leaves`."""
    if number is None or name in ("type", "id"):
        return False
    for group in groups:
        statistics = group.column(number).statistics
        if statistics is None or not statistics.has_null_count or statistics.null_count < group.num_rows:
            return False
    return True
