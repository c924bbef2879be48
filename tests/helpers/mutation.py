"""Bytes damaged at random, for tests that any bytes give parts or a fault."""

from __future__ import annotations

import random
from collections.abc import Sequence


def mutated(data: bytes, splinters: Sequence[bytes], source: random.Random) -> bytes:
    """`data` with a few places changed, removed, doubled or replaced by one of the `splinters`."""
    out = bytearray(data)
    for _ in range(source.randint(1, 4)):
        at = source.randint(0, len(out))
        length = source.choice((0, 0, 1, 1, 2, 8))
        match source.randint(0, 3):
            case 0:
                out[at : at + length] = source.choice(splinters)
            case 1:
                del out[at : at + length]
            case 2:
                out[at:at] = out[at : at + source.randint(1, 20)]
            case _:
                out[at : at + 1] = bytes([source.randint(0, 255)])
    return bytes(out)
