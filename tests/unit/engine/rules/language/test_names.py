"""The rule language names the same event types as the log, whose package it may not import."""

from __future__ import annotations

from mockrec.engine.rules.language.names import EVENT_TYPES
from mockrec.formats.schema import events


def test_both_lists_of_event_types_are_one() -> None:
    assert sorted(EVENT_TYPES) == sorted(events.EVENT_TYPES)
