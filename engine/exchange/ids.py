"""Ids of exchanges, connections and sessions: UUID version 7 (RFC 9562, 5.7), so that they sort by time."""

from __future__ import annotations

import random

from mockrec.engine import clock

_random = random.SystemRandom()
_bits = random.Random(_random.getrandbits(128)).getrandbits
_last = 0


def new_id() -> str:
    """A lower-case UUIDv7; later ones of a process sort after earlier ones."""
    global _last
    # 48 bits of milliseconds and 12 bits of their fraction (RFC 9562, 6.2, method 3).
    tick = int(clock.wall(clock.now()) * 4096)
    if tick <= _last:
        tick = _last + 1
    _last = tick
    ms, fraction = tick >> 12, tick & 0xFFF
    tail = _bits(62) | 0x8000_0000_0000_0000
    text = f"{ms:012x}7{fraction:03x}{tail:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
