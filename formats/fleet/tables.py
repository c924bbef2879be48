"""Sessions of any format as one Arrow data set for each table, with a column `session` and one for each key of folders.

Parquet files are scanned where they are, so only the columns and row groups of a query are read. Every other session
is converted to rows of one temporary file. Rows of the table `exchanges` are aggregated unless the session is a data
set that has them with all of today's columns.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from mockrec.formats.files.reader import Lines
from mockrec.formats.fleet.fetching import KEPT, fetched
from mockrec.formats.fleet.patterns import keys_of
from mockrec.formats.fleet.skipped import Skipped
from mockrec.formats.parquet.arrow_schema import EVENTS, EXCHANGES, SCHEMAS
from mockrec.formats.parquet.exchange_columns import ExchangeTable
from mockrec.formats.parquet.files import EventsFile
from mockrec.formats.parquet.files_of_store import FoundSession, StoredFile
from mockrec.formats.parquet.line_tables import LineTables
from mockrec.formats.parquet.operation_names import exchange_batches
from mockrec.formats.parquet.paths import EXCHANGES_FOLDER, is_uri, session_name
from mockrec.formats.parquet.table_files import table_files
from mockrec.formats.schema.errors import RecordError, SessionError
from mockrec.formats.sessions.inputs import open_source
from mockrec.formats.sessions.session import check_version, header_of

SESSION = "session"
_BLOCK = 2 * 1024 * 1024
_BATCH_ROWS = 16_384
_ERRORS = (OSError, pa.ArrowException)


def fleet_schema(table: str, sessions: Sequence[str]) -> pa.Schema:
    """Return the columns of a table of many sessions: `session`, the keys of folders, then the table's own."""
    own = SCHEMAS[table]
    names = dict.fromkeys(column for session in sessions for column in key_columns(session))
    return pa.schema([pa.field(SESSION, pa.string()), *(pa.field(name, pa.string()) for name in names), *own])


def key_columns(session: str) -> dict[str, str]:
    """Return the columns of a session's folders and their values. A name that a table has already gets `key_`."""
    taken = {SESSION, *SCHEMAS["events"].names, *SCHEMAS["exchanges"].names}
    return {(f"key_{key}" if key in taken else key): value for key, value in keys_of(session).items()}


class FleetTables:
    """The tables of sessions. `folder` is an empty temporary folder, to be removed after the last scan."""

    def __init__(self, sessions: Sequence[str], folder: Path, skipped: Skipped) -> None:
        self.sessions = list(sessions)
        self._folder = folder
        self._skipped = skipped
        self._lost: set[str] = set()
        self._own_keys: dict[str, None] = {}
        """Columns of keys that compacted files have themselves."""
        self._format = ds.ParquetFileFormat()

    def table(self, table: str) -> ds.Dataset:
        """Return a table. Sessions that cannot be read are skipped."""
        schema = fleet_schema(table, self.sessions)
        fragments: list[Any] = []
        converted = _Converted(self._folder, table, schema)
        for session in fetched(self.sessions, kept=KEPT):
            if session in self._lost:
                continue
            try:
                found = self._fragments(session, table)
                if not found:
                    converted.add(session)
                fragments += found
            except SessionError as error:
                self._lost.add(session)
                self._skipped.add(error)
        converted.finish()
        known = set(schema.names)
        schema = pa.schema(
            [schema.field(0), *(pa.field(name, pa.string()) for name in self._own_keys if name not in known)]
            + [schema.field(place) for place in range(1, len(schema))]
        )
        local = pafs.LocalFileSystem()
        fragments += [self._format.make_fragment(path, local) for path in converted.paths]
        return ds.FileSystemDataset(fragments, schema, self._format, local)

    def _fragments(self, session: str, table: str) -> list[Any]:
        """Return the files of a session that are scanned where they are; empty if it has to be converted."""
        found = []
        for file in _files(session, table):
            opened = _open(session, file, table)
            try:
                if table == "exchanges" and not set(EXCHANGES.names) <= set(opened.schema_arrow.names):
                    return []
                if not _has_own_types(opened.schema_arrow, SCHEMAS[table]):
                    return []
                expression = _constants(session, opened.schema_arrow)
                if SESSION in opened.schema_arrow.names:
                    self._own_keys |= dict.fromkeys(_keys_in(opened.schema_arrow, table))
            finally:
                opened.close()
            place = (file.path, file.filesystem) if file.content is None else (file.content,)
            found.append(self._format.make_fragment(*place, partition_expression=expression))
        return found


