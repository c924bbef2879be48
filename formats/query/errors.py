"""What is wrong with an expression: told with the expression and a caret under the place."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from mockrec.formats.schema.errors import FormatError

_MAX_SHOWN = 200
"""Characters of an expression that are shown; longer ones are cut around the place."""


class FilterError(FormatError):
    """An expression that cannot be used. `str()` is the message and two lines that show the place."""

    def __init__(self, expression: str, position: int, message: str) -> None:
        self.expression = expression
        self.position = position
        """Where, counted from 0."""
        self.message = message
        super().__init__(f"filter: column {position + 1}: {message}\n{_shown(expression, position)}")


def _shown(expression: str, position: int) -> str:
    start = max(0, position - _MAX_SHOWN // 2) if len(expression) > _MAX_SHOWN else 0
    text = "".join(_printable(char) for char in expression[start : start + _MAX_SHOWN])
    before = text[: position - start]
    return f"  {text}\n  {' ' * sum(map(_width, before))}^"


def _printable(char: str) -> str:
    """One character each, so that the caret stays where it belongs."""
    return char if char.isprintable() else "\u00b7"


def _width(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def nearest(word: str, known: Iterable[str]) -> str:
    """` (did you mean …?)`, or nothing where no known word is near."""
    # Imported here: only mistakes need it.
    from difflib import get_close_matches

    by_lower = {name.lower(): name for name in known}
    found = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f" (did you mean {by_lower[found[0]]}?)" if found else ""
