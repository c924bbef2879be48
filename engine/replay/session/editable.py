"""An editable copy of a recorded request: find the redaction marks in it, and replace values that selectors name."""

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
"""The placeholder that the recorder writes for a secret."""
_MARK_PREFIX = "redacted-"
MAX_DEPTH = 90
"""The deepest JSON that is parsed, in levels: below the limits of JSONPath (100) and rule files (100)."""


@dataclass(slots=True)
class EditableRequest:
    """One recorded request; `body` is decoded of its content-encoding."""

    method: str
    target: str
    """Path and query."""
    raw_headers: list[list[str]]
    body: bytes
    encoding: str = ""
    """The content-encoding to apply to the body before it is sent."""
    wire: bytes | None = None
    """The encoded body as received; None if it was not recorded, or the body was changed since."""
    problem: str = ""
    """The reason why the request cannot be sent as recorded; empty if it can."""

    def copy(self) -> EditableRequest:
        """Return an independent copy."""
        return replace(self, raw_headers=[[*pair] for pair in self.raw_headers])

    def header(self, name: str) -> str:
        """Return the first value of a header, or an empty string; `name` is in lower case."""
        return next((value for field, value in self.raw_headers if field.lower() == name), "")

    @property
    def is_form(self) -> bool:
        """Whether the content-type is that of an HTML form."""
        return FORM_TYPE in self.header("content-type").lower()

    def json(self) -> Any:
        """Parse the body as JSON. Raises ValueError."""
        return shallow_json(self.body)


def shallow_json(data: bytes | str) -> Any:
    """Parse JSON of at most `MAX_DEPTH` levels. Raises ValueError for any other data, which callers treat as text."""
    document = parse(data)
    if is_deeper(document, MAX_DEPTH):
        raise ValueError("the JSON is nested too deeply")
    return document


def draft_of(record: Mapping[str, Any], folder: Path | None) -> EditableRequest:
    """Return the request of a `request` or `websocket-request` record; `folder` holds the body files of the log.

    Raises SessionError for a body that cannot be read.
    """
    headers = raw_headers(record)
    method = str(record.get("method") or "GET")
    request = EditableRequest(method, str(record.get("path") or "/"), headers, b"")
    body_record = record.get("body")
    if not isinstance(body_record, Mapping) or not body_record.get("size"):
        return request
    body = Body.from_record(body_record, folder)
    if body.truncated or body.incomplete:
        request.problem = "its body was cut in the recording"
        return request
    request.body = body.bytes
    request.encoding = body.content_encoding or ""
    if body.raw_base64 is not None and not body.redacted:
        request.wire = body.raw
    return request


def raw_headers(record: Mapping[str, Any]) -> list[list[str]]:
    """Return the header fields of a record as pairs; from its `headers` table if `rawHeaders` is missing or empty."""
    raw = record.get("rawHeaders")
    if isinstance(raw, list):
        pairs = pairs_of(raw)
        if pairs:
            return pairs
    pairs = []
    for name, value in object_of(record.get("headers")).items():
        pairs += [[str(name), str(item)] for item in (value if isinstance(value, list) else (value,))]
    return pairs


def pairs_of(raw: Any) -> list[list[str]]:
    """Copy `[[name, value], …]` from a record, without the items that are not pairs of strings."""
    pairs = raw if isinstance(raw, list) else []
    return [
        [*pair]
        for pair in pairs
        if isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) and isinstance(pair[1], str)
    ]


# ── marks ──────────────────────────────────────────────────────────────────────────────────────────


def marked_places(request: EditableRequest) -> list[str]:
    """Return selectors of the values with a redaction mark; `url` or `body` if no selector can name the place."""
    places: list[str] = []
    if _MARK_PREFIX in request.target:
        path, _, query = request.target.partition("?")
        if MARK.search(path):
            places.append("url")
        places += [f"query:{name}" for name, value in _fields(query) if MARK.search(value)]
    for name, value in request.raw_headers:
        if _MARK_PREFIX in value and MARK.search(value):
            if name.lower() == "cookie":
                places += [f"cookie:{cookie}" for cookie, content in _cookie_pairs(value) if MARK.search(content)]
            else:
                places.append(f"header:{name.lower()}")
    if _MARK_PREFIX.encode() in request.body and MARK.search(request.body.decode("utf-8", "replace")):
        places += _marked_in_body(request)
    return list(dict.fromkeys(places))


