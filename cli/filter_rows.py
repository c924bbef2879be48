"""The rows of `mockrec filter`: chosen fields of the selected exchanges as a table, CSV or JSON Lines."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mockrec.cli import printing
from mockrec.cli.cells import MOST
from mockrec.cli.filter_output import Batch, FilterOptions, RowShape
from mockrec.cli.fitting import Fit

if TYPE_CHECKING:
    from mockrec.formats.files.frames import Sink
    from mockrec.formats.query.extract import Context
    from mockrec.formats.query.field import Field
    from mockrec.formats.select.inputs import SelectedLine

_USUAL = {"time": 27, "id": 36, "status": 6, "method": 7, "url": 48, "path": 32, "host": 24, "duration": 8, "rule": 16}
"""Column widths for rows that are printed before the next ones are known."""
_MIDDLE = ("url", "path", "query")
"""Columns that are cut in the middle to fit a terminal."""
_NUMBERS = ("status", "duration", "size", "port")
"""Right-aligned columns of a table."""


def fields_of(wish: FilterOptions) -> tuple[Field, ...]:
    """Return the fields of a row: the printed ones, then the sort key."""
    from mockrec.formats.select.fields import DEFAULT_FIELDS, parse_fields

    fields = parse_fields(wish.fields or DEFAULT_FIELDS, records=wish.records)
    if wish.sort is None:
        return fields
    by = parse_fields(wish.sort.lstrip("-"), records=wish.records)
    return fields if by[0] in fields else (*fields, *by)


def write_rows(
    wish: FilterOptions,
    lines: Iterable[SelectedLine],
    contexts: Sequence[Context],
    sink: Sink,
    *,
    at_once: bool = False,
) -> None:
    """Write fields of the selected exchanges as a table, CSV or JSON Lines."""
    from mockrec.formats.select.fields import DEFAULT_FIELDS, FieldRows, parse_fields, sort_rows

    fields = fields_of(wish)
    names = [field.name for field in fields]
    if wish.sort is not None:
        (by,) = parse_fields(wish.sort.lstrip("-"), records=wish.records)
        place = names.index(by.name)
        names = [field.name for field in parse_fields(wish.fields or DEFAULT_FIELDS, records=wish.records)]
    rows = FieldRows(fields, list(contexts), records=wish.records).make(lines)
    if wish.sort is not None:
        if wish.shape in (None, RowShape.table):
            rows = _shortened(rows, place)
        # The limit counts sorted rows: `--sort -duration --limit 10` are the ten slowest.
        rows = iter(sort_rows(rows, place, descending=wish.sort.startswith("-"))[: wish.limit])
    rows = (row[: len(names)] for row in rows)
    out = Batch(sink, at_once)
    fit = _fit(names) if wish.output == "-" and not wish.wide else None
    for line in _shaped(names, rows, wish.shape or RowShape.table, at_once=at_once, fit=fit):
        out.add(line.encode("utf-8", "backslashreplace"))
    out.flush()


def _shaped(
    names: list[str], rows: Iterable[list[Any]], shape: RowShape, *, at_once: bool, fit: Fit | None = None
) -> Iterator[str]:
    if shape is RowShape.jsonl:
        for row in rows:
            yield _json({name: value for name, value in zip(names, row, strict=True) if value is not None}) + "\n"
    elif shape is RowShape.csv:
        yield from _csv([names])
        yield from _csv([_plain(value) for value in row] for row in rows)
    else:
        right = frozenset(place for place, name in enumerate(names) if name.rpartition(".")[2] in _NUMBERS)
        cells = (
            [_cell(name, value, readable=fit is not None) for name, value in zip(names, row, strict=True)]
            for row in rows
        )
        header = [printing.escape_start(name.upper()) for name in names]
        whole = "--as csv" if fit is None else "--wide"
        least = [_USUAL.get(name, 0) for name in names] if at_once else None
        for line in printing.table_lines(header, cells, right=right, whole=whole, least=least, fit=fit):
            yield f"{line}\n"


def _fit(names: Sequence[str]) -> Fit | None:
    """Return how rows fit the terminal, if they go to one: texts may be cut, numbers and times not."""
    width = printing.columns(sys.stdout)
    if width is None:
        return None
    whole = (*_NUMBERS, "time", "id", "method")
    shrink = {place: 12 for place, name in enumerate(names) if name.rpartition(".")[2] not in whole}
    middle = frozenset(place for place, name in enumerate(names) if name in _MIDDLE)
    return Fit(width, shrink, middle)


def _shortened(rows: Iterable[list[Any]], place: int) -> Iterator[list[Any]]:
    """Return rows to be sorted, with texts cut to what a cell shows; the sort key stays whole."""
    for row in rows:
        yield [
            value[: MOST + 1] if isinstance(value, str) and index != place else value for index, value in enumerate(row)
        ]


def _csv(rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for row in rows:
        writer.writerow(row)
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def _plain(value: Any) -> Any:
    """Return a value for CSV: lists joined, objects as JSON, control characters escaped (a terminal may show it)."""
    if value is None or type(value) in (int, float):
        return value
    if isinstance(value, list) and all(type(item) is str for item in value):
        value = ", ".join(value)
    return printing.escape(value if isinstance(value, str) else _json(value), keep_lines=True)


def _cell(name: str, value: Any, *, readable: bool) -> str:
    if value is None:
        return ""
    if name == "duration" and isinstance(value, (int, float)):
        return printing.duration(value)
    if isinstance(value, str):
        return printing.escape_url(value) if readable and name in _MIDDLE else printing.escape_start(value)
    return printing.escape_start(str(_plain(value)))


def _json(value: Any) -> str:
    from mockrec.formats.files.jsonl import encode_lines

    return encode_lines([value]).decode().rstrip("\n")
