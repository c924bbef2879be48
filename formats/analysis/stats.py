"""Statistics of a session: counts, durations, sizes, failures, and how often each rule answered.

In memory are 8 bytes for each exchange (its duration, so that percentiles are exact) and an entry for each endpoint.
Every record is added by itself: the end of an exchange holds all that is counted, so no exchange is assembled.
"""

from __future__ import annotations

import heapq
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter
from typing import Any

import msgspec

from mockrec.formats.query.extract import Context, destination, host, path
from mockrec.formats.schema.lifecycle import CLOSED_TYPES, COMPLETE_TYPES, CONNECTION_TYPES
from mockrec.formats.select.inputs import SelectedLine
from mockrec.formats.text.endpoints import template

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


class StatsRecord(msgspec.Struct, gc=False):
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


NEEDED = (
    *((name,) for name in StatsRecord.__struct_fields__ if name != "body"),
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
    _noted: int = 0
    """How many exchanges were compared with the slowest ones."""

    def add(self, lines: Iterable[SelectedLine]) -> None:
        """Add lines of a session."""
        decode = msgspec.json.Decoder(StatsRecord).decode
        for line in lines:
            try:
                record = decode(line.raw)
            except msgspec.ValidationError:
                # A value of the wrong type: the record is counted; `verify` reports the fault.
                self.records[_kind(line.raw)] += 1
                continue
            self.add_records([record])

    def add_records(self, records: Sequence[StatsRecord]) -> None:
        """Add decoded lines of a session."""
        self.records.update(map(_type_of, records))
        if stamps := [stamp for record in records if type(stamp := record.timestamp) is str]:
            self.add_times(min(stamps), max(stamps))
        for record in records:
            self.count(record)

    def count(self, record: StatsRecord) -> None:
        """Add what a record ends or has gone wrong in it, but not the record itself."""
        if (add := _ADD.get(record.type)) is not None:
            add(self, record)

    def add_times(self, first: str, last: str) -> None:
        """Add the earliest and the latest timestamp of some records."""
        self.first = min(self.first or first, first)
        self.last = max(self.last, last)

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

    def _started(self, record: StatsRecord) -> None:
        for rule in record.rules if isinstance(record.rules, list) else ():
            identity = rule.get("id") if isinstance(rule, Mapping) else None
            if isinstance(identity, str) and identity not in self.known_rules:
                self.known_rules.append(identity)

    def _request(self, record: StatsRecord) -> None:
        self.request_bytes += _whole(record.body.size)

    def _response(self, record: StatsRecord) -> None:
        self._end(record, record.statusCode, record.body.size)

    def _abort(self, record: StatsRecord) -> None:
        self.request_bytes += _whole(record.requestBody.size)
        self._error(record)
        self._end(record, record.response.statusCode, record.response.body.size, failed=True)

    def _close(self, record: StatsRecord) -> None:
        # The time that a WebSocket was open is not a response time.
        self._end(record, 101, 0, timed=False)

    def _tunnel(self, record: StatsRecord) -> None:
        self.tunnel_bytes += _whole(record.bytesReceived) + _whole(record.bytesSent)

    def _error(self, record: StatsRecord) -> None:
        error = record.error if isinstance(record.error, Mapping) else {}
        known = (error.get("code"), error.get("name"), record.errorCode, record.failureCause)
        code = next((text for text in known if isinstance(text, str) and text), "unknown")
        self.errors[(record.type, code)] += 1

    def _end(self, record: StatsRecord, status: Any, size: Any, *, failed: bool = False, timed: bool = True) -> None:
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
            slowest = self._slowest
            if len(slowest) < SLOWEST or record.duration > slowest[0][0]:
                named = {"id": record.id, "method": record.method, "url": record.url, "status": status}
                self.note_slow(named, record.duration)

    def note_slow(self, named: Mapping[str, Any], duration: float) -> None:
        """Keep an exchange if it is one of the slowest so far. Of equally slow ones the first are kept."""
        slowest = self._slowest
        if len(slowest) == SLOWEST and duration <= slowest[0][0]:
            return
        exchange = {key: value for key, value in named.items() if value is not None} | {"duration": duration}
        self._noted += 1
        # The number keeps the order among equals, and dicts from being compared.
        entry = (float(duration), -self._noted, exchange)
        (heapq.heappush if len(slowest) < SLOWEST else heapq.heapreplace)(slowest, entry)

    def _endpoint(self, record: StatsRecord) -> EndpointStats:
        method = record.method if isinstance(record.method, str) else ""
        place, name = place_of(record.url) if type(record.url) is str else (None, "")
        if place is None:
            place = next(iter(destination(record.destination, _NO_CONTEXT)), "")
        return self.endpoint((method, place, name))

    def endpoint(self, key: tuple[str, str, str]) -> EndpointStats:
        """The statistics of a method, host and path."""
        known = self.endpoints.get(key)
        if known is None:
            if len(self.endpoints) >= MAX_ENDPOINTS:
                key = OTHER
            known = self.endpoints.setdefault(key, EndpointStats())
        return known


@lru_cache(maxsize=16_384)
def place_of(url: str) -> tuple[str | None, str]:
    """Host and path template of a URL; None and an empty text if it is none."""
    places, paths = list(host(url, _NO_CONTEXT)), list(path(url, _NO_CONTEXT))
    return (places[0] if places else None), (template(paths[0]) if paths else "")


_type_of = attrgetter("type")

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
