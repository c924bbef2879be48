"""Caches of bounded size: plain dicts that are emptied when they are full.

Nothing keeps the order of use, so a hit costs one look-up in a dict. That pays off where the same few keys come again
and again (heads, paths, names), and where a client that never repeats itself must not fill the memory.

A key that comes once is not worth an entry, which keeps its value in memory until the cache is full, out of the
processor's caches: `comes_again` tells it from others.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


def remember(cache: dict[K, V], key: K, value: V, most: int) -> V:
    """Put `value` into `cache`, which is emptied first if it holds `most` entries. Returns the value."""
    if len(cache) >= most:
        cache.clear()
    cache[key] = value
    return value


def comes_again(seen: set[int], key: Hashable, most: int) -> bool:
    """Return whether a key has come before, as far as `seen` tells, which holds `most` hashes. Another key with the
    same hash is taken for it."""
    number = hash(key)
    if number in seen:
        return True
    if len(seen) >= most:
        seen.clear()
    seen.add(number)
    return False