def _constants(session: str, schema: pa.Schema) -> Any:
    """Return the values that are the same in all rows of a file: the columns of its name that are not in the file."""
    expression = None if SESSION in schema.names else ds.field(SESSION) == str(session)
    for name, value in key_columns(session).items():
        if name not in schema.names:
            own = ds.field(name) == value
            expression = own if expression is None else expression & own
    return expression


def _keys_in(schema: pa.Schema, table: str) -> list[str]:
    """Return the columns of folders' keys in a compacted file."""
    own = {SESSION, *SCHEMAS[table].names}
    return [field.name for field in schema if field.name not in own and field.type == pa.string()]


def _has_own_types(schema: pa.Schema, own: pa.Schema) -> bool:
    """Whether columns have the types of our tables. Those of a file that another tool has rewritten may have others."""
    known = set(own.names)
    return all(_plain(field.type) == _plain(own.field(field.name).type) for field in schema if field.name in known)


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def _files(session: str, table: str) -> list[StoredFile]:
    """Return the Parquet files with a table of a session; empty if there is no such table."""
    if isinstance(session, FoundSession):
        # The listing of a store has the files of the events only.
        return list(session.files) if table == "events" else []
    local = pafs.LocalFileSystem()
    try:
        events = table_files(session)
    except OSError as error:
        raise SessionError(session, error.strerror or str(error)) from None
    if not events:
        return []
    if table == "exchanges":
        folder = Path(session, EXCHANGES_FOLDER)
        if not folder.is_dir():
            return []
        events = sorted(file for file in folder.iterdir() if file.suffix == ".parquet" and file.name[0] not in "._")
    return [StoredFile(local, os.path.abspath(file), 0) for file in events]


def _open(session: str, file: StoredFile, table: str) -> Any:
    """Open a Parquet file. Raises `SessionError` if it has no table of events."""
    try:
        if table == "events":
            return file.open(session).parquet
        return pq.ParquetFile(file.path, filesystem=file.filesystem)
    except _ERRORS as error:
        text = str(error).partition("\n")[0]
        raise SessionError(session, f"this Parquet file cannot be read: {text}") from None


class _Converted:
    """Temporary files for rows of sessions that are not scanned where they are.

    Rows of small sessions share a file. A larger session has its own, which counts only if all of it could be read.
    """

    def __init__(self, folder: Path, table: str, schema: pa.Schema) -> None:
        self.paths: list[str] = []
        """The complete files."""
        self._folder = folder
        self._table = table
        self._schema = schema
        self._shared: list[pa.RecordBatch] = []
        self._rows = 0

    def add(self, session: str) -> None:
        """Add the rows of a session. Raises `SessionError`, and then adds none."""
        rows: list[pa.RecordBatch] = []
        count = 0
        batches = rows_of(session, self._table)
        for batch in batches:
            rows.append(with_keys(batch, session, self._schema))
            count += batch.num_rows
            if count >= _BATCH_ROWS:
                self._write(chain(rows, (with_keys(more, session, self._schema) for more in batches)))
                return
        self._shared += rows
        self._rows += count
        if self._rows >= _BATCH_ROWS:
            self.finish()

    def finish(self) -> None:
        """Write the rows of small sessions that are still in memory."""
        if self._rows:
            self._write(self._shared)
        self._shared, self._rows = [], 0

    def _write(self, batches: Iterable[pa.RecordBatch]) -> None:
        path = str(self._folder / f"{self._table}-{len(self.paths)}.parquet")
        with pq.ParquetWriter(path, self._schema, compression="zstd", compression_level=1) as writer:
            for batch in batches:
                writer.write_batch(batch)
        self.paths.append(path)


def rows_of(session: str, table: str) -> Iterator[pa.RecordBatch]:
    """Yield the rows of one session of any format. Raises `SessionError`."""
    if table == "events":
        yield from events_of(session)
        return
    made = ExchangeTable(bodies_folder=bodies_folder_of(session))
    for batch in _rows_for_exchanges(session):
        made.add(batch)
        if made.waiting >= _BATCH_ROWS:
            yield from made.take()
    yield from made.take(last=True)


