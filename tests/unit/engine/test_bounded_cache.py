"""Caches of bounded size."""

from __future__ import annotations

from mockrec.engine.bounded_cache import comes_again, remember


def test_a_full_cache_is_emptied_before_the_next_entry() -> None:
    cache: dict[str, int] = {}
    assert remember(cache, "a", 1, most=2) == 1
    remember(cache, "b", 2, most=2)
    assert cache == {"a": 1, "b": 2}
    remember(cache, "c", 3, most=2)
    assert cache == {"c": 3}


def test_a_key_comes_again_if_it_was_seen_among_the_last() -> None:
    seen: set[int] = set()
    assert [comes_again(seen, key, 2) for key in "aabab"] == [False, True, False, True, True]
    assert not comes_again(seen, "c", 2)
    assert not comes_again(seen, "a", 2)
    assert comes_again(seen, "c", 2)
    assert len(seen) == 2
