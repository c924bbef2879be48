"""The Arrow table of events → lines: the inverse of `columns.py`.

Keys come in the order of the schema, not in that of the original line; values are the same.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import orjson
import pyarrow as pa

from mockrec.formats.parquet import arrays
from mockrec.formats.parquet.arrow_schema import EVENTS
from mockrec.formats.parquet.gc_pause import no_collection
from mockrec.formats.parquet.layout import DERIVED, EXTRA, Column, all_columns, layout
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.text.fields import header_table

Values = list[Any]

_PAIRS_OF = {pairs: derived for derived, pairs in DERIVED.items()}
_LINE = orjson.OPT_APPEND_NEWLINE


def lines_of(batch: pa.RecordBatch, name: str = "session") -> bytes:
    """The rows as JSON Lines, in order. JSON columns are copied without a check.

    Raises `SessionError` for rows of the file `name` that cannot be records.
    """
    try:
        return _lines_of(batch)
    except (ValueError, TypeError, pa.ArrowException) as error:
        raise damaged(name, error) from None


def damaged(name: str, error: Exception) -> SessionError:
    """The error for a file with invalid rows."""
    return SessionError(name, f"this Parquet file is damaged: {str(error).partition(chr(10))[0]}")


def _lines_of(batch: pa.RecordBatch) -> bytes:
    lines: list[bytes] = [b""] * batch.num_rows
    with no_collection():
        for kind, indices in _by_type(batch):
            part = batch if len(indices) == batch.num_rows else batch.take(arrays.integers(indices))
            for index, line in zip(indices, _lines_of_type(part, kind), strict=True):
                lines[index] = line
    return b"".join(lines)


def column_values(batch: pa.RecordBatch, name: str) -> Values | None:
    """A column as a list, with JSON as text and times in microseconds; None if it is missing or all null."""
    if name not in batch.schema.names:
        return None
    column = all_columns().get(name)
    kind = column.kind if column is not None else "text"
    return _values(batch, name, {"json": "text", "time": "micro"}.get(kind, kind))


def _by_type(batch: pa.RecordBatch) -> Iterator[tuple[str, list[int]]]:
    found: defaultdict[str, list[int]] = defaultdict(list)
    kinds = _texts(batch.column("type")) if "type" in batch.schema.names else [None] * batch.num_rows
    for index, kind in enumerate(kinds):
        found[kind or ""].append(index)
    yield from found.items()


def _lines_of_type(batch: pa.RecordBatch, kind: str) -> Iterator[bytes]:
    keys: list[str] = []
    columns: list[Values] = []
    for key, parts in _keys(kind):
        values = _values_of(batch, parts)
        if values is None:
            continue
        if key in _PAIRS_OF:
            keys.append(_PAIRS_OF[key])
            columns.append([(header_table(pairs) or None) if pairs else None for pairs in values])
        keys.append(key)
        columns.append(values)
    extras = _values(batch, EXTRA, "text")
    dumps = orjson.dumps
    complete = extras is None and not any(None in values for values in columns)
    for index, row in enumerate(zip(*columns, strict=True) if columns else [()] * batch.num_rows):
        if complete:
            yield dumps(dict(zip(keys, row, strict=True)), None, _LINE)
            continue
        record = {key: value for key, value in zip(keys, row, strict=True) if value is not None}
        if extras is not None and extras[index] is not None:
            record |= orjson.loads(extras[index])
        yield dumps(record, None, _LINE)


@cache
def _keys(kind: str) -> tuple[tuple[str, tuple[Column, ...]], ...]:
    """The keys of a type's records in order, each with its columns."""
    found: defaultdict[str, list[Column]] = defaultdict(list)
    for column in layout(kind).values():
        found[column.path[0]].append(column)
    return tuple((key, tuple(columns)) for key, columns in found.items())


def _values_of(batch: pa.RecordBatch, columns: Sequence[Column]) -> Values | None:
    """The values of one key; None if no row has it."""
    if len(columns[0].path) == 1:
        return _values(batch, columns[0].name, columns[0].kind)
    names: list[str] = []
    parts: list[Values] = []
    for column in columns:
        if (values := _values(batch, column.name, column.kind)) is not None:
            names.append(column.path[1])
            parts.append(values)
    if not parts:
        return None
    if not any(None in values for values in parts):
        return [dict(zip(names, row, strict=True)) for row in zip(*parts, strict=True)]
    return [
        {name: value for name, value in zip(names, row, strict=True) if value is not None} or None
        for row in zip(*parts, strict=True)
    ]


def _values(batch: pa.RecordBatch, name: str, kind: str) -> Values | None:
    """A column as a list; None if it is missing or all null."""
    index = batch.schema.get_field_index(name)
    if index < 0:
        return None
    array = batch.column(index)
    if array.null_count == len(array):
        return None
    wanted = EVENTS.field(name).type
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if array.type != wanted and not isinstance(wanted, pa.BaseExtensionType):
        array = array.cast(wanted)  # another tool that rewrote the file may have made a dictionary of it
    return _READ[kind](array)


def _texts(array: pa.Array) -> Values:
    if pa.types.is_dictionary(array.type):
        array = array.cast(pa.string())
    return array.to_pylist()  # type: ignore[no-any-return]


def _scalars(array: pa.Array) -> Values:
    """Numbers and flags, None for null."""
    values = arrays.plain(array)
    return values if not array.null_count else _with_nulls(values, array)


def _with_nulls(values: Values, array: pa.Array) -> Values:
    """The `values` of an array, with None where the array is null."""
    known = arrays.plain(array.is_valid())
    return [value if valid else None for value, valid in zip(values, known, strict=True)]


def text_of_time(time: Any) -> str:
    """A scalar of the time type in the log's form."""
    text: str = time.cast(pa.timestamp("us")).cast(pa.string()).as_py()
    return f"{text[:10]}T{text[11:]}Z"


def _times(array: pa.Array) -> Values:
    texts = array.cast(pa.timestamp("us")).cast(pa.string())
    return [None if text is None else f"{text[:10]}T{text[11:]}Z" for text in _texts(texts)]


def _lists(array: pa.Array, items: Values) -> Values:
    """The lists of a list array. `items` are all values of its child array, to which the offsets refer."""
    lists: Values = [items[start:end] for start, end in pairwise(arrays.plain(array.offsets))]
    return lists if not array.null_count else _with_nulls(lists, array)


def _text_lists(array: pa.Array) -> Values:
    return _lists(array, _texts(array.values))


def _pair_lists(array: pa.Array) -> Values:
    items = array.values
    pairs = zip(_texts(items.field(0)), _texts(items.field(1)), strict=True)
    return _lists(array, list(pairs))


def _encoded(array: pa.Array) -> Values:
    encode = base64.b64encode
    return [None if data is None else encode(data).decode("ascii") for data in _texts(array)]


def _fragments(array: pa.Array) -> Values:
    return [None if text is None else orjson.Fragment(text) for text in _texts(array)]


_READ: dict[str, Callable[[pa.Array], Values]] = {
    "text": _texts,
    "int": _scalars,
    "number": _scalars,
    "flag": _scalars,
    "time": _times,
    "micro": lambda array: _scalars(array.cast(pa.int64())),
    "texts": _text_lists,
    "pairs": _pair_lists,
    "base64": _encoded,
    "json": _fragments,
}
