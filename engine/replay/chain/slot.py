"""A value in a request, and another one put in its place."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote
from xml.sax.saxutils import escape

from mockrec.engine.replay.session.editable import EditableRequest
from mockrec.engine.wire.syntax import BREAKS_VALUE

TARGET: Final = -1
BODY: Final = -2
_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Slot:
    """One value of a request."""

    container: int
    """A header by its number, or `TARGET` or `BODY`."""
    start: int
    end: int
    codec: str
    """How the text is written there; see `_written`."""
    place: str
    """As a selector."""
    whole: str
    """What stands there, decoded."""
    inner: tuple[int, int]
    """Where in that the value is."""
    inner_codec: str
    """How the value is written in it: `raw`, or as a part of a URL (`path`, `query`)."""
    text: str
    """The value."""
    keys: tuple[str, ...]
    """Under which it is looked for, the surest first."""
    is_link: bool = False
    """Whether it is all of a target, which may be a link that was followed."""


def put(draft: EditableRequest, values: Sequence[tuple[Slot, str]]) -> None:
    """Put a value into each of these slots; of two that overlap, the first one counts."""
    by_container: dict[int, list[tuple[Slot, str]]] = {}
    for slot, value in values:
        by_container.setdefault(slot.container, []).append((slot, value))
    for container, found in by_container.items():
        if container == TARGET:
            draft.target = _changed(draft.target, found)
        elif container == BODY:
            text = _changed(draft.body.decode("utf-8", "surrogateescape"), found)
            draft.body, draft.wire = text.encode("utf-8", "surrogateescape"), None
        else:
            pair = draft.raw_headers[container]
            pair[1] = _changed(pair[1], found)


def put_in_message(data: bytes, values: Sequence[tuple[Slot, str]]) -> bytes:
    """The same in a message of a WebSocket."""
    return _changed(data.decode("utf-8", "surrogateescape"), list(values)).encode("utf-8", "surrogateescape")


def _changed(text: str, values: Sequence[tuple[Slot, str]]) -> str:
    by_span: dict[tuple[int, int], list[tuple[Slot, str]]] = {}
    for slot, value in values:
        by_span.setdefault((slot.start, slot.end), []).append((slot, value))
    found = []
    for (start, end), inside in by_span.items():
        slot = inside[0][0]
        whole = _spliced(slot.whole, [(*one.inner, _part(one, value)) for one, value in inside])
        found.append((start, end, _written(slot.codec, text[start:end], whole)))
    return _spliced(text, found)


def _spliced(text: str, pieces: list[tuple[int, int, str]]) -> str:
    """A text with others in place of some of its pieces."""
    result: list[str] = []
    position = 0
    for start, end, piece in sorted(pieces, key=lambda one: (one[0], -one[1])):
        if start >= position:
            result += text[position:start], piece
            position = end
    return "".join((*result, text[position:]))


def _part(slot: Slot, value: str) -> str:
    if slot.container >= 0:
        value = BREAKS_VALUE.sub("", value)  # what would end the header
    return _written(slot.inner_codec, slot.whole[slice(*slot.inner)], value)


def _written(codec: str, old: str, value: str) -> str:
    """A text as it is written where `old` stands."""
    match codec:
        case "path":
            return quote(value, safe="".join({c for c in old if not c.isalnum() and c not in "%/?#"}))
        case "query":
            return quote(value, safe="".join({c for c in old if not c.isalnum() and c not in "%+&#;"}))
        case "text":
            return json.dumps(value, ensure_ascii=old.isascii())[1:-1]
        case "number":
            return value if _NUMBER.fullmatch(value) else json.dumps(value)
        case "xml":
            return escape(value)
        case "basic":
            return base64.b64encode(value.encode("utf-8", "surrogateescape")).decode("ascii")
        case _:
            return value
