"""The spans of strings in a JSON text: the values that `json:PATH` selects are replaced in the text, not in the parsed
document."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from mockrec.formats.schema.vocabulary import Selector

Location = tuple[int | str, ...]
Span = tuple[int, int]

_TOKEN = re.compile(rb'"((?:[^"\\]|\\.)*)"|[\[\]{},:]', re.DOTALL)


def selected(data: bytes, value: Any, paths: Sequence[tuple[Selector, Any]], side: str) -> list[Span]:
    """Return the spans of the strings (without quotes) that paths select in a JSON text; `value` is the parsed text."""
    wanted: set[Location] = set()
    for one, path in paths:
        if one.is_about(side):
            wanted |= _locations(path, value)
    if not wanted:
        return []
    return [span for location, span in strings(data) if location in wanted]


def _locations(path: Any, value: Any) -> set[Location]:
    import jsonpath_rfc9535

    try:
        return {tuple(node.location) for node in path.find(value) if isinstance(node.value, str)}
    except jsonpath_rfc9535.JSONPathError:  # nested deeper than the library supports
        return set()


def strings(data: bytes) -> Iterator[tuple[Location, Span]]:
    """Yield the location and the span of every string that is a value. `data` is valid JSON."""
    at: list[int | str] = []
    """For each enclosing container the current key or index."""
    is_key = False
    for token in _TOKEN.finditer(data):
        sign = token[0]
        if sign == b"{":
            at.append("")
            is_key = True
        elif sign == b"[":
            at.append(0)
            is_key = False
        elif sign in (b"}", b"]"):
            at.pop()
        elif sign == b",":
            last = at[-1]
            is_key = isinstance(last, str)
            if not isinstance(last, str):
                at[-1] = last + 1
        elif sign == b":":
            is_key = False
        elif is_key:
            at[-1] = str(orjson.loads(sign))
        else:
            yield tuple(at), token.span(1)
