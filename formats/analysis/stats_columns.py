"""Adds batches of the events table to `Stats`, responses a column at a time.

Responses are nearly all that is counted. Other records of which something is counted (aborts, WebSockets, tunnels,
faults) are turned into lines and counted one by one. So is a whole batch in which a record has values that no column
holds exactly, or a URL that is none, or in which operations may start or end: their names are in bodies, which are read
only of requests that may have one.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from mockrec.formats.analysis.stats import MAX_ENDPOINTS, SLOWEST, Stats, place_of
from mockrec.formats.analysis.stats_record import NEEDED, StatsRecord
from mockrec.formats.parquet import arrays
from mockrec.formats.parquet.arrow_schema import EVENTS
from mockrec.formats.parquet.layout import EXTRA
from mockrec.formats.parquet.lines import lines_of, text_of_time
from mockrec.formats.parquet.operation_columns import HINTED, hinted_rows, naming_rows
from mockrec.formats.query.arrow import columns_for
from mockrec.formats.schema.lifecycle import COMPLETE_TYPES, TERMINAL_TYPES
from mockrec.formats.select.inputs import SelectedLine

_RESPONSE = arrays.text("response")
_COMPLETE = arrays.texts(sorted(COMPLETE_TYPES))
_ENDED = arrays.texts(sorted(TERMINAL_TYPES))
_UNCOUNTED = arrays.texts(["request-initiated", "response", *sorted(COMPLETE_TYPES)])
"""Types of which no record has to be counted by itself."""
_OF_LINES = frozenset({"body", "headers", "trailers", "operation", "content", "timingEvents"})
"""Keys of `NEEDED` that are read as a whole only for lines."""
_PATHS = (
    *(path for path in NEEDED if path[0] not in _OF_LINES),
    *(("body", "size"), ("timingEvents", "startTimestamp"), ("timingEvents", "headersSentTimestamp")),
)
_ZERO, _NO_TIME = arrays.integer(0), pa.scalar(0.0)
_FALSE = arrays.flag(False)


Again = Callable[[Sequence[str] | None, pa.Array | None], Iterable[pa.RecordBatch]]
"""Returns rows of a batch, by their numbers or all, with these columns, or with all that their lines need."""


class ColumnStats:
    """Adds batches of one session in order."""

    names = tuple(dict.fromkeys([EXTRA, "type", *(name for path in _PATHS for name in columns_for(path))]))
    """The columns that a batch needs, as far as the file has them."""
    all_names = tuple(dict.fromkeys([*names, *HINTED, *(name for path in NEEDED for name in columns_for(path))]))
    """The columns that it needs if there is no `again`."""

    def __init__(self, stats: Stats) -> None:
        self._stats = stats
        self._decode = msgspec.json.Decoder(StatsRecord).decode

    def add(self, batch: pa.RecordBatch, again: Again | None = None) -> None:
        """Add rows of the events table. `again` gives the same rows with other columns, if `batch` has not all."""
        if not self.add_plain(batch, again):
            for part in (batch,) if again is None else again(None, None):
                self._stats.add(SelectedLine(line, 0, 0) for line in lines_of(part).split(b"\n") if line)

    def add_plain(self, batch: pa.RecordBatch, again: Again | None = None) -> bool:
        """Do the same by columns, or do nothing and return False if rows have to be added one by one."""
        kinds = _column(batch, "type")
        rows = pc.indices_nonzero(pc.equal(kinds, _RESPONSE))
        endpoints = self._endpoints(batch, rows)
        singles = self._singles(batch, kinds)
        if endpoints is None or singles is None:
            return False
        if self._may_have_operations(batch, kinds, again):
            return False
        self._count_records(batch, kinds)
        before = self._stats.position
        self._responses(batch, rows, *endpoints)
        for row, record in singles:
            self._stats.position = before + row + 1
            self._stats.count(record)
        self._stats.position = before + batch.num_rows
        return True

    def _singles(self, batch: pa.RecordBatch, kinds: pa.Array) -> list[tuple[int, StatsRecord]] | None:
        """The records that are counted one by one, with their rows; None if all of the batch have to be."""
        extra = batch.schema.get_field_index(EXTRA)
        if kinds.null_count or (extra >= 0 and batch.column(extra).null_count < batch.num_rows):
            return None
        rows = pc.indices_nonzero(pc.invert(pc.is_in(kinds, value_set=_UNCOUNTED)))
        if not len(rows):
            return []
        try:
            records = [self._decode(line) for line in lines_of(batch.take(rows)).splitlines()]
            return list(zip(arrays.plain(rows), records, strict=True))
        except msgspec.ValidationError:
            return None

    def _may_have_operations(self, batch: pa.RecordBatch, kinds: pa.Array, again: Again | None) -> bool:
        if self._stats.may_have_operations(b""):
            return True
        naming = naming_rows(kinds, _column(batch, "method"), _column(batch, "url"))
        return len(hinted_rows(batch, pc.indices_nonzero(naming), again)) > 0

    def _count_records(self, batch: pa.RecordBatch, kinds: pa.Array) -> None:
        stats = self._stats
        stats.records.update(_counted(kinds))
        times = pc.min_max(_column(batch, "timestamp"))
        if times["min"].is_valid:
            stats.add_times(text_of_time(times["min"]), text_of_time(times["max"]))
        complete = pc.is_in(kinds, value_set=_COMPLETE)
        stats.request_bytes += pc.sum(_sizes(_column(batch, "bodySize").filter(complete)), min_count=0).as_py()
        # Rules come in the order in which exchanges ended, whatever ended them.
        ended = pc.unique(_column(batch, "matchedRuleId").filter(pc.is_in(kinds, value_set=_ENDED)))
        for rule in ended.drop_null().to_pylist():
            stats.rules[rule] += 0

    def _endpoints(self, batch: pa.RecordBatch, rows: pa.Array) -> tuple[pa.Array, list[tuple[str, str, str]]] | None:
        """The number of each response's endpoint, and the endpoints; None if they have to be found one by one."""
        urls = _encoded(_column(batch, "url").take(rows))
        methods = _encoded(_column(batch, "method").take(rows))
        if urls.indices.null_count:
            return None
        places: dict[tuple[str, str], int] = {}
        of_url: list[int] = []
        for url in urls.dictionary.to_pylist():
            place, name = place_of(url)
            if place is None:
                return None
            of_url.append(places.setdefault((place, name), len(places)))
        names = [*methods.dictionary.to_pylist(), ""]
        if len(self._stats.endpoints) + len(places) * len(names) > MAX_ENDPOINTS:
            return None
        method = pc.fill_null(methods.indices.cast(pa.int64()), arrays.integer(len(names) - 1))
        place_numbers = arrays.integers(of_url).take(urls.indices)
        numbers = pc.add(pc.multiply(method, arrays.integer(len(places))), place_numbers)
        return numbers, [(name, *place) for name in names for place in places]

    def _responses(self, batch: pa.RecordBatch, rows: pa.Array, numbers: pa.Array, keys: list[Any]) -> None:
        if not len(rows):
            return
        stats = self._stats
        sizes = _sizes(_column(batch, "bodySize").take(rows))
        status, duration = _column(batch, "statusCode").take(rows), _column(batch, "duration").take(rows)
        table = pa.table({"endpoint": numbers, "status": status, "size": sizes, "duration": duration})
        grouped = (
            table.group_by(["endpoint", "status"], use_threads=False)
            .aggregate([([], "count_all"), ("size", "sum")])
            .to_pydict()
        )
        for number, code, count, size in zip(
            *(grouped[name] for name in ("endpoint", "status", "count_all", "size_sum")), strict=True
        ):
            endpoint = stats.endpoint(keys[number])
            endpoint.count += count
            endpoint.bytes += size
            if code is not None:
                stats.statuses[code] += count
                endpoint.statuses[f"{code // 100}xx"] += count
                endpoint.failed += count if code >= 500 else 0
        stats.response_bytes += pc.sum(sizes).as_py()
        stats.largest = max(stats.largest, pc.max(sizes).as_py())
        for rule, count in _counted(_column(batch, "matchedRuleId").take(rows)).items():
            if rule is None:
                stats.without_rule += count
            else:
                stats.rules[rule] += count
        self._durations(numbers, duration, keys)
        start = _column(batch, "startTimestamp").take(rows)
        sent = _column(batch, "headersSentTimestamp").take(rows)
        first_bytes = pc.max_element_wise(pc.subtract(sent, start), _NO_TIME, skip_nulls=False)
        self._durations(numbers, first_bytes, keys, "first_bytes")
        self._slowest(batch, rows, duration)

    def _durations(self, numbers: pa.Array, durations: pa.Array, keys: list[Any], name: str = "durations") -> None:
        """Add milliseconds to the list `name` of each endpoint."""
        if durations.null_count:
            known = pc.is_valid(durations)
            numbers, durations = numbers.filter(known), durations.filter(known)
        order = pc.array_sort_indices(numbers)
        data = memoryview(durations.take(order).buffers()[1])
        start = 0
        for number, count in _counted(numbers.take(order)).items():
            times: array[float] = getattr(self._stats.endpoint(keys[number]), name)
            times.frombytes(data[8 * start : 8 * (start + count)])
            start += count

    def _slowest(self, batch: pa.RecordBatch, rows: pa.Array, durations: pa.Array) -> None:
        """Note the slowest responses of the batch; no other can be one of the slowest of all."""
        before = self._stats.position
        # The sort is stable: of equally slow ones the first come first, and nulls last.
        order = pc.array_sort_indices(durations, order="descending").slice(0, SLOWEST)
        for index in sorted(order.to_pylist()):
            duration = durations[index].as_py()
            if duration is not None:
                row = rows[index].as_py()
                named = {name: _column(batch, name)[row].as_py() for name in ("id", "method", "url", "statusCode")}
                named["status"] = named.pop("statusCode")
                self._stats.position = before + row + 1
                self._stats.note_slow(named, duration)


