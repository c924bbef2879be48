"""The table of lives: it has a row for every event class, and its sets fit together."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from mockrec.formats.schema import lifecycle
from mockrec.formats.schema.base import Event, ExchangeEvent, registered
from mockrec.formats.schema.codec import specs
from mockrec.formats.schema.lifecycle import ENDS_OF, JOINED_TYPES, LIFECYCLE, SESSION_TYPES, Unit


def test_every_row_has_a_class_and_every_class_a_row() -> None:
    assert set(registered) == set(LIFECYCLE)


def test_a_class_without_a_row_is_refused() -> None:
    with pytest.raises(TypeError, match="Later: 'later' has no row"):

        @dataclass(kw_only=True)
        class Later(Event, name="later"):
            """A type that was forgotten in the table."""


@pytest.mark.parametrize("kind", sorted(JOINED_TYPES))
def test_records_of_exchanges_and_tunnels_have_an_id(kind: str) -> None:
    assert "id" in {spec.key for spec in specs(registered[kind]) if spec.required}


@pytest.mark.parametrize("kind", sorted(SESSION_TYPES))
def test_records_of_the_session_belong_to_no_connection(kind: str) -> None:
    assert not issubclass(registered[kind], ExchangeEvent)


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
