"""Look up requests whose recordings hold redaction marks, each of which matches any value.

The places with marks are a *layout*. Match keys are hashed with those places blanked. So a request is hashed once for
each layout of its path, regardless of how many recordings share the layout.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from mockrec.engine.replay.session.editable import MARK
from mockrec.engine.replay.session.fingerprint import MatchKey, in_order

_BLANK: Final = "\0"
"""The replacement of a mark in a hashed text. No request contains it."""

Step = str | int
Layout = tuple[tuple[tuple[Step, ...], str], ...]
"""Places with marks, each with its text after blanking."""


def layout_of(facts: MatchKey) -> Layout:
    """Return the layout of the marks in a match key; empty if it has none.

    A path is split into segments, so `/u/MARK/a` and `/u/MARK/b` have the same layout.
    """
    return tuple(
        [(place, MARK.sub(_BLANK, text)) for place, text in _texts(_in_segments(facts), ()) if MARK.search(text)]
    )


def _in_segments(facts: MatchKey) -> MatchKey:
    path = facts.get("path")
    return {**facts, "path": path.split("/")} if isinstance(path, str) else facts


def _texts(found: Any, place: tuple[Step, ...]) -> Iterator[tuple[tuple[Step, ...], str]]:
    if isinstance(found, str):
        if "redacted-" in found:
            yield place, found
    elif isinstance(found, dict):
        for name, one in found.items():
            yield from _texts(one, (*place, name))
    elif isinstance(found, list):
        for index, one in enumerate(found):
            yield from _texts(one, (*place, index))


def blanked(facts: MatchKey, layout: Layout) -> MatchKey | None:
    """Return a match key with the places of a layout blanked.

    None if the key lacks one of the places, or if the text around a mark differs.
    """
    try:
        return _with(_in_segments(facts), layout)  # type: ignore[no-any-return]
    except _LayoutMismatch:
        return None


class _LayoutMismatch(Exception):
    """The match key does not fit the layout."""


def _with(found: Any, places: Iterable[tuple[tuple[Step, ...], str]]) -> Any:
    inner: dict[Step, list[tuple[tuple[Step, ...], str]]] = {}
    for place, text in places:
        if not place:
            return _blank(found, text)
        inner.setdefault(place[0], []).append((place[1:], text))
    if isinstance(found, dict):
        if not inner.keys() <= found.keys():
            raise _LayoutMismatch
        return {name: _with(one, inner[name]) if name in inner else one for name, one in found.items()}
    if isinstance(found, list):
        if any(not isinstance(index, int) or index >= len(found) for index in inner):
            raise _LayoutMismatch
        return [_with(one, inner[index]) if index in inner else one for index, one in enumerate(found)]
    raise _LayoutMismatch


def _blank(found: Any, text: str) -> str:
    """Blank a value: all of it, or the text between the recorded pieces. Raises _Unlike."""
    if text == _BLANK:
        return text
    if not isinstance(found, str) or not in_order(re.split(_BLANK, text), found):
        raise _LayoutMismatch
    return text
