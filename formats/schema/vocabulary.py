"""Selectors, the words for a value in a message: `header:NAME`, `response.json:PATH`, … One grammar and one error text.

Rule files, redaction, replay and `diff` each allow the kinds that have a meaning there; `diff` adds words for what only
a comparison knows (`status`, `count`, …). `trailer:` and `xml:` are for `diff` alone: redaction looks for a header's
name in trailers too, a replay sends none, and both know XML only by the names of its elements (`name:`). Event types
are in `lifecycle.py`, units of sizes and durations in `text/quantities.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from typing import Final

import msgspec

from mockrec.formats.schema.errors import FormatError

SELECTOR_KINDS: Final = {
    "header": "NAME",
    "trailer": "NAME",
    "cookie": "NAME",
    "query": "NAME",
    "form": "NAME",
    "name": "NAME",
    "json": "PATH",
    "xml": "PATH",
    "text": "REGEX",
}
"""Kind of a selector → what follows its colon."""
VALUE_KINDS: Final = ("header", "cookie", "query", "form", "name", "json", "text")
"""The kinds that rule files, redaction and replay take."""

_SIDES = ("request", "response")
_FORM = re.compile(r"(?:(request|response)\.)?([a-z]+)(?::(.+))?", re.DOTALL)
_MOST_SHOWN = 60
_LIKENESS = 0.7
"""How like a word has to be to be suggested: `heder` is like `header`, `version` is not like `reason`."""


class SelectorError(FormatError, ValueError):
    """A selector with a fault, in a sentence that names what was expected."""


class Selector(msgspec.Struct, frozen=True):
    """A value, or several, in a message."""

    kind: str
    """One of `SELECTOR_KINDS`, or a word."""
    value: str = ""
    """What follows the colon: a name, a path or a regular expression. Empty for a word."""
    side: str = ""
    """`request` or `response`; empty for both."""

    def __str__(self) -> str:
        side = f"{self.side}." if self.side else ""
        return f"{side}{self.kind}:{self.value}" if self.value else f"{side}{self.kind}"

    def is_about(self, side: str) -> bool:
        """Return whether it may select a value of a side. One of neither (the data of a rule-event) counts as both."""
        return not (self.side and side) or self.side == side


def parse_selector(text: str, kinds: Collection[str], words: Collection[str] = ()) -> Selector:
    """Return the selector that a text has, of the allowed kinds and words. Raises `SelectorError`.

    What follows the colon is not looked at: whose path or name it is, checks it.
    """
    match = _FORM.fullmatch(text)
    if match is not None:
        side, kind, value = match[1] or "", match[2], match[3] or ""
        if kind in (kinds if value else words):
            return Selector(kind, value, side)
    raise SelectorError(f"{expected(kinds, words)}, got {_quoted(text)}{_hint(text, kinds, words)}")


def selector_pattern(kinds: Iterable[str]) -> str:
    """Return the beginning of a selector of these kinds as a regular expression, for JSON Schemas."""
    return rf"^(?:(?:request|response)\.)?(?:{'|'.join(kinds)}):"


def expected(kinds: Iterable[str], words: Collection[str] = ()) -> str:
    """Return which selectors are expected, for messages."""
    *others, last = [f"{kind}:{SELECTOR_KINDS[kind]}" for kind in kinds]
    forms = f"expected a selector: {', '.join(others)} or {last}"
    return f"{forms}, or one of the words {', '.join(words)}" if words else forms


def _hint(text: str, kinds: Collection[str], words: Collection[str]) -> str:
    """Return `; did you mean "…"?`, or nothing if no kind or word is near."""
    # Imported here: only mistakes need it.
    from difflib import get_close_matches

    head, colon, value = text.partition(":")
    side, _, kind = head.rpartition(".")
    known = kinds if colon else words
    near = get_close_matches(kind.strip().lower(), [*known], 1, _LIKENESS)
    if not near:
        return ""
    if colon:
        value = value or SELECTOR_KINDS[near[0]]
    meant = Selector(near[0], value, side if side in _SIDES else "")
    return f"; did you mean {_quoted(str(meant))}?"


def _quoted(text: str) -> str:
    return json.dumps(text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 3] + "...", ensure_ascii=False)
