"""What of a request counts when a recording is looked for, as plain data that can be compared, hashed and told.

The same facts are made of recorded requests and of those that come; a redaction mark in a recorded one stands for any
value.
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
"""A fact that every value fits."""
DEFAULT_MATCH = ("method", "url", "body")
MATCH_WORD = re.compile(r"method|url|path|query|body|json|host|headers:\S+")
_DEEPEST_PART = 4
"""Levels of multipart inside multipart that are taken apart (a batch with change sets has two)."""
_LONGEST_TEXT = 256 * 1024
"""Bytes of a body that is told in words; of longer ones only the hash counts."""


@dataclass(frozen=True, slots=True)
class MatchOptions:
    """What has to be the same, and what does not count."""

    by: tuple[str, ...] = DEFAULT_MATCH
    """Words: `method`, `url`, `path`, `query`, `body`, `json`, `host`, `headers:NAME`."""
    ignore: tuple[Selector, ...] = ()
    strict: bool = False
    """Whether what is volatile by nature counts as well (`volatile.py`)."""

    @property
    def needs_body(self) -> bool:
        return "body" in self.by or "json" in self.by


def match_key_of(request: RequestView, match: MatchOptions, *, cut: bool = False) -> MatchKey:
    """The facts of a request, complete with its body if that counts; `cut`: its body was not recorded whole."""
    facts: MatchKey = {"websocket": request.websocket}
    for word in match.by:
        if word == "method":
            facts["method"] = request.method
        elif word in ("url", "path", "query"):
            if word != "query":
                facts["path"] = request.path
            if word != "path":
                facts["query"] = {name: list(values) for name, values in request.query.items()}
        elif word.startswith("headers:"):
            name = word.removeprefix("headers:").lower()
            facts.setdefault("header", {})[name] = request.headers.get(name)
        elif word in ("body", "json") and not request.websocket:
            facts["body"] = ANYTHING if cut else _body(request, as_json=word == "json")
    ignored = [selector for selector in match.ignore if selector.is_about("request")]
    body = facts.get("body")
    if isinstance(body, dict) and "json" in body:
        paths = [selector.value for selector in ignored if selector.kind == "json"]
        body["json"] = _without_paths(body["json"], paths) if paths else body["json"]
    for selector in ignored:
        _leave_out(facts, selector)
    return facts


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
    """A multipart body by its parts: the boundary is another one each time. `fields`: the parts of a form."""
    if fields:
        return {"part": [[part.name, part.filename, _content(part.content)] for part in fields]}
    parts = parse_parts(data, content_type)
    if parts:
        return {"parts": [_part(part, depth + 1) for part in parts]}
    boundary = (header_parameter(content_type, "boundary") or "").encode("utf-8", "surrogateescape")
    return {"text": _content(data.replace(boundary, b"boundary") if boundary else data)}


def _part(part: Part, depth: int) -> dict[str, Any]:
    """A part of `multipart/related`, `mixed` and the like; `Content-ID` names it, and changes as boundaries do."""
    content_type = part.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    named = {"name": part.name, "filename": part.filename}
    facts: dict[str, Any] = {"type": kind} | {name: value for name, value in named.items() if value is not None}
    content: dict[str, Any] | None = None
    if kind.startswith("multipart/") and depth < _DEEPEST_PART:
        content = _multipart(part.content, content_type, (), depth)
    elif "json" in kind:
        try:
            content = {"json": shallow_json(part.content)}
        except ValueError:
            pass
    return {**facts, "content": content or {"text": _content(part.content)}}


def _is_form(fields: Mapping[str, list[str]]) -> bool:
    """Whether nothing of it was lost: curl gives whatever it sends the type of a form."""
    return not any("\ufffd" in text for name, values in fields.items() for text in (name, *values))


def _content(data: bytes) -> str:
    if len(data) <= _LONGEST_TEXT:
        try:
            return data.decode()
        except UnicodeDecodeError:
            pass
    return f"{len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}"


def text_of(facts: MatchKey) -> str:
    """Facts as JSON: equal ones give the same text."""
    try:
        data = orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)
        if b"null" not in data:  # orjson writes infinity so (1e999 in a body)
            return data.decode()
    except TypeError:  # large numbers, lone surrogates
        pass
    return json.dumps(facts, sort_keys=True, ensure_ascii=True, separators=(",", ":"))


def key_of(facts: MatchKey) -> bytes:
    """Equal facts have equal keys."""
    return hashlib.blake2b(text_of(facts).encode(), digest_size=16).digest()


def has_marks(facts: MatchKey) -> bool:
    """Whether some of the recorded facts stand for any value."""
    text = json.dumps(facts, ensure_ascii=True)
    return "redacted-" in text and MARK.search(text) is not None


_HOLDERS = (dict, list)


# ── comparing ──────────────────────────────────────────────────────────────────────────────────────


def fits(recorded: Any, asked: Any) -> bool:
    """Whether a value is the recorded one, or one that its marks may stand for."""
    return next(differences(recorded, asked), None) is None


def differences(recorded: Any, asked: Any, place: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Places that differ, with both values; `...` where one side has nothing there."""
    # Documents are gone through: Python takes 1, 1.0 and True for equal.
    if recorded is asked or (recorded == asked and type(recorded) is type(asked) and not isinstance(asked, _HOLDERS)):
        return
    if isinstance(recorded, str) and MARK.search(recorded):
        if MARK.fullmatch(recorded):
            if asked is not ...:
                return
        elif isinstance(asked, str) and in_order(MARK.split(recorded), asked):
            return
    elif isinstance(recorded, dict) and isinstance(asked, dict):
        for name in [*recorded, *(name for name in asked if name not in recorded)]:
            yield from differences(recorded.get(name, ...), asked.get(name, ...), _inside(place, name))
        return
    elif isinstance(recorded, list) and isinstance(asked, list) and len(recorded) == len(asked):
        for index, (one, other) in enumerate(zip(recorded, asked, strict=True)):
            if place == "part" and one[:2] == other[:2] and one[0]:
                yield from differences(one[2], other[2], f"form:{one[0]}")
            else:
                yield from differences(one, other, place if len(recorded) == 1 else f"{place}[{index}]")
        return
    yield place, recorded, asked


