"""Schema v1: every event type by name, and the way between records and typed events.

The types and their fields follow Mockttp's events, so that what people know of those carries over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mockrec.formats.schema.base import Event
from mockrec.formats.schema.body import Body, encode_body
from mockrec.formats.schema.check import check_shape
from mockrec.formats.schema.codec import read_shape, write_shape
from mockrec.formats.schema.connection_events import (
    ClientError,
    RawPassthroughClosed,
    RawPassthroughData,
    RawPassthroughOpened,
    TlsClientError,
    TlsPassthroughClosed,
    TlsPassthroughOpened,
)
from mockrec.formats.schema.exchange_events import (
    Abort,
    Request,
    RequestBodyData,
    RequestInitiated,
    Response,
    ResponseBodyData,
    ResponseInformation,
    ResponseInitiated,
    RuleEvent,
    WebSocketAccepted,
    WebSocketClose,
    WebSocketMessageReceived,
    WebSocketMessageSent,
    WebSocketRequest,
)
from mockrec.formats.schema.session_events import (
    CallbackError,
    Gap,
    RulesReloaded,
    SessionEnded,
    SessionStarted,
    UnknownEvent,
)

__all__ = [
    "DEFAULT_EVENTS",
    "EVENT_CLASSES",
    "EVENT_TYPES",
    "FIRST_TYPES",
    "SCHEMA_VERSION",
    "TERMINAL_TYPES",
    "Abort",
    "Body",
    "CallbackError",
    "ClientError",
    "Event",
    "Gap",
    "RawPassthroughClosed",
    "RawPassthroughData",
    "RawPassthroughOpened",
    "Request",
    "RequestBodyData",
    "RequestInitiated",
    "Response",
    "ResponseBodyData",
    "ResponseInformation",
    "ResponseInitiated",
    "RuleEvent",
    "RulesReloaded",
    "SessionEnded",
    "SessionStarted",
    "TlsClientError",
    "TlsPassthroughClosed",
    "TlsPassthroughOpened",
    "UnknownEvent",
    "WebSocketAccepted",
    "WebSocketClose",
    "WebSocketMessageReceived",
    "WebSocketMessageSent",
    "WebSocketRequest",
    "check_record",
    "encode_body",
    "parse_event",
    "to_record",
]

SCHEMA_VERSION = 1

EVENT_CLASSES: dict[str, type[Event]] = {
    "session-started": SessionStarted,
    "request-initiated": RequestInitiated,
    "request-body-data": RequestBodyData,
    "request": Request,
    "response-initiated": ResponseInitiated,
    "response-information": ResponseInformation,
    "response-body-data": ResponseBodyData,
    "response": Response,
    "abort": Abort,
    "websocket-request": WebSocketRequest,
    "websocket-accepted": WebSocketAccepted,
    "websocket-message-received": WebSocketMessageReceived,
    "websocket-message-sent": WebSocketMessageSent,
    "websocket-close": WebSocketClose,
    "tls-client-error": TlsClientError,
    "client-error": ClientError,
    "tls-passthrough-opened": TlsPassthroughOpened,
    "tls-passthrough-closed": TlsPassthroughClosed,
    "raw-passthrough-opened": RawPassthroughOpened,
    "raw-passthrough-closed": RawPassthroughClosed,
    "raw-passthrough-data": RawPassthroughData,
    "rule-event": RuleEvent,
    "gap": Gap,
    "rules-reloaded": RulesReloaded,
    "callback-error": CallbackError,
    "session-ended": SessionEnded,
}

EVENT_TYPES: tuple[str, ...] = tuple(EVENT_CLASSES)

_COSTLY = frozenset({"request-body-data", "response-initiated", "response-body-data"})

DEFAULT_EVENTS: tuple[str, ...] = tuple(name for name in EVENT_TYPES if name not in _COSTLY)
"""All but the three that repeat what `request` and `response` hold, at a cost."""

FIRST_TYPES = frozenset({"request-initiated", "websocket-request"})
"""An exchange's first record is one of these."""

TERMINAL_TYPES = frozenset({"response", "abort", "websocket-close"})
"""An exchange ends with exactly one of these."""


def parse_event(record: Mapping[str, Any]) -> Event:
    """The typed event of a record.

    Unknown keys are kept in `extra`, an unknown type gives an `UnknownEvent`. `RecordError` when a
    required key is missing or an object is no object; see `check_record` for all that is wrong.
    """
    return read_shape(EVENT_CLASSES.get(record.get("type", ""), UnknownEvent), record)


def to_record(event: Event) -> dict[str, Any]:
    """The record of an event: no nulls, no empty objects (the data of `rule-event` excepted)."""
    return write_shape(event)


def check_record(record: Mapping[str, Any]) -> list[str]:
    """What in a record is not as the schema says, one sentence each; empty when all is well.

    Unknown keys are fine, an unknown type is not.
    """
    name = record.get("type")
    if not isinstance(name, str):
        return ["type: is missing" if name is None else f"type: expected a string, found {name!r}"]
    if name not in EVENT_CLASSES:
        return [f"type: {name!r} is not known"]
    return check_shape(EVENT_CLASSES[name], record)