def _marked_in_body(request: EditableRequest) -> list[str]:
    if request.is_form:
        return [
            f"form:{name}" for name, value in _fields(request.body.decode("utf-8", "replace")) if MARK.search(value)
        ]
    try:
        document = request.json()
    except ValueError:
        return ["body"]
    return [f"json:{path}" for path, text in _texts(document, "$") if MARK.search(text)] or ["body"]


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield the JSONPath and the text of each string in a document."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, f"{path}[{index}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            is_plain = re.fullmatch(r"[A-Za-z_]\w*", key)
            yield from _texts(item, f"{path}.{key}" if is_plain else f"{path}[{json.dumps(key, ensure_ascii=False)}]")


# ── filling ────────────────────────────────────────────────────────────────────────────────────────


def set_header(request: EditableRequest, name: str, value: str) -> None:
    """Replace or add a header; an empty value removes it."""
    lower = name.lower()
    others = [pair for pair in request.raw_headers if pair[0].lower() != lower]
    request.raw_headers = [*others, [name, value]] if value else others


def fill(request: EditableRequest, settings: Iterable[tuple[Selector, str]]) -> None:
    """Set the values that selectors match; a selector without a match in this request changes nothing."""
    for selector, value in settings:
        if selector.is_about("request"):
            _FILLERS[selector.kind](request, selector.value, value)


def _fill_header(request: EditableRequest, name: str, value: str) -> None:
    request.raw_headers = [[field, value if field.lower() == name else old] for field, old in request.raw_headers]


def _fill_cookie(request: EditableRequest, name: str, value: str) -> None:
    for pair in request.raw_headers:
        if pair[0].lower() == "cookie":
            pairs = [(cookie, value if cookie == name else old) for cookie, old in _cookie_pairs(pair[1])]
            pair[1] = "; ".join(f"{cookie}={content}" for cookie, content in pairs)


def _fill_query(request: EditableRequest, name: str, value: str) -> None:
    path, question_mark, query = request.target.partition("?")
    if question_mark:
        request.target = f"{path}?{_with_field(query, name, value)}"


def _fill_form(request: EditableRequest, name: str, value: str) -> None:
    if request.is_form:
        _change_body(request, _with_field(request.body.decode("utf-8", "surrogateescape"), name, value))


def _fill_json(request: EditableRequest, path: str, value: str) -> None:

    def change(document: Any) -> Any:
        for node in compile_path(path).find(document):
            if not node.location:
                return _like(document, value)
            parent = document
            for step in node.location[:-1]:
                parent = parent[step]
            parent[node.location[-1]] = _like(node.value, value)
        return document

    _change_json(request, change)


def _fill_name(request: EditableRequest, name: str, value: str) -> None:
    _fill_header(request, name.lower(), value)
    _fill_cookie(request, name, value)
    _fill_query(request, name, value)
    _fill_form(request, name, value)

    def walk(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: _like(item, value) if key == name else walk(item) for key, item in node.items()}
        return [walk(item) for item in node] if isinstance(node, list) else node

    if not request.is_form:
        _change_json(request, walk)


def _fill_text(request: EditableRequest, pattern: str, value: str) -> None:
    regex = re.compile(pattern)
    request.target = regex.sub(lambda _: value, request.target)
    text = request.body.decode("utf-8", "surrogateescape")
    if regex.search(text):
        _change_body(request, regex.sub(lambda _: value, text))


_FILLERS: dict[str, Callable[[EditableRequest, str, str], None]] = {
    "header": _fill_header,
    "cookie": _fill_cookie,
    "query": _fill_query,
    "form": _fill_form,
    "json": _fill_json,
    "name": _fill_name,
    "text": _fill_text,
}


def _change_json(request: EditableRequest, change: Callable[[Any], Any]) -> None:
    if request.body[:1].isspace() or request.body[:1] in (b"{", b"[", b'"'):
        try:
            document = request.json()
        except ValueError:
            return
        before = json.dumps(document)
        changed = change(document)
        if json.dumps(changed) != before:
            separators = (", ", ": ") if b'": ' in request.body else (",", ":")
            _change_body(request, json.dumps(changed, ensure_ascii=False, separators=separators))


def _like(old: Any, value: str) -> Any:
    """Return `value` as text in place of text; in place of any other JSON type, parse it as JSON if possible."""
    if not isinstance(old, str):
        try:
            return parse(value)
        except ValueError:
            pass
    return value


def _change_body(request: EditableRequest, text: str) -> None:
    data = text.encode("utf-8", "surrogateescape")
    if data != request.body:
        request.body, request.wire = data, None


def _with_field(text: str, name: str, value: str) -> str:
    """Return an encoded query or form with a new value for `name`; the other fields keep their spelling."""
    fields = []
    for field in text.split("&"):
        key, equals, _ = field.partition("=")
        fields.append(f"{key}={quote(value, safe='')}" if equals and unquote_plus(key) == name else field)
    return "&".join(fields)


def _fields(text: str) -> Iterator[tuple[str, str]]:
    for field in text.split("&"):
        name, _, value = field.partition("=")
        yield unquote_plus(name), unquote_plus(value)


def _cookie_pairs(value: str) -> Iterator[tuple[str, str]]:
    for cookie in value.split(";"):
        name, _, content = cookie.partition("=")
        yield name.strip(), content.strip()
