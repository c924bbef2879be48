"""Writes batches of rows as row groups of a Parquet file, in another thread than the one that makes the rows."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mockrec.formats.parquet.arrow_schema import footer
from mockrec.formats.parquet.atomic_file import AtomicFile
from mockrec.formats.parquet.files import GROUP_ROWS, new_writer
from mockrec.formats.parquet.operation_columns import NO_OPERATIONS, may_have_operations

GROUP_BYTES = 32 * 1024 * 1024
"""A row group is closed early if its rows have large bodies, because the whole group is in memory."""


class TableFile:
    """One file with one table. Methods raise `OSError` or `pa.ArrowException`, also for an error in an earlier call."""

    def __init__(
        self, filesystem: Any, path: str, table: str, *, file_mode: int = 0o600, hidden: Path | None = None
    ) -> None:
        self.path = path
        self._table = table
        self._file = AtomicFile(filesystem, path, file_mode, hidden)
        self._writer = new_writer(self._file.stream, table)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mockrec-parquet")
        self._writing: Future[None] | None = None
        self._batches: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0
        self._count = 0
        self._session: str | None = None
        self._seq: tuple[int, int] | None = None
        self._may_have_operations = table != "events"

    def add(self, batch: pa.RecordBatch) -> None:
        """Add rows."""
        self._note(batch)
        while batch.num_rows:
            room = GROUP_ROWS - self._rows
            head, batch = batch.slice(0, room), batch.slice(room)
            self._batches.append(head)
            self._rows += head.num_rows
            self._bytes += head.nbytes
            if self._rows >= GROUP_ROWS or self._bytes >= GROUP_BYTES:
                self._write_group()

    def finish(self) -> None:
        """Write the last group and the footer; the file gets its name."""
        if self._batches:
            self._write_group()
        self._wait()
        self._thread.shutdown()
        first, last = self._seq or (None, None)
        said = None if self._may_have_operations else NO_OPERATIONS
        self._writer.add_key_value_metadata(
            footer(
                self._table, session=self._session, seqFirst=first, seqLast=last, rowCount=self._count, operations=said
            )
        )
        self._writer.close()
        self._file.publish()

    def discard(self) -> None:
        """Remove the unfinished file."""
        self._thread.shutdown(cancel_futures=True)
        try:
            self._writer.close()  # otherwise it writes its footer when it is garbage-collected
        except (OSError, ValueError, pa.ArrowException):
            pass
        self._file.discard()

    def _note(self, batch: pa.RecordBatch) -> None:
        self._count += batch.num_rows
        if self._session is None and self._table == "events":
            known = batch.column("sessionId")
            if known.null_count < len(known):
                self._session = known.drop_null()[0].as_py()
        name = {"events": ("seq", "seq"), "exchanges": ("seqFirst", "seqLast")}[self._table]
        first = pc.min(batch.column(name[0])).as_py()
        last = pc.max(batch.column(name[1])).as_py()
        if first is not None and last is not None:
            before = self._seq or (first, last)
            self._seq = min(before[0], first), max(before[1], last)

    def _write_group(self) -> None:
        batches = self._batches
        self._batches, self._rows, self._bytes = [], 0, 0
        self._wait()  # at most two groups are in memory: one that collects rows, one that is written
        self._writing = self._thread.submit(self._write, batches)

    def _write(self, batches: list[pa.RecordBatch]) -> None:
        # Readers would look for operations in all texts. Here, a few rows' are in memory.
        self._may_have_operations = self._may_have_operations or any(map(may_have_operations, batches))
        self._writer.write_table(pa.Table.from_batches(batches), row_group_size=GROUP_ROWS)

    def _wait(self) -> None:
        if self._writing is not None:
            self._writing.result()
            self._writing = None
