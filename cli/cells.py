"""Cells of a table: the width of a text on a terminal, and texts cut to a readable width."""

from __future__ import annotations

import re
import unicodedata

MOST = 200
"""Most columns of a cell. A longer text is cut, because one long body would widen every line of its table."""
_SCHEME = re.compile(r"(?:https?|wss?)://")
_ENCODED = re.compile(r"(?:%[89A-Fa-f][0-9A-Fa-f])+")


def readable_url(url: str) -> str:
    """Return a URL with its percent-encoded UTF-8 as characters (RFC 3987, 3.2); encoded ASCII stays as it is."""
    return _ENCODED.sub(_decoded, url) if "%" in url else url


def _decoded(found: re.Match[str]) -> str:
    try:
        text = bytes.fromhex(found[0].replace("%", "")).decode()
    except UnicodeDecodeError:
        return found[0]
    return text if text.isprintable() else found[0]


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


def cut_middle(text: str, most: int) -> str:
    """Cut the middle out of a text, which leaves the host and the end of a URL; an ellipsis stands for it."""
    if width(text) <= most:
        return text
    if most < 3:
        return cut(text, most)
    tail = _end(text, (most - 1) // 2)
    return f"{cut(text, most - width(tail))}{tail}"


def cut_url(url: str, most: int) -> str:
    """Cut a URL to a number of columns: its scheme says least, and is left out before the middle is."""
    found = _SCHEME.match(url) if width(url) > most else None
    return cut_middle(url if found is None else url[found.end() :], most)


def _end(text: str, most: int) -> str:
    """Return the longest end of a text that takes no more than a number of columns."""
    start = len(text)
    while start > 0 and (most := most - width(text[start - 1])) >= 0:
        start -= 1
    return text[start:]


def wrapped(text: str, most: int) -> list[str]:
    """Break a text into lines of no more than a number of columns, which wide characters fill twice as fast."""
    lines, start, room = [], 0, most
    for place, character in enumerate(text):
        room -= _width(character)
        if room < 0:
            lines.append(text[start:place])
            start, room = place, most - _width(character)
    return [*lines, text[start:]] if text else []
