"""Read the records of a session as requests and WebSocket messages of its clients, in the order they were sent.

Only open exchanges are kept in memory, so a session may be larger than memory.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from mockrec.formats.schema.assembler import Assembler
from mockrec.formats.schema.lifecycle import (
    COMPLETE_TYPES,
    EVENT_TYPES,
    FIRST_TYPES,
    LIFECYCLE,
    SESSION_TYPES,
    TERMINAL_TYPES,
    types_where,
)
from mockrec.formats.sessions.session import Session

Record = Mapping[str, Any]

_RELEVANT = FIRST_TYPES | TERMINAL_TYPES | COMPLETE_TYPES | types_where(lambda row: row.websocket)
_LOGGED_LATER = 20.0
"""Milliseconds by which a busy recorder may log a response later than the client reads it."""
_ALONE: frozenset[str] = frozenset()


def relevant_records(session: Session, *, responses: bool = False) -> Iterator[tuple[int, Record]]:
    """Yield the line numbers and records that `recorded_requests` uses, and maybe others. Raises SessionError.

    Lines of mockrec are read as far as they are needed: most are not, and of some only the beginning is. A line that
    was cut off is found to be so, because it has another end than a whole one.
    """
    begun = _BEGUN if responses else _BEGUN_OR_ENDED

    def decode(line: bytes) -> Any:
        found = begun.match(line) if line.endswith(b"}") else None
        if found is None:
            return orjson.loads(line)
        kind, timestamp, identity, connection = found[0].decode().split('"')[5:18:4]
        return {"type": kind, "timestamp": timestamp, "id": identity, "connectionId": connection}

    return session.not_consumed(_is_of_another_type, decode)


def _is_of_another_type(lines: bytes) -> bool:
    return _OTHERS.match(lines) is not None and lines.endswith(b"}") and b"\n" not in lines


def _beginning(types: Iterable[str]) -> bytes:
    return rb'\{"seq":\d{1,18},"type":"(?:%b)",' % "|".join(sorted(types)).encode()


_IDS: Final = rb'"timestamp":"[0-9T:.Z-]+","id":"[\w-]+","connectionId":"[\w-]+",'
_OTHERS: Final = re.compile(_beginning(set(EVENT_TYPES) - _RELEVANT - SESSION_TYPES))
_BEGUN: Final = re.compile(_beginning({"request-initiated"}) + _IDS)
"""Of these records, `recorded_requests` uses no more than this."""
_BEGUN_OR_ENDED: Final = re.compile(_beginning({"request-initiated", "response"}) + _IDS)
"""The same where it does not yield responses."""


@dataclass(slots=True)
class RecordedRequest:
    """A complete request of a client."""

    id: str
    connection: str
    """The id of the client's connection; the id of the request if its record has no `connectionId`."""
    record: Record
    began: float
    """When its head was received, in seconds since the epoch."""
    overlapping: frozenset[str] = _ALONE
    """The exchanges on its connection that had not ended when it began."""
    order: int = 0
    """The number of requests before it in the session."""

    @property
    def is_websocket(self) -> bool:
        """Whether WebSocket messages may follow."""
        return LIFECYCLE[self.record["type"]].websocket


@dataclass(slots=True)
class RecordedMessage:
    """A record of a WebSocket after its request (acceptance, message or end), or the `abort` of any exchange."""

    id: str
    record: Record


@dataclass(slots=True)
class RecordedResponse:
    """The `response` to a request."""

    id: str
    record: Record


@dataclass(slots=True)
class _Exchange:
    """An exchange that has begun, while its end or its complete request is still to be read."""

    began: float
    overlapping: frozenset[str]
    complete: bool = False
    """Whether its request was yielded."""
    ended: bool = False
    is_websocket: bool = False


def recorded_requests(
    records: Iterable[tuple[int, Record]], *, responses: bool = False
) -> Generator[RecordedRequest | RecordedMessage | RecordedResponse, None, None]:
    """Yield requests when they are complete, and the records of WebSockets; with `responses` also responses."""
    exchanges = Assembler[_Exchange]()
    running: dict[str, set[str]] = {}
    """The open exchanges of each connection."""
    order = 0
    for _, record in records:
        kind = record["type"]
        if kind not in _RELEVANT:
            continue
        identity = str(record.get("id") or "")
        connection = str(record.get("connectionId") or identity)
        exchange = exchanges.current.get(identity)
        if exchange is None:
            if kind in FIRST_TYPES:
                overlapping = running.setdefault(connection, set())
                exchange = _Exchange(time_of(record), frozenset(overlapping) if overlapping else _ALONE)
                exchanges.current[identity] = exchange
                overlapping.add(identity)
            elif exchanges.is_late(kind, identity):
                continue
        if kind in COMPLETE_TYPES:
            began, others = (exchange.began, exchange.overlapping) if exchange else (0.0, _ALONE)
            if exchange is not None:
                exchange.complete, exchange.is_websocket = True, LIFECYCLE[kind].websocket
            yield RecordedRequest(identity, connection, record, began or _start_of(record), others, order)
            order += 1
        elif (exchange is not None and exchange.is_websocket) or kind == "abort":
            yield RecordedMessage(identity, record)
        elif responses and kind == "response":
            yield RecordedResponse(identity, record)
        if kind in TERMINAL_TYPES:
            _end(running, connection, identity)
            if exchange is not None:
                exchange.ended = True
        if exchange is not None and exchange.ended and (exchange.complete or kind == "abort"):
            exchanges.hand_on(identity)


def _end(running: dict[str, set[str]], connection: str, identity: str) -> None:
    """Remove an ended exchange from the open exchanges of its connection."""
    exchanges = running.get(connection)
    if exchanges is not None:
        exchanges.discard(identity)
        if not exchanges:
            del running[connection]


def time_of(record: Record) -> float:
    """Return the timestamp of a record, in seconds since the epoch; 0 if it has none."""
    try:
        return datetime.fromisoformat(record["timestamp"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return 0.0


def known_at(record: Record) -> float:
    """Return the earliest time at which a client may have received a response, in seconds since the epoch.

    That is when the head was sent, because the record may be written later, after redaction in another process. Some
    milliseconds are subtracted, because a busy recorder logs a response after the client has read it.
    """
    timing = record.get("timingEvents")
    if isinstance(timing, Mapping):
        start, began = timing.get("startTime"), timing.get("startTimestamp")
        sent = timing.get("headersSentTimestamp", timing.get("responseSentTimestamp"))
        if isinstance(start, (int, float)) and isinstance(began, (int, float)) and isinstance(sent, (int, float)):
            return (start + sent - began - _LOGGED_LATER) / 1000.0
    return time_of(record)


def _start_of(record: Record) -> float:
    """Return when a request began if its first record is not in the session."""
    timing = record.get("timingEvents")
    start = timing.get("startTime") if isinstance(timing, Mapping) else None
    return start / 1000.0 if isinstance(start, (int, float)) else time_of(record)
