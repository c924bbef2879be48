"""A recorded request in pieces that can be changed: where it still holds redaction marks, and what fills them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_plus

from mockrec.engine.rules.json_paths import compile_path
from mockrec.engine.rules.matching.request import FORM_TYPE
from mockrec.formats.schema.body import Body
from mockrec.formats.schema.lenient import object_of
from mockrec.formats.schema.vocabulary import Selector
from mockrec.formats.text.json import is_deeper, parse

MARK = re.compile(r"redacted-[0-9a-f]{8}(?![0-9a-f])")
"""What the recorder writes in place of a secret."""
_HINT = "redacted-"
MAX_DEPTH = 90
"""Levels of JSON that is looked into: less than JSONPath (100) and rule files (100) take."""


@dataclass(slots=True)
class EditableRequest:
    """One recorded request. Bodies without their content-encoding."""

    method: str
    target: str
    """Path and query."""
    raw_headers: list[list[str]]
    body: bytes
    encoding: str = ""
    """What the body has to be encoded with again."""
    wire: bytes | None = None
    """The body as it was on the wire, where the recording has that too and nobody has changed it."""
    problem: str = ""
    """Why it cannot be sent as it was."""

    def copy(self) -> EditableRequest:
        """One that can be changed on its own."""
        return replace(self, raw_headers=[[*pair] for pair in self.raw_headers])

    def header(self, name: str) -> str:
        """The first value of a header, or empty; `name` in lower case."""
        return next((value for own, value in self.raw_headers if own.lower() == name), "")

    @property
    def is_form(self) -> bool:
        """Whether the body is one of an HTML form."""
        return FORM_TYPE in self.header("content-type").lower()

    def json(self) -> Any:
        """The body as JSON. Raises ValueError."""
        return shallow_json(self.body)


def shallow_json(data: bytes | str) -> Any:
    """A body as JSON of at most `MAX_DEPTH` levels. Raises ValueError for any other: it is a text then."""
    document = parse(data)
    if is_deeper(document, MAX_DEPTH):
        raise ValueError("the JSON is nested too deeply")
    return document


def draft_of(record: Mapping[str, Any], folder: Path | None) -> EditableRequest:
    """The request of a `request` or `websocket-request` record; `folder` is where bodies beside the log are.

    Raises SessionError for a body that cannot be read.
    """
    headers = raw_headers(record)
    method = str(record.get("method") or "GET")
    draft = EditableRequest(method, str(record.get("path") or "/"), headers, b"")
    told = record.get("body")
    if not isinstance(told, Mapping) or not told.get("size"):
        return draft
    body = Body.from_record(told, folder)
    if body.truncated or body.incomplete:
        draft.problem = "its body was cut in the recording"
        return draft
    draft.body = body.bytes
    draft.encoding = body.content_encoding or ""
    if body.raw_base64 is not None and not body.redacted:
        draft.wire = body.raw
    return draft


def raw_headers(record: Mapping[str, Any]) -> list[list[str]]:
    """The fields of a record's head as pairs; made of their table where a session keeps nothing else."""
    raw = record.get("rawHeaders")
    if isinstance(raw, list):
        pairs = pairs_of(raw)
        if pairs:
            return pairs
    pairs = []
    for name, value in object_of(record.get("headers")).items():
        pairs += [[str(name), str(one)] for one in (value if isinstance(value, list) else (value,))]
    return pairs


def pairs_of(raw: Any) -> list[list[str]]:
    """`[[name, value], …]` of a record; what is no pair in it is left out."""
    pairs = raw if isinstance(raw, list) else []
    return [
        [*pair]
        for pair in pairs
        if isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) and isinstance(pair[1], str)
    ]


# ── marks ──────────────────────────────────────────────────────────────────────────────────────────


def marked_places(draft: EditableRequest) -> list[str]:
    """Selectors of what still holds a redaction mark; `url` and `body` where no selector names the place."""
    places: list[str] = []
    if _HINT in draft.target:
        path, _, query = draft.target.partition("?")
        if MARK.search(path):
            places.append("url")
        places += [f"query:{name}" for name, value in _fields(query) if MARK.search(value)]
    for name, value in draft.raw_headers:
        if _HINT in value and MARK.search(value):
            if name.lower() == "cookie":
                places += [f"cookie:{crumb}" for crumb, content in _crumbs(value) if MARK.search(content)]
            else:
                places.append(f"header:{name.lower()}")
    if _HINT.encode() in draft.body and MARK.search(draft.body.decode("utf-8", "replace")):
        places += _marked_in_body(draft)
    return list(dict.fromkeys(places))