def in_order(pieces: Sequence[str], text: str) -> bool:
    """Whether a text is made of these pieces, with anything between them."""
    first, *between, last = pieces
    if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
        return False
    position, end = len(first), len(text) - len(last)
    for piece in between:
        position = text.find(piece, position, end) + len(piece)  # the first place leaves most for those that follow
        if position < len(piece):
            return False
    return True


_SELECTING = ("query", "header")


def _inside(place: str, name: Any) -> str:
    """`query` + `a` → `query:a`, `body` + `json` → `json:$`, `json:$` + `a` → `json:$.a`."""
    if not place:
        return str(name)
    if place == "body":
        return "json:$" if name == "json" else str(name) if name in ("form", "part", "parts") else "body"
    if place in _SELECTING or place == "form":
        return f"{place}:{name}"
    return f"{place}.{name}" if re.fullmatch(r"[A-Za-z_]\w*", str(name)) else f"{place}[{json.dumps(name)}]"


# ── ignoring ───────────────────────────────────────────────────────────────────────────────────────


def _leave_out(facts: MatchKey, selector: Selector) -> None:
    kind, name = selector.kind, selector.value
    body = facts.get("body")
    body = body if isinstance(body, dict) else {}
    if kind in ("query", "name") and "query" in facts:
        facts["query"].pop(name, None)
    if kind in ("header", "name") and "header" in facts:
        facts["header"].pop(name.lower(), None)
    if kind == "cookie" and facts.get("header", {}).get("cookie"):
        crumbs = [crumb.strip() for crumb in facts["header"]["cookie"].split(";")]
        facts["header"]["cookie"] = "; ".join(crumb for crumb in crumbs if crumb.partition("=")[0] != name)
    if kind in ("form", "name"):
        body.get("form", {}).pop(name, None)
        if "part" in body:
            body["part"] = [part for part in body["part"] if part[0] != name]
    if kind == "name" and "json" in body:
        body["json"] = _without_name(body["json"], name)
    if kind == "text":
        facts.update(_without_text(facts, compile_regex(name, captures=True)))


def _without_paths(document: Any, paths: Sequence[str]) -> Any:
    """A copy of a JSON document without the values at these JSONPaths, which all refer to the whole document."""
    document = json.loads(json.dumps(document))  # that of the request must not change
    locations = {node.location for path in paths for node in compile_path(path).find(document)}
    # The last first: removing one value must not move those that are still to be removed.
    for location in sorted(locations, key=_from_behind, reverse=True):
        if not location:
            return None
        holder = document
        for step in location[:-1]:
            holder = holder[step]
        del holder[location[-1]]
    return document


def _from_behind(location: tuple[int | str, ...]) -> list[tuple[int, str]]:
    return [(step, "") if isinstance(step, int) else (-1, step) for step in location]


def _without_name(found: Any, name: str) -> Any:
    if isinstance(found, dict):
        return {key: _without_name(one, name) for key, one in found.items() if key != name}
    return [_without_name(one, name) for one in found] if isinstance(found, list) else found


def _without_text(found: Any, pattern: Any) -> Any:
    if isinstance(found, str):
        return pattern.sub("", found)
    if isinstance(found, dict):
        return {key: _without_text(one, pattern) for key, one in found.items()}
    return [_without_text(one, pattern) for one in found] if isinstance(found, list) else found
