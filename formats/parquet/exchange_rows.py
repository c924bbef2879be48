"""Events → exchanges: one row an exchange, tunnel or fault, without bodies.

Remembers what is still open, and what has ended of late. A record that comes after the end of its exchange still
counts while the row has not been taken; later it is left out of the row, and is found in `events` by its id.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import pyarrow as pa

from mockrec.formats.parquet.arrow_schema import EVENTS, EXCHANGES
from mockrec.formats.parquet.lines import column_values
from mockrec.formats.schema.events import TERMINAL_TYPES

Row = dict[str, Any]

_OUTSIDE = frozenset({"session-started", "session-ended", "gap", "rules-reloaded", "callback-error"})
_ENDS = TERMINAL_TYPES | {"tls-passthrough-closed", "raw-passthrough-closed", "client-error", "tls-client-error"}
_REQUESTS = frozenset({"request-initiated", "request", "websocket-request", "abort"})
_RESPONSES = frozenset({"response-initiated", "response", "websocket-accepted"})
_MESSAGES = {"websocket-message-received": "messagesReceived", "websocket-message-sent": "messagesSent"}
_COPIED = tuple(
    name
    for name in EXCHANGES.names
    if name not in ("id", "type", "seqFirst", "seqLast", "timestamp", "statusCode", "statusMessage", "userAgent")
)
"""Columns that mean the same in a record's row, where they are there."""
_OTHERS = (
    *("id", "type", "seq", "timestamp", "statusCode", "statusMessage", "userAgent"),
    *("rawHeaders", "contentType", "bodySize", "requestBody", "request", "response"),
)


_REMEMBERED = 20_000
"""Ids of rows that were taken: what comes late makes no second row."""


COLUMNS = tuple(name for name in EVENTS.names if name in {*_COPIED, *_OTHERS})
"""What of the events is needed."""


class ExchangeAggregator:
    """`add` batches of events in their order; `take` what has ended, at the end with what has not."""

    def __init__(self) -> None:
        self._open: dict[str, Row] = {}
        self._done: list[Row] = []
        self._late: dict[str, Row] = {}
        self._taken: dict[str, None] = {}

    def add(self, batch: pa.RecordBatch) -> None:
        """The next rows of the events table; columns may be missing."""
        columns = {name: column_values(batch, name) for name in (*_COPIED, *_OTHERS)}
        known = {name: values for name, values in columns.items() if values is not None}
        for values in zip(*known.values(), strict=True):
            self._record(dict(zip(known, values, strict=True)))

    def take(self, *, last: bool = False) -> pa.RecordBatch:
        """Rows in the order of their ends. `last`: also those without an end, which come last."""
        self._taken.update(dict.fromkeys(self._late))
        for identity in list(self._taken)[:-_REMEMBERED]:
            del self._taken[identity]
        rows, self._done, self._late = self._done, [], {}
        if last:
            rows += self._open.values()
            self._open = {}
        arrays = [pa.array([row.get(field.name) for row in rows], field.type) for field in EXCHANGES]
        return pa.RecordBatch.from_arrays(arrays, schema=EXCHANGES)

    @property
    def open(self) -> int:
        """Exchanges without an end so far."""
        return len(self._open)

    @property
    def waiting(self) -> int:
        """Rows that can be taken."""
        return len(self._done)

    def _record(self, record: Row) -> None:
        kind, identity = record.get("type"), record.get("id")
        if kind in _OUTSIDE or identity in self._taken:
            return
        row = self._open.get(identity or "") or self._late.get(identity or "")
        if row is None:
            row = {"id": identity, "seqFirst": record.get("seq"), "timestamp": record.get("timestamp")}
            if identity is not None:
                self._open[identity] = row
        row["seqLast"] = record.get("seq")
        _tell(row, kind or "", record)
        if kind in _ENDS and row.get("type") is None:
            row["type"] = kind
            self._done.append(row)
            if identity is not None:
                self._open.pop(identity, None)
                self._late[identity] = row


def _tell(row: Row, kind: str, record: Row) -> None:
    """Put what a record says into the row of its exchange."""
    if kind == "rule-event":
        return
    row.update((name, value) for name in _COPIED if (value := record.get(name)) is not None)
    if kind in _REQUESTS:
        row["requestHeaders"] = _pairs(record.get("rawHeaders"))
        row["requestContentType"] = record.get("contentType")
        row["userAgent"] = record.get("userAgent")
        if record.get("bodySize") is not None:
            row["requestBodySize"] = record["bodySize"]
    elif kind in _RESPONSES:
        row["statusCode"], row["statusMessage"] = record.get("statusCode"), record.get("statusMessage")
        row["responseHeaders"] = _pairs(record.get("rawHeaders"))
        row["responseContentType"] = record.get("contentType")
        row["responseBodySize"] = record.get("bodySize")
    elif kind in _MESSAGES:
        row[_MESSAGES[kind]] = row.get(_MESSAGES[kind], 0) + 1
    if kind == "abort":
        _set(row, "requestBodySize", _object(record.get("requestBody")).get("size"), int)
    if kind in ("abort", "client-error"):
        _tell_partial(row, _object(record.get("request")), _object(record.get("response")))


def _tell_partial(row: Row, request: Mapping[str, Any], response: Mapping[str, Any]) -> None:
    """The objects inside `abort` and `client-error`. They are JSON: their values may be anything."""
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
        except orjson.JSONDecodeError:  # a text that stands where an object should
            return {}
    return value if isinstance(value, Mapping) else {}
