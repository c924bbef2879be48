"""Caches of bounded size."""

from __future__ import annotations

from mockrec.engine.bounded_cache import remember


def test_a_full_cache_is_emptied_before_the_next_entry() -> None:
    cache: dict[str, int] = {}
    assert remember(cache, "a", 1, most=2) == 1
    remember(cache, "b", 2, most=2)
    assert cache == {"a": 1, "b": 2}
    remember(cache, "c", 3, most=2)
    assert cache == {"c": 3}
