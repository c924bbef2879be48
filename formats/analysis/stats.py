"""Statistics of a session: counts, durations, sizes, failures, and how often each rule answered.

In memory are 8 bytes for each exchange (its duration, so that percentiles are exact) and an entry for each endpoint.
Every record is added by itself: the end of an exchange holds all that is counted, so no exchange is assembled.
"""

from __future__ import annotations

import heapq
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from mockrec.formats.query.extract import Context, destination, host, path
from mockrec.formats.schema.lifecycle import CLOSED_TYPES, COMPLETE_TYPES, CONNECTION_TYPES
from mockrec.formats.select.inputs import SelectedLine
from mockrec.formats.sessions.endpoints import template

SLOWEST = 10
MAX_ENDPOINTS = 10_000
"""Further endpoints are counted together, as `(other)`: the paths of a crawler must not fill the memory."""
OTHER = ("", "", "(other)")
PERCENTILES = (50, 90, 99)

_NO_CONTEXT = Context()


class _Body(msgspec.Struct, frozen=True, gc=False):
    size: Any = 0


class _Response(msgspec.Struct, frozen=True, gc=False):
    statusCode: Any = None
    body: _Body = _Body()


class _Record(msgspec.Struct, gc=False):
    """The keys that are counted; the rest of a line is skipped."""

    type: str
    id: Any = None
    timestamp: Any = None
    method: Any = None
    url: Any = None
    statusCode: Any = None
    duration: Any = None
    matchedRuleId: Any = None
    error: Any = None
    errorCode: Any = None
    failureCause: Any = None
    destination: Any = None
    bytesReceived: Any = None
    bytesSent: Any = None
    rules: Any = None
    body: _Body = _Body()
    requestBody: _Body = _Body()
    response: _Response = _Response()


StatsBody = _Body
StatsRecord = _Record
"""What is counted of a record, for sources that have it without lines."""
NEEDED = (
    *((name,) for name in _Record.__struct_fields__ if name != "body"),
    ("body", "size"),
)
"""The paths of these keys, for sources that can leave the rest of a record out."""


@dataclass(slots=True)
class EndpointStats:
    """Statistics of one method, host and path."""

    count: int = 0
    failed: int = 0
    """Responses with 5xx, and aborts."""
    statuses: Counter[str] = field(default_factory=Counter)
    durations: array[float] = field(default_factory=lambda: array("d"))
    bytes: int = 0
    """Of response bodies."""


