"""Scan a JSON document for strings and numbers with the path of each, without building the document.

Linear, with a stack instead of recursion. Syntax errors are not reported, because this only searches for values.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_TOKENS: Final = re.compile(r'[{}\[\],:]|"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*', re.DOTALL)
_DEEPEST: Final = 64
_PLAIN_KEY: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)


@dataclass(slots=True)
class Level:
    """An open object or array, and the position of the scanner in it."""

    is_array: bool
    index: int = 0
    key: str = ""
    expects_key: bool = False


@dataclass(slots=True)
class JsonScalar:
    """One string (a value or a member name) or number."""

    text: str
    start: int
    end: int
    """`start` and `end` delimit the text inside the quotes, or the number: the part that is replaced."""
    is_text: bool
    is_key: bool
    levels: list[Level]
    """The open levels of the scanner; valid only until the next scalar is requested."""

    @property
    def path(self) -> str:
        """Build the JSONPath of the value."""
        steps = ["$"]
        for level in self.levels:
            if level.is_array:
                steps.append(f"[{level.index}]")
            elif _PLAIN_KEY.fullmatch(level.key):
                steps.append(f".{level.key}")
            else:
                steps.append(f"[{json.dumps(level.key, ensure_ascii=False)}]")
        return "".join(steps)


def scalars(text: str, start: int = 0, end: int | None = None) -> Iterator[JsonScalar]:
    """Yield the scalars of the JSON document at `text[start:end]` in order."""
    levels: list[Level] = []
    too_deep = 0
    for found in _TOKENS.finditer(text, start, len(text) if end is None else end):
        token = found[0]
        if token in "{[":
            if len(levels) >= _DEEPEST:
                too_deep += 1
            else:
                levels.append(Level(token == "[", expects_key=token == "{"))
        elif token in "}]":
            if too_deep:
                too_deep -= 1
            elif levels:
                levels.pop()
        elif too_deep:
            continue
        elif token == ",":
            if levels:
                levels[-1].index += 1
                levels[-1].expects_key = not levels[-1].is_array
        elif token == ":":
            if levels:
                levels[-1].expects_key = False
        elif token[0] == '"':
            value = _decoded(token)
            is_key = bool(levels) and levels[-1].expects_key
            if is_key:
                levels[-1].key = value
            yield JsonScalar(value, found.start() + 1, found.end() - 1, True, is_key, levels)
        else:
            yield JsonScalar(token, found.start(), found.end(), False, False, levels)


def _decoded(token: str) -> str:
    if "\\" not in token:
        return token[1:-1]
    try:
        return str(json.loads(token, strict=False))
    except ValueError:
        return token[1:-1]
