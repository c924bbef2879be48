"""The table of lives: it has a row for every event class, and its sets fit together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from mockrec.formats.har import entry
from mockrec.formats.schema import lifecycle
from mockrec.formats.schema.base import Event, ExchangeEvent, registered
from mockrec.formats.schema.codec import specs
from mockrec.formats.schema.events import EVENT_CLASSES
from mockrec.formats.schema.lifecycle import ENDS_OF, JOINED_TYPES, LIFECYCLE, SESSION_TYPES, Unit

ROOT = Path(__file__).parents[4]


def test_an_event_type_stands_in_two_files() -> None:
    """Its class and its row: everything else follows from them. What logs it, builds its name (`connection_log.py`)."""
    sources = [path for room in ("cli", "engine", "formats") for path in (ROOT / room).rglob("*.py")]
    names = ("raw-passthrough-closed", "RawPassthroughClosed")
    found = [path for path in sources if any(name in path.read_text(encoding="utf-8") for name in names)]
    assert sorted(str(path.relative_to(ROOT)) for path in found) == [
        "formats/schema/connection_events.py",
        "formats/schema/lifecycle.py",
    ]


def test_every_row_has_a_class_and_every_class_a_row() -> None:
    assert list(EVENT_CLASSES) == list(LIFECYCLE)
    assert set(registered) == set(LIFECYCLE)


def test_a_class_without_a_row_is_refused() -> None:
    with pytest.raises(TypeError, match="Later: 'later' has no row"):

        @dataclass(kw_only=True)
        class Later(Event, name="later"):
            """A type that was forgotten in the table."""


@pytest.mark.parametrize("kind", sorted(JOINED_TYPES))
def test_records_of_exchanges_and_tunnels_have_an_id(kind: str) -> None:
    assert "id" in {spec.key for spec in specs(EVENT_CLASSES[kind]) if spec.required}


@pytest.mark.parametrize("kind", sorted(SESSION_TYPES))
def test_records_of_the_session_belong_to_no_connection(kind: str) -> None:
    assert not issubclass(EVENT_CLASSES[kind], ExchangeEvent)


def test_what_may_end_an_exchange_or_a_tunnel() -> None:
    assert {
        "request-initiated": {"response", "abort"},
        "websocket-request": {"response", "abort", "websocket-close"},
        "tls-passthrough-opened": {"tls-passthrough-closed"},
        "raw-passthrough-opened": {"raw-passthrough-closed"},
    } == ENDS_OF


@pytest.mark.parametrize("unit", [Unit.SESSION, Unit.EXCHANGE, Unit.TLS_TUNNEL, Unit.RAW_TUNNEL])
def test_what_begins_also_ends(unit: Unit) -> None:
    rows = [row for row in LIFECYCLE.values() if row.unit is unit]
    assert any(row.begins for row in rows)
    assert any(row.ends for row in rows)


def test_a_late_record_neither_begins_nor_ends() -> None:
    late = [row for row in LIFECYCLE.values() if row.late]
    assert late
    assert not any(row.begins or row.ends for row in late)


def test_an_upgrade_goes_on_with_the_exchange_of_its_head() -> None:
    assert lifecycle.is_upgrade("websocket-request", "request-initiated")
    assert not lifecycle.is_upgrade("request-initiated", "request-initiated")


def test_har_takes_heads_and_ends_from_every_type_that_has_them() -> None:
    assert set(entry.REQUEST_HEADS) == lifecycle.REQUEST_HEADS
    assert set(entry.RESPONSE_HEADS) == lifecycle.RESPONSE_HEADS
    assert set(entry.ENDS) == lifecycle.TERMINAL_TYPES