@dataclass(slots=True)
class Stats:
    """`add` the lines of a session, then read the attributes."""

    records: Counter[str] = field(default_factory=Counter)
    """By type."""
    endpoints: dict[tuple[str, str, str], EndpointStats] = field(default_factory=dict)
    """By method, host and path."""
    statuses: Counter[int] = field(default_factory=Counter)
    errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By type of the record and code of the error."""
    rules: Counter[str] = field(default_factory=Counter)
    """Exchanges by the rule that answered."""
    without_rule: int = 0
    request_bytes: int = 0
    response_bytes: int = 0
    largest: int = 0
    tunnel_bytes: int = 0
    first: str = ""
    last: str = ""
    known_rules: list[str] = field(default_factory=list)
    _slowest: list[tuple[float, int, Mapping[str, Any]]] = field(default_factory=list)

    def add(self, lines: Iterable[SelectedLine]) -> None:
        """Add lines of a session."""
        decode = msgspec.json.Decoder(_Record).decode
        for line in lines:
            self.add_line(line.raw, decode)

    def add_line(self, raw: bytes, decode: Callable[[bytes], _Record]) -> None:
        """Add one line."""
        try:
            record = decode(raw)
        except msgspec.ValidationError:
            # A value of the wrong type: the record is counted; `verify` reports the fault.
            self.records[_kind(raw)] += 1
            return
        self.add_record(record)

    def add_record(self, record: _Record) -> None:
        """Add one record."""
        self.records[record.type] += 1
        self.add_time(record.timestamp)
        add = _ADD.get(record.type)
        if add is not None:
            add(self, record)

    def add_time(self, timestamp: object) -> None:
        """Add the time of a record."""
        if type(timestamp) is str:
            self.first = min(self.first or timestamp, timestamp)
            self.last = max(self.last, timestamp)

    def merge(self, other: Stats) -> None:
        """Add the statistics of further sessions, which come after those that are here."""
        before = self.records.total()
        self.records += other.records
        for key, theirs in other.endpoints.items():
            if key not in self.endpoints and len(self.endpoints) >= MAX_ENDPOINTS:
                key = OTHER
            ours = self.endpoints.setdefault(key, EndpointStats())
            ours.count += theirs.count
            ours.failed += theirs.failed
            ours.statuses += theirs.statuses
            ours.durations.extend(theirs.durations)
            ours.bytes += theirs.bytes
        self.statuses += other.statuses
        self.errors += other.errors
        self.rules += other.rules
        self.without_rule += other.without_rule
        self.request_bytes += other.request_bytes
        self.response_bytes += other.response_bytes
        self.largest = max(self.largest, other.largest)
        self.tunnel_bytes += other.tunnel_bytes
        self.add_time(other.first or None)
        self.add_time(other.last or None)
        self.known_rules += [rule for rule in other.known_rules if rule not in self.known_rules]
        self.add_ranked((duration, number - before, exchange) for duration, number, exchange in other.ranked())

    def ranked(self) -> list[tuple[float, int, Mapping[str, Any]]]:
        """Return the slowest exchanges with their durations and ranks, for `add_ranked` of other statistics."""
        return sorted(self._slowest, key=lambda one: -one[1])

    def add_ranked(self, exchanges: Iterable[tuple[float, int, Mapping[str, Any]]]) -> None:
        """Add the result of `ranked`."""
        for duration, number, exchange in exchanges:
            self._note_slow(duration, number, exchange)

    @property
    def exchanges(self) -> int:
        """The number of exchanges that have ended."""
        return sum(endpoint.count for endpoint in self.endpoints.values())

    @property
    def slowest(self) -> list[Mapping[str, Any]]:
        """The exchanges with the longest durations, the longest first."""
        return [exchange for _, _, exchange in sorted(self._slowest, key=lambda one: (-one[0], one[1]))]

    @property
    def unused_rules(self) -> list[str]:
        """The rules of the session that no exchange was answered by."""
        return [rule for rule in self.known_rules if rule not in self.rules]

    def percentiles(self, endpoint: EndpointStats | None = None) -> dict[str, float]:
        """Return `p50`, `p90`, `p99`, `max` in milliseconds, of an endpoint or of all; empty if no exchange ended."""
        if endpoint is not None:
            return percentiles(endpoint.durations)
        every = array("d")
        for known in self.endpoints.values():
            every.extend(known.durations)
        return percentiles(every)

    # ── one method for each type of record ─────────────────────────────────────────────────────────

    def _started(self, record: _Record) -> None:
        for rule in record.rules if isinstance(record.rules, list) else ():
            identity = rule.get("id") if isinstance(rule, Mapping) else None
            if isinstance(identity, str) and identity not in self.known_rules:
                self.known_rules.append(identity)

    def _request(self, record: _Record) -> None:
        self.request_bytes += _whole(record.body.size)

    def _response(self, record: _Record) -> None:
        self._end(record, record.statusCode, record.body.size)

    def _abort(self, record: _Record) -> None:
        self.request_bytes += _whole(record.requestBody.size)
        self._error(record)
        self._end(record, record.response.statusCode, record.response.body.size, failed=True)

    def _close(self, record: _Record) -> None:
        # The time that a WebSocket was open is not a response time.
        self._end(record, 101, 0, timed=False)

    def _tunnel(self, record: _Record) -> None:
        self.tunnel_bytes += _whole(record.bytesReceived) + _whole(record.bytesSent)

    def _error(self, record: _Record) -> None:
        error = record.error if isinstance(record.error, Mapping) else {}
        known = (error.get("code"), error.get("name"), record.errorCode, record.failureCause)
        code = next((text for text in known if isinstance(text, str) and text), "unknown")
        self.errors[(record.type, code)] += 1

    def _end(self, record: _Record, status: Any, size: Any, *, failed: bool = False, timed: bool = True) -> None:
        endpoint = self._endpoint(record)
        endpoint.count += 1
        if type(status) is int:
            self.statuses[status] += 1
            endpoint.statuses[f"{status // 100}xx"] += 1
            failed = failed or status >= 500
        endpoint.failed += failed
        endpoint.bytes += _whole(size)
        self.response_bytes += _whole(size)
        self.largest = max(self.largest, _whole(size))
        if isinstance(record.matchedRuleId, str):
            self.rules[record.matchedRuleId] += 1
        else:
            self.without_rule += 1
        if timed and type(record.duration) in (int, float):
            endpoint.durations.append(record.duration)
            if len(self._slowest) < SLOWEST or record.duration > self._slowest[0][0]:
                named = {"id": record.id, "method": record.method, "url": record.url, "status": status}
                exchange = {key: value for key, value in named.items() if value is not None}
                exchange["duration"] = record.duration
                self._note_slow(float(record.duration), -self.records.total(), exchange)

    def _note_slow(self, duration: float, number: int, exchange: Mapping[str, Any]) -> None:
        """Keep an exchange if it is among the slowest. `number` keeps the order among equals."""
        slowest = self._slowest
        if len(slowest) < SLOWEST:
            heapq.heappush(slowest, (duration, number, exchange))
        elif duration > slowest[0][0]:
            heapq.heapreplace(slowest, (duration, number, exchange))

    def _endpoint(self, record: _Record) -> EndpointStats:
        method = record.method if isinstance(record.method, str) else ""
        places = list(host(record.url, _NO_CONTEXT)) or list(destination(record.destination, _NO_CONTEXT))
        paths = list(path(record.url, _NO_CONTEXT))
        key = (method, places[0] if places else "", template(paths[0]) if paths else "")
        known = self.endpoints.get(key)
        if known is None:
            if len(self.endpoints) >= MAX_ENDPOINTS:
                key = OTHER
            known = self.endpoints.setdefault(key, EndpointStats())
        return known


_ADD = {
    "session-started": Stats._started,
    "rules-reloaded": Stats._started,
    **dict.fromkeys(COMPLETE_TYPES, Stats._request),
    "response": Stats._response,
    "abort": Stats._abort,
    "websocket-close": Stats._close,
    **dict.fromkeys(CONNECTION_TYPES, Stats._error),
    **dict.fromkeys(CLOSED_TYPES, Stats._tunnel),
}
"""Event type → the method that adds such a record."""
COUNTED_TYPES = frozenset(_ADD)
"""Types of which more is counted than their number."""


def percentiles(values: Iterable[float]) -> dict[str, float]:
    """Return the percentiles by the nearest rank: each is a measured value."""
    ordered = sorted(values)
    if not ordered:
        return {}
    # The smallest value that at least `share` per cent of the values do not exceed.
    found = {f"p{share}": ordered[max(0, -(-share * len(ordered) // 100) - 1)] for share in PERCENTILES}
    return {**found, "max": ordered[-1]}


def _whole(value: Any) -> int:
    return value if type(value) is int and value > 0 else 0


class _Kind(msgspec.Struct):
    type: Any = None


def _kind(raw: bytes) -> str:
    kind = msgspec.json.decode(raw, type=_Kind).type
    return kind if isinstance(kind, str) else "unknown"
