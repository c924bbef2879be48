"""Finds out by columns which rows of the events table may have an operation: what `may_have_operation` says of lines.

A row may be found where the line has no operation, which costs time only. A row with an operation is always found: a
request of a protocol has a hint in its URL, its header fields or its body (`ProtocolSpec.hints`), so no other column is
looked at.

Most sessions have no operation at all. So all rows are asked together first, with the texts of a column joined to one;
only if that has a hint, they are asked one by one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache, reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mockrec.formats.operations.readers import HINTS, LINE_HINTS
from mockrec.formats.parquet import arrays
from mockrec.formats.parquet.layout import EXTRA
from mockrec.formats.schema.lifecycle import COMPLETE_TYPES

Again = Callable[[Sequence[str], pa.Array], Iterable[pa.RecordBatch]]
"""Returns rows of a batch, by their numbers in ascending order, with other columns: as far as the file has these."""

_UNSEEN = ("bodyBytes", "bodyFile", "operationProtocol")
"""Columns with a value only in rows whose hint may be in no column: bodies that are no text."""
HINTED = ("url", "rawHeaders", "bodyText", EXTRA, *_UNSEEN)
"""The columns that may have a hint, or tell that there may be one."""
NO_OPERATIONS = f"none by {hashlib.sha256(repr((HINTS, LINE_HINTS, HINTED)).encode()).hexdigest()[:16]}"
"""Of rows of which none may have an operation, as far as this version knows protocols. Footers of files say so."""
_MARK = b"operations of these rows"
_COMPLETE = arrays.texts(sorted(COMPLETE_TYPES))
_MESSAGE, _GET = arrays.text("websocket-message-received"), arrays.text("GET")
_TELLING = "query=|extensions="
"""Only with one of these in its URL has a GET request an operation; see `operation_of`."""
_FALSE = arrays.flag(False)
_OF_TEXT = "|".join(map(re.escape, HINTS))
_OF_NAMES = f"(?i:{_OF_TEXT})"


def naming_rows(kinds: pa.Array, methods: pa.Array, urls: pa.Array) -> pa.Array:
    """Return which rows can name an operation, by their types, methods and URLs: most GET requests cannot."""
    kinds = _texts(kinds)
    requests = pc.is_in(kinds, value_set=_COMPLETE)
    plain = pc.fill_null(_of_texts(methods, lambda texts: pc.equal(texts, _GET)), _FALSE)
    posted = pc.and_not(requests, plain)
    if not pc.all(pc.or_(pc.invert(requests), posted), min_count=0).as_py():
        telling = _of_texts(urls, lambda texts: pc.match_substring_regex(texts, _TELLING))
        posted = pc.or_(posted, pc.and_(requests, pc.fill_null(telling, _FALSE)))
    return pc.or_(posted, pc.fill_null(pc.equal(kinds, _MESSAGE), _FALSE))


def marked(batch: pa.RecordBatch, *, no_operations: bool) -> pa.RecordBatch:
    """Mark rows of which none may have an operation, so that `hinted_rows` looks at no text of them.

    Other rows lose any mark, and the metadata of their file, which would be that of all rows after a concatenation.
    """
    return batch.replace_schema_metadata({_MARK: b"none"} if no_operations else None)


def hinted_rows(batch: pa.RecordBatch, rows: pa.Array, again: Again | None = None) -> pa.Array:
    """Return those of the `rows` that may have an operation, all of which can name one.

    `batch` has the columns of `HINTED` that have values, unless `again` gives them.
    """
    if not len(rows) or _MARK in (batch.schema.metadata or {}):
        return rows.slice(0, 0)
    known = [name for name in HINTED if name in batch.schema.names]
    masks = [_hints(batch.select(known).take(rows))]
    others = [name for name in HINTED if name not in known]
    if again is not None and others:
        masks.append(pa.concat_arrays([_hints(part) for part in again(others, rows)]))
    return rows.filter(reduce(pc.or_, masks))


def may_have_operations(batch: pa.RecordBatch) -> bool:
    """Return whether any row may have an operation. `batch` has all columns."""
    naming = naming_rows(*(batch.column(name) for name in ("type", "method", "url")))
    return len(hinted_rows(batch, pc.indices_nonzero(naming))) > 0


def _hints(batch: pa.RecordBatch) -> pa.Array:
    """Whether each row has a hint."""
    masks = [pc.is_null(arrays.integers(range(batch.num_rows)))]
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        values = column.storage if isinstance(column, pa.ExtensionArray) else column
        if values.null_count == len(values):
            continue
        if name in _UNSEEN:
            masks.append(pc.is_valid(values))
        elif name == "rawHeaders":
            masks += _of_pairs(values)
        else:
            masks += _of_column(values, LINE_HINTS if name == EXTRA else _OF_TEXT)
    return reduce(pc.or_, masks)


def _of_column(values: pa.Array, pattern: str) -> list[pa.Array]:
    """Whether each text has a hint; nothing if none has one."""
    if not _is_anywhere(values, pattern):
        return []
    return [pc.fill_null(_of_texts(values, lambda texts: pc.match_substring_regex(texts, pattern)), _FALSE)]


def _of_pairs(lists: pa.Array) -> list[pa.Array]:
    """Whether each list of names and values has a hint; nothing if none has one."""
    items = pc.list_flatten(lists)
    found = [*_of_column(items.field(0), _OF_NAMES), *_of_column(items.field(1), _OF_TEXT)]
    if not found:
        return []
    with_hint = pc.list_parent_indices(lists).filter(reduce(pc.or_, found))
    return [pc.is_in(arrays.integers(range(len(lists))), value_set=pc.unique(with_hint).cast(pa.int64()))]


def _is_anywhere(texts: pa.Array, pattern: str) -> bool:
    """Whether one of the texts matches, or the end of one together with the start of the next."""
    if pa.types.is_dictionary(texts.type):
        texts = texts.dictionary.take(pc.unique(texts.indices).drop_null())
    data = texts.buffers()[2]
    return data is not None and _search(pattern)(data) is not None


@cache
def _search(pattern: str) -> Callable[[Any], Any]:
    # Imported here, because a recording needs none.
    import re2

    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # bytes, whatever they mean
    search: Callable[[Any], Any] = re2.compile(pattern.encode(), options).search
    return search


def _of_texts(texts: pa.Array, test: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """The result of a test on texts. It is asked about each different text of a dictionary once."""
    if pa.types.is_dictionary(texts.type):
        return test(texts.dictionary).take(texts.indices)
    return test(texts if texts.type == pa.string() else texts.cast(pa.string()))


def _texts(column: pa.Array) -> pa.Array:
    return column if column.type == pa.string() else column.cast(pa.string())
