"""Searches short texts with Python's `re`, if the pattern has the same meaning in RE2 and takes bounded time.

RE2 takes time in proportion to the text, for every pattern. Python's `re` may take exponential time, but its call takes
a tenth of the 3 µs of a call of RE2's Python package. Patterns of a common subset have the same meaning in both.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from mockrec.formats.text.late_regex import late_regex

# One item of the common subset, in the order they are tried.
_ITEM = late_regex(
    r"""(?P<literal>[^\\.\[\](){}*+?|^$])
      | (?P<escape>\\(?:[^\w\s]|[dwDWtnrf]))
      | (?P<any>\.)
      | (?P<class>\[\^?(?:[^\\\[\]^-]|\\[^\w\s]|\\[dw])(?:[^\\\[\]-]|\\[^\w\s]|\\[dw]|-(?=[^\]]))*\])
      | (?P<open>\((?:\?:)?(?!\?))
      | (?P<close>\))
      | (?P<or>\|)
      | (?P<start>\^)
      | (?P<end>\$)
      | (?P<repeat>(?:[*+?]|\{\d{1,3}(?:,\d{0,3})?\})\??)
    """,
    re.VERBOSE,
)
_LONGEST = (16_384, 1024, 128)
"""The longest text for `re`, by the number n of repeats in the pattern: the time may grow with its length to the power
of n + 1."""
_MAX_CHOICES = 6
"""The most `?` and `|` in a pattern for `re`: each may double the time."""


def for_short_texts(pattern: str, *, ignore_case: bool) -> Callable[[str], bool | None] | None:
    """A function that searches a text with Python's `re`, with the result of RE2; it returns None for a text that RE2
    has to search. None instead of a function if the pattern is outside of the common subset.
    """
    translated = common_subset(pattern)
    if translated is None:
        return None
    source, repeats = translated
    search = re.compile(source, re.ASCII | (re.IGNORECASE if ignore_case else re.NOFLAG)).search
    longest = _LONGEST[repeats]

    def search_short(text: str) -> bool | None:
        # Beyond ASCII the two differ in which characters are letters, and in their other case.
        if len(text) <= longest and text.isascii():
            return search(text) is not None
        return None

    return search_short


def common_subset(pattern: str) -> tuple[str, int] | None:
    """The pattern for `re` and its number of repeats; None if it is outside of the common subset."""
    if not pattern.isascii():
        return None
    pieces: list[str] = []
    depth = repeats = choices = position = 0
    last = ""
    while position < len(pattern):
        item = _ITEM.match(pattern, position)
        if item is None:
            return None
        kind, text = str(item.lastgroup), item[0]
        position = item.end()
        if kind == "repeat":
            if last in ("", "open", "or", "start", "end", "repeat"):
                return None
            if text[0] == "?":
                choices += 1
            elif last == "close":
                return None  # repeating a group may take exponential time
            else:
                repeats += 1
        elif kind == "or":
            choices += 1
        elif kind == "open":
            depth += 1
            text = "(?:"
        elif kind == "close":
            if not depth or last in ("open", "or"):
                return None
            depth -= 1
        elif kind == "end":
            # Python's `$` also matches before a line feed at the end of the text.
            text = r"\Z"
        pieces.append(text)
        last = kind
    if depth or repeats >= len(_LONGEST) or choices > _MAX_CHOICES or _bad(source := "".join(pieces)):
        return None
    return source, repeats


def _bad(source: str) -> bool:
    try:
        re.compile(source, re.ASCII)
    except (re.error, OverflowError, RecursionError):
        return True
    return False
