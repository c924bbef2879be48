"""The fields that every record of a kind begins with, and the milestones of an exchange."""

from __future__ import annotations

from typing import Any

from mockrec.engine import clock
from mockrec.engine.message.scope import Scope
from mockrec.engine.message.state import ExchangeState

Record = dict[str, Any]


def envelope(kind: str, record_id: str, connection_id: str, now: float, scope: Scope | None = None) -> Record:
    """Return a new record with type, time and ids: of an exchange, a tunnel or a client error.

    The recorder replaces `seq`. `now` is in monotonic milliseconds.
    """
    record: Record = {
        "seq": 0,
        "type": kind,
        "timestamp": clock.timestamp(now),
        "id": record_id,
        "connectionId": connection_id,
    }
    if scope is not None:
        record["scope"] = scope.name
    return record


def session_envelope(kind: str, now: float) -> Record:
    """Return a new record of the session itself, which belongs to no connection."""
    return {"seq": 0, "type": kind, "timestamp": clock.timestamp(now)}


def timing_of(exchange: ExchangeState) -> Record:
    """Return the milestones so far. In milliseconds: `startTime` since the epoch, all others monotonic."""
    timing: Record = {"startTime": exchange.start_time, "startTimestamp": exchange.started_at}
    if exchange.body_received_at is not None:
        timing["bodyReceivedTimestamp"] = exchange.body_received_at
    if exchange.headers_sent_at is not None:
        timing["headersSentTimestamp"] = exchange.headers_sent_at
        if exchange.response_sent_at is not None:
            timing["responseSentTimestamp"] = exchange.response_sent_at
    if exchange.ws_accepted_at is not None:
        timing["wsAcceptedTimestamp"] = exchange.ws_accepted_at
        if exchange.ws_closed_at is not None:
            timing["wsClosedTimestamp"] = exchange.ws_closed_at
    if exchange.aborted_at is not None:
        timing["abortedTimestamp"] = exchange.aborted_at
    return timing
