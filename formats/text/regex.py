r"""Regular expressions of RE2, also with some syntax of Python, and messages about syntax that RE2 does not have.

RE2 takes time in proportion to the text, for every pattern; Python's `re` may take exponential time. `\Z`, `\uXXXX`,
`\_` and `{,3}`, which RE2 does not know, are translated.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import re2

from mockrec.formats.text.late_regex import late_regex

_TRANSLATED = late_regex(
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
"""Syntax of Python that RE2 does not have, by an expression for its beginning."""


class RegexError(ValueError):
    """An invalid pattern or replacement; the text is the reason."""


@lru_cache(maxsize=1024)
def compile_regex(pattern: str, *, captures: bool = False) -> Any:
    """Compile a pattern with RE2. Without `captures` it is faster and has no groups. Raises RegexError."""
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
    """The pattern with Python's syntax translated to that of RE2."""
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
    r"""The pattern without `[…]` and without escaped punctuation, whose characters are no syntax."""
    return re.sub(r"\\[^\w\s]|\[\^?\]?(?:\\.|[^\]\\])*\]", "", pattern, flags=re.DOTALL)


def regex_fault(pattern: str) -> str:
    """Why a pattern is invalid, with the name of Python's syntax that RE2 does not have; empty if it is valid."""
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
    """Why a pattern is invalid for Python's `re`; empty if it is valid."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return str(error) or "nested too deeply"
    return ""
