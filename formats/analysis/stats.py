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
from pathlib import Path
from typing import Any

import msgspec
import orjson

from mockrec.formats.analysis.stats_groups import EndpointStats, OperationStats, percentiles
from mockrec.formats.analysis.stats_record import StatsRecord
from mockrec.formats.operations.message import message_of
from mockrec.formats.operations.readers import facts_of_response, failure_of, may_have_operation, operation_of_record
from mockrec.formats.operations.spec import Facts, Operation
from mockrec.formats.query.extract import Context, destination, host_of
from mockrec.formats.schema.lifecycle import CLOSED_TYPES, COMPLETE_TYPES, CONNECTION_TYPES, ENDING_TYPES
from mockrec.formats.select.inputs import SelectedLine
from mockrec.formats.text.endpoints import template
from mockrec.formats.text.urls import split_url

SLOWEST = 10
MAX_ENDPOINTS = 10_000
"""Further endpoints are counted together, as `(other)`: the paths of a crawler must not fill the memory."""
OTHER = ("", "", "(other)")
OTHER_OPERATION = OTHER[1:]
NAMING = COMPLETE_TYPES | {"websocket-message-received"}
"""Types of records that may name an operation."""
_MOST_OPEN = 10_000
"""Operations of open exchanges that are remembered."""
_NO_CONTEXT = Context()


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
    operations: dict[tuple[str, str], OperationStats] = field(default_factory=dict)
    """By place (host and path) and name, for requests of protocols that name their calls in the body."""
    bodies_folders: Sequence[Path | None] = ()
    """The folder of the body files of each source, as far as they are known."""
    _named: dict[str, Operation] = field(default_factory=dict)
    """The operations of open exchanges."""
    _slowest: list[tuple[float, int, Mapping[str, Any]]] = field(default_factory=list)
    position: int = 0
    """Of the last record that was counted: of equally slow exchanges, the one that ended first comes first."""

    def add(self, lines: Iterable[SelectedLine]) -> None:
        """Add lines of a session."""
        decode = msgspec.json.Decoder(StatsRecord).decode
        for line in lines:
            try:
                record = decode(line.raw)
            except (msgspec.ValidationError, RecursionError):
                # A value of the wrong type or nested too deeply: the record is counted; `verify` reports the fault.
                self.records[_kind(line.raw)] += 1
                continue
            has_id = type(record.id) is str
            if has_id and record.type in NAMING and record.id not in self._named and may_have_operation(line.raw):
                self._name(line)
            self.add_records([record])
            if has_id and record.type in ENDING_TYPES and record.id in self._named:
                self._end_operation(record, line)

    def may_have_operations(self, lines: bytes) -> bool:
        """Return whether lines have to be added one by one with `add`, because operations may start or end in them."""
        return bool(self._named) or may_have_operation(lines)

    def end_session(self) -> None:
        """Forget the operations of exchanges without an end: ids are those of one session."""
        self._named.clear()

    def add_records(self, records: Sequence[StatsRecord]) -> None:
        """Add decoded lines of a session, in which no operation starts or ends."""
        self.records.update(map(_type_of, records))
        if stamps := [stamp for record in records if type(stamp := record.timestamp) is str and stamp]:
            self.add_times(min(stamps), max(stamps))
        for record in records:
            self.position += 1
            self.count(record)

    def count(self, record: StatsRecord) -> None:
        """Add what a record ends or has gone wrong in it, but not the record itself."""
        if (add := _ADD.get(record.type)) is not None:
            add(self, record)

    def add_times(self, first: str, last: str) -> None:
        """Add the earliest and the latest timestamp of some records."""
        self.first = min(self.first or first, first)
        self.last = max(self.last, last)

    def merge(self, other: Stats) -> None:
        """Add the statistics of further sessions, which come after those that are here."""
        self.records.update(other.records)
        for key, theirs in other.endpoints.items():
            self.endpoint(key).merge(theirs)
        for call, counted in other.operations.items():
            self.operation(call).merge(counted)
        self.statuses.update(other.statuses)
        self.errors.update(other.errors)
        self.rules.update(other.rules)
        self.without_rule += other.without_rule
        self.request_bytes += other.request_bytes
        self.response_bytes += other.response_bytes
        self.largest = max(self.largest, other.largest)
        self.tunnel_bytes += other.tunnel_bytes
        if other.first:
            self.add_times(other.first, other.last)
        self.known_rules += [rule for rule in other.known_rules if rule not in self.known_rules]
        self.add_ranked(other.ranked())

    def ranked(self) -> list[Mapping[str, Any]]:
        """Return the slowest exchanges in the order in which they were added, for `add_ranked` of other statistics."""
        return [exchange for *_, exchange in sorted(self._slowest, key=lambda one: -one[1])]

    def add_ranked(self, exchanges: Iterable[Mapping[str, Any]]) -> None:
        """Add the result of `ranked`."""
        for exchange in exchanges:
            self.position += 1
            self.note_slow(exchange, exchange["duration"])

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

    def first_bytes(self, endpoint: EndpointStats | None = None) -> dict[str, float]:
        """Return the percentiles of the time to the head of the response, as `percentiles` does."""
        if endpoint is not None:
            return percentiles(endpoint.first_bytes)
        every = array("d")
        for known in self.endpoints.values():
            every.extend(known.first_bytes)
        return percentiles(every)

    # ── operations ─────────────────────────────────────────────────────────────────────────────────

    def _name(self, line: SelectedLine) -> None:
        record = _parsed(line.raw)
        operation = operation_of_record(record, self._folder_of(line))
        if operation is not None and operation.names:
            self._named[record["id"]] = operation
            if len(self._named) > _MOST_OPEN:
                del self._named[next(iter(self._named))]

    def _end_operation(self, record: StatsRecord, line: SelectedLine) -> None:
        operation = self._named.pop(record.id)
        _, place, route = self._key(record)
        known = self.operation((f"{place}{route}", operation.name))
        status = record.response.statusCode if record.type == "abort" else record.statusCode
        body = record.response.body if record.type == "abort" else record.body
        known.count += 1
        if type(status) is int:
            known.statuses[f"{status // 100}xx"] += 1
        facts: Facts = {}
        if record.type == "response":
            facts, _ = facts_of_response(message_of(_parsed(line.raw), self._folder_of(line)))
        known.failed += record.type == "abort" or (type(status) is int and status >= 500) or failure_of(facts) != ""
        known.bytes += _whole(body.size)
        if type(record.duration) in (int, float) and record.type != "websocket-close":
            known.durations.append(record.duration)
        if "llm.model" in operation.facts:
            known.input_tokens += sum(facts.get("llm.tokens.input", ()))
            known.output_tokens += sum(facts.get("llm.tokens.output", ()))

    def operation(self, key: tuple[str, str]) -> OperationStats:
        """The statistics of a place and the name of an operation."""
        if key not in self.operations and len(self.operations) >= MAX_ENDPOINTS:
            key = OTHER_OPERATION
        return self.operations.setdefault(key, OperationStats())

    def _folder_of(self, line: SelectedLine) -> Path | None:
        return self.bodies_folders[line.source] if line.source < len(self.bodies_folders) else None

    # ── one method for each type of record ─────────────────────────────────────────────────────────

    def _started(self, record: StatsRecord) -> None:
        for rule in record.rules if isinstance(record.rules, list) else ():
            identity = rule.get("id") if isinstance(rule, Mapping) else None
            if isinstance(identity, str) and identity not in self.known_rules:
                self.known_rules.append(identity)

    def _request(self, record: StatsRecord) -> None:
        self.request_bytes += _whole(record.body.size)

    def _response(self, record: StatsRecord) -> None:
        endpoint = self._end(record, record.statusCode, record.body.size)
        start, sent = record.timingEvents.startTimestamp, record.timingEvents.headersSentTimestamp
        if type(start) in (int, float) and type(sent) in (int, float):
            endpoint.first_bytes.append(max(0.0, sent - start))

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

    def _end(
        self, record: StatsRecord, status: Any, size: Any, *, failed: bool = False, timed: bool = True
    ) -> EndpointStats:
        """Count the end of an exchange, and return the statistics of its endpoint."""
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
            if len(slowest) < SLOWEST or record.duration >= slowest[0][0]:
                named = {"id": record.id, "method": record.method, "url": record.url, "status": status}
                self.note_slow(named, record.duration)
        return endpoint

    def note_slow(self, named: Mapping[str, Any], duration: float) -> None:
        """Keep the exchange at `position` if it is one of the slowest so far; of equally slow ones, the first."""
        slowest = self._slowest
        rank = (float(duration), -self.position)
        if len(slowest) == SLOWEST and rank <= slowest[0][:2]:
            return
        exchange = {key: value for key, value in named.items() if value is not None} | {"duration": duration}
        (heapq.heappush if len(slowest) < SLOWEST else heapq.heapreplace)(slowest, (*rank, exchange))

    def _endpoint(self, record: StatsRecord) -> EndpointStats:
        return self.endpoint(self._key(record))

    def endpoint(self, key: tuple[str, str, str]) -> EndpointStats:
        """The statistics of a method, host and path."""
        known = self.endpoints.get(key)
        if known is None:
            if len(self.endpoints) >= MAX_ENDPOINTS:
                key = OTHER
            known = self.endpoints.setdefault(key, EndpointStats())
        return known

    def _key(self, record: StatsRecord) -> tuple[str, str, str]:
        """Return method, host and path."""
        method = record.method if isinstance(record.method, str) else ""
        place, name = place_of(record.url) if type(record.url) is str else (None, "")
        if place is None:
            place = next(iter(destination(record.destination, _NO_CONTEXT)), "")
        return method, place, name


@lru_cache(maxsize=16_384)
def place_of(url: str) -> tuple[str | None, str]:
    """Host and path template of a URL; None and an empty text if it is none."""
    parts = split_url(url)
    return (None, "") if parts is None else (host_of(parts), template(parts[4] or "/"))


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


def _parsed(raw: bytes) -> Mapping[str, Any]:
    """Return the record of a line; empty for one that cannot be parsed."""
    try:
        record = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {}
    return record if isinstance(record, dict) else {}


def _whole(value: Any) -> int:
    return value if type(value) is int and value > 0 else 0


def _kind(raw: bytes) -> str:
    kind = orjson.loads(raw).get("type")
    return kind if isinstance(kind, str) else "unknown"
