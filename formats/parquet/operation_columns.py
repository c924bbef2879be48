"""Finds out by columns which rows of the events table may have an operation: what `may_have_operation` says of lines.

It may be True where that of no line is, which costs time only, but never the other way round.
"""

from __future__ import annotations

import re
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from mockrec.formats.operations.readers import HINTS, LINE_HINTS, may_have_operation
from mockrec.formats.parquet import arrays
from mockrec.formats.parquet.layout import all_columns
from mockrec.formats.parquet.lines import lines_of
from mockrec.formats.schema.lifecycle import COMPLETE_TYPES

_OF_TEXT = "|".join(map(re.escape, HINTS))
_KINDS = ("text", "texts", "pairs", "json", "base64")
MESSAGE_KEYS = frozenset({"type", "method", "url", "rawHeaders", "rawTrailers", "body", "content", "operation"})
"""The keys of a record of which an operation is made."""
TEXTS = tuple(
    column.name for column in all_columns().values() if column.kind in _KINDS and column.path[0] in MESSAGE_KEYS
)
"""The columns that may have a hint of one."""
_COMPLETE = arrays.texts(sorted(COMPLETE_TYPES))
_MESSAGE, _GET = arrays.text("websocket-message-received"), arrays.text("GET")
_TELLING = "query=|extensions="
"""Only with one of these in its URL has a GET request an operation; see `operation_of`."""
_FALSE = arrays.flag(False)


def naming_rows(kinds: pa.Array, methods: pa.Array, urls: pa.Array) -> pa.Array:
    """Return which rows can name an operation, by their types, methods and URLs: most GET requests cannot."""
    kinds = _texts(kinds)
    plain = pc.fill_null(pc.equal(_texts(methods), _GET), _FALSE)
    telling = pc.fill_null(pc.match_substring_regex(_texts(urls), _TELLING), _FALSE)
    requests = pc.and_not(pc.is_in(kinds, value_set=_COMPLETE), pc.and_not(plain, telling))
    return pc.or_(requests, pc.fill_null(pc.equal(kinds, _MESSAGE), _FALSE))


def rows_may_have_operation(batch: pa.RecordBatch, rows: pa.Array) -> bool:
    """Return whether some of these rows may have an operation. `batch` has those of the columns `TEXTS` that have
    values."""
    bytes_: list[pa.Array] = []
    for name in batch.schema.names:
        column = all_columns().get(name)
        if column is None or column.kind not in _KINDS:
            continue
        values = batch.column(name)
        if isinstance(values, pa.ExtensionArray):
            values = values.storage
        values = values.take(rows)
        if values.null_count == len(values):
            continue
        if name == "operationProtocol":
            return True
        if column.kind == "base64":
            bytes_.append(pc.is_valid(values))
        elif _any_has_hint(values, column.kind):
            return True
    if not bytes_:
        return False
    # By chance, base64 may look like a hint.
    return may_have_operation(lines_of(batch.take(rows.filter(reduce(pc.or_, bytes_)))))


def _any_has_hint(values: pa.Array, kind: str) -> bool:
    if kind == "json":
        return _matches(values, LINE_HINTS)
    if kind == "text":
        return _matches(values, _OF_TEXT)
    items = pc.list_flatten(values)
    if kind == "texts":
        return _matches(items, _OF_TEXT)
    names, texts = (_plain(items.field(number)) for number in (0, 1))
    return _matches(names, _OF_TEXT) or _matches(pc.utf8_lower(names), _OF_TEXT) or _matches(texts, _OF_TEXT)


def _matches(texts: pa.Array, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(_plain(texts), pattern)).as_py())


def _plain(texts: pa.Array) -> pa.Array:
    """The different texts of a dictionary, others as they are."""
    if not pa.types.is_dictionary(texts.type):
        return texts
    return texts.dictionary.take(pc.unique(texts.indices).drop_null())


def _texts(column: pa.Array) -> pa.Array:
    return column if column.type == pa.string() else column.cast(pa.string())
