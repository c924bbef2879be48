"""Inputs in pieces, and what parts come to, so that any two cuts can be compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from random import Random
from typing import Any

from mockrec.engine.wire.parts import Data, Fault

LIMIT = 512
"""Of heads: small, so that it is met."""


def pieces(data: bytes, chance: Random) -> list[bytes]:
    """`data` cut anywhere; none of the pieces is empty."""
    if len(data) < 64 and chance.random() < 0.2:
        return [data[at : at + 1] for at in range(len(data))]
    places = sorted({0, len(data), *(chance.randint(0, len(data)) for _ in range(chance.randint(0, 6)))})
    return [data[start:end] for start, end in pairwise(places)]


def same_in_any_cut(read: Callable[[Iterable[bytes]], object], data: bytes, chance: Random) -> None:
    whole, cut = read([data] if data else []), read(pieces(data, chance))
    assert whole == cut, f"whole: {whole!r:.800}\ncut: {cut!r:.800}"


def joined(seen: list[Any], part: Any) -> None:
    """Add a part; pieces of data are one."""
    if isinstance(part, Data):
        assert part.data
        if seen and isinstance(seen[-1], Data):
            seen[-1] = Data(seen[-1].data + part.data)
            return
    seen.append(part)


def told(part: Any) -> object:
    """What a part comes to: a fault's bytes depend on how they came."""
    if isinstance(part, Fault):
        return part.code, part.status
    head = getattr(part, "head", None)
    return part if head is None else (type(part).__name__, [*map(tuple, head.raw_headers)], head.version)
