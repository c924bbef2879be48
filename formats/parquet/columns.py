"""Rows → the Arrow table of events, a batch of lines at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import cache
from itertools import accumulate, chain
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from msgspec.structs import astuple

from mockrec.formats.parquet.arrow_schema import EVENTS, TIME
from mockrec.formats.parquet.fields import COLUMN_BY_PATH
from mockrec.formats.parquet.gc_pause import no_collection
from mockrec.formats.parquet.header_lists import Pairs
from mockrec.formats.parquet.layout import EXTRA, FROM_HEADERS, all_columns
from mockrec.formats.parquet.row_reader import EXACT, Extra, RowBatch, RowReader, decode_base64, read_exactly
from mockrec.formats.text.json import dump

_CANONICAL = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9]\.[0-9]{6}Z$"

Values = tuple[Any, ...]
_ALWAYS_EXACT = ("text", "texts", "int", "flag")
"""Kinds of columns whose values the decoder has checked."""


class _InexactError(Exception):
    """A value would not come back from its column exactly: each line has to be checked."""


class TableMaker:
    """Makes batches of rows of one session's lines."""

    def __init__(self, names: Collection[str] | None = None) -> None:
        """`names`: only these columns are made, for a reader that needs no others; None: all."""
        self._names = None if names is None else frozenset(names)
        self._reader = RowReader()

    def table(self, lines: bytes) -> pa.RecordBatch:
        """Whole lines as a batch of rows, in order. Raises `RecordError` for a line that is no object."""
        with no_collection():
            try:
                return _batch(self._reader.read(lines), self._names)
            except _InexactError:
                return _batch(read_exactly(lines), self._names, exact=True)


def _batch(rows: RowBatch, names: frozenset[str] | None, *, exact: bool = False) -> pa.RecordBatch:
    """The columns of rows. With `exact`, all values were checked before; otherwise raises `_InexactError` for one that
    breaks rule 5, 6 or 7 of `row_reader.py`."""
    count = len(rows.rows)
    arrays: dict[str, pa.Array] = {}
    absent = (None,) * count
    for name, values in _merged(rows, names).items():
        if values != absent:
            kind = all_columns()[name].kind
            arrays[name] = made = _MAKE.get(kind, _plain)(name, values)
            if kind == "number" and not exact:
                _check_numbers(made)
    for name, numbers in (("rawHeaders", rows.headers), ("rawTrailers", rows.trailers)):
        if (names is None or name in names) and any(numbers):
            arrays[name] = _pairs(name, rows.header_lists.pairs).take(pa.array(numbers, pa.int32()))
    places = pa.array(rows.headers, pa.int32())
    for name, header in FROM_HEADERS.items():
        if names is None or name in names:
            arrays[name] = _header_column(rows.header_lists.tables, header).take(places)
    if any(rows.extras.values()):
        arrays[EXTRA] = _extra_column(rows.extras, count)
    schema = EVENTS if names is None else _schema_of(names)
    return pa.RecordBatch.from_arrays(
        [arrays[field.name] if field.name in arrays else pa.nulls(count, field.type) for field in schema],
        schema=schema,
    )


@cache
def _schema_of(names: frozenset[str]) -> pa.Schema:
    return pa.schema([field for field in EVENTS if field.name in names])


def _merged(rows: RowBatch, names: frozenset[str] | None) -> dict[str, Values]:
    """The values of each column. Of several keys that share a column, a row has at most one."""
    merged: dict[str, Values] = {}
    keys = _transposed(rows.kind.make, rows.rows)
    objects = {key: _transposed(type(nothing), keys[key]) for key, nothing in rows.kind.absent.items()}
    for path in rows.kind.paths:
        column = COLUMN_BY_PATH[path]
        if column.kind == "pairs":
            continue
        # Other kinds are made in any case: one inexact value decides about the whole batch.
        if names is not None and column.name not in names and column.kind in _ALWAYS_EXACT:
            continue
        values = objects[path[0]][path[1]] if len(path) == 2 else keys[path[0]]
        if column.name in merged:
            values = tuple([b if a is None else a for a, b in zip(merged[column.name], values, strict=True)])
        merged[column.name] = values
    return merged


def _transposed(kind: type[msgspec.Struct], structs: Sequence[Any]) -> dict[str, Values]:
    """The values of each field of structs of this type, in half the time of reading one field after the other."""
    if not structs:
        return dict.fromkeys(kind.__struct_fields__, ())
    return dict(zip(kind.__struct_fields__, zip(*map(astuple, structs), strict=True), strict=True))


def _plain(name: str, values: Values) -> pa.Array:
    return pa.array(values, EVENTS.field(name).type)


def _check_numbers(values: pa.Array) -> None:
    extremes = pc.min_max(values)
    if max(-extremes["min"].as_py(), extremes["max"].as_py()) >= EXACT:
        raise _InexactError


def _time(_: str, values: Values) -> pa.Array:
    texts = pa.array(values, pa.string())
    if not pc.all(pc.match_substring_regex(texts, _CANONICAL)).as_py():
        raise _InexactError
    try:
        return texts.cast(TIME)
    except pa.ArrowInvalid:  # such as the 31st of February
        raise _InexactError from None


def _base64(_: str, values: Values) -> pa.Array:
    found = [None if text is None else decode_base64(text) for text in values]
    if found.count(None) > values.count(None):
        raise _InexactError
    return pa.array(found, pa.binary())


def _pairs(name: str, values: Sequence[Pairs | None]) -> pa.Array:
    """A column of lists of pairs, built from offsets: several times faster than from a list of dicts."""
    flat = list(chain.from_iterable(filter(None, values)))
    names, texts = zip(*flat, strict=True) if flat else ((), ())
    items = pa.StructArray.from_arrays(
        [pa.array(names, pa.string()), pa.array(texts, pa.string())], fields=list(EVENTS.field(name).type.value_type)
    )
    ends = list(accumulate([0 if pairs is None else len(pairs) for pairs in values], initial=0))
    offsets = pa.array(ends, pa.int32())
    mask = pa.array([pairs is None for pairs in values], pa.bool_())
    return pa.ListArray.from_arrays(offsets, items, type=EVENTS.field(name).type, mask=mask)


def _json(name: str, values: Values) -> pa.Array:
    try:
        texts = [None if raw is None else bytes(raw).decode("utf-8") for raw in values]
    except UnicodeDecodeError:
        raise _InexactError from None
    return pa.array(texts, pa.string()).cast(EVENTS.field(name).type)


_MAKE: dict[str, Callable[[str, Values], pa.Array]] = {
    "time": _time,
    "base64": _base64,
    "json": _json,
}


def _header_column(tables: Sequence[dict[str, Any]], name: str) -> pa.Array:
    values = [table.get(name) for table in tables]
    return pa.array([value if type(value) is str else None for value in values], pa.string())


def _extra_column(extras: dict[int, Extra], count: int) -> pa.Array:
    found = [dump(extra).decode() if (extra := extras.get(index)) else None for index in range(count)]
    return pa.array(found, pa.string()).cast(EVENTS.field(EXTRA).type)
