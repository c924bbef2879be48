"""Long redactions run in a thread, and their results keep their order."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from mockrec.engine.redaction.backlog import Backlog, Later, completed
from mockrec.engine.redaction.secret_scope import DetachedScope

pytestmark = pytest.mark.anyio


async def test_in_its_order_and_in_another_thread() -> None:
    waiting: list[int] = []
    backlog, owner, results = Backlog(waiting.append, lambda kind: False), DetachedScope(), []
    go = threading.Event()

    def slow() -> str:
        assert go.wait(20)
        return "slow"

    backlog.put(owner, slow, results.append, 10)
    backlog.put(owner, lambda: threading.current_thread().name, results.append, 5)
    assert (owner.waiting, backlog.size, waiting, results) == (2, 15, [10, 5], [])
    go.set()
    await backlog.drain()
    assert results == ["slow", "redaction"]
    assert (owner.waiting, backlog.size, waiting) == (0, 0, [10, 5, -10, -5])
    await backlog.drain()


def test_parts_that_are_made_later() -> None:
    later: Any = Later(lambda bodies: {"size": bodies})
    assert completed({"content": later, "x": 1}, 7) == {"content": {"size": 7}, "x": 1}
    assert completed({"eventData": {"rawBody": later}}, 7) == {"eventData": {"rawBody": {"size": 7}}}
    plain = {"eventData": {"a": 1}}
    assert completed(plain, 7) is plain
