"""Errors in an expression, shown with the expression and a caret under the position."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from mockrec.formats.schema.errors import FormatError

_MAX_SHOWN = 200
"""Characters of an expression that are shown; of a longer one, those around the position."""


class FilterError(FormatError):
    """An invalid expression. `str()` is the message and two lines that show the position."""

    def __init__(self, expression: str, position: int, message: str) -> None:
        self.expression = expression
        self.position = position
        """The position of the error, counted from 0."""
        self.message = message
        super().__init__(f"filter: column {position + 1}: {message}\n{_shown(expression, position)}")


def _shown(expression: str, position: int) -> str:
    start = max(0, position - _MAX_SHOWN // 2) if len(expression) > _MAX_SHOWN else 0
    text = "".join(_printable(char) for char in expression[start : start + _MAX_SHOWN])
    before = text[: position - start]
    return f"  {text}\n  {' ' * sum(map(_width, before))}^"


def _printable(char: str) -> str:
    """Replace an unprintable character by one printable character, so that the caret stays in its column."""
    return char if char.isprintable() else "\u00b7"


def _width(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def nearest(word: str, known: Iterable[str]) -> str:
    """` (did you mean …?)` with the most similar known word; empty if no word is similar."""
    # Imported here: only mistakes need it.
    from difflib import get_close_matches

    by_lower = {name.lower(): name for name in known}
    found = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f" (did you mean {by_lower[found[0]]}?)" if found else ""
