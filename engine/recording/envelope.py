"""What all records of an exchange begin with, and its milestones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mockrec.engine import clock

if TYPE_CHECKING:
    from mockrec.engine.exchange.exchange import Exchange

Record = dict[str, Any]


def envelope(kind: str, exchange: Exchange, now: float) -> Record:
    """Type, time and ids; the sequence number is set by the log."""
    return {
        "seq": 0,
        "type": kind,
        "timestamp": clock.timestamp(now),
        "id": exchange.id,
        "connectionId": exchange.client.connection_id,
    }


def timing_of(exchange: Exchange) -> Record:
    """The milestones so far. Milliseconds: `startTime` since the epoch, the others monotonic."""
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
