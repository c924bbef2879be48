"""Where strings stand in the text of JSON: what `json:PATH` selects has to be found in the text, not only the value."""

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
    """The strings (without their quotes) that paths select in a JSON text whose value is `value`."""
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
    except jsonpath_rfc9535.JSONPathError:  # nested deeper than the library goes
        return set()


def strings(data: bytes) -> Iterator[tuple[Location, Span]]:
    """Every string that is a value, with where it is in the value and in the text. `data` is valid JSON."""
    at: list[int | str] = []
    """One entry a container around: the key, or the index."""
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
