"""Blocks of lines → batches of rows, by several processes where a session is large.

The functions of the workers return a batch as an Arrow IPC stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import pyarrow as pa

from mockrec.formats.parquet.arrow_schema import EVENTS
from mockrec.formats.parquet.columns import TableMaker
from mockrec.formats.parquet.operation_names import EXCHANGE_LINES, ExchangeLines
from mockrec.formats.schema.errors import RecordError
from mockrec.formats.workers.blocks import BlockWorkers

BLOCK = 1024 * 1024
"""Bytes of lines that become rows together."""
_FILE = b'"file"'
"""In each record with a body in a file of its own."""


class LineTables:
    """Makes batches of rows of one session's lines: `add` blocks, and at last take the `rest`. A context manager."""

    def __init__(self, *, exchanges: bool = False, bodies_folder: Path | None = None, source: str = "") -> None:
        """`exchanges`: only the columns that exchanges are made of, with the names of operations; otherwise all columns
        of events. `bodies_folder` has the bodies in files of their own, of which operations are named. `source` is the
        file that the lines are of, if it is known.
        """
        # Only lines tell a worker which bodies there are, and a folder of bodies is the exception.
        workers = 0 if exchanges and bodies_folder is not None and bodies_folder.is_dir() else None
        function = "exchanges" if exchanges else "events"
        self._workers = BlockWorkers(
            f"{__name__}:{function}",
            _reader(exchanges=exchanges),
            _maker(exchanges=exchanges, bodies_folder=bodies_folder),
            source=source,
            workers=workers,
        )

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


@dataclass(frozen=True, slots=True)
class DecodedRows:
    """The rows of a block, in place of its records; see `DecodedBlock`."""

    batch: pa.RecordBatch

    def __len__(self) -> int:
        return self.batch.num_rows  # type: ignore[no-any-return]

    def __getitem__(self, index: Literal[-1]) -> Self:
        return self

    @property
    def type(self) -> str:
        """The type of the last record."""
        return self.batch.column("type")[-1].as_py()  # type: ignore[no-any-return]


class RowBlocks:
    """Decodes the blocks of one session to rows, so that no line is decoded twice. A context manager."""

    def __init__(self, *, exchanges: bool, source: str) -> None:
        """See `LineTables`."""
        make = _maker(exchanges=exchanges)
        self._workers = BlockWorkers[pa.RecordBatch | None](
            f"{__name__}:{'plain_exchanges' if exchanges else 'plain_events'}",
            _reader(exchanges=exchanges),
            lambda lines: _plain(make, lines),
            source=source,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._workers.close()

    def decode(self, blocks: Iterable[bytes]) -> Iterator[tuple[bytes, DecodedRows | None]]:
        """Decode blocks; see `BlockDecoder`. None also for one with bodies in files, which have to be read."""
        for block, batch in self._workers.results(blocks):
            yield block, None if batch is None else DecodedRows(batch)


def _maker(*, exchanges: bool, bodies_folder: Path | None = None) -> Callable[[bytes], pa.RecordBatch]:
    return ExchangeLines(bodies_folder).table if exchanges else TableMaker().table


def _reader(*, exchanges: bool) -> Callable[[bytes], pa.RecordBatch]:
    schema = EXCHANGE_LINES if exchanges else EVENTS
    return lambda data: from_stream(data, schema)


def _plain(make: Callable[[bytes], pa.RecordBatch], lines: bytes) -> pa.RecordBatch | None:
    """The rows of lines that are all records with a type, and without bodies in files of their own; None for others."""
    if _FILE in lines:
        return None
    try:
        batch = make(lines)
    except RecordError:
        return None
    return None if batch.column("type").null_count else batch


# ── in the workers ─────────────────────────────────────────────────────────────────────────────────


def events(lines: bytes) -> memoryview | bytes:
    """Return the rows of lines with all columns of events. Raises `RecordError`."""
    return _to_stream(_event_maker()(lines))


def exchanges(lines: bytes) -> memoryview | bytes:
    """Return the rows of lines with the columns that exchanges are made of. Raises `RecordError`."""
    return _to_stream(_exchange_maker()(lines))


def plain_events(lines: bytes) -> memoryview | bytes:
    """Return the same as `events`; empty for lines that `RowBlocks` does not decode."""
    batch = _plain(_event_maker(), lines)
    return b"" if batch is None else _to_stream(batch)


def plain_exchanges(lines: bytes) -> memoryview | bytes:
    """Return the same as `exchanges`; empty for lines that `RowBlocks` does not decode."""
    batch = _plain(_exchange_maker(), lines)
    return b"" if batch is None else _to_stream(batch)


@cache
def _event_maker() -> Callable[[bytes], pa.RecordBatch]:
    return _maker(exchanges=False)


@cache
def _exchange_maker() -> Callable[[bytes], pa.RecordBatch]:
    return _maker(exchanges=True)


def _to_stream(batch: pa.RecordBatch) -> memoryview:
    """The columns that have values: of most records, that is a third of the columns and of the bytes."""
    known = [place for place, column in enumerate(batch.columns) if not place or column.null_count < batch.num_rows]
    batch = batch.select(known)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return memoryview(sink.getvalue())


def from_stream(data: bytes | memoryview, schema: pa.Schema) -> pa.RecordBatch:
    """Return the batch that one of these functions has returned as a stream, with all columns of the schema."""
    with pa.ipc.open_stream(pa.py_buffer(data)) as reader:
        batch = reader.read_next_batch()
    known = dict(zip(batch.schema.names, batch.columns, strict=True))
    return pa.RecordBatch.from_arrays(
        [known[field.name] if field.name in known else pa.nulls(batch.num_rows, field.type) for field in schema],
        schema=schema,
    )