def bodies_folder_of(session: str) -> Path | None:
    """Return the folder with bodies of a session in files of their own, which may not exist; None in a store."""
    return None if is_uri(session) else Path(f"{session_name(session)}.bodies")


def readable_rows(session: str, table: str) -> Iterator[pa.RecordBatch]:
    """Yield the rows of one session of which all can be read. Raises `SessionError` before the first row.

    A session with many rows is read twice.
    """
    rows: list[pa.RecordBatch] = []
    count = 0
    batches = rows_of(session, table)
    for batch in batches:
        rows.append(batch)
        count += batch.num_rows
        if count >= 4 * _BATCH_ROWS:
            rows.clear()
            for _ in batches:
                pass
            yield from rows_of(session, table)
            return
    yield from rows


def events_of(session: str, change: Callable[[bytes], bytes] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the events of a session with all columns.

    `change` is called with whole lines, of a session that is not read by columns. Raises `SessionError`."""
    files = _files(session, "events")
    if not files:
        yield from _made_of_lines(session, LineTables(source=session), change)
    for opened in _opened(session, files):
        yield from map(_all_columns, opened.batches(EVENTS.names))


def _rows_for_exchanges(session: str) -> Iterator[pa.RecordBatch]:
    """Yield the events of a session with the columns that exchanges are made of."""
    files = _files(session, "events")
    if not files:
        tables = LineTables(exchanges=True, bodies_folder=bodies_folder_of(session), source=session)
        yield from _made_of_lines(session, tables)
    for opened in _opened(session, files):
        yield from exchange_batches(opened, bodies_folder_of(session))


def _opened(session: str, files: Sequence[StoredFile]) -> Iterator[EventsFile]:
    """Yield each file, open until the next."""
    for file in files:
        try:
            opened = file.open(session)
        except OSError as error:
            raise SessionError(session, str(error).partition("\n")[0]) from None
        try:
            yield opened
        finally:
            opened.close()


def _made_of_lines(
    session: str, tables: LineTables, change: Callable[[bytes], bytes] | None = None
) -> Iterator[pa.RecordBatch]:
    source = open_source(session)
    try:
        with tables:
            for number, block in enumerate(_blocks(source)):
                if not number and (header := header_of(block)) is not None:
                    check_version(session, header)
                yield from tables.add(block if change is None else change(block))
            yield from tables.rest()
    except RecordError as error:
        raise SessionError(session, str(error)) from None
    finally:
        source.close()


def _all_columns(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch with all columns of the events, null where the file has none."""
    own, known = SCHEMAS["events"], set(batch.schema.names)
    arrays = [
        _typed(batch.column(field.name), field.type) if field.name in known else pa.nulls(batch.num_rows, field.type)
        for field in own
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=own)


def _typed(array: pa.Array, kind: pa.DataType) -> pa.Array:
    return array if array.type == kind else array.cast(kind)


def _blocks(source: Lines) -> Iterator[bytes]:
    """Yield whole lines; a torn last one is left out, as by every reader."""
    waiting: list[bytes] = []
    size = 0
    for chunk in source:
        head, newline, tail = chunk.rpartition(b"\n")
        if newline:
            waiting += (head, newline)
            size += len(head)
        if size >= _BLOCK and newline:
            yield b"".join(waiting)
            waiting, size = [], 0
        if tail:
            waiting.append(tail)
            size += len(tail)
    rest = b"".join(waiting)
    head, newline, last = rest.rpartition(b"\n")
    try:
        orjson.loads(last)
    except orjson.JSONDecodeError:
        rest = head + newline
    else:
        rest += b"\n"
    if rest.strip():
        yield rest


def with_keys(batch: pa.RecordBatch, session: str, schema: pa.Schema) -> pa.RecordBatch:
    """Return a batch with the column `session` and those of folders."""
    known = {SESSION: str(session), **key_columns(session)}
    arrays = [
        batch.column(field.name)
        if field.name in batch.schema.names and field.name not in known
        else pa.repeat(pa.scalar(known.get(field.name), pa.string()), batch.num_rows)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
