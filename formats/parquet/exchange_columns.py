"""Events → exchanges, a column at a time: rows of plain exchanges without an object for each record.

An exchange is plain if all its records are in one chunk of rows, in the order `request-initiated`, `request` (may be
missing), `response`, each once, with any number of `rule-event`s after the first. Then the value of a column is that of
the response, or if it has none of the request, or else of `request-initiated`: three look-ups by row number for all
exchanges of a chunk. All other records (of WebSockets, tunnels, aborts, and of exchanges that are open at the end of a
chunk) go to `ExchangeAggregator`, whose rows this gives, too. The result is the same as if it had got everything, which
a property test checks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mockrec.formats.parquet import arrays
from mockrec.formats.parquet.arrow_schema import EVENTS, EXCHANGES
from mockrec.formats.parquet.derived_columns import Endpoints
from mockrec.formats.parquet.exchange_rows import (
    COLUMNS,
    COPIED,
    OPERATION,
    OUTSIDE,
    PLACE,
    ExchangeAggregator,
    Row,
    rows_batch,
)
from mockrec.formats.parquet.operation_names import with_operations
from mockrec.formats.schema.assembler import REMEMBERED

CHUNK_ROWS = 65_536
"""Rows of events that are looked at together: many, so that few exchanges are only partly among them."""
_PLAIN = ("request-initiated", "request", "response", "rule-event")


class ExchangeTable:
    """Makes rows of exchanges: `add` batches of events in order, `take` rows that have ended, at last all others."""

    def __init__(self, chunk_rows: int = CHUNK_ROWS, bodies_folder: Path | None = None) -> None:
        """`bodies_folder` has the bodies in files of their own, of which operations are named."""
        self._bodies_folder = bodies_folder
        self._chunk_rows = chunk_rows
        self._aggregator = ExchangeAggregator()
        self._endpoints = Endpoints()
        self._batches: list[pa.RecordBatch] = []
        self._rows = 0
        self._done: list[pa.RecordBatch] = []
        self._former: deque[pa.Array] = deque()
        """Ids of exchanges whose rows were made here, by chunk: late records of them are known as such."""

    def add(self, batch: pa.RecordBatch) -> None:
        """Add rows of the events table; columns may be missing, but of those that name operations only if the batch
        has the column `operation`."""
        batch = with_operations(batch, None, self._bodies_folder)
        names = [name for name in (*COLUMNS, OPERATION) if name in batch.schema.names]
        self._batches.append(batch.select(names))
        self._rows += batch.num_rows
        if self._rows >= self._chunk_rows:
            self._work()

    def take(self, *, last: bool = False) -> list[pa.RecordBatch]:
        """Return rows in the order of their ends. `last`: also those without an end, after the others."""
        self._work()
        done, self._done = self._done, []
        if last:
            done.append(rows_batch(self._aggregator.take_rows(last=True)))
        return done

    @property
    def open(self) -> int:
        """The number of exchanges and tunnels without an end so far."""
        self._work()
        return self._aggregator.open

    @property
    def waiting(self) -> int:
        """The number of rows that can be taken without further work."""
        return sum(batch.num_rows for batch in self._done)

    def _work(self) -> None:
        if not self._rows:
            return
        table = pa.concat_tables([pa.Table.from_batches([batch]) for batch in self._batches], promote_options="default")
        self._batches, self._rows = [], 0
        for batch in table.combine_chunks().to_batches():
            self._add_chunk(batch)

    def _add_chunk(self, batch: pa.RecordBatch) -> None:
        chunk = _Chunk(batch, self._aggregator.open_ids)
        others = chunk.others()
        if len(others):
            part = batch.take(others)
            self._hand_on(part)
            self._aggregator.add(part, arrays.plain(others))
        rows = self._aggregator.take_rows()
        self._done += [part for part in _merged(chunk.rows(self._endpoints), chunk.ends, rows) if part.num_rows]
        if len(chunk.ids):
            self._former.append(chunk.ids)
            while sum(map(len, self._former)) - len(self._former[0]) >= REMEMBERED:
                self._former.popleft()

    def _hand_on(self, part: pa.RecordBatch) -> None:
        """Let the aggregator know of earlier exchanges from here of which it gets records now."""
        if not self._former:
            return
        known = pc.is_in(_column(part, "id"), value_set=pa.chunked_array(list(self._former)).combine_chunks())
        current = set(self._aggregator.open_ids)
        for identity in pc.unique(_column(part, "id").filter(known)).to_pylist():
            if identity not in current:
                self._aggregator.hand_on(identity)


def _merged(made: pa.RecordBatch, ends: pa.Array, rows: list[Row]) -> list[pa.RecordBatch]:
    """Rows of a chunk and those of the aggregator, in the order of their ends: `ends`, which ascend, and `PLACE`."""
    if not rows:
        return [made]
    places = arrays.integers(row[PLACE] for row in rows)
    # Most rows of the aggregator are of exchanges that began in the chunk before, and have ended soon in this one.
    found, own = arrays.plain(ends), arrays.plain(places)
    first, last = bisect_left(found, min(own)), bisect_left(found, max(own))
    within = pa.Table.from_batches([made.slice(first, last - first), rows_batch(rows)]).combine_chunks()
    order = pc.array_sort_indices(pa.concat_arrays([ends.slice(first, last - first), places]))
    return [made.slice(0, first), *within.take(order).combine_chunks().to_batches(), made.slice(last)]


class _Chunk:
    """Rows of the events table, and which of the exchanges in them are plain."""

    def __init__(self, batch: pa.RecordBatch, open_ids: list[str]) -> None:
        self._batch = batch
        kinds = _column(batch, "type")
        # Ids are looked up several times: as numbers, in a fifth of the time.
        encoded = _column(batch, "id").dictionary_encode()
        ids = self._numbers = encoded.indices
        initiated, requests, responses, emitted = (pc.indices_nonzero(pc.equal(kinds, _text(kind))) for kind in _PLAIN)
        outside = pc.fill_null(pc.is_in(kinds, value_set=_texts(OUTSIDE)), _FALSE)
        self._inside = pc.invert(outside)
        plain = pc.fill_null(pc.is_in(kinds, value_set=_texts(_PLAIN)), _FALSE)
        found = ids.take(responses)
        first, second = (
            _cast(rows.take(pc.index_in(found, value_set=ids.take(rows)))) for rows in (initiated, requests)
        )
        last = _cast(responses)
        is_plain = pc.and_(pc.is_valid(found), pc.fill_null(pc.less(first, last), _FALSE))
        between = pc.and_(pc.less(first, second), pc.less(second, last))
        is_plain = pc.and_(is_plain, pc.fill_null(between, _TRUE))
        seen = last
        if len(emitted):
            # The row of the last record, which may be late, and none may come before the first.
            groups = pa.table({"id": ids.take(emitted), "row": _cast(emitted)}).group_by("id")
            grouped = groups.aggregate([("row", "min"), ("row", "max")]).combine_chunks()
            place = pc.index_in(found, value_set=grouped.column("id").combine_chunks())
            earliest, latest = (grouped.column(name).combine_chunks().take(place) for name in ("row_min", "row_max"))
            is_plain = pc.and_(is_plain, pc.fill_null(pc.greater(earliest, first), _TRUE))
            seen = pc.max_element_wise(last, latest)
        opened = pc.index_in(arrays.texts(open_ids), value_set=encoded.dictionary).drop_null()
        strange = [ids.filter(pc.and_not(self._inside, plain)), opened]
        strange += [_repeated(ids.take(rows)) for rows in (initiated, requests, responses)]
        is_plain = pc.and_not(is_plain, pc.is_in(found, value_set=pa.concat_arrays(strange)))
        of_each = (first, second, last, seen, found)
        if not pc.all(is_plain, min_count=0).as_py():
            of_each = tuple(rows.filter(is_plain) for rows in of_each)
        self._first, self._second, self.ends, self._seen, self._found = of_each
        self.ids = encoded.dictionary.take(self._found)

    def others(self) -> pa.Array:
        """The numbers of the rows that belong to no plain exchange, but to others."""
        mine = pc.is_in(self._numbers, value_set=self._found)
        return _cast(pc.indices_nonzero(pc.and_not(self._inside, mine)))

    def rows(self, endpoints: Endpoints) -> pa.RecordBatch:
        """The rows of the plain exchanges, in the order of their ends."""
        found: dict[str, pa.Array] = {name: self._latest(name) for name in COPIED}
        found["id"] = self.ids
        found["type"] = _column(self._batch, "type").take(self.ends)
        found["seqFirst"], found["seqLast"] = self._at("seq", self._first), self._at("seq", self._seen)
        found["timestamp"] = self._at("timestamp", self._first)
        head = pc.coalesce(self._second, self._first)
        found["requestHeaders"] = self._at("rawHeaders", head)
        found["requestContentType"] = self._at("contentType", head)
        found["userAgent"] = self._at("userAgent", head)
        found["requestBodySize"] = self._first_of("bodySize", (self._second, self._first))
        found["responseHeaders"] = self._at("rawHeaders", self.ends)
        found["responseContentType"] = self._at("contentType", self.ends)
        found["responseBodySize"] = self._at("bodySize", self.ends)
        found["statusCode"] = self._at("statusCode", self.ends)
        found["statusMessage"] = self._at("statusMessage", self.ends)
        sent = pc.coalesce(self._latest("headersSentTimestamp"), self._latest("wsAcceptedTimestamp"))
        found["ttfb"] = pc.subtract(sent, found["startTimestamp"])
        found["endpoint"] = endpoints.of(found["url"])
        found[OPERATION] = self._batch.column(OPERATION).take(self._second)
        count = len(self.ids)
        return pa.RecordBatch.from_arrays(
            [
                _as(found[field.name], field.type) if field.name in found else pa.nulls(count, field.type)
                for field in EXCHANGES
            ],
            schema=EXCHANGES,
        )

    def _latest(self, name: str) -> pa.Array:
        """The last value of a column in each exchange."""
        return self._first_of(name, (self.ends, self._second, self._first))

    def _first_of(self, name: str, places: tuple[pa.Array, ...]) -> pa.Array:
        found = self._at(name, places[0])
        for rows in places[1:]:
            if not found.null_count:
                break
            other = self._at(name, rows)
            if other.null_count < len(other):
                found = pc.coalesce(found, other)
        return found

    def _at(self, name: str, rows: pa.Array) -> pa.Array:
        column = _column(self._batch, name)
        return pa.nulls(len(rows), column.type) if column.null_count == len(column) else column.take(rows)


def _column(batch: pa.RecordBatch, name: str) -> pa.Array:
    """A column of the events table in its type there, but texts may be a dictionary; nulls if it is missing."""
    index = batch.schema.get_field_index(name)
    wanted = EVENTS.field(name).type
    if index < 0:
        return pa.nulls(batch.num_rows, wanted)
    column = batch.column(index)
    is_text = pa.types.is_dictionary(column.type) and column.type.value_type == wanted
    return column if (is_text and name not in ("id", "type")) else _as(column, wanted)


def _as(column: pa.Array, wanted: Any) -> pa.Array:
    return column if column.type == wanted else column.cast(wanted)


def _cast(rows: pa.Array) -> pa.Array:
    return rows.cast(pa.int64())


def _repeated(ids: pa.Array) -> pa.Array:
    """The values that occur more than once."""
    if len(pc.unique(ids)) == len(ids):
        return ids.slice(0, 0)
    counted = pc.value_counts(ids)
    return counted.field("values").filter(pc.greater(counted.field("counts"), arrays.integer(1)))


@cache
def _text(value: str) -> Any:
    return arrays.text(value)


@cache
def _texts(values: frozenset[str] | tuple[str, ...]) -> pa.Array:
    return arrays.texts(sorted(values))


_FALSE, _TRUE = arrays.flag(False), arrays.flag(True)
