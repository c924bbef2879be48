"""Short texts searched by Python's `re`, for a pattern that means the same in RE2 and cannot run away.

RE2 takes time in proportion to the text, whatever the pattern; Python's `re` may take ages, but needs a tenth of the
3 µs that a call of RE2's Python package takes. Patterns are those of a common subset, in which both mean the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable

# One item of the common subset, in the order they are tried.
_ITEM = re.compile(
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
"""Characters of a text for `re`, by the number of repeats: it may take their number to the power of one more."""
_MAX_CHOICES = 6
"""`?` and `|` in a pattern for `re`: each may double the time."""


def for_short_texts(pattern: str, *, ignore_case: bool) -> Callable[[str], bool | None] | None:
    """A function by Python's `re` that says the same of a text as RE2, or None where the text is not for it.

    None where the whole pattern is not.
    """
    translated = common_subset(pattern)
    if translated is None:
        return None
    source, repeats = translated
    search = re.compile(source, re.ASCII | (re.IGNORECASE if ignore_case else re.NOFLAG)).search
    longest = _LONGEST[repeats]

    def search_short(text: str) -> bool | None:
        # Beyond ASCII the two differ in what is a letter and in what its other case is.
        if len(text) <= longest and text.isascii():
            return search(text) is not None
        return None

    return search_short


def common_subset(pattern: str) -> tuple[str, int] | None:
    """The pattern for `re` and its number of repeats; None outside of the common subset."""
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
                return None  # a repeat of a group may take exponential time
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
            # Python's `$` also matches before a line feed at the end.
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
