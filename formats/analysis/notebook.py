"""Sessions for programs and notebooks: typed events, and tables. `mockrec.formats` has the functions to call."""

from __future__ import annotations

import os
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mockrec.formats.files.jsonl import load_record
from mockrec.formats.query import parse
from mockrec.formats.schema.base import Event
from mockrec.formats.schema.body import Body
from mockrec.formats.schema.codec import LogObject
from mockrec.formats.schema.errors import RecordError
from mockrec.formats.schema.events import parse_event
from mockrec.formats.select.selection import Selection

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK = 2 * 1024 * 1024
_TABLES = ("exchanges", "events")


def events(path: str | PathLike[str], where: str | None, *, records: bool) -> Iterator[Event]:
    """See `mockrec.formats.read`. Errors in the expression or the path are raised at once, not by the iteration."""
    selection = _select(path, where, records=records)
    for session in selection.inputs:
        session.probe()
    return _events(selection)


def _events(selection: Selection) -> Iterator[Event]:
    try:
        for line in selection:
            record = load_record(line.raw)
            try:
                event = parse_event(record)
            except RecordError as error:
                raise RecordError(f"seq {record.get('seq', '?')}, {record.get('type')}: {error}") from None
            _set_folder(event, selection.inputs[line.source].context.bodies_folder)
            yield event
    finally:
        selection.close()


def _set_folder(event: LogObject, folder: Path | None) -> None:
    """Set the folder of body files in all bodies of an event."""
    for value in vars(event).values():
        if isinstance(value, Body):
            value.folder = folder
        elif isinstance(value, LogObject):
            _set_folder(value, folder)


def tabulate(path: str | PathLike[str], where: str | None, table: str) -> pa.Table:
    """A session as one of the two tables of `formats/parquet/arrow_schema.py`."""
    if table not in _TABLES:
        raise ValueError(f"expected a table {' or '.join(_TABLES)}, got {table!r}")
    import pyarrow as pa

    from mockrec.formats.parquet.arrow_schema import SCHEMAS

    selection = _select(path, where, records=False)
    try:
        rows = (_exchange_rows if table == "exchanges" else _event_rows)(selection, whole=where is None)
        return pa.Table.from_batches(rows, SCHEMAS[table])
    finally:
        selection.close()


def _event_rows(selection: Selection, *, whole: bool) -> Iterator[pa.RecordBatch]:
    from mockrec.formats.parquet.line_tables import LineTables

    with LineTables() as tables:
        for lines in _blocks(selection, whole=whole):
            yield from tables.add(lines)
        yield from tables.rest()


def _exchange_rows(selection: Selection, *, whole: bool) -> Iterator[pa.RecordBatch]:
    """Of the events, only the columns are read that exchanges are made of."""
    from mockrec.formats.parquet.exchange_columns import ExchangeTable
    from mockrec.formats.parquet.exchange_rows import COLUMNS
    from mockrec.formats.parquet.line_tables import LineTables
    from mockrec.formats.parquet.operation_names import with_operations

    (session,) = selection.inputs
    folder = session.context.bodies_folder
    made = ExchangeTable(bodies_folder=folder)
    columns = session.columns(COLUMNS) if whole else None
    if columns is None:
        with LineTables(exchanges=True, bodies_folder=folder) as tables:
            for lines in _blocks(selection, whole=whole):
                for batch in tables.add(lines):
                    made.add(batch)
                yield from made.take() if made.waiting else ()
            for batch in tables.rest():
                made.add(batch)
    else:
        for batch in columns:
            made.add(with_operations(batch, session.rows_again, folder))
            yield from made.take() if made.waiting else ()
    yield from made.take(last=True)


def need_pandas() -> Any:
    """The module pandas, an extra of mockrec. Raises `ImportError` with the command that installs it."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            "mockrec.formats.frame needs pandas: install it with `pip install 'mockrec[pandas]'`, "
            "or give arrow=True for a pyarrow Table"
        ) from error
    return pandas


def to_pandas(table: pa.Table) -> Any:
    """The table as a DataFrame in which integers, booleans and times keep their types, also with missing values."""
    pandas = need_pandas()
    import pyarrow as pa

    # JSON columns are text to pandas.
    plain = [
        table.column(name).cast(pa.string()) if isinstance(field.type, pa.BaseExtensionType) else table.column(name)
        for name, field in zip(table.schema.names, table.schema, strict=True)
    ]
    return pa.table(plain, names=table.schema.names).to_pandas(types_mapper=pandas.ArrowDtype)


def _select(path: str | PathLike[str], where: str | None, *, records: bool) -> Selection:
    plan = None if where is None else parse(where, records=records)
    return Selection([os.fspath(path)], plan)


def _blocks(selection: Selection, *, whole: bool) -> Iterator[bytes]:
    """The lines of a selection, or all of its session, in blocks that are worth a batch of rows."""
    lines: list[bytes] = []
    size = 0
    pieces = selection.inputs[0].copy() if whole else (line.raw + b"\n" for line in selection)
    for piece in pieces:
        lines.append(piece)
        size += len(piece)
        if size >= _BLOCK:
            yield b"".join(lines)
            lines, size = [], 0
    if lines:
        yield b"".join(lines)
