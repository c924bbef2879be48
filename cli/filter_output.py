"""The output of `mockrec filter`: its options, and the lines of a session. Rows are in `filter_rows.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import typer

from mockrec.cli import printing
from mockrec.cli.pipes import await_readers
from mockrec.formats.fleet.skipped import Skipped

if TYPE_CHECKING:
    from mockrec.formats.files.frames import Sink
    from mockrec.formats.fleet.cluster_selection import ClusterSelection
    from mockrec.formats.fleet.selection import ManySelection
    from mockrec.formats.parquet.line_tables import DecodedRows
    from mockrec.formats.parquet.sink import TableSink
    from mockrec.formats.query import Plan
    from mockrec.formats.query.extract import Context
    from mockrec.formats.select.inputs import AnyInput, SelectedLine
    from mockrec.formats.select.selection import Selection
    from mockrec.formats.sessions.derived import BodyCarrier

_BATCH = 256 * 1024
"""Bytes of one write."""


class RowShape(StrEnum):
    """`--as` of rows."""

    table = "table"
    csv = "csv"
    jsonl = "jsonl"


class Table(StrEnum):
    """`--table` of Parquet files."""

    events = "events"
    exchanges = "exchanges"


@dataclass(slots=True)
class FilterOptions:
    """What the options ask for."""

    paths: list[str]
    expression: str | None
    plan: Plan | None
    output: str
    output_format: str | None
    table: Table
    records: bool
    limit: int | None
    fields: str | None
    shape: RowShape | None
    sort: str | None
    force: bool
    file_mode: int
    redact: bool = False
    wide: bool = False
    engine: str | None = None
    """The cluster that reads the sessions; None: this machine."""
    given: list[str] = field(default_factory=list)
    """The sessions as the user has named them: also patterns, folders and lists."""
    skipped: Skipped = field(default_factory=lambda: Skipped(allowed=False))
    """Sessions that could not be read."""

    @property
    def rows(self) -> bool:
        """Whether rows are written, not a session."""
        return self.fields is not None or self.shape is not None


def open_out(wish: FilterOptions) -> Sink:
    """Open the output of a command that writes a session or rows. Raises `OutputError`."""
    from mockrec.formats.sessions.outputs import format_of, open_sink

    if wish.table is Table.exchanges:
        from mockrec.formats.parquet.paths import is_data_set

        if (wish.output_format or format_of(wish.output)) != "parquet" or is_data_set(wish.output):
            raise typer.BadParameter("it is of Parquet files: -o NAME.parquet", param_hint="--table")
        from mockrec.formats.parquet.sink import open_table_sink

        return open_table_sink(wish.output, force=wish.force, file_mode=wish.file_mode, table="exchanges")
    await_readers((wish.output,))
    chosen = "jsonl" if wish.rows else wish.output_format  # rows are lines of text, whatever the file's name
    return open_sink(wish.output, force=wish.force, file_mode=wish.file_mode, output_format=chosen)


_ROW_ENDINGS = {".csv": RowShape.csv, ".txt": RowShape.table, ".jsonl": RowShape.jsonl, ".ndjson": RowShape.jsonl}
_SESSION_ENDINGS = frozenset({".jsonl", ".ndjson", ".json", ".log", ".gz", ".zst", ".har", ".parquet"})


def shape_of(output: str, output_format: str | None, *, fields: bool, shape: RowShape | None) -> RowShape | None:
    """Return the format of rows by the output's file name; None if a session is written.

    Raises `typer.BadParameter` for a name without a known format.
    """
    from mockrec.formats.parquet.paths import is_uri

    ending = "" if is_uri(output) else Path(output).suffix.lower()
    if not ending or output == "-" or output_format is not None:
        return shape
    if fields or shape is not None:
        if ending not in _ROW_ENDINGS and (shape is None or ending in _SESSION_ENDINGS):
            known = ", ".join(_ROW_ENDINGS)
            raise typer.BadParameter(
                f"{output}: rows are written to {known}; --as names another", param_hint="--output"
            )
        return shape or _ROW_ENDINGS[ending]
    if ending == ".csv":
        return RowShape.csv
    if ending not in _SESSION_ENDINGS and not Path(output).is_dir():
        known = ".jsonl, .jsonl.gz, .jsonl.zst, .har, .parquet, .csv"
        raise typer.BadParameter(
            f"{output}: no format is called {ending}, only {known}; --format names one for any file",
            param_hint="--output",
        )
    return None


# ── sessions ───────────────────────────────────────────────────────────────────────────────────────


def write_lines(
    wish: FilterOptions,
    lines: Iterable[SelectedLine],
    headers: Sequence[dict[str, Any] | None],
    contexts: Sequence[Context],
    sink: Sink,
    *,
    at_once: bool = False,
) -> None:
    """Write the selected lines, between a first and a last record of the new session."""
    from mockrec.formats.sessions.derived import Provenance

    marks = Provenance(_derived(wish), [_session_id(header) for header in headers])
    redacted = _redaction(wish)
    out = Batch(sink, at_once)
    with _carrying(wish, stays=at_once) as carrier:
        for kept in lines:
            line = marks.mark(kept.raw, kept.source)
            out.add(redacted(carrier.carry(line, contexts[kept.source].bodies_folder)) + b"\n")
        out.flush()


def write_copy(wish: FilterOptions, selection: Selection | ManySelection | ClusterSelection, sink: Sink) -> None:
    """Write a whole session in another format."""
    (known,) = selection.inputs
    if wish.table is Table.exchanges and not wish.redact and _write_columns(selection, sink):
        return
    redacted = _redaction(wish)
    folder = known.context.bodies_folder
    with _carrying(wish) as carrier, _whole(wish, known, sink) as blocks:
        for rows, block in blocks:
            if rows is not None:
                cast("TableSink", sink).add(rows.batch)
                selection.found += len(rows)
                continue
            if wish.redact or (b'"file"' in block and folder is not None):
                block = b"".join(redacted(carrier.carry(line, folder)) + b"\n" for line in block.split(b"\n") if line)
            sink.write(block)
            selection.found += block.count(b"\n")


def _write_columns(selection: Selection | ManySelection | ClusterSelection, sink: Sink) -> bool:
    """Write the exchanges of a session in Parquet from its columns; False if it is in another format."""
    from mockrec.formats.parquet.exchange_rows import COLUMNS
    from mockrec.formats.parquet.operation_names import with_operations
    from mockrec.formats.parquet.sink import TableSink

    (known,) = selection.inputs
    batches = known.columns(COLUMNS)
    if batches is None or not isinstance(sink, TableSink):
        return False
    for batch in batches:
        sink.add(with_operations(batch, known.rows_again, known.context.bodies_folder))
        selection.found += batch.num_rows
    return True


@contextmanager
def _whole(wish: FilterOptions, known: AnyInput, sink: Sink) -> Iterator[Iterator[tuple[DecodedRows | None, bytes]]]:
    """Context with the blocks of a session, for tables with their rows: its lines are decoded once then, not twice."""
    from mockrec.formats.select.inputs import Input
    from mockrec.formats.sessions.outputs import format_of

    folder = known.context.bodies_folder
    if (
        wish.redact
        or (wish.output_format or format_of(wish.output)) != "parquet"
        or not isinstance(known, Input)
        or (folder is not None and folder.is_dir())
    ):
        yield ((None, block) for block in known.copy())
        return
    with cast("TableSink", sink).blocks(known.blocks.path) as made:
        yield known.decoded(made.decode)


@contextmanager
def _carrying(wish: FilterOptions, *, stays: bool = False) -> Iterator[BodyCarrier]:
    """Context with the copier of bodies for the output. After a signal, the copied bodies are removed with the
    output, unless it `stays`."""
    from mockrec.formats.sessions.derived import BodyCarrier

    carrier = BodyCarrier(_bodies_folder(wish))
    try:
        yield carrier
        _warn_of_lost(carrier)
    except KeyboardInterrupt:
        if not stays:
            carrier.discard()
        raise


def _warn_of_lost(carrier: BodyCarrier) -> None:
    if carrier.lost:
        printing.warn(
            f"bodies beside the session that could not be taken along: {carrier.lost}; they are missing or damaged "
            "(`mockrec verify` lists them), and what names them is copied as it is"
        )


def _redaction(wish: FilterOptions) -> Callable[[bytes], bytes]:
    """Return the function that each line passes through: it redacts with --redact."""
    if not wish.redact:
        return lambda line: line
    from mockrec.engine.redaction.lines import LineRedactor

    redactor = LineRedactor()

    def redacted(line: bytes) -> bytes:
        try:
            return redactor.line(line)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--redact") from None

    return redacted


def _derived(wish: FilterOptions) -> dict[str, Any]:
    """Return the provenance of the new session; empty for a plain conversion, which is still the same session."""
    if wish.expression is None and wish.limit is None and len(wish.paths) == 1:
        return {}
    # Of many sessions, the patterns: their names would be in the first record of each.
    names = wish.given if wish.skipped.allowed else wish.paths
    derived: dict[str, Any] = {"from": names[0] if len(names) == 1 else names}
    if wish.expression is not None:
        derived["expression"] = wish.expression
    if wish.limit is not None:
        derived["limit"] = wish.limit
    if wish.records:
        derived["records"] = True
    return derived


def _session_id(header: dict[str, Any] | None) -> str | None:
    known = (header or {}).get("sessionId")
    return known if isinstance(known, str) else None


def _bodies_folder(wish: FilterOptions) -> Path | None:
    """Return the bodies folder next to a log file; None for outputs that hold all bodies, and for redacted ones."""
    from mockrec.formats.sessions.outputs import format_of

    if (
        wish.redact
        or wish.output == "-"
        or (wish.output_format or format_of(wish.output)) not in ("jsonl", "jsonl.gz", "jsonl.zst")
    ):
        return None
    return Path(f"{wish.output}.bodies")


class Batch:
    """Collects lines and writes them in blocks."""

    def __init__(self, sink: Sink, at_once: bool) -> None:
        self._sink = sink
        self._limit = 0 if at_once else _BATCH
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, data: bytes) -> None:
        """Add whole lines."""
        self._parts.append(data)
        self._size += len(data)
        if self._size >= self._limit:
            self.flush()

    def flush(self) -> None:
        """Write the collected lines."""
        if self._parts:
            self._sink.write(b"".join(self._parts))
            self._parts, self._size = [], 0
