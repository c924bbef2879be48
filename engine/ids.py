"""Ids of exchanges, connections and sessions: UUID version 7 (RFC 9562, 5.7), so that they sort by time."""

from __future__ import annotations

import random

from mockrec.engine import clock

_random = random.SystemRandom()
_bits = random.Random(_random.getrandbits(128)).getrandbits
_last = 0


def new_id() -> str:
    """Return a new UUIDv7 in lower case; it sorts after all earlier ones of this process."""
    global _last
    # 48 bits of milliseconds and 12 bits of their fraction (RFC 9562, 6.2, method 3).
    tick = int(clock.wall(clock.now()) * 4096)
    if tick <= _last:
        tick = _last + 1
    _last = tick
    tail = _bits(62)
    # Faster than an f-string with the same fields.
    return "%08x-%04x-7%03x-%04x-%012x" % (  # noqa: UP031
        tick >> 28,
        tick >> 12 & 0xFFFF,
        tick & 0xFFF,
        tail >> 48 | 0x8000,
        tail & 0xFFFF_FFFF_FFFF,
    )
