"""Match keys: the parts of a request that select a recording, as plain data to compare, hash and print.

Recorded and live requests get match keys of the same form. A redaction mark in a recorded one matches any value.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from mockrec.engine.replay.session.editable import MARK, MAX_DEPTH, shallow_json
from mockrec.engine.rules.json_paths import compile_path
from mockrec.engine.rules.matching.request import FORM_TYPE, RequestView
from mockrec.engine.wire.multipart import Part, header_parameter, parse_parts
from mockrec.formats.schema.vocabulary import Selector
from mockrec.formats.text.json import is_deeper
from mockrec.formats.text.regex import compile_regex

MatchKey = dict[str, Any]

ANYTHING = "redacted-00000000"
"""A recorded value that matches every value."""
DEFAULT_MATCH = ("method", "url", "body")
MATCH_WORD = re.compile(r"method|url|path|query|body|json|host|headers:\S+")
_DEEPEST_PART = 4
"""Levels of nested multipart that are parsed (a batch with change sets has two)."""
_LONGEST_TEXT = 256 * 1024
"""The most bytes of a text in a match key; a longer one is represented by its size and hash."""


@dataclass(frozen=True, slots=True)
class MatchOptions:
    """The parts of a request that are compared, and the values that are ignored."""

    by: tuple[str, ...] = DEFAULT_MATCH
    """The compared parts: `method`, `url`, `path`, `query`, `body`, `json`, `host`, `headers:NAME`."""
    ignore: tuple[Selector, ...] = ()
    strict: bool = False
    """Whether volatile values are compared too (`volatile.py`)."""

    @property
    def needs_body(self) -> bool:
        """Whether the match key contains the body."""
        return "body" in self.by or "json" in self.by


def match_key_of(request: RequestView, match: MatchOptions, *, cut: bool = False) -> MatchKey:
    """Return the match key of a request; a compared body must be complete. `cut`: the recorded body is truncated."""
    key: MatchKey = {"websocket": request.websocket}
    for word in match.by:
        if word == "method":
            key["method"] = request.method
        elif word in ("url", "path", "query"):
            if word != "query":
                key["path"] = request.path
            if word != "path":
                key["query"] = {name: list(values) for name, values in request.query.items()}
        elif word.startswith("headers:"):
            name = word.removeprefix("headers:").lower()
            key.setdefault("header", {})[name] = request.headers.get(name)
        elif word in ("body", "json") and not request.websocket:
            key["body"] = ANYTHING if cut else _body(request, as_json=word == "json")
    ignored = [selector for selector in match.ignore if selector.is_about("request")]
    body = key.get("body")
    if isinstance(body, dict) and "json" in body:
        paths = [selector.value for selector in ignored if selector.kind == "json"]
        body["json"] = _without_paths(body["json"], paths) if paths else body["json"]
    for selector in ignored:
        _leave_out(key, selector)
    return key


def _body(request: RequestView, *, as_json: bool) -> Any:
    try:
        data = request.body
    except ValueError:
        return {"undecodable": True}
    if not data:
        return {"text": ""}
    kind = request.content_type.lower()
    if as_json or "json" in kind:
        try:
            document = request.json
            if not is_deeper(document, MAX_DEPTH):
                return {"json": document}
        except ValueError:
            pass
    if FORM_TYPE in kind and _is_form(request.form):
        return {"form": dict(request.form)}
    if kind.startswith("multipart/"):
        return _multipart(data, request.content_type, request.multipart, 0)
    return {"text": _content(data)}


def _multipart(data: bytes, content_type: str, fields: Sequence[Part], depth: int) -> dict[str, Any]:
    """Return the parts of a multipart body, because its boundary differs each time. `fields`: the parts of a form."""
    if fields:
        return {"part": [[part.name, part.filename, _content(part.content)] for part in fields]}
    parts = parse_parts(data, content_type)
    if parts:
        return {"parts": [_part(part, depth + 1) for part in parts]}
    boundary = (header_parameter(content_type, "boundary") or "").encode("utf-8", "surrogateescape")
    return {"text": _content(data.replace(boundary, b"boundary") if boundary else data)}


def _part(part: Part, depth: int) -> dict[str, Any]:
    """Return a part of `multipart/related`, `mixed` etc., without its `Content-ID`, which changes as boundaries do."""
    content_type = part.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    named = {"name": part.name, "filename": part.filename}
    attributes: dict[str, Any] = {"type": kind} | {name: value for name, value in named.items() if value is not None}
    content: dict[str, Any] | None = None
    if kind.startswith("multipart/") and depth < _DEEPEST_PART:
        content = _multipart(part.content, content_type, (), depth)
    elif "json" in kind:
        try:
            content = {"json": shallow_json(part.content)}
        except ValueError:
            pass
    return {**attributes, "content": content or {"text": _content(part.content)}}


def _is_form(fields: Mapping[str, list[str]]) -> bool:
    """Whether the form was decoded without loss: curl labels any data as a form."""
    return not any("\ufffd" in text for name, values in fields.items() for text in (name, *values))


def _content(data: bytes) -> str:
    if len(data) <= _LONGEST_TEXT:
        try:
            return data.decode()
        except UnicodeDecodeError:
            pass
    return f"{len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}"


def text_of(key: MatchKey) -> str:
    """Return a match key as JSON; equal match keys give the same text."""
    try:
        data = orjson.dumps(key, option=orjson.OPT_SORT_KEYS)
        if b"null" not in data:  # orjson writes infinity as null (1e999 in a body)
            return data.decode()
    except TypeError:  # large numbers, lone surrogates
        pass
    return json.dumps(key, sort_keys=True, ensure_ascii=True, separators=(",", ":"))


def key_of(key: MatchKey) -> bytes:
    """Return the hash of a match key; equal match keys have equal hashes."""
    return hashlib.blake2b(text_of(key).encode(), digest_size=16).digest()


def has_marks(key: MatchKey) -> bool:
    """Whether a recorded match key contains a redaction mark, which matches any value."""
    text = json.dumps(key, ensure_ascii=True)
    return "redacted-" in text and MARK.search(text) is not None


_CONTAINERS = (dict, list)


# ── comparing ──────────────────────────────────────────────────────────────────────────────────────


def fits(recorded: Any, live: Any) -> bool:
    """Whether a value equals the recorded one, or is one that its redaction marks match."""
    return next(differences(recorded, live), None) is None


def differences(recorded: Any, live: Any, place: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield each place that differs with both values; `...` is a value that one side does not have."""
    # Documents are compared value by value: Python takes 1, 1.0 and True for equal.
    if recorded is live or (recorded == live and type(recorded) is type(live) and not isinstance(live, _CONTAINERS)):
        return
    if isinstance(recorded, str) and MARK.search(recorded):
        if MARK.fullmatch(recorded):
            if live is not ...:
                return
        elif isinstance(live, str) and in_order(MARK.split(recorded), live):
            return
    elif isinstance(recorded, dict) and isinstance(live, dict):
        for name in [*recorded, *(name for name in live if name not in recorded)]:
            yield from differences(recorded.get(name, ...), live.get(name, ...), _inside(place, name))
        return
    elif isinstance(recorded, list) and isinstance(live, list) and len(recorded) == len(live):
        for index, (one, other) in enumerate(zip(recorded, live, strict=True)):
            if place == "part" and one[:2] == other[:2] and one[0]:
                yield from differences(one[2], other[2], f"form:{one[0]}")
            else:
                # The only value of a query or form field needs no number; an item of JSON has one.
                is_alone = len(recorded) == 1 and not place.startswith("json:")
                yield from differences(one, other, place if is_alone else f"{place}[{index}]")
        return
    yield place, recorded, live


