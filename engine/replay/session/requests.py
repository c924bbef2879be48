"""The records of a session → what its clients have said, in the order in which they said it.

Remembers only what is open, so a session may be larger than memory.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mockrec.formats.schema.events import FIRST_TYPES, TERMINAL_TYPES

Record = Mapping[str, Any]

_COMPLETE = frozenset({"request", "websocket-request"})
_SAID = frozenset({"websocket-accepted", "websocket-message-received", "websocket-message-sent"})
_NOTED_LATER = 20.0
"""Milliseconds."""
_ALONE: frozenset[str] = frozenset()


@dataclass(slots=True)
class RecordedRequest:
    """A complete request of a client."""

    id: str
    connection: str
    """Of the client; a request that names none is alone on its own."""
    record: Record
    began: float
    """When its head came, in seconds since the epoch."""
    beside: frozenset[str] = _ALONE
    """Those of its connection that were not over when it began."""
    order: int = 0
    """How many requests of the session stand before it."""

    @property
    def is_websocket(self) -> bool:
        """Whether a conversation may follow."""
        return bool(self.record["type"] == "websocket-request")


@dataclass(slots=True)
class RecordedMessage:
    """A record of a WebSocket that follows its request: its acceptance, messages, and end. Or any other `abort`."""

    id: str
    record: Record


@dataclass(slots=True)
class RecordedResponse:
    """The `response` to a request."""

    id: str
    record: Record


def recorded_requests(
    records: Iterable[tuple[int, Record]], *, answers: bool = False
) -> Generator[RecordedRequest | RecordedMessage | RecordedResponse, None, None]:
    """Requests when they are complete, and what is said on WebSockets; with `answers` also what was answered."""
    began: dict[str, tuple[float, frozenset[str]]] = {}
    on: dict[str, set[str]] = {}
    """Connection → its exchanges that are not over."""
    sockets: set[str] = set()
    order = 0
    for _, record in records:
        kind = record["type"]
        if kind not in _RELEVANT:
            continue
        identity = str(record.get("id") or "")
        connection = str(record.get("connectionId") or identity)
        if kind in FIRST_TYPES and identity not in began:
            beside = on.setdefault(connection, set())
            began[identity] = time_of(record), frozenset(beside) if beside else _ALONE
            beside.add(identity)
        if kind in _COMPLETE:
            start, others = began.pop(identity, (0.0, _ALONE))
            start = start or _start_of(record)
            if kind == "websocket-request":
                sockets.add(identity)
            yield RecordedRequest(identity, connection, record, start, others, order)
            order += 1
        elif identity in sockets or kind == "abort":
            if kind in TERMINAL_TYPES:
                sockets.discard(identity)
            yield RecordedMessage(identity, record)
        elif answers and kind == "response":
            yield RecordedResponse(identity, record)
        if kind in TERMINAL_TYPES:
            if kind == "abort":
                began.pop(identity, None)  # its request was never complete, or has been told
            running = on.get(connection)
            if running is not None:
                running.discard(identity)
                if not running:
                    del on[connection]


_RELEVANT = FIRST_TYPES | TERMINAL_TYPES | _COMPLETE | _SAID


def time_of(record: Record) -> float:
    """When a record was caused, in seconds since the epoch."""
    try:
        return datetime.fromisoformat(record["timestamp"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return 0.0


def known_at(record: Record) -> float:
    """When a client may have known of an answer at the earliest, in seconds since the epoch.

    That is when its head was sent, not when its record was there, which may have been redacted elsewhere; and a little
    before, because a busy recorder notes it after the client has read it.
    """
    timing = record.get("timingEvents")
    if isinstance(timing, Mapping):
        start, began = timing.get("startTime"), timing.get("startTimestamp")
        sent = timing.get("headersSentTimestamp", timing.get("responseSentTimestamp"))
        if isinstance(start, (int, float)) and isinstance(began, (int, float)) and isinstance(sent, (int, float)):
            return (start + sent - began - _NOTED_LATER) / 1000.0
    return time_of(record)


def _start_of(record: Record) -> float:
    """When a request began of which no record tells the beginning."""
    timing = record.get("timingEvents")
    start = timing.get("startTime") if isinstance(timing, Mapping) else None
    return start / 1000.0 if isinstance(start, (int, float)) else time_of(record)
