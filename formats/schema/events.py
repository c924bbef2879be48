"""Schema v1: every event type by name, and the way between records and typed events.

The types and their fields follow those of Mockttp, so that users of Mockttp know them. The class of a type is in one of
the modules `*_events`, its role in the life of an exchange in `lifecycle`; everything here follows from both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mockrec.formats.schema import connection_events, exchange_events, session_events
from mockrec.formats.schema.base import Event, registered
from mockrec.formats.schema.body import Body, encode_body
from mockrec.formats.schema.check import check_object
from mockrec.formats.schema.codec import read_object, write_object
from mockrec.formats.schema.connection_events import *  # noqa: F403
from mockrec.formats.schema.exchange_events import *  # noqa: F403
from mockrec.formats.schema.lifecycle import (
    DEFAULT_EVENTS,
    EVENT_TYPES,
    FIRST_TYPES,
    LIFECYCLE,
    SCHEMA_VERSION,
    TERMINAL_TYPES,
)
from mockrec.formats.schema.session_events import *  # noqa: F403

EVENT_CLASSES: dict[str, type[Event]] = {name: registered[name] for name in LIFECYCLE}
"""Event type → its class, in the order of `LIFECYCLE`."""

__all__ = [
    "DEFAULT_EVENTS",
    "EVENT_CLASSES",
    "EVENT_TYPES",
    "FIRST_TYPES",
    "SCHEMA_VERSION",
    "TERMINAL_TYPES",
    "Body",
    "Event",
    "check_record",
    "encode_body",
    "parse_event",
    "to_record",
    *connection_events.__all__,
    *exchange_events.__all__,
    *session_events.__all__,
]


def parse_event(record: Mapping[str, Any]) -> Event:
    """Return the typed event of a record.

    Unknown keys are in `extra`; a record of an unknown type is an `UnknownEvent`. Raises `RecordError` if a required
    key is missing or a value is no object where one is required; `check_record` lists every fault.
    """
    return read_object(EVENT_CLASSES.get(record.get("type", ""), session_events.UnknownEvent), record)


def to_record(event: Event) -> dict[str, Any]:
    """Return the record of an event, without nulls and empty objects, except in the data of `rule-event`."""
    return write_object(event)


def check_record(record: Mapping[str, Any]) -> list[str]:
    """Return what in a record differs from the schema, one sentence each; empty for a valid record.

    Unknown keys are valid, an unknown type is not.
    """
    name = record.get("type")
    if not isinstance(name, str):
        return ["type: is missing" if name is None else f"type: expected a string, found {name!r}"]
    if name not in EVENT_CLASSES:
        return [f"type: {name!r} is not known"]
    return check_object(EVENT_CLASSES[name], record)
