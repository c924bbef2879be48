"""Parquet files as mockrec reads and writes them, in any file system of `pyarrow.fs`."""

from __future__ import annotations

import inspect
import os
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from mockrec.formats.parquet import arrays
from mockrec.formats.parquet.arrow_schema import EVENTS, REPEATING, SCHEMAS
from mockrec.formats.parquet.layout import FROM_HEADERS, TABLE_VERSION
from mockrec.formats.parquet.lines import damaged, lines_of
from mockrec.formats.parquet.operation_columns import NO_OPERATIONS
from mockrec.formats.parquet.paths import is_uri
from mockrec.formats.schema.errors import SessionError

GROUP_ROWS = 16_384
"""Rows of a row group: enough for columns to compress well, few enough for statistics to exclude groups."""
_LOCAL = (pafs.LocalFileSystem, type(None))
_WHOLE_ROWS = 2 * GROUP_ROWS
_WHOLE_BYTES = 64 * 1024 * 1024
"""Limits of a row group of which some columns are read at once, with bodies. Those that mockrec writes are smaller."""
_WEB = ("http", "https", "ftp")
_UNREADABLE = (OSError, ValueError, pa.ArrowException)
"""Exceptions of pyarrow for damaged files; ValueError for names that are not UTF-8."""
READ_ROWS = 1_024
"""Rows that are in memory while a file is read."""


def file_system(path: str) -> tuple[Any, str]:
    """The file system of a path or URI, and the path in it. Raises `OSError`."""
    if not is_uri(path):
        return pafs.LocalFileSystem(), str(Path(path).absolute())
    try:
        return pafs.FileSystem.from_uri(path)  # type: ignore[no-any-return]
    except pa.ArrowInvalid as error:
        scheme = path.partition("://")[0]
        if scheme.lower() in _WEB:
            raise OSError(f"{scheme}:// is no file system; download the file, or use s3://, gs://, …") from None
        raise OSError(str(error)) from None


def new_writer(sink: Any, table: str, schema: pa.Schema | None = None, repeating: Sequence[str] = ()) -> Any:
    """A `ParquetWriter` of one of the tables for an open file, with options for small files and fast searches.

    `schema` has further columns; `repeating` are further columns that are written with a dictionary.
    """
    return pq.ParquetWriter(
        sink,
        SCHEMAS[table] if schema is None else schema,
        compression="zstd",
        compression_level=3,
        use_dictionary=sorted({*REPEATING, *repeating}),
        write_page_index=True,
        **_bloom_filter(),
    )


@cache
def _bloom_filter() -> dict[str, Any]:
    """The option for a Bloom filter on `id`, if pyarrow has it: readers find an exchange without reading the column."""
    if "bloom_filter_options" not in inspect.signature(pq.ParquetWriter.__init__).parameters:
        return {}
    return {"bloom_filter_options": {"id": {"ndv": GROUP_ROWS, "fpp": 0.01}}}


