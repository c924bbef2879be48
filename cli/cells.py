"""Texts in the cells of a table: how wide a terminal shows them, and no wider than people read."""

from __future__ import annotations

import unicodedata

MOST = 200
"""Columns of a cell: what is longer is cut, or one long body would widen every line of its table."""


def width(text: str) -> int:
    """Columns that a terminal takes for a text without control characters (Unicode Standard Annex 11)."""
    return len(text) if text.isascii() else sum(map(_width, text))


def _width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def cut(text: str, most: int = MOST) -> str:
    """A text of at most so many columns; one that is longer ends with an ellipsis."""
    if text.isascii():
        return text if len(text) <= most else f"{text[: most - 1]}…"
    room, fits = most, 0
    for end, character in enumerate(text, 1):
        room -= _width(character)
        if room < 0:
            return f"{text[:fits]}…"
        if room > 0:
            fits = end
    return text


def pad(text: str, columns: int, *, right: bool = False) -> str:
    """A text with the blanks that it needs to take so many columns."""
    blanks = " " * (columns - width(text))
    return blanks + text if right else text + blanks
