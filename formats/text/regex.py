r"""Regular expressions in RE2's syntax, with what Python writes otherwise translated, and told what RE2 does not know.

RE2 takes time in proportion to the text, whatever the pattern and the text are; Python's `re` may take ages.
`\Z`, `\uXXXX`, `\_` and `{,3}`, which RE2 does not know, are translated.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import re2

_TRANSLATED = re.compile(
    r"""(?P<z>\\Z) | \\u(?P<u>[0-9A-Fa-f]{4}) | \\U(?P<U>[0-9A-Fa-f]{8}) | (?P<low>\\_) | \\. | (?P<open>\[\^?\]?)
      | (?P<close>\]) | \{(?P<most>,\d+\})""",
    re.VERBOSE | re.DOTALL,
)
_PYTHON_ONLY: Mapping[str, str] = {
    r"\(\?<?[=!]": "look-arounds",
    r"\(\?P=|\\[1-9]": "back references",
    r"\(\?\(": "conditions",
    r"\(\?>|[*+?}]\+": "atomic groups",
    r"\(\?#": "comments",
    r"\(\?[a-zA-Z-]*[xauL]": "the flags x, a, u and L",
}
"""What Python knows and RE2 does not, by how it begins."""


class RegexError(ValueError):
    """A pattern, or the replacement for one, that cannot be used; the text says why."""


@lru_cache(maxsize=1024)
def compile_regex(pattern: str, *, captures: bool = False) -> Any:
    """The expression as RE2's; without `captures` it is faster, and knows no groups. Raises RegexError."""
    options = re2.Options()
    options.log_errors = False
    options.never_capture = not captures
    try:
        return re2.compile(_translated(pattern), options)
    except (re2.error, UnicodeEncodeError) as error:
        text = error.args[0] if error.args else error
        reason = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
        raise RegexError(f"not a regular expression: {reason}") from None


def _translated(pattern: str) -> str:
    """The same for RE2, of what Python writes otherwise."""
    in_class = False

    def piece(found: re.Match[str]) -> str:
        nonlocal in_class
        if found["z"]:
            return r"\z"
        if code := found["u"] or found["U"]:
            return rf"\x{{{code}}}"
        if found["low"]:
            return "_"
        if found["open"] and not in_class:
            in_class = True
        elif found["close"]:
            in_class = False
        elif found["most"] and not in_class:
            return "{0" + found["most"]
        return found[0]

    return _TRANSLATED.sub(piece, pattern)


def _without_classes(pattern: str) -> str:
    r"""The pattern without `[…]` and without escaped punctuation, in which nothing is syntax."""
    return re.sub(r"\\[^\w\s]|\[\^?\]?(?:\\.|[^\]\\])*\]", "", pattern, flags=re.DOTALL)


def regex_fault(pattern: str) -> str:
    """What is wrong with a pattern, naming what of Python's syntax RE2 does without; empty where nothing is."""
    try:
        compile_regex(pattern)
    except RegexError as error:
        if python_fault(pattern):
            return str(error)
        code = _without_classes(pattern)
        missing = next((name for sign, name in _PYTHON_ONLY.items() if re.search(sign, code)), "")
        return f"not a regular expression of RE2, which does without {missing}" if missing else str(error)
    return ""


def python_fault(pattern: str) -> str:
    """Why Python's `re` does not take a pattern; empty where it does."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return str(error) or "nested too deeply"
    return ""
