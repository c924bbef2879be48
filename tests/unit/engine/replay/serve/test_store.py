"""What is kept in a temporary file, and comes back."""

from __future__ import annotations

from typing import Any

import pytest

from mockrec.engine.replay.serve.store import Store


@pytest.mark.parametrize(
    "value", [{"a": [1, None, "ä"]}, 123456789012345678901234567890, {"a": "\ud800"}, 0.1, True, [], "x" * 100_000]
)
def test_values_come_back(value: Any) -> None:
    store = Store()
    try:
        spots = [store.keep(one) for one in ("before", value, "after")]
        assert [store.read(spot) for spot in reversed(spots)] == ["after", value, "before"]
        late = store.keep("late")
        assert store.read([*late]) == "late"
    finally:
        store.close()
