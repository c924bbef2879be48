"""Numbers about a session: how many, how quick, how large, what failed, which rules answered.

Takes 8 bytes an exchange (its duration, so that percentiles are exact) and one entry an endpoint.
"""

from __future__ import annotations

import heapq
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from mockrec.formats.query.extract import Context, destination, host, path
from mockrec.formats.select.inputs import SelectedLine
from mockrec.formats.sessions.endpoints import template

SLOWEST = 10
MAX_ENDPOINTS = 10_000
"""More are counted together, as `(other)`: a crawler's paths must not take the memory."""
OTHER = ("", "", "(other)")
PERCENTILES = (50, 90, 99)

_NO_CONTEXT = Context()


class _Body(msgspec.Struct, frozen=True, gc=False):
    size: Any = 0


class _Response(msgspec.Struct, frozen=True, gc=False):
    statusCode: Any = None
    body: _Body = _Body()


class _Record(msgspec.Struct, gc=False):
    """What of a record is needed here; everything else is skipped."""

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
    *((name,) for name in _Record.__struct_fields__ if name != "body"),
    ("body", "size"),
)
"""What `Stats` asks of records: their paths, for sources that can leave the rest out."""


@dataclass(slots=True)
class EndpointStats:
    """What was asked of one method, host and path."""

    count: int = 0
    failed: int = 0
    """Answered with 5xx, or broken off."""
    statuses: Counter[str] = field(default_factory=Counter)
    durations: array[float] = field(default_factory=lambda: array("d"))
    bytes: int = 0
    """Of response bodies."""


@dataclass(slots=True)
class Stats:
    """Add records, then read."""

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
        """Lines of a session."""
        decode = msgspec.json.Decoder(_Record).decode
        for kept in lines:
            try:
                record = decode(kept.raw)
            except msgspec.ValidationError:
                # A value of the wrong type: the record is counted, for the rest `verify` is who complains.
                self.records[_kind(kept.raw)] += 1
                continue
            self.records[record.type] += 1
            if type(record.timestamp) is str:
                self.first = min(self.first or record.timestamp, record.timestamp)
                self.last = max(self.last, record.timestamp)
            taker = _TAKERS.get(record.type)
            if taker is not None:
                taker(self, record)

    @property
    def exchanges(self) -> int:
        """Exchanges that have ended."""
        return sum(endpoint.count for endpoint in self.endpoints.values())

    @property
    def slowest(self) -> list[Mapping[str, Any]]:
        """The exchanges that took longest, the longest first."""
        return [exchange for _, _, exchange in sorted(self._slowest, key=lambda one: (-one[0], one[1]))]

    @property
    def unused_rules(self) -> list[str]:
        """Rules of the session that answered nothing."""
        return [rule for rule in self.known_rules if rule not in self.rules]

    def percentiles(self, endpoint: EndpointStats | None = None) -> dict[str, float]:
        """`p50`, `p90`, `p99`, `max` in milliseconds, of an endpoint or of all; empty where nothing has ended."""
        if endpoint is not None:
            return percentiles(endpoint.durations)
        every = array("d")
        for known in self.endpoints.values():
            every.extend(known.durations)
        return percentiles(every)

    # ── what each type adds ────────────────────────────────────────────────────────────────────────

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
        # How long somebody kept a WebSocket open is no answer time.
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
            self._note_slow(record, status)

    def _note_slow(self, record: _Record, status: Any) -> None:
        slowest = self._slowest
        if len(slowest) == SLOWEST and record.duration <= slowest[0][0]:
            return
        named = {"id": record.id, "method": record.method, "url": record.url, "status": status}
        exchange = {key: value for key, value in named.items() if value is not None} | {"duration": record.duration}
        # The number keeps the order among equals, and dicts from being compared.
        entry = (float(record.duration), -sum(self.records.values()), exchange)
        (heapq.heappush if len(slowest) < SLOWEST else heapq.heapreplace)(slowest, entry)

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


_TAKERS = {
    "session-started": Stats._started,
    "rules-reloaded": Stats._started,
    "request": Stats._request,
    "websocket-request": Stats._request,
    "response": Stats._response,
    "abort": Stats._abort,
    "websocket-close": Stats._close,
    "client-error": Stats._error,
    "tls-client-error": Stats._error,
    "tls-passthrough-closed": Stats._tunnel,
    "raw-passthrough-closed": Stats._tunnel,
}


def percentiles(values: Iterable[float]) -> dict[str, float]:
    """By the nearest rank: each is a value that was measured."""
    ordered = sorted(values)
    if not ordered:
        return {}
    # The smallest value that so many per cent are not above.
    found = {f"p{share}": ordered[max(0, -(-share * len(ordered) // 100) - 1)] for share in PERCENTILES}
    return {**found, "max": ordered[-1]}


def _whole(value: Any) -> int:
    return value if type(value) is int and value > 0 else 0


class _Kind(msgspec.Struct):
    type: Any = None


def _kind(raw: bytes) -> str:
    kind = msgspec.json.decode(raw, type=_Kind).type
    return kind if isinstance(kind, str) else "unknown"
