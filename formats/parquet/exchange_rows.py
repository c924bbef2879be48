"""Events → exchanges: one row for each exchange, tunnel or fault, without bodies.

In memory are the rows that are open or not taken yet. A record that comes after the end of its exchange counts while
the row is here (`schema/assembler.py`); after that it is only in the table `events`, under the same id.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import pyarrow as pa

from mockrec.formats.parquet.arrow_schema import EVENTS, EXCHANGES
from mockrec.formats.parquet.lines import column_values
from mockrec.formats.schema.assembler import Assembler
from mockrec.formats.schema.lifecycle import (
    CONNECTION_TYPES,
    ENDING_TYPES,
    FIRST_TYPES,
    JOINED_TYPES,
    LIFECYCLE,
    OPENED_TYPES,
    REQUEST_HEADS,
    RESPONSE_HEADS,
)

Row = dict[str, Any]

_OUTSIDE = frozenset(LIFECYCLE) - JOINED_TYPES - CONNECTION_TYPES
"""Types that are in no row."""
_ENDS = ENDING_TYPES | CONNECTION_TYPES
_STARTS = _ENDS | FIRST_TYPES | OPENED_TYPES
_MESSAGES = {"websocket-message-received": "messagesReceived", "websocket-message-sent": "messagesSent"}
_COPIED = tuple(
    name
    for name in EXCHANGES.names
    if name not in ("id", "type", "seqFirst", "seqLast", "timestamp", "statusCode", "statusMessage", "userAgent")
)
"""Columns that have the same meaning in `events`."""
_OTHERS = (
    *("id", "type", "seq", "timestamp", "statusCode", "statusMessage", "userAgent"),
    *("rawHeaders", "contentType", "bodySize", "requestBody", "request", "response"),
)
COLUMNS = tuple(name for name in EVENTS.names if name in {*_COPIED, *_OTHERS})
"""The columns of `events` from which rows are made."""


class ExchangeAggregator:
    """Makes rows of exchanges: `add` batches of events in order, `take` rows that have ended, at last all others."""

    def __init__(self) -> None:
        self._exchanges = Assembler[Row]()
        """Rows without an end, and those that are not taken yet."""
        self._done: list[Row] = []

    def add(self, batch: pa.RecordBatch) -> None:
        """Add rows of the events table; columns may be missing."""
        columns = {name: column_values(batch, name) for name in (*_COPIED, *_OTHERS)}
        known = {name: values for name, values in columns.items() if values is not None}
        for values in zip(*known.values(), strict=True):
            self._record(dict(zip(known, values, strict=True)))

    def take(self, *, last: bool = False) -> pa.RecordBatch:
        """Return rows in the order of their ends. `last`: also those without an end, after the others."""
        rows, self._done = self._done, []
        for row in rows:
            if row["id"] is not None and self._exchanges.current.get(row["id"]) is row:
                self._exchanges.hand_on(row["id"])
        if last:
            rows += self._exchanges.rest()
        arrays = [pa.array([row.get(field.name) for row in rows], field.type) for field in EXCHANGES]
        return pa.RecordBatch.from_arrays(arrays, schema=EXCHANGES)

    @property
    def open(self) -> int:
        """The number of exchanges and tunnels without an end so far."""
        return sum(row.get("type") is None for row in self._exchanges.current.values())

    @property
    def waiting(self) -> int:
        """The number of rows that can be taken."""
        return len(self._done)

    def _record(self, record: Row) -> None:
        kind, identity = record.get("type"), record.get("id")
        if kind in _OUTSIDE:
            return
        row = self._exchanges.current.get(identity or "")
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
            self._done.append(row)


def _add(row: Row, kind: str, record: Row) -> None:
    """Add the columns of a record to the row of its exchange."""
    if kind == "rule-event":
        return
    row.update((name, value) for name in _COPIED if (value := record.get(name)) is not None)
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
