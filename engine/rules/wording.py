"""Values as explanations show them: cut to a readable length, with control characters escaped.

Explanations end up in logs, terminals and HTTP responses.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mockrec.engine.rules.model import Condition

MAX_SHOWN = 120
"""Characters of one value; longer values are cut."""

_MOST_PRINTED = 10_000
"""Characters that are escaped at most; nearly every text is cut much shorter afterwards."""


def shorten(text: str, limit: int = MAX_SHOWN) -> str:
    """`text`, cut to `limit` characters."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def shown(value: Any) -> str:
    """A value as JSON on one line, cut to a readable length."""
    if isinstance(value, str):
        value = value[: MAX_SHOWN + 1]
    return shorten(json.dumps(_plain(value), ensure_ascii=False, default=str))


def printable(text: str) -> str:
    """`text` with control characters and line breaks escaped; only the beginning of a very long one."""
    text = text[:_MOST_PRINTED]
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)


def short(text: str) -> str:
    """`text`, printable and cut to a readable length."""
    return shorten(printable(text))


def pattern_words(pattern: str) -> str:
    """A regular expression between slashes."""
    return f"/{short(pattern)}/"


def expected_words(expected: Any) -> str:
    """An expected value or condition: `"a"`, `including "a"`, `> 3 and < 5`, `absent`."""
    if not isinstance(expected, Condition):
        return shown(expected)
    words = []
    if expected.absent:
        words.append("absent")
    if expected.present:
        words.append("present")
    if expected.equals is not None:
        words.append(shown(expected.equals))
    if expected.regex is not None:
        words.append(f"matching {pattern_words(expected.regex)}")
    if expected.includes is not None:
        words.append(f"including {shown(expected.includes)}")
    for sign, bound in ((">", expected.gt), (">=", expected.gte), ("<", expected.lt), ("<=", expected.lte)):
        if bound is not None:
            words.append(f"{sign} {bound:g}")
    return " and ".join(words) or "present"


def handler_words(handler: str) -> str:
    """`/absolute/handlers.py:name` without its folder."""
    return printable(handler.rpartition("/")[2])


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
