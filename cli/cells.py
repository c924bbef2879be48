"""Cells of a table: the width of a text on a terminal, and texts cut to a readable width."""

from __future__ import annotations

import unicodedata

MOST = 200
"""Most columns of a cell. A longer text is cut, because one long body would widen every line of its table."""


def width(text: str) -> int:
    """Return the columns that a text without control characters takes on a terminal (Unicode Annex 11)."""
    return len(text) if text.isascii() else sum(map(_width, text))


def _width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def cut(text: str, most: int = MOST) -> str:
    """Cut a text to a number of columns; a cut text ends with an ellipsis."""
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
    """Pad a text with spaces to a number of columns."""
    blanks = " " * (columns - width(text))
    return blanks + text if right else text + blanks
