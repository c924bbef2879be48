"""A value in a request with its position, and its replacement by another value."""

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
"""Containers other than headers, which have indexes from 0."""
_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Slot:
    """One value of a request."""

    container: int
    """The index of a header, or `TARGET` or `BODY`."""
    start: int
    end: int
    codec: str
    """How the text is encoded there; see `_encode`."""
    place: str
    """In the notation of selectors."""
    whole: str
    """The decoded text from `start` to `end`."""
    inner: tuple[int, int]
    """The span of the value in `whole`."""
    inner_codec: str
    """How the value is encoded in `whole`: `raw`, or as a part of a URL (`path`, `query`)."""
    text: str
    """The value."""
    keys: tuple[str, ...]
    """The keys by which it is looked up, the most reliable first."""
    is_link: bool = False
    """Whether it is a whole request target, which may be a link that the client followed."""


def put(request: EditableRequest, values: Sequence[tuple[Slot, str]]) -> None:
    """Put a value into each of these slots; of two overlapping slots, the first in the text is used."""
    by_container: dict[int, list[tuple[Slot, str]]] = {}
    for slot, value in values:
        by_container.setdefault(slot.container, []).append((slot, value))
    for container, found in by_container.items():
        if container == TARGET:
            request.target = _replace_slots(request.target, found)
        elif container == BODY:
            text = _replace_slots(request.body.decode("utf-8", "surrogateescape"), found)
            request.body, request.wire = text.encode("utf-8", "surrogateescape"), None
        else:
            pair = request.raw_headers[container]
            pair[1] = _replace_slots(pair[1], found)


def put_in_message(data: bytes, values: Sequence[tuple[Slot, str]]) -> bytes:
    """Return a WebSocket message with a value put into each of these slots."""
    return _replace_slots(data.decode("utf-8", "surrogateescape"), list(values)).encode("utf-8", "surrogateescape")


def _replace_slots(text: str, values: Sequence[tuple[Slot, str]]) -> str:
    by_span: dict[tuple[int, int], list[tuple[Slot, str]]] = {}
    for slot, value in values:
        by_span.setdefault((slot.start, slot.end), []).append((slot, value))
    found = []
    for (start, end), inside in by_span.items():
        slot = inside[0][0]
        whole = _splice(slot.whole, [(*one.inner, _encode_part(one, value)) for one, value in inside])
        found.append((start, end, _encode(slot.codec, text[start:end], whole)))
    return _splice(text, found)


def _splice(text: str, pieces: list[tuple[int, int, str]]) -> str:
    """Return a text with replacements for the given spans; a span that overlaps an earlier one is skipped."""
    result: list[str] = []
    position = 0
    for start, end, piece in sorted(pieces, key=lambda one: (one[0], -one[1])):
        if start >= position:
            result += text[position:start], piece
            position = end
    return "".join((*result, text[position:]))


def _encode_part(slot: Slot, value: str) -> str:
    if slot.container >= 0:
        value = BREAKS_VALUE.sub("", value)  # line breaks would end the header
    return _encode(slot.inner_codec, slot.whole[slice(*slot.inner)], value)


def _encode(codec: str, old: str, value: str) -> str:
    """Encode a value for the place of `old`, with the same characters unescaped."""
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
