"""Find the values of a request that may come from a response, each as a slot."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from mockrec.engine.replay.chain.answer_values import cookie_key, link_key, name_key, named_key, own_name, strong_key
from mockrec.engine.replay.chain.json_scan import scalars
from mockrec.engine.replay.chain.names import LONGEST, entity_of_path, is_of_secret, is_strong, is_worth, name_of
from mockrec.engine.replay.chain.slot import BODY, TARGET, Slot
from mockrec.engine.replay.chain.urls import fields, is_link, url_parts
from mockrec.engine.replay.session.editable import MARK, EditableRequest

LARGEST: Final = 1024 * 1024
"""The largest body that is searched for values, in bytes."""
_IGNORED_HEADERS: Final = frozenset({
    "host", "content-length", "content-type", "content-encoding", "transfer-encoding", "user-agent", "accept",
    "accept-encoding", "accept-language", "accept-charset", "connection", "keep-alive", "date", "origin", "te",
    "upgrade", "expect", "range", "dnt", "priority", "cache-control", "pragma",
    "sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions",
})  # fmt: skip
_CONDITIONS: Final = {
    "if-none-match": "etag", "if-match": "etag", "if-range": "etag",
    "if-modified-since": "last-modified", "if-unmodified-since": "last-modified",
}  # fmt: skip
_ETAG: Final = re.compile(r'(?:W/)?"[^"]*"')
_RUN: Final = re.compile(r"[\w\-.~+/=]{8,}", re.ASCII)
_WORD: Final = re.compile(r"[A-Za-z0-9_\-]{8,}")
_BOUNDARY: Final = re.compile(r'boundary="?([^";,]{1,200})', re.IGNORECASE)
_PART_NAME: Final = re.compile(r'(?<![\w*])name="([^"]{0,200})"', re.IGNORECASE)
_MOST_WORDS: Final = 64
"""The most words of one text that are examined."""
_SHORTEST_WORD: Final = 8
_LONGEST_FIELD: Final = 16 * 1024


@dataclass(slots=True)
class _Span:
    """The position and the encoding of a text in a request."""

    container: int
    start: int
    end: int
    codec: str
    place: str

    def slot(self, text: str, keys: tuple[str, ...]) -> Slot:
        """Return a slot whose value is the whole text."""
        return Slot(
            self.container, self.start, self.end, self.codec, self.place, text, (0, len(text)), "raw", text, keys
        )

    def inner(self, whole: str, start: int, end: int, codec: str, text: str, keys: tuple[str, ...]) -> Slot:
        """Return a slot whose value is a part of the text."""
        return Slot(
            self.container, self.start, self.end, self.codec, self.place, whole, (start, end), codec, text, keys
        )


def slots_of(request: EditableRequest) -> Iterator[Slot]:
    """Yield a slot for each value of a request that may come from a response."""
    target = request.target
    path = target.partition("?")[0]
    whole = _Span(TARGET, 0, len(target), "raw", "url").slot(target, (link_key(target),))
    yield replace(whole, is_link=True)
    for part in url_parts(target):
        span = _Span(TARGET, part.start, part.end, *(("query", part.place) if part.is_query else ("path", "url")))
        yield from _values(span, part.text, part.name)
    for number, (name, value) in enumerate(request.raw_headers):
        lower = name.lower()
        if lower not in _IGNORED_HEADERS and not lower.startswith((":", "sec-ch-", "sec-fetch-")):
            yield from _in_header(number, lower, value, path)
    if request.body and len(request.body) <= LARGEST:
        yield from _in_body(request, entity_of_path(path))


def message_slots(data: bytes) -> Iterator[Slot]:
    """Yield a slot for each value of a WebSocket message that may come from a response."""
    if data and len(data) <= LARGEST:
        text = data.decode("utf-8", "surrogateescape")
        yield from _in_json(text, 0, len(text), "") if text.lstrip()[:1] in ("{", "[", '"') else _runs(text, "raw")


def _keys(text: str, name: str) -> tuple[str, ...]:
    named = (named_key(name, text),) if is_worth(name, text) else ()
    if not is_strong(text):
        return named
    by_name = (name_key(name),) if named and is_of_secret(name) and MARK.fullmatch(text) else ()
    return (*named, strong_key(text), *by_name)


def _values(span: _Span, text: str, name: str) -> Iterator[Slot]:
    """Yield the slot of a value, and those of its parts: the parts of a link, or the strong words of a longer text."""
    if len(text) > LONGEST:
        return
    if keys := _keys(text, name):
        yield span.slot(text, keys)
    if is_link(text):
        for part in url_parts(text):
            if keys := _keys(part.text, part.name):
                codec = "query" if part.is_query else "path"
                yield span.inner(text, part.start, part.end, codec, part.text, keys)
    elif len(text) > _SHORTEST_WORD:
        for found in islice(_WORD.finditer(text), _MOST_WORDS):  # such as the hash in app.3fa94c21.js
            if found[0] != text and is_strong(found[0]):
                yield span.inner(text, *found.span(), "raw", found[0], (strong_key(found[0]),))


def _in_header(number: int, name: str, value: str, path: str) -> Iterator[Slot]:
    span = _Span(number, 0, len(value), "raw", f"header:{name}")
    if name == "cookie":
        yield from _in_cookies(number, value)
    elif name in _CONDITIONS:
        kind = f"{_CONDITIONS[name]} {path}"
        found = [match.span() for match in islice(_ETAG.finditer(value), _MOST_WORDS)] if kind[0] == "e" else []
        for start, end in found or [(0, len(value))]:
            yield span.inner(value, start, end, "raw", value[start:end], (named_key(kind, value[start:end]),))
    elif name in ("authorization", "proxy-authorization"):
        scheme, _, token = value.partition(" ")
        start = len(scheme) + 1 if token else 0
        rest = _Span(number, start, len(value), "raw", span.place)
        if scheme.lower() != "basic" or (both := _credentials(token)) is None:
            yield from _values(rest, value[start:], "authorization")
        else:
            basic = replace(rest, codec="basic")
            colon = both.index(":")
            for first, last, own in ((0, colon, "userid"), (colon + 1, len(both), "token")):
                if keys := _keys(both[first:last], own):
                    yield basic.inner(both, first, last, "raw", both[first:last], keys)
    else:
        yield from _values(span, value, name_of(name.removeprefix("x-"), entity_of_path(path)))


def _in_cookies(number: int, value: str) -> Iterator[Slot]:
    at = 0
    for pair in value.split(";"):
        left, equals, text = pair.partition("=")
        name, text = left.strip(), text.strip()
        if equals and text:
            start = at + len(left) + 1 + pair[len(left) + 1 :].index(text)
            keys = cookie_key(name, text), *((strong_key(text),) if is_strong(text) else ())
            yield _Span(number, start, start + len(text), "raw", f"cookie:{name}").slot(text, keys)
        at += len(pair) + 1


def _credentials(token: str) -> str | None:
    """Return `user:password` of basic authentication; None if the token is malformed."""
    try:
        both = base64.b64decode(token, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None
    return both if ":" in both else None


# ── bodies ─────────────────────────────────────────────────────────────────────────────────────────


def _in_body(request: EditableRequest, entity: str) -> Iterator[Slot]:
    media = request.header("content-type")
    text = request.body.decode("utf-8", "surrogateescape")
    boundary = _BOUNDARY.search(media) if "multipart/" in media.lower() else None
    if request.is_form:
        for part in fields(text, 0, entity):
            span = _Span(BODY, part.start, part.end, "query", part.place.replace("query:", "form:", 1))
            yield from _values(span, part.text, part.name)
    elif boundary:
        yield from _in_parts(text, boundary[1].strip(), entity)
    elif text[:64].lstrip("\ufeff \t\r\n")[:1] in ("{", "[", '"') or "json" in media.lower():
        yield from _in_json(text, 0, len(text), entity)
    elif "\0" not in text[:1024]:
        yield from _runs(text, "xml" if "xml" in media.lower() or text.lstrip()[:1] == "<" else "raw")


def _in_json(text: str, start: int, end: int, entity: str) -> Iterator[Slot]:
    for one in scalars(text, start, end):
        key, parent = own_name(one.levels)
        name = name_of(key, parent or entity) if key and not one.is_key else ""
        span = _Span(BODY, one.start, one.end, "text" if one.is_text else "number", "")
        found = list(_values(span, one.text, name))
        if found:  # building the path costs more than these checks
            place = f"json:{one.path}"
            for slot in found:
                yield replace(slot, place=place)


def _in_parts(text: str, boundary: str, entity: str) -> Iterator[Slot]:
    """Yield the slots in the fields of a multipart body; files are skipped."""
    at = 0
    for piece in text.split(f"--{boundary}"):
        head, blank, content = piece.partition("\r\n\r\n")
        start = at + len(head) + len(blank)
        at += len(piece) + len(boundary) + 2
        if not blank or max(len(head), len(content)) > _LONGEST_FIELD or "filename" in head.lower():
            continue
        content = content.removesuffix("\r\n")
        found = _PART_NAME.search(head)
        own = found[1] if found else ""
        if "json" in head.lower():
            yield from _in_json(text, start, start + len(content), entity)
        else:
            span = _Span(BODY, start, start + len(content), "raw", f"part:{own}")
            yield from _values(span, content, name_of(own, entity))


def _runs(text: str, codec: str) -> Iterator[Slot]:
    """Yield a slot for each strong value in a plain text."""
    for found in _RUN.finditer(text):
        if is_strong(found[0]):
            yield _Span(BODY, *found.span(), codec, "body").slot(found[0], (strong_key(found[0]),))
