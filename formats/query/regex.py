"""Regular expressions with the syntax and meaning of RE2, also where Python's `re` runs (`text/short_regex.py`)."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import re2

from mockrec.formats.text.short_regex import common_subset, for_short_texts

MAX_PATTERN = 1000
"""Characters of a pattern."""


def problem(pattern: str) -> str:
    """Why a pattern is invalid in RE2; empty if it is valid."""
    if len(pattern) > MAX_PATTERN:
        return f"the pattern has {len(pattern)} characters, more than {MAX_PATTERN}"
    if common_subset(pattern) is not None:
        return ""
    try:
        _compiled(pattern, ignore_case=False)
    except re2.error as error:
        text = error.args[0]
        return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
    return ""


def matcher(pattern: str, *, ignore_case: bool) -> Callable[[str], bool]:
    """A function that returns whether a text contains a match of the pattern."""
    found = _by_re2(pattern, ignore_case)
    quick = for_short_texts(pattern, ignore_case=ignore_case)
    if quick is None:
        return found

    def search_either(text: str) -> bool:
        answer = quick(text)
        return found(text) if answer is None else answer

    return search_either


def _by_re2(pattern: str, ignore_case: bool) -> Callable[[str], bool]:
    search = _compiled(pattern, ignore_case=ignore_case).search
    return lambda text: search(text.encode("utf-8", "surrogatepass")) is not None


@lru_cache(maxsize=256)
def _compiled(pattern: str, *, ignore_case: bool) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.case_sensitive = not ignore_case
    return re2.compile(pattern, options)
