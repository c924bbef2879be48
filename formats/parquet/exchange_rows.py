"""Events → exchanges: one row for each exchange, tunnel or fault, without bodies.

In memory are the rows that are open or not taken yet. A record that comes after the end of its exchange counts while
the row is here (`schema/assembler.py`); after that it is only in the table `events`, under the same id.

This is the exact way, record by record, for every kind of exchange. `exchange_columns.py` makes the rows of plain ones
a column at a time, and gives all others to this one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from mockrec.formats.files.jsonl import load_record
from mockrec.formats.operations.readers import operation_of_record
from mockrec.formats.parquet import arrays
from mockrec.formats.parquet.arrow_schema import EVENTS, EXCHANGES
from mockrec.formats.parquet.lines import column_values, lines_of
from mockrec.formats.schema.assembler import Assembler
from mockrec.formats.schema.lifecycle import (
    COMPLETE_TYPES,
    CONNECTION_TYPES,
    ENDING_TYPES,
    FIRST_TYPES,
    JOINED_TYPES,
    LIFECYCLE,
    OPENED_TYPES,
    REQUEST_HEADS,
    RESPONSE_HEADS,
)
from mockrec.formats.text.endpoints import endpoint_of

Row = dict[str, Any]

OUTSIDE = frozenset(LIFECYCLE) - JOINED_TYPES - CONNECTION_TYPES
"""Types that are in no row."""
_ENDS = ENDING_TYPES | CONNECTION_TYPES
_STARTS = _ENDS | FIRST_TYPES | OPENED_TYPES
_MESSAGES = {"websocket-message-received": "messagesReceived", "websocket-message-sent": "messagesSent"}
COPIED = tuple(
    name
    for name in EXCHANGES.names
    if name in EVENTS.names and name not in ("id", "type", "timestamp", "statusCode", "statusMessage", "userAgent")
)
"""Columns that have the same meaning in `events`: the last value of an exchange counts."""
_HEAD_SENT = ("headersSentTimestamp", "wsAcceptedTimestamp")
_OTHERS = (
    *("id", "type", "seq", "timestamp", "statusCode", "statusMessage", "userAgent", *_HEAD_SENT),
    *("rawHeaders", "contentType", "bodySize", "requestBody", "request", "response"),
)
_KEPT = (*COPIED, *_HEAD_SENT)
OPERATION = "operation"
"""The column that a batch may have besides those of events: the operation that a record names."""
NAMING = COMPLETE_TYPES | {"websocket-message-received"}
"""Types of records that may name an operation; the first name of an exchange counts."""
PLACE = "place"
"""The key of a row and of a record, which no column has."""
COLUMNS = tuple(name for name in EVENTS.names if name in {*COPIED, *_OTHERS})
"""The columns of `events` from which rows are made."""


class ExchangeAggregator:
    """Makes rows of exchanges: `add` batches of events in order, `take` rows that have ended, at last all others."""

    def __init__(self, bodies_folder: Path | None = None) -> None:
        """`bodies_folder` has the bodies in files of their own, of which operations are named."""
        self._bodies_folder = bodies_folder
        self._exchanges = Assembler[Row]()
        """Rows without an end, and those that are not taken yet."""
        self._done: list[Row] = []

    def add(self, batch: pa.RecordBatch, places: Sequence[int] | None = None) -> None:
        """Add rows of the events table; columns may be missing. `places` is the order in which `take_rows` sorts.

        With a column `operation`, bodies are not read.
        """
        columns = {name: column_values(batch, name) for name in (*COPIED, *_OTHERS)}
        known = {name: values for name, values in columns.items() if values is not None}
        known[OPERATION] = self._operations(batch)
        known[PLACE] = list(places) if places is not None else [None] * batch.num_rows
        for values in zip(*known.values(), strict=True):
            self._record(dict(zip(known, values, strict=True)))

    def take(self, *, last: bool = False) -> pa.RecordBatch:
        """Return rows in the order of their ends. `last`: also those without an end, after the others."""
        return rows_batch(self.take_rows(last=last))

    def take_rows(self, *, last: bool = False) -> list[Row]:
        """The rows of `take`; those that have ended have the place of their last record, under `PLACE`."""
        rows, self._done = self._done, []
        for row in rows:
            if row["id"] is not None and self._exchanges.current.get(row["id"]) is row:
                self.hand_on(row["id"])
        if last:
            rows += self._exchanges.rest()
        return rows

    def hand_on(self, identity: str) -> None:
        """Nothing more counts for this exchange, whose row was made elsewhere."""
        self._exchanges.hand_on(identity)

    @property
    def open_ids(self) -> list[str]:
        """The ids of the exchanges and tunnels of which further records are expected here."""
        return list(self._exchanges.current)

    @property
    def open(self) -> int:
        """The number of exchanges and tunnels without an end so far."""
        return sum(row.get("type") is None for row in self._exchanges.current.values())

    @property
    def waiting(self) -> int:
        """The number of rows that can be taken."""
        return len(self._done)

    def _operations(self, batch: pa.RecordBatch) -> list[str | None]:
        """The operation that each row names."""
        if OPERATION in batch.schema.names:
            return batch.column(OPERATION).to_pylist()  # type: ignore[no-any-return]
        names: list[str | None] = [None] * batch.num_rows
        rows = [row for row, kind in enumerate(column_values(batch, "type") or ()) if kind in NAMING]
        lines = lines_of(batch.take(arrays.integers(rows))).split(b"\n")
        for row, line in zip(rows, lines, strict=False):
            names[row] = operation_name(line, self._bodies_folder)
        return names

    def _record(self, record: Row) -> None:
        kind, identity = record.get("type"), record.get("id")
        if kind in OUTSIDE:
            return
        # A record without an id belongs to no exchange, not to one whose id is empty.
        row = None if identity is None else self._exchanges.current.get(identity)
        if row is None or (kind in _STARTS and row.get("type") is not None):
            if identity is not None and self._exchanges.is_late(kind or "", identity):
                return
            row = {"id": identity, "seqFirst": record.get("seq"), "timestamp": record.get("timestamp")}
            if identity is not None:
                self._exchanges.current[identity] = row
        row["seqLast"] = record.get("seq")
        _add(row, kind or "", record)
        if kind in _ENDS:
            row["type"] = kind
            row[PLACE] = record[PLACE]
            self._done.append(row)


def operation_name(line: bytes, bodies_folder: Path | None) -> str | None:
    """The name of the operation that a record of a type in `NAMING` names; None for most, and for malformed ones."""
    operation = operation_of_record(load_record(line), bodies_folder)
    return None if operation is None else operation.name or None


def rows_batch(rows: Sequence[Row]) -> pa.RecordBatch:
    """Rows as the table's columns, with those that follow from others."""
    for row in rows:
        url, start = row.get("url"), row.get("startTimestamp")
        sent = next((row[name] for name in _HEAD_SENT if row.get(name) is not None), None)
        row["endpoint"] = None if url is None else endpoint_of(url)
        row["ttfb"] = None if start is None or sent is None else sent - start
    arrays = [pa.array([row.get(field.name) for row in rows], field.type) for field in EXCHANGES]
    return pa.RecordBatch.from_arrays(arrays, schema=EXCHANGES)


