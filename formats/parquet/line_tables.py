"""Blocks of lines → batches of rows, by several processes where a session is large.

`events` and `exchanges` are the functions of the workers: they return a batch as an Arrow IPC stream.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa

from mockrec.formats.parquet.columns import TableMaker
from mockrec.formats.parquet.exchange_rows import COLUMNS, OPERATION
from mockrec.formats.parquet.operation_names import ExchangeLines, with_operations
from mockrec.formats.workers.blocks import BlockWorkers


class LineTables:
    """Makes batches of rows of one session's lines: `add` blocks, and at last take the `rest`. A context manager."""

    def __init__(self, *, exchanges: bool = False, bodies_folder: Path | None = None) -> None:
        """`exchanges`: only the columns that exchanges are made of, with the names of operations; otherwise all columns
        of events. `bodies_folder` has the bodies in files of their own, of which operations are named.
        """
        # Only lines tell a worker which bodies there are, and a folder of bodies is the exception.
        workers = 0 if exchanges and bodies_folder is not None and bodies_folder.is_dir() else None
        maker = _ExchangeRows(bodies_folder) if exchanges else TableMaker()
        function = "exchanges" if exchanges else "events"
        self._workers = BlockWorkers(f"{__name__}:{function}", from_stream, maker.table, workers=workers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def add(self, lines: bytes) -> Iterator[pa.RecordBatch]:
        """Add whole lines. Return the batches that are complete, in order.

        The iteration raises `RecordError` for a line that is no object, of these lines or of earlier ones.
        """
        return (batch for _, batch in self._workers.add(lines))

    def rest(self) -> Iterator[pa.RecordBatch]:
        """Return all other batches; the iteration raises as that of `add` does."""
        return (batch for _, batch in self._workers.rest())

    def close(self) -> None:
        """End the workers."""
        self._workers.close()


class _ExchangeRows:
    """Makes the rows that exchanges are made of."""

    def __init__(self, bodies_folder: Path | None = None) -> None:
        self._bodies_folder = bodies_folder
        self._lines = ExchangeLines()
        self._names = [*COLUMNS, OPERATION]

    def table(self, lines: bytes) -> pa.RecordBatch:
        return with_operations(self._lines.table(lines), None, self._bodies_folder).select(self._names)


# ── in the workers ─────────────────────────────────────────────────────────────────────────────────


def events(lines: bytes) -> bytes:
    """Return the rows of lines with all columns of events. Raises `RecordError`."""
    return _to_stream(_event_maker().table(lines))


def exchanges(lines: bytes) -> bytes:
    """Return the rows of lines with the columns that exchanges are made of. Raises `RecordError`."""
    return _to_stream(_exchange_maker().table(lines))


_event_maker = cache(TableMaker)
_exchange_maker = cache(_ExchangeRows)


def _to_stream(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def from_stream(data: bytes) -> pa.RecordBatch:
    """Return the batch that `events` or `exchanges` has returned as a stream."""
    with pa.ipc.open_stream(pa.py_buffer(data)) as reader:
        return reader.read_next_batch()