def _column(batch: pa.RecordBatch, name: str) -> pa.Array:
    """A column of the events table in its type there, but texts may be a dictionary; nulls if it is missing."""
    index = batch.schema.get_field_index(name)
    wanted = EVENTS.field(name).type
    if index < 0:
        return pa.nulls(batch.num_rows, wanted)
    column = batch.column(index)
    is_text = pa.types.is_dictionary(column.type) and column.type.value_type == wanted
    return column if column.type == wanted or (is_text and name != "type") else column.cast(wanted)


def _encoded(column: pa.Array) -> pa.Array:
    """The column as a dictionary of the texts that it has."""
    if not pa.types.is_dictionary(column.type):
        return column.dictionary_encode()
    used = pc.unique(column.indices).drop_null()
    if len(used) == len(column.dictionary):
        return column
    # The dictionary is that of all rows of the file's pages.
    texts = column.dictionary.take(used)
    return pa.DictionaryArray.from_arrays(pc.index_in(column.indices, value_set=used), texts)


def _sizes(sizes: pa.Array) -> pa.Array:
    return pc.if_else(pc.fill_null(pc.greater(sizes, _ZERO), _FALSE), sizes, _ZERO)


def _counted(values: pa.Array) -> dict[Any, int]:
    """How often each value occurs, in the order of the first occurrences."""
    found = pc.value_counts(values)
    return dict(zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True))
