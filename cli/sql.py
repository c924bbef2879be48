"""`mockrec sql QUERY SESSION…`: SQL over the tables of sessions."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mockrec.cli import printing
from mockrec.cli.many import exit_if_skipped, skipped_sessions
from mockrec.cli.options import Engine, FileMode, Force, Quiet, Verbose, refuse_inputs
from mockrec.cli.pipes import await_readers
from mockrec.cli.unfinished import whole_or_none

if TYPE_CHECKING:
    import pyarrow as pa

    from mockrec.formats.fleet.skipped import Skipped


class Shape(StrEnum):
    """`--as` of rows."""

    table = "table"
    csv = "csv"
    jsonl = "jsonl"
    parquet = "parquet"


_ENDINGS = {".csv": Shape.csv, ".txt": Shape.table, ".jsonl": Shape.jsonl, ".parquet": Shape.parquet}


def sql(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="A query in SQL (DuckDB's) over events and exchanges.")],
    sessions: Annotated[
        list[str],
        typer.Argument(
            metavar="SESSION...",
            help="Recorded sessions of any format, folders, prefixes of stores, patterns, or lists (@FILE).",
            show_default=False,
        ),
    ],
    shape: Annotated[
        Shape | None,
        typer.Option("--as", metavar="table|csv|jsonl|parquet", help="How rows are written.", show_default="table"),
    ] = None,
    output: Annotated[
        str,
        typer.Option("-o", "--output", metavar="OUT", help="Where to write; the extension decides the format."),
    ] = "-",
    engine: Engine = None,
    force: Force = False,
    file_mode: FileMode = 0o600,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Ask sessions in SQL. Needs DuckDB: pip install 'mockrec[sql]'.

    The table events has a row for each record, exchanges one for each exchange. Both have a column session, and one
    for each key of the sessions' folders (repo=shop/branch=main). Example: 'select session, path, count(*) from
    exchanges where statusCode >= 500 group by all'.
    """
    from mockrec.formats.fleet.discover import expand, is_many
    from mockrec.formats.fleet.sql import answer, need_duckdb

    if engine is None:
        need_duckdb()
    chosen = _shape_of(output, shape)
    found = expand(sessions)
    refuse_inputs((output,), found)
    skipped = skipped_sessions(allowed=any(map(is_many, sessions)))
    with ExitStack() as stack:
        rows = stack.enter_context(
            answer(query, found, skipped) if engine is None else _on_cluster(engine, query, found, skipped)
        )
        if chosen is Shape.parquet:
            _write_parquet(output, rows, force=force, file_mode=file_mode)
        elif output == "-":
            for line in _lines(chosen, rows):
                printing.data(line)
        else:
            from mockrec.formats.files.jsonl import JsonlSink
            from mockrec.formats.files.outfile import open_output

            await_readers((output,))
            sink = JsonlSink(open_output(Path(output), force=force, file_mode=file_mode))
            stack.enter_context(whole_or_none(sink))
            for line in _lines(chosen, rows):
                sink.write(f"{line}\n".encode("utf-8", "backslashreplace"))
    exit_if_skipped(skipped)


def _on_cluster(
    engine: str, query: str, sessions: list[str], skipped: Skipped
) -> AbstractContextManager[pa.RecordBatchReader]:
    # Imported here: only a cluster needs it.
    from mockrec.cli.on_cluster import sql_on_cluster

    return sql_on_cluster(engine, query, sessions, skipped)


def _shape_of(output: str, shape: Shape | None) -> Shape:
    if output != "-" and shape is None:
        shape = _ENDINGS.get(Path(output).suffix.lower())
        if shape is None:
            raise typer.BadParameter(
                f"{output}: rows are written to {', '.join(_ENDINGS)}; --as names another", param_hint="--output"
            )
    if shape is Shape.parquet and output == "-":
        raise typer.BadParameter("Parquet is no text: name a file with -o", param_hint="--as")
    return shape or Shape.table


