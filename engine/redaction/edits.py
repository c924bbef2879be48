"""Edits of bytes: spans and what replaces them. A text is searched in one pass, whatever it holds: the search continues
after the replaced span, so that names inside a value cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from mockrec.engine.redaction.patterns import RegexMatch

Edit = tuple[int, int, bytes]
"""Start, end, and the replacement."""


def find_edits(data: bytes, pattern: Any, edit: Callable[[RegexMatch, bytes], Edit | None]) -> list[Edit]:
    """Return the edits that `edit` makes of the matches of an RE2 pattern, in one pass.

    To keep that pass linear, the time of `edit` may grow only with the span that it replaces, or, if it replaces none,
    with the match.
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
    """Apply edits, which are sorted by their starts; an edit that starts inside an earlier one is ignored."""
    pieces: list[bytes] = []
    at = 0
    for start, end, replacement in edits:
        if start >= at:
            pieces += (data[at:start], replacement)
            at = end
    if not at:
        return data
    pieces.append(data[at:])
    return b"".join(pieces)
