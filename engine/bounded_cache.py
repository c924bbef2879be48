"""Caches of bounded size: plain dicts that are emptied when they are full.

Nothing keeps the order of use, so a hit costs one look-up in a dict. That pays off where the same few keys come again
and again (heads, paths, names), and where a client that never repeats itself must not fill the memory.
"""

from __future__ import annotations

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


def remember(cache: dict[K, V], key: K, value: V, most: int) -> V:
    """Put `value` into `cache`, which is emptied first if it holds `most` entries. Returns the value."""
    if len(cache) >= most:
        cache.clear()
    cache[key] = value
    return value
