"""Ids of exchanges, connections and sessions: UUID version 7 (RFC 9562, 5.7), so that they sort by time."""

from __future__ import annotations

import random

from mockrec.engine import clock

_random = random.SystemRandom()
_bits = random.Random(_random.getrandbits(128)).getrandbits
_last = 0
_millisecond = 0
_prefix = ""
"""The beginning of all ids of `_millisecond`, up to the version."""


def new_id(wall_ms: float | None = None) -> str:
    """Return a new UUIDv7 in lower case; it sorts after all earlier ones of this process. It has the time `wall_ms`,
    which is now if it is not given."""
    global _last, _millisecond, _prefix
    # 48 bits of milliseconds and 12 bits of their fraction (RFC 9562, 6.2, method 3).
    tick = int((clock.wall(clock.now()) if wall_ms is None else wall_ms) * 4096)
    if tick <= _last:
        tick = _last + 1
    _last = tick
    millisecond = tick >> 12
    if millisecond != _millisecond:
        _millisecond = millisecond
        _prefix = f"{millisecond >> 16:08x}-{millisecond & 0xFFFF:04x}-7"
    tail = _bits(62)
    # Faster than an f-string with the same fields.
    return "%s%03x-%04x-%012x" % (_prefix, tick & 0xFFF, tail >> 48 | 0x8000, tail & 0xFFFF_FFFF_FFFF)  # noqa: UP031
