"""Edits of bytes: what stands at one place is replaced. A text is gone through once, whatever it holds: the search goes
on behind what was replaced, so that names in a value cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from mockrec.engine.redaction.patterns import RegexMatch

Edit = tuple[int, int, bytes]
"""From, to, and what stands there instead."""


def made(data: bytes, pattern: Any, edit: Callable[[RegexMatch, bytes], Edit | None]) -> list[Edit]:
    """The edits that `edit` makes of the matches of a pattern of RE2, one behind the other.

    `edit` takes a time that grows with what it replaces; where it replaces nothing, with the match alone.
    """
    edits: list[Edit] = []
    position = 0
    search = pattern.search
    while (match := search(data, position)) is not None:
        one = edit(match, data)
        position = max(match.end(), position + 1)
        if one is not None:
            edits.append(one)
            position = max(position, one[1])
    return edits


def apply(data: bytes, edits: Iterable[Edit]) -> bytes:
    """`edits` in the order of their beginnings; one that begins in another one is left out."""
    pieces: list[bytes] = []
    at = 0
    for start, end, placeholder in edits:
        if start >= at:
            pieces += (data[at:start], placeholder)
            at = end
    if not at:
        return data
    pieces.append(data[at:])
    return b"".join(pieces)
