"""Builders of the records of a request and its response, from the state of the exchange.

Each returns a new dict with the log's own names (`mockrec.formats.schema.events`). Heads come from the `RecordCache`:
they are encoded and redacted already. The `secrets` of such a head are the caller's to remember.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mockrec.engine.message.state import ExchangeState
from mockrec.engine.recording.envelope import Record, envelope, timing_of
from mockrec.engine.wire.parts import RawHeaders, header_table


def request_record(kind: str, exchange: ExchangeState, head: Record, now: float) -> Record:
    """Return a record that begins with the request `head`: `request-initiated`, `request`, `websocket-request`,
    `abort`."""
    client = exchange.client
    record = envelope(kind, exchange.id, client.connection_id, now, exchange.scope)
    record |= head
    record["remoteIpAddress"] = client.ip
    record["remotePort"] = client.port
    record["timingEvents"] = timing_of(exchange)
    record["tags"] = exchange.tags
    add_rules(record, exchange)
    if client.tls:
        record["tlsMetadata"] = client.tls
    return record


def response_record(kind: str, exchange: ExchangeState, head: Record, now: float) -> Record:
    """Return a record that begins with the response `head`: `response-initiated`, `response`, `websocket-accepted`."""
    record = envelope(kind, exchange.id, exchange.client.connection_id, now, exchange.scope)
    record |= head
    record["timingEvents"] = timing_of(exchange)
    record["tags"] = exchange.tags
    return record


def information_record(
    exchange: ExchangeState, status: int, reason: str, headers: Sequence[tuple[str, str]], now: float
) -> Record:
    """Return the `response-information` record of a 1xx."""
    raw_headers = [[name, value] for name, value in headers]
    record = envelope("response-information", exchange.id, exchange.client.connection_id, now, exchange.scope)
    record["statusCode"] = status
    record["statusMessage"] = reason
    if raw_headers:
        record["headers"] = header_table(raw_headers)
    record["rawHeaders"] = raw_headers
    record["timingEvents"] = timing_of(exchange)
    record["tags"] = exchange.tags
    record["eventTimestamp"] = now
    return record


def rule_record(exchange: ExchangeState, rule_id: str, kind: str, data: Mapping[str, Any], now: float) -> Record:
    """Return a `rule-event` record with this data."""
    record = envelope("rule-event", exchange.id, exchange.client.connection_id, now, exchange.scope)
    record["requestId"] = exchange.id
    record["ruleId"] = rule_id
    record["eventType"] = kind
    record["eventData"] = data
    return record


def add_rules(record: Record, exchange: ExchangeState) -> None:
    """Add the ids of the rules that answer and that continued."""
    if exchange.rule is not None:
        record["matchedRuleId"] = exchange.rule.rule.id
    if exchange.continued:
        record["continuedRuleIds"] = [rule.rule.id for rule in exchange.continued]


def add_outcome(record: Record, exchange: ExchangeState, head: Record, end: float) -> None:
    """Add what a terminal record repeats of the request, so that one line describes the exchange. `head` is the log
    form of the request head; `end` is in monotonic milliseconds."""
    record["method"] = exchange.head.method
    record["url"] = head["url"]
    record["host"] = exchange.target.host
    add_rules(record, exchange)
    record["duration"] = round(end - exchange.started_at, 4)


def trailer_fields(trailers: RawHeaders) -> dict[str, Any]:
    """Return `trailers` and `rawTrailers`, or nothing without trailers."""
    if not trailers:
        return {}
    return {"trailers": header_table(trailers), "rawTrailers": [list(pair) for pair in trailers]}