def _add(row: Row, kind: str, record: Row) -> None:
    """Add the columns of a record to the row of its exchange."""
    if kind == "rule-event":
        return
    row.update((name, value) for name in _KEPT if (value := record.get(name)) is not None)
    if row.get(OPERATION) is None:
        row[OPERATION] = record[OPERATION]
    if kind in REQUEST_HEADS:
        row["requestHeaders"] = _pairs(record.get("rawHeaders"))
        row["requestContentType"] = record.get("contentType")
        row["userAgent"] = record.get("userAgent")
        if record.get("bodySize") is not None:
            row["requestBodySize"] = record["bodySize"]
    elif kind in RESPONSE_HEADS:
        row["statusCode"], row["statusMessage"] = record.get("statusCode"), record.get("statusMessage")
        row["responseHeaders"] = _pairs(record.get("rawHeaders"))
        row["responseContentType"] = record.get("contentType")
        row["responseBodySize"] = record.get("bodySize")
    elif kind in _MESSAGES:
        row[_MESSAGES[kind]] = row.get(_MESSAGES[kind], 0) + 1
    if kind == "abort":
        _set(row, "requestBodySize", _object(record.get("requestBody")).get("size"), int)
    if kind in ("abort", "client-error"):
        _add_partial(row, _object(record.get("request")), _object(record.get("response")))


def _add_partial(row: Row, request: Mapping[str, Any], response: Mapping[str, Any]) -> None:
    """Add the objects inside `abort` and `client-error`. They are JSON: their values may be of any type."""
    for name in ("protocol", "httpVersion", "method", "url", "path"):
        _set(row, name, request.get(name), str)
    status = response.get("statusCode")
    if type(status) is int and 0 <= status < 2**15:
        row["statusCode"] = status
        _set(row, "statusMessage", response.get("statusMessage"), str)
    _set(row, "responseBodySize", _object(response.get("body")).get("size"), int)


def _set(row: Row, name: str, value: Any, kind: type) -> None:
    if type(value) is kind and (not isinstance(value, int) or abs(value) < 2**63):
        row[name] = value


def _pairs(pairs: Any) -> Any:
    return None if pairs is None else [{"name": name, "value": value} for name, value in pairs]


def _object(value: Any) -> Mapping[str, Any]:
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:  # a text in the place of an object
            return {}
    return value if isinstance(value, Mapping) else {}
