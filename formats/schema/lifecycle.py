"""The life of exchanges, tunnels and sessions: one row for each event type, with what its records do there.

The formats, the filter, `verify`, `diff` and the recorder's merge take their sets of types from this table. A new event
type is one row here and one class of its fields (`*_events.py`). The order of the rows is that of Parquet's columns and
of the reference page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final, NamedTuple


class Unit(StrEnum):
    """What a record belongs to. The values are the names in reports."""

    SESSION = "session"
    """The recording as a whole."""
    EXCHANGE = "exchange"
    """An HTTP exchange, or a WebSocket with its handshake."""
    TLS_TUNNEL = "TLS tunnel"
    """A TLS connection that is passed on undecrypted."""
    RAW_TUNNEL = "tunnel"
    """A connection in another protocol that is passed on."""
    CONNECTION = "connection"
    """A client connection: the record is a fault and has an `id` of its own."""
    CALLBACK = "callback"
    """A function of `record.callbacks`: the record names the exchange of its event, but is no part of that."""


class Side(StrEnum):
    """Which of the two messages of an exchange a record is about."""

    REQUEST = "request"
    RESPONSE = "response"
    NEITHER = ""


class Lifecycle(NamedTuple):
    """What records of one type are in the life of their unit."""

    unit: Unit
    side: Side = Side.NEITHER
    """The message of which the record holds all or a part."""
    begins: bool = False
    """It is the first record of its unit."""
    has_request: bool = False
    """Its keys are the head of the request."""
    completes: bool = False
    """With it the request is complete."""
    responds: bool = False
    """Its keys are the head of the final response."""
    ends: bool = False
    """It is the last record of its unit, except for late ones."""
    late: bool = False
    """It may come after the end: a response may be sent before its request is complete."""
    repeats: bool = False
    """A unit has any number of them."""
    websocket: bool = False
    """Only WebSockets have it."""
    by_default: bool = True
    """It is recorded unless `record.events` says otherwise; false for types that repeat other records, at a cost."""

    @property
    def is_tunnel(self) -> bool:
        """Whether the unit is a tunnel of either kind."""
        return self.unit in (Unit.TLS_TUNNEL, Unit.RAW_TUNNEL)


_EXCHANGE, _REQUEST, _RESPONSE = Unit.EXCHANGE, Side.REQUEST, Side.RESPONSE

LIFECYCLE: Final[Mapping[str, Lifecycle]] = {
    "session-started": Lifecycle(Unit.SESSION, begins=True),
    "request-initiated": Lifecycle(_EXCHANGE, _REQUEST, begins=True, has_request=True),
    "request-body-data": Lifecycle(_EXCHANGE, _REQUEST, late=True, repeats=True, by_default=False),
    "request": Lifecycle(_EXCHANGE, _REQUEST, has_request=True, completes=True, late=True),
    "response-initiated": Lifecycle(_EXCHANGE, _RESPONSE, responds=True, by_default=False),
    "response-information": Lifecycle(_EXCHANGE, _RESPONSE),
    "response-body-data": Lifecycle(_EXCHANGE, _RESPONSE, repeats=True, by_default=False),
    "response": Lifecycle(_EXCHANGE, _RESPONSE, responds=True, ends=True),
    "abort": Lifecycle(_EXCHANGE, has_request=True, ends=True),
    "websocket-request": Lifecycle(_EXCHANGE, _REQUEST, begins=True, has_request=True, completes=True, websocket=True),
    "websocket-accepted": Lifecycle(_EXCHANGE, _RESPONSE, responds=True, websocket=True),
    "websocket-message-received": Lifecycle(_EXCHANGE, _REQUEST, repeats=True, websocket=True),
    "websocket-message-sent": Lifecycle(_EXCHANGE, _RESPONSE, repeats=True, websocket=True),
    "websocket-close": Lifecycle(_EXCHANGE, ends=True, websocket=True),
    "grpc-message-received": Lifecycle(_EXCHANGE, _REQUEST, late=True, repeats=True),
    "grpc-message-sent": Lifecycle(_EXCHANGE, _RESPONSE, repeats=True),
    "tls-client-error": Lifecycle(Unit.CONNECTION),
    "client-error": Lifecycle(Unit.CONNECTION),
    "tls-passthrough-opened": Lifecycle(Unit.TLS_TUNNEL, begins=True),
    "tls-passthrough-closed": Lifecycle(Unit.TLS_TUNNEL, ends=True),
    "raw-passthrough-opened": Lifecycle(Unit.RAW_TUNNEL, begins=True),
    "raw-passthrough-closed": Lifecycle(Unit.RAW_TUNNEL, ends=True),
    "raw-passthrough-data": Lifecycle(Unit.RAW_TUNNEL, repeats=True),
    "rule-event": Lifecycle(_EXCHANGE, late=True, repeats=True),
    "gap": Lifecycle(Unit.SESSION),
    "rules-reloaded": Lifecycle(Unit.SESSION),
    "callback-error": Lifecycle(Unit.CALLBACK),
    "session-ended": Lifecycle(Unit.SESSION, ends=True),
}
"""Event type → its row."""


def types_where(holds: Callable[[Lifecycle], bool]) -> frozenset[str]:
    """The event types whose row has a property."""
    return frozenset(name for name, row in LIFECYCLE.items() if holds(row))


SCHEMA_VERSION: Final = 1
"""`version` of the first record of a session."""

EVENT_TYPES: Final = tuple(LIFECYCLE)
DEFAULT_EVENTS: Final = tuple(name for name, row in LIFECYCLE.items() if row.by_default)
"""All but the three that repeat what `request` and `response` hold, at a cost."""

SESSION_TYPES: Final = types_where(lambda row: row.unit is Unit.SESSION)
"""Types about the recording as a whole."""
CONNECTION_TYPES: Final = types_where(lambda row: row.unit is Unit.CONNECTION)
"""Faults of a connection: their id is their own."""
TUNNEL_TYPES: Final = types_where(lambda row: row.is_tunnel)
JOINED_TYPES: Final = types_where(lambda row: row.unit is _EXCHANGE or row.is_tunnel)
"""Types of which several records share an id: those of exchanges and tunnels."""

FIRST_TYPES: Final = types_where(lambda row: row.unit is _EXCHANGE and row.begins)
"""An exchange's first record is one of these."""
COMPLETE_TYPES: Final = types_where(lambda row: row.completes)
"""One of these has the whole request of an exchange."""
TERMINAL_TYPES: Final = types_where(lambda row: row.unit is _EXCHANGE and row.ends)
"""An exchange ends with exactly one of these."""
REQUEST_HEADS: Final = types_where(lambda row: row.has_request)
RESPONSE_HEADS: Final = types_where(lambda row: row.responds)
MESSAGE_TYPES: Final = types_where(lambda row: row.websocket and row.repeats)
"""Messages of WebSockets."""

OPENED_TYPES: Final = types_where(lambda row: row.is_tunnel and row.begins)
CLOSED_TYPES: Final = types_where(lambda row: row.is_tunnel and row.ends)
ENDING_TYPES: Final = TERMINAL_TYPES | CLOSED_TYPES
"""Types that end an exchange or a tunnel."""
LATE_TYPES: Final = types_where(lambda row: row.late)


def _ends_of(first: Lifecycle) -> frozenset[str]:
    return types_where(lambda row: row.unit is first.unit and row.ends and (first.websocket or not row.websocket))


ENDS_OF: Final = {name: _ends_of(row) for name, row in LIFECYCLE.items() if row.begins and name in JOINED_TYPES}
"""First record of an exchange or tunnel → the types of those that may end it."""


def is_upgrade(kind: str, first: str) -> bool:
    """Return whether a second record that begins an exchange belongs to the same exchange.

    It does for a WebSocket: the head of its handshake may be recorded (`request-initiated`) before `websocket-request`.
    """
    return kind == "websocket-request" and first == "request-initiated"