class EventsFile:
    """An open file with the events table."""

    def __init__(
        self,
        name: str,
        filesystem: Any,
        path: str | BinaryIO | pa.NativeFile,
        dictionaries: Sequence[str] = (),
        metadata: Any = None,
    ) -> None:
        """`path` may be an open file, which stays open. `dictionaries`: columns that are read as dictionaries.
        `metadata` is its footer, if it is known.

        Raises `SessionError`.
        """
        self.name = name
        self._again = (path, dictionaries) if isinstance(path, str) and isinstance(filesystem, _LOCAL) else None
        self._state = _state(path) if self._again is not None else None
        """What changes if the file is replaced."""
        self._second: EventsFile | None = None
        self._remote = not isinstance(filesystem, pafs.LocalFileSystem)
        try:
            try:
                self._file = self._opened(path, filesystem, dictionaries, metadata)
            except KeyError:
                # pyarrow's, for a column that this file of an earlier version does not have.
                self._file = self._opened(path, filesystem, (), metadata)
                known = set(self._file.schema_arrow.names)
                present = [name for name in dictionaries if name in known]
                self._file = self._opened(path, filesystem, present, self._file.metadata)
        except FileNotFoundError:
            raise
        except _UNREADABLE as error:
            raise SessionError(name, f"this Parquet file cannot be read: {_first_line(error)}") from None
        paths: list[list[str]] = self._file.reader.column_paths
        self.names = frozenset(path[0] for path in paths)
        """The columns of the table. Kept, because pyarrow builds the schema again for each access."""
        self.leaves = {path[0]: number for number, path in enumerate(paths) if len(path) == 1}
        """The number of each column that is no list or object, as statistics have it."""
        try:
            self._check()
        except SessionError:
            self.close()
            raise

    def _opened(self, path: Any, filesystem: Any, dictionaries: Sequence[str], metadata: Any) -> Any:
        # Neighbouring columns are read in one request to a store: otherwise each of a hundred costs a round trip.
        return pq.ParquetFile(
            path,
            filesystem=filesystem,
            pre_buffer=self._remote,
            read_dictionary=list(dictionaries) or None,
            metadata=metadata,
        )

    def close(self) -> None:
        """Close the file."""
        if self._second is not None:
            self._second.close()
        self._file.close()

    @property
    def has_second(self) -> bool:
        """Whether `rows` reads with an open file of its own, so that another thread may read with this one."""
        return self._again is not None

    @property
    def metadata(self) -> dict[str, str]:
        """The key-value metadata of the footer, without `mockrec.` before the keys."""
        found: dict[bytes, bytes] = self._file.metadata.metadata or {}
        return {
            key.decode("utf-8", "replace").removeprefix("mockrec."): value.decode("utf-8", "replace")
            for key, value in found.items()
            if key.startswith(b"mockrec.")
        }

    @cached_property
    def has_no_operations(self) -> bool:
        """Whether no row may have an operation, by what the footer says of rows that are still the same in number."""
        said = self.metadata
        return said.get("operations") == NO_OPERATIONS and said.get("rowCount") == str(self._file.metadata.num_rows)

    @property
    def parquet(self) -> Any:
        """The `pyarrow.parquet.ParquetFile`, for readers that choose row groups and columns themselves."""
        return self._file

    @cached_property
    def _is_ours(self) -> bool:
        return "schema" in self.metadata

    def group(self, number: int, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The rows of a row group with those of `columns` that the file has: whole if they take little memory,
        otherwise `READ_ROWS` at a time. Raises `SessionError`."""
        group = self._file.metadata.row_group(number)
        named = [name for name in columns if name in self.names]
        # In files of other tools, bodies that repeat take a thousand times the bytes that the footer says.
        if not self._is_ours or group.num_rows > _WHOLE_ROWS or group.total_byte_size > _WHOLE_BYTES:
            yield from self.batches(named, [number])
            return
        try:
            found = self._file.read_row_group(number, columns=named, use_threads=False).combine_chunks()
        except _UNREADABLE as error:
            raise damaged(self.name, error) from None
        yield from found.to_batches()

    def batches(
        self, columns: list[str] | None = None, row_groups: list[int] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The rows of the file, `READ_ROWS` at a time, with all columns of records or with `columns`; all rows, or
        those of `row_groups`."""
        wanted = [name for name in EVENTS.names if name not in FROM_HEADERS] if columns is None else columns
        # pyarrow frees buffers only after the last group that was requested, so groups of a store are read one by one.
        groups = [row_groups]
        if self._remote and row_groups is None:
            groups = [[number] for number in range(self._file.num_row_groups)]
        try:
            for group in groups:
                named = [name for name in wanted if name in self.names]
                yield from self._file.iter_batches(READ_ROWS, row_groups=group, columns=named)
        except _UNREADABLE as error:
            raise damaged(self.name, error) from None

    def rows(self, number: int, columns: Sequence[str], rows: Sequence[int]) -> Iterator[pa.RecordBatch]:
        """Rows of a row group, by their numbers in ascending order, with those of `columns` that the file has.

        Raises `SessionError`.
        """
        first = done = 0
        for batch in self._opened_again().group(number, columns):
            end = bisect_left(rows, first + batch.num_rows, done)
            if end - done == batch.num_rows:
                yield batch
            elif end > done:
                yield batch.take(arrays.integers(row - first for row in rows[done:end]))
            first += batch.num_rows
            done = end
            if done == len(rows):
                return

    def _opened_again(self) -> EventsFile:
        if self._again is None:
            return self
        if self._second is None:
            path, dictionaries = self._again
            if _state(path) != self._state:
                raise SessionError(self.name, "it was removed or replaced while it was read")
            try:
                self._second = EventsFile(self.name, None, path, dictionaries, self._file.metadata)
            except FileNotFoundError:
                raise SessionError(self.name, "it was removed while it was read") from None
        return self._second

    def lines(self) -> Iterator[bytes]:
        """The records of the file as JSON Lines."""
        for batch in self.batches():
            yield lines_of(batch, self.name)

    def _check(self) -> None:
        metadata = self.metadata
        if metadata.get("table", "events") != "events":
            raise SessionError(self.name, f"it holds the table {metadata['table']}, a session is the table events")
        version = metadata.get("schema", "")
        if version.isdecimal() and int(version) > TABLE_VERSION:
            raise SessionError(
                self.name,
                f"written by a newer mockrec: schema {version}, this one reads up to {TABLE_VERSION}",
            )
        if not {"seq", "type"} <= self.names:
            raise SessionError(self.name, "this Parquet file is no mockrec session: it has no columns seq and type")


def _state(path: Any) -> tuple[int, int, int] | None:
    """Return what tells one file from another at the same place; None if there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
