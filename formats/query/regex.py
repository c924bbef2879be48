"""Regular expressions in RE2's syntax and meaning, also where Python's `re` is the one that runs.

RE2 takes time in proportion to the text, whatever the pattern; Python's `re` may take ages. RE2's own Python
package has no wheels for some platforms, but pyarrow brings RE2 along, at some 10 µs a call. So: a pattern of
the common subset, in which both mean the same and Python's cannot run away, goes to `re` for texts in ASCII;
all else goes to pyarrow.
"""

from __future__ import annotations

import re
from collections.abc import Callable

MAX_PATTERN = 1000
"""Characters of a pattern."""

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
_LONGEST = (None, 2048, 256)
"""Characters of a text for `re`, by the number of repeats: it may take their number to the power of one more."""
_MAX_CHOICES = 6
"""`?` and `|` in a pattern for `re`: each may double the time."""


def problem(pattern: str) -> str:
    """Why this is no RE2 pattern; empty when it is one."""
    if len(pattern) > MAX_PATTERN:
        return f"the pattern has {len(pattern)} characters, more than {MAX_PATTERN}"
    if _for_python(pattern) is not None:
        return ""
    import pyarrow
    import pyarrow.compute

    try:
        pyarrow.compute.match_substring_regex(pyarrow.scalar(""), pattern=pattern)
    except pyarrow.ArrowInvalid as error:
        return str(error).removeprefix("Invalid regular expression: ")
    return ""


def matcher(pattern: str, *, ignore_case: bool) -> Callable[[str], bool]:
    """A function that says whether the pattern is found in a text."""
    found = _by_re2(pattern, ignore_case)
    translated = _for_python(pattern)
    if translated is None:
        return found
    source, repeats = translated
    search = re.compile(source, re.ASCII | (re.IGNORECASE if ignore_case else re.NOFLAG)).search
    longest = _LONGEST[repeats]

    def search_either(text: str) -> bool:
        # Beyond ASCII the two differ in what is a letter and in what its other case is.
        if text.isascii() and (longest is None or len(text) <= longest):
            return search(text) is not None
        return found(text)

    return search_either


def _by_re2(pattern: str, ignore_case: bool) -> Callable[[str], bool]:
    def search(text: str) -> bool:
        import pyarrow
        import pyarrow.compute

        found = pyarrow.compute.match_substring_regex(
            pyarrow.scalar(text, pyarrow.large_string()), pattern=pattern, ignore_case=ignore_case
        )
        return bool(found.as_py())

    return search


def _for_python(pattern: str) -> tuple[str, int] | None:
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