def in_order(pieces: Sequence[str], text: str) -> bool:
    """Whether a text consists of these pieces in order, with any text between them."""
    first, *between, last = pieces
    if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
        return False
    position, end = len(first), len(text) - len(last)
    for piece in between:
        position = text.find(piece, position, end) + len(piece)  # the first match leaves most text for the next pieces
        if position < len(piece):
            return False
    return True


_SELECTOR_KINDS = ("query", "header")


def _inside(place: str, name: Any) -> str:
    """Join a place and a name: `query` + `a` → `query:a`, `body` + `json` → `json:$`, `json:$` + `a` → `json:$.a`."""
    if not place:
        return str(name)
    if place == "body":
        return "json:$" if name == "json" else str(name) if name in ("form", "part", "parts") else "body"
    if place in _SELECTOR_KINDS or place == "form":
        return f"{place}:{name}"
    return f"{place}.{name}" if re.fullmatch(r"[A-Za-z_]\w*", str(name)) else f"{place}[{json.dumps(name)}]"


# ── ignoring ───────────────────────────────────────────────────────────────────────────────────────


def _leave_out(key: MatchKey, selector: Selector) -> None:
    kind, name = selector.kind, selector.value
    body = key.get("body")
    body = body if isinstance(body, dict) else {}
    if kind in ("query", "name") and "query" in key:
        key["query"].pop(name, None)
    if kind in ("header", "name") and "header" in key:
        key["header"].pop(name.lower(), None)
    if kind == "cookie" and key.get("header", {}).get("cookie"):
        cookies = [cookie.strip() for cookie in key["header"]["cookie"].split(";")]
        key["header"]["cookie"] = "; ".join(cookie for cookie in cookies if cookie.partition("=")[0] != name)
    if kind in ("form", "name"):
        body.get("form", {}).pop(name, None)
        if "part" in body:
            body["part"] = [part for part in body["part"] if part[0] != name]
    if kind == "name" and "json" in body:
        body["json"] = _without_name(body["json"], name)
    if kind == "text":
        key.update(_without_text(key, compile_regex(name, captures=True)))


def _without_paths(document: Any, paths: Sequence[str]) -> Any:
    """Return a copy of a JSON document without the values at these JSONPaths, each evaluated on the whole document."""
    document = json.loads(json.dumps(document))  # the document of the request must not change
    locations = {node.location for path in paths for node in compile_path(path).find(document)}
    # In reverse order: removing one value must not shift the indexes of those still to be removed.
    for location in sorted(locations, key=_sort_key, reverse=True):
        if not location:
            return None
        parent = document
        for step in location[:-1]:
            parent = parent[step]
        del parent[location[-1]]
    return document


def _sort_key(location: tuple[int | str, ...]) -> list[tuple[int, str]]:
    return [(step, "") if isinstance(step, int) else (-1, step) for step in location]


def _without_name(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {key: _without_name(item, name) for key, item in value.items() if key != name}
    return [_without_name(item, name) for item in value] if isinstance(value, list) else value


def _without_text(value: Any, pattern: Any) -> Any:
    if isinstance(value, str):
        return pattern.sub("", value)
    if isinstance(value, dict):
        return {key: _without_text(item, pattern) for key, item in value.items()}
    return [_without_text(item, pattern) for item in value] if isinstance(value, list) else value
