"""The line of an exchange that people see."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mockrec.engine import clock
from mockrec.engine.message.summary import summary_of


def ended(method: str, status: int, *, websocket: bool) -> Any:
    now = clock.now()
    return SimpleNamespace(
        aborted_at=None,
        response_sent_at=None if websocket else now,
        started_at=now - 50.0,
        websocket=websocket,
        head=SimpleNamespace(method=method),
        target=SimpleNamespace(path="/live", host="shop.test", is_absolute=True),
        response_head=SimpleNamespace(status=status),
        unmatched=False,
        rule=None,
        tags=(),
        prepared=None,
    )


@pytest.mark.parametrize(
    ("method", "status", "websocket", "what", "shown"),
    [
        ("CONNECT", 200, True, "WS /live", 101),
        ("CONNECT", 403, True, "WS /live", 403),
        ("CONNECT", 200, False, "CONNECT /live", 200),
        ("GET", 101, True, "GET /live", 101),
    ],
)
def test_an_upgrade_over_http2_is_no_tunnel(method: str, status: int, websocket: bool, what: str, shown: int) -> None:
    found = summary_of(ended(method, status, websocket=websocket), lambda text, exchange: text)
    assert (found.what, found.status) == (what, shown)
    assert found.took >= 50.0
