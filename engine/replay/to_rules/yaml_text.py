"""Plain data → YAML as people write it, and as the rule language reads it: every text comes back as it was."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

from mockrec.engine.rules.yaml.scalars import double_quoted

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*")
_PLAIN_IN_BLOCK = re.compile(r"[A-Za-z/][A-Za-z0-9_./;=,+?&@() -]*[A-Za-z0-9_./;=+?&@()-]|[A-Za-z/]")
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_FLOW = 100
"""Characters of a mapping or list that stands in one line."""


def yaml_lines(value: Any, indent: int = 0) -> Iterator[str]:
    """A mapping or a list as a block."""
    pad = " " * indent
    items = value.items() if isinstance(value, Mapping) else ((None, one) for one in value)
    for key, one in items:
        head = f"{pad}-" if key is None else f"{pad}{_key(key)}:"
        if key is not None and len(head) > _FLOW:
            yield f"{pad}? {_key(key)}"  # YAML ends other keys at 1024 characters
            head = f"{pad}:"
        if isinstance(one, str):
            yield from _text_lines(head, one, indent + 2)
            continue
        inside = isinstance(one, (Mapping, list)) and len(one) > 0  # what is empty stands in its line in any case
        flow = _flow(one, _FLOW - len(pad)) if inside else _flow(one, _FLOW)
        if flow is not None:
            yield f"{head} {flow}"
        elif key is None:
            first, *rest = yaml_lines(one, indent + 2)
            yield f"{head} {first.lstrip(' ')}"
            yield from rest
        else:
            yield head
            yield from yaml_lines(one, indent + 2)


def _text_lines(head: str, text: str, indent: int) -> Iterator[str]:
    if not _is_block(text):
        plain = _PLAIN_IN_BLOCK.fullmatch(text) and text.lower() not in _WORDS and ": " not in text and " #" not in text
        yield f"{head} {text if plain else quoted_text(text)}"
        return
    ends = len(text) - len(text.rstrip("\n"))
    yield f"{head} {('|-', '|', '|+')[min(ends, 2)]}"
    for line in text.removesuffix("\n").replace("${", "$${").split("\n"):
        yield f"{' ' * indent}{line}" if line else ""


def _is_block(text: str) -> bool:
    """Whether a text can stand as it is, in lines of its own (a literal block scalar)."""
    lines = text.rstrip("\n").split("\n")
    if "\n" not in text or not lines[0].strip() or not lines[-1].strip() or lines[0][0] in " \t":
        return False
    return all(line.isprintable() and (not line or line.strip()) for line in lines)


def quoted_text(text: str) -> str:
    """In single quotes where that reads better, otherwise in double ones."""
    if text.isascii() and text.isprintable() and '"' in text and "'" not in text and "${" not in text:
        return f"'{text}'"
    pieces = [double_quoted(piece)[1:-1] for piece in _BREAKS.split(text)]
    breaks = [_ESCAPES[found] for found in _BREAKS.findall(text)]
    return '"' + "".join(map("".join, zip_longest(pieces, breaks, fillvalue=""))) + '"'


_BREAKS = re.compile(r"[\n\r\t]")
_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _key(key: str) -> str:
    return key if _KEY.fullmatch(key) and key.lower() not in _WORDS else double_quoted(key).replace("$${", "${")


def _flow(value: Any, room: int) -> str | None:
    """In one line; None for a text of several lines in it, and where it is not shorter than `room`.

    No more is looked at than fits into the room: every level of a deep value is asked in turn.
    """
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        if "\n" in value:
            return None
        return value if _PLAIN.fullmatch(value) and value.lower() not in _WORDS else quoted_text(value)
    named = isinstance(value, Mapping)
    parts: list[str] = []
    length = 2
    for key, one in value.items() if named else ((None, one) for one in value):
        if key is not None and len(key) > _FLOW:
            return None
        inner = _flow(one, room - length)
        if inner is None:
            return None
        parts.append(inner if key is None else f"{_key(key)}: {inner}")
        length += len(parts[-1]) + 2 * (len(parts) > 1)
        if length >= room:
            return None
    text = ", ".join(parts)
    return f"{{{text}}}" if named else f"[{text}]"