def _marked_in_body(draft: EditableRequest) -> list[str]:
    if draft.is_form:
        return [f"form:{name}" for name, value in _fields(draft.body.decode("utf-8", "replace")) if MARK.search(value)]
    try:
        document = draft.json()
    except ValueError:
        return ["body"]
    return [f"json:{path}" for path, text in _texts(document, "$") if MARK.search(text)] or ["body"]


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """All texts of a document, with the JSONPath of each."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from _texts(one, f"{path}[{index}]")
    elif isinstance(value, dict):
        for key, one in value.items():
            plain = re.fullmatch(r"[A-Za-z_]\w*", key)
            yield from _texts(one, f"{path}.{key}" if plain else f"{path}[{json.dumps(key, ensure_ascii=False)}]")


# ── filling ────────────────────────────────────────────────────────────────────────────────────────


def set_header(draft: EditableRequest, name: str, value: str) -> None:
    """Replace a header, or add it; an empty value takes it away."""
    lower = name.lower()
    kept = [pair for pair in draft.raw_headers if pair[0].lower() != lower]
    draft.raw_headers = [*kept, [name, value]] if value else kept


def fill(draft: EditableRequest, settings: Iterable[tuple[Selector, str]]) -> None:
    """Put values where selectors point; a selector that points nowhere in this request changes nothing."""
    for selector, value in settings:
        if selector.is_about("request"):
            _FILLERS[selector.kind](draft, selector.value, value)


def _fill_header(draft: EditableRequest, name: str, value: str) -> None:
    draft.raw_headers = [[own, value if own.lower() == name else old] for own, old in draft.raw_headers]


def _fill_cookie(draft: EditableRequest, name: str, value: str) -> None:
    for pair in draft.raw_headers:
        if pair[0].lower() == "cookie":
            crumbs = [(crumb, value if crumb == name else old) for crumb, old in _crumbs(pair[1])]
            pair[1] = "; ".join(f"{crumb}={content}" for crumb, content in crumbs)


def _fill_query(draft: EditableRequest, name: str, value: str) -> None:
    path, mark, query = draft.target.partition("?")
    if mark:
        draft.target = f"{path}?{_with_field(query, name, value)}"


def _fill_form(draft: EditableRequest, name: str, value: str) -> None:
    if draft.is_form:
        _change_body(draft, _with_field(draft.body.decode("utf-8", "surrogateescape"), name, value))


def _fill_json(draft: EditableRequest, path: str, value: str) -> None:

    def change(document: Any) -> Any:
        for node in compile_path(path).find(document):
            if not node.location:
                return _like(document, value)
            holder = document
            for step in node.location[:-1]:
                holder = holder[step]
            holder[node.location[-1]] = _like(node.value, value)
        return document

    _change_json(draft, change)


def _fill_name(draft: EditableRequest, name: str, value: str) -> None:
    _fill_header(draft, name.lower(), value)
    _fill_cookie(draft, name, value)
    _fill_query(draft, name, value)
    _fill_form(draft, name, value)

    def walk(found: Any) -> Any:
        if isinstance(found, dict):
            return {key: _like(one, value) if key == name else walk(one) for key, one in found.items()}
        return [walk(one) for one in found] if isinstance(found, list) else found

    if not draft.is_form:
        _change_json(draft, walk)


def _fill_text(draft: EditableRequest, pattern: str, value: str) -> None:
    found = re.compile(pattern)
    draft.target = found.sub(lambda _: value, draft.target)
    text = draft.body.decode("utf-8", "surrogateescape")
    if found.search(text):
        _change_body(draft, found.sub(lambda _: value, text))


_FILLERS: dict[str, Callable[[EditableRequest, str, str], None]] = {
    "header": _fill_header,
    "cookie": _fill_cookie,
    "query": _fill_query,
    "form": _fill_form,
    "json": _fill_json,
    "name": _fill_name,
    "text": _fill_text,
}


def _change_json(draft: EditableRequest, change: Callable[[Any], Any]) -> None:
    if draft.body[:1].isspace() or draft.body[:1] in (b"{", b"[", b'"'):
        try:
            document = draft.json()
        except ValueError:
            return
        before = json.dumps(document)
        changed = change(document)
        if json.dumps(changed) != before:
            separators = (", ", ": ") if b'": ' in draft.body else (",", ":")
            _change_body(draft, json.dumps(changed, ensure_ascii=False, separators=separators))


def _like(old: Any, value: str) -> Any:
    """A value of the kind that stands there: text stays text, a number may become another number."""
    if not isinstance(old, str):
        try:
            return parse(value)
        except ValueError:
            pass
    return value


def _change_body(draft: EditableRequest, text: str) -> None:
    data = text.encode("utf-8", "surrogateescape")
    if data != draft.body:
        draft.body, draft.wire = data, None


def _with_field(text: str, name: str, value: str) -> str:
    """An encoded query or form with another value for a name; the rest stays as it was written."""
    fields = []
    for field in text.split("&"):
        own, mark, _ = field.partition("=")
        fields.append(f"{own}={quote(value, safe='')}" if mark and unquote_plus(own) == name else field)
    return "&".join(fields)


def _fields(text: str) -> Iterator[tuple[str, str]]:
    for field in text.split("&"):
        name, _, value = field.partition("=")
        yield unquote_plus(name), unquote_plus(value)


def _crumbs(value: str) -> Iterator[tuple[str, str]]:
    for crumb in value.split(";"):
        name, _, content = crumb.partition("=")
        yield name.strip(), content.strip()