def _lines(shape: Shape, rows: pa.RecordBatchReader) -> Iterator[str]:
    names = rows.schema.names
    values = (row for batch in rows for row in _python(batch))
    if shape is Shape.jsonl:
        from mockrec.formats.files.jsonl import encode_lines

        for row in values:
            yield encode_lines([dict(zip(names, row, strict=True))]).decode().rstrip("\n")
    elif shape is Shape.csv:
        yield from _csv(names, values)
    else:
        header = [printing.escape_start(name) for name in names]
        right = frozenset(place for place, field in enumerate(rows.schema) if _is_number(field.type))
        cells = ([printing.escape_start(_text(value)) for value in row] for row in values)
        yield from printing.table_lines(header, cells, right=right, whole="--as csv")


def _csv(names: Sequence[str], rows: Iterator[Sequence[Any]]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="")
    for row in (names, *()):
        writer.writerow(row)
        yield buffer.getvalue()
    for values in rows:
        buffer.seek(0)
        buffer.truncate()
        writer.writerow([value if type(value) in (int, float) else _csv_text(value) for value in values])
        yield buffer.getvalue()


def _csv_text(value: Any) -> str:
    return printing.escape(_text(value), keep_lines=True)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, dict)):
        from mockrec.formats.text.json import dump

        return dump(value).decode()
    return str(value)


def _is_number(kind: Any) -> bool:
    import pyarrow.types as types

    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def _python(batch: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a batch as values of JSON."""
    return zip(*map(_column, batch.columns), strict=True)


def _column(array: pa.Array) -> list[Any]:
    import base64
    import decimal

    import pyarrow as pa
    import pyarrow.types as types

    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        array, kind = array.storage, array.type.storage_type
    if types.is_timestamp(kind):
        texts = array.cast(pa.timestamp(kind.unit)).cast(pa.string()).to_pylist()
        zone = "Z" if kind.tz is not None else ""
        return [None if text is None else f"{text[:10]}T{text[11:]}{zone}" for text in texts]
    if types.is_temporal(kind):
        return [None if value is None else str(value) for value in array.to_pylist()]
    values = array.to_pylist()
    if types.is_binary(kind) or types.is_large_binary(kind):
        return [None if value is None else base64.b64encode(value).decode() for value in values]
    if types.is_decimal(kind):
        return [
            None if value is None else int(value) if value == value.to_integral_value() else float(value)
            for value in values
        ]
    if types.is_nested(kind):
        return [_jsonable(value, decimal.Decimal) for value in values]
    return values  # type: ignore[no-any-return]


def _jsonable(value: Any, number: type) -> Any:
    """Return a nested value with texts for what JSON has no values for."""
    if isinstance(value, dict):
        return {str(key): _jsonable(item, number) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(item, number) for item in value]
    if isinstance(value, number):
        return float(value)  # type: ignore[arg-type]
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)


def _write_parquet(output: str, rows: pa.RecordBatchReader, *, force: bool, file_mode: int) -> None:
    """Write rows to a Parquet file that appears when it is complete. Raises `OutputError`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from mockrec.formats.parquet.atomic_file import AtomicFile
    from mockrec.formats.parquet.files import file_system
    from mockrec.formats.schema.errors import OutputError, OutputExistsError

    try:
        filesystem, inner = file_system(output)
        if not force and filesystem.get_file_info(inner).type.name != "NotFound":
            raise OutputExistsError(output)
        file = AtomicFile(filesystem, inner, file_mode)
        try:
            with pq.ParquetWriter(file.stream, rows.schema, compression="zstd") as writer:
                for batch in rows:
                    writer.write_batch(batch)
        except BaseException:
            file.discard()
            raise
        file.publish()
    except (OSError, pa.ArrowException) as error:
        raise OutputError(output, (getattr(error, "strerror", None) or str(error)).partition("\n")[0]) from None
