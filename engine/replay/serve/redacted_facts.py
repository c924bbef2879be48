"""Redaction marks in recorded facts, which stand for any value: how a request is looked up that may be meant by one.

The places with marks are a *layout*. Facts are hashed with those places blanked, so a recording is found by hashing a
request once for each layout of its path, however many recordings share it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from mockrec.engine.replay.session.editable import MARK
from mockrec.engine.replay.session.fingerprint import MatchKey, in_order

_BLANK: Final = "\0"
"""What stands for a mark in a text that is hashed: no request has it."""

Step = str | int
Layout = tuple[tuple[tuple[Step, ...], str], ...]
"""Places, and the text of each with its marks blanked."""


def layout_of(facts: MatchKey) -> Layout:
    """Where facts have marks; empty: nowhere.

    A path has its places by segment, so that `/u/MARK/a` and `/u/MARK/b` have one layout.
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
    """Facts with the places of a layout blanked; None where they have no such places, or other texts around them."""
    try:
        return _with(_in_segments(facts), layout)  # type: ignore[no-any-return]
    except _Unlike:
        return None


class _Unlike(Exception):
    """The facts have no such place."""


def _with(found: Any, places: Iterable[tuple[tuple[Step, ...], str]]) -> Any:
    inner: dict[Step, list[tuple[tuple[Step, ...], str]]] = {}
    for place, text in places:
        if not place:
            return _blank(found, text)
        inner.setdefault(place[0], []).append((place[1:], text))
    if isinstance(found, dict):
        if not inner.keys() <= found.keys():
            raise _Unlike
        return {name: _with(one, inner[name]) if name in inner else one for name, one in found.items()}
    if isinstance(found, list):
        if any(not isinstance(index, int) or index >= len(found) for index in inner):
            raise _Unlike
        return [_with(one, inner[index]) if index in inner else one for index, one in enumerate(found)]
    raise _Unlike


def _blank(found: Any, text: str) -> str:
    """What is blanked in a value: all of it, or what stands between the recorded pieces."""
    if text == _BLANK:
        return text
    if not isinstance(found, str) or not in_order(re.split(_BLANK, text), found):
        raise _Unlike
    return text
