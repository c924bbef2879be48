"""Compare bodies by their type: JSON and XML by path, lines of JSON, events, forms, parts, text by line, other bytes
by hash."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mockrec.formats.diff.compare import forms, grpc, tree, xml_tree
from mockrec.formats.diff.compare.align import align
from mockrec.formats.diff.compare.documents import TooDeep, parse
from mockrec.formats.diff.compare.headers import media_type
from mockrec.formats.diff.compare.html import compare_pages
from mockrec.formats.diff.compare.lines import compare_lines
from mockrec.formats.diff.compare.sse import events, is_ended
from mockrec.formats.diff.compare.values import ValueComparer
from mockrec.formats.diff.model.finding import ABSENT, DifferenceKind, Finding, Severity, Subject
from mockrec.formats.operations.grpc.messages import Decoder, read_body
from mockrec.formats.schema.body import Body
from mockrec.formats.schema.errors import SessionError

LARGEST = 32 * 1024 * 1024
"""Bytes. A larger body is compared by its hash, because a parsed document takes many times its size."""
_LONGEST_WORD = 4096
"""Characters at the end of a cut text that are searched for a word: the longest volatile value, tokens included."""
_LAST_WORD = re.compile(r"[\w.:+/=-]*\Z")
_LINES_OF_JSON = frozenset(
    {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"}
)


@dataclass(frozen=True)
class ComparedMessage:
    """A body with its content type."""

    body: Body
    content_type: str
    headers: Mapping[str, Any] = field(default_factory=dict)
    """The header fields, for messages of gRPC."""
    decoder: Decoder | None = None
    """Names the fields of gRPC messages."""

    @property
    def family(self) -> str:
        """The way in which it is compared; `json?` without a content type."""
        media = media_type(self.content_type)
        if media.startswith("application/grpc"):
            return "grpc"
        if media == "application/json" or media.endswith("+json"):
            return "json"
        if media in _LINES_OF_JSON:
            return "lines"
        if media == "text/event-stream":
            return "events"
        if media == "application/x-www-form-urlencoded":
            return "form"
        if media.startswith("multipart/"):
            return "parts"
        return "json?" if not media else "text"


def compare(a: ComparedMessage, b: ComparedMessage, values: ValueComparer, side: str) -> Iterator[Finding]:
    """Yield the differences between two bodies. `side` is `request` or `response`."""
    try:
        yield from _compare(a, b, values, side)
    except SessionError as error:
        # Unreadable bodies are equal only if both hashes are known and equal.
        if _known_hash(a.body) != _known_hash(b.body) or _known_hash(a.body) is None:
            why = f"cannot be read: {error.message}"
            yield Finding(DifferenceKind.value, Severity.changed, f"{side}.body", Subject(side, "body"), why, why)


def _compare(a: ComparedMessage, b: ComparedMessage, values: ValueComparer, side: str) -> Iterator[Finding]:
    if _cut(a.body) or _cut(b.body):
        yield from _cut_bodies(a.body, b.body, values, side)
        return
    if _empty(a.body) or _empty(b.body):
        if _empty(a.body) != _empty(b.body):
            yield _whole(a.body, b.body, side, Severity.breaking if b.body.size == 0 else Severity.changed)
        return
    if max(a.body.size, b.body.size) > LARGEST:
        if _hash(a.body) != _hash(b.body):
            yield _whole(a.body, b.body, side, Severity.changed)
        return
    text_a, text_b = a.body.text, b.body.text
    if a.family == "parts" and b.family == "parts":
        yield from forms.parts((a.body.bytes, a.content_type), (b.body.bytes, b.content_type), values, side)
    elif a.family == "grpc" and b.family == "grpc":
        yield from _grpc(a, b, values, side)
    elif text_a is None or text_b is None:
        if a.body.bytes != b.body.bytes:
            yield _whole(a.body, b.body, side, Severity.changed)
    else:
        yield from _texts(a, b, text_a, text_b, values, side)


def _grpc(a: ComparedMessage, b: ComparedMessage, values: ValueComparer, side: str) -> Iterator[Finding]:
    """Compare the messages of gRPC bodies, each as a JSON document."""
    body_a, body_b = read_body(a.body.bytes, a.headers), read_body(b.body.bytes, b.headers)
    if body_a is None or body_b is None:
        return
    texts_a, texts_b = grpc.message_texts(body_a, a.decoder), grpc.message_texts(body_b, b.decoder)
    yield from items(texts_a, texts_b, values, side, f"{side}.message")
    yield from grpc.ends(body_a, body_b, values, side)


def _texts(
    a: ComparedMessage, b: ComparedMessage, text_a: str, text_b: str, values: ValueComparer, side: str
) -> Iterator[Finding]:
    family = a.family
    if family != b.family:
        # Bodies of two types cannot be compared in detail; the Content-Type field is a finding of its own.
        if not values.same_text(text_a, text_b):
            yield Finding(DifferenceKind.type, Severity.breaking, f"{side}.body", Subject(side, "body"), text_a, text_b)
    elif family == "json" or family == "json?":
        yield from documents(text_a, text_b, values, side, side)
    elif family == "lines":
        lines_a, lines_b = _lines(text_a), _lines(text_b)
        yield from items(lines_a, lines_b, values, side, f"{side}.line")
    elif family == "events":
        yield from _events(text_a, text_b, values, side)
    elif family == "form":
        yield from forms.fields(text_a, text_b, values, side)
    else:
        both_xml = _is_xml(a.content_type) and _is_xml(b.content_type) and not values.strict
        found = xml_tree.compare(text_a, text_b, values, side) if both_xml else None
        if found is None:
            compare_text = compare_pages if "html" in a.content_type and not values.strict else compare_lines
            found = compare_text(text_a, text_b, values, side, f"{side}.text")
        yield from found


def _is_xml(content_type: str) -> bool:
    media = media_type(content_type)
    return media in ("application/xml", "text/xml") or media.endswith("+xml")


def documents(text_a: str, text_b: str, values: ValueComparer, side: str, place: str) -> Iterator[Finding]:
    """Yield the differences between two texts that should be JSON. They are compared by line if neither is, or if one
    is nested too deep."""
    document_a = document_b = ABSENT
    deep = False
    try:
        document_a, document_b = _parsed(text_a), _parsed(text_b)
    except TooDeep:
        deep = True
    if deep or (document_a is ABSENT and document_b is ABSENT):
        yield from compare_lines(text_a, text_b, values, side, f"{place}.text")
    elif document_a is ABSENT or document_b is ABSENT:
        sides = ["no JSON" if found is ABSENT else "JSON" for found in (document_a, document_b)]
        yield Finding(DifferenceKind.type, Severity.breaking, f"{place}.body", Subject(side, "body"), *sides)
    else:
        for change in tree.compare(document_a, document_b, values):
            subject = Subject(side, "json", locations=change.locations)
            yield Finding(change.kind, _severity(change), f"{place}.json:{change.path}", subject, change.a, change.b)


def items(a: list[str], b: list[str], values: ValueComparer, side: str, place: str) -> Iterator[Finding]:
    """Yield the differences between two sequences of texts, each of which may be JSON."""
    masked_a, masked_b = [values.masked(item, 0) for item in a], [values.masked(item, 1) for item in b]
    for index_a, index_b in align(masked_a, masked_b):
        if index_a is None or index_b is None:
            yield lone_item(index_a, index_b, _at(a, index_a), _at(b, index_b), side, place)
        elif masked_a[index_a] != masked_b[index_b]:
            yield from documents(a[index_a], b[index_b], values, side, f"{place}[{index_a}]")


def lone_item(index_a: int | None, index_b: int | None, a: Any, b: Any, side: str, place: str) -> Finding:
    """Return the finding for an item that only one side of a sequence has; the other side is `ABSENT`."""
    subject = Subject(side, "body")
    if index_b is None:
        return Finding(DifferenceKind.removed, Severity.breaking, f"{place}[{index_a}]", subject, a, ABSENT)
    return Finding(DifferenceKind.added, Severity.changed, f"{place}[{index_b}]", subject, ABSENT, b)


def _at(items: Sequence[object], index: int | None) -> Any:
    """Return an item as text."""
    return ABSENT if index is None else str(items[index])


def _events(text_a: str, text_b: str, values: ValueComparer, side: str) -> Iterator[Finding]:
    events_a, events_b = events(text_a), events(text_b)
    place = f"{side}.event"
    masked_a = [values.masked(str(event), 0) for event in events_a]
    masked_b = [values.masked(str(event), 1) for event in events_b]
    for index_a, index_b in align(masked_a, masked_b):
        if index_a is None or index_b is None:
            yield lone_item(index_a, index_b, _at(events_a, index_a), _at(events_b, index_b), side, place)
            continue
        a, b = events_a[index_a], events_b[index_b]
        here = f"{place}[{index_a}]"
        for name in ("event", "id", "retry"):
            value_a, value_b = getattr(a, name), getattr(b, name)
            if not values.same_text(value_a, value_b):
                subject = Subject(side, "event", name)
                yield Finding(DifferenceKind.value, Severity.changed, f"{here}.{name}", subject, value_a, value_b)
        if not values.same_text(a.data, b.data):
            yield from documents(a.data, b.data, values, side, here)
    if is_ended(text_a) != is_ended(text_b):
        sides = ["its last event is complete" if is_ended(text) else "breaks off" for text in (text_a, text_b)]
        yield Finding(DifferenceKind.value, Severity.changed, f"{side}.body", Subject(side, "body"), *sides)


def _lines(text: str) -> list[str]:
    """Split lines of JSON at line feeds only: a JSON text may contain characters that Python takes for line ends."""
    return [line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n") if line.strip()]


def _parsed(text: str) -> Any:
    try:
        return parse(text)
    except TooDeep:
        raise
    except ValueError:
        return ABSENT


def _severity(change: tree.ValueChange) -> Severity:
    if change.kind is DifferenceKind.type:
        return Severity.breaking
    if change.kind is DifferenceKind.removed:
        location = change.locations[0]
        # A client may need a field that is removed; a list is allowed to be shorter.
        return Severity.changed if location and isinstance(location[-1], int) else Severity.breaking
    return Severity.changed


def _empty(body: Body) -> bool:
    return not (body.size or body.inline_text or body.inline_base64)


def _cut(body: Body) -> bool:
    return body.truncated or body.incomplete


def _cut_bodies(a: Body, b: Body, values: ValueComparer, side: str) -> Iterator[Finding]:
    """Compare bodies of which at least one is cut, as far as they are recorded: one beginning has to begin the
    other."""
    if a.size == b.size and a.sha256 is not None and a.sha256 == b.sha256:
        return  # the result has a note with the number of cut bodies
    bytes_a, bytes_b = a.bytes, b.bytes
    length = min(len(bytes_a), len(bytes_b))
    if bytes_a[:length] != bytes_b[:length]:
        if a.text is None or b.text is None or not _same_start(a.text, b.text, values):
            sides = [
                f"{shown(body)}, of which {len(kept)} were recorded" for body, kept in ((a, bytes_a), (b, bytes_b))
            ]
            yield Finding(DifferenceKind.value, Severity.changed, f"{side}.body", Subject(side, "body"), *sides)
            return
    elif a.size == b.size:
        return
    elif not (a.incomplete or b.incomplete):
        # The beginnings are equal, so nothing volatile explains the different sizes.
        yield _whole(a, b, side, Severity.changed)
        return
    yield _not_comparable(side, "not comparable: only the beginning was recorded")


def _same_start(a: str, b: str, values: ValueComparer) -> bool:
    """True if one text begins with the other. The last word of each is ignored, because it may be cut."""
    masked_a, masked_b = (
        values.masked(text[: _LAST_WORD.search(text, max(0, len(text) - _LONGEST_WORD)).start()], place)  # type: ignore[union-attr]
        for place, text in enumerate((a, b))
    )
    return masked_a.startswith(masked_b) or masked_b.startswith(masked_a)


def _not_comparable(side: str, why: str) -> Finding:
    return Finding(DifferenceKind.value, Severity.info, f"{side}.body", Subject(side, "body"), why, why)


def _whole(a: Body, b: Body, side: str, severity: Severity) -> Finding:
    return Finding(DifferenceKind.value, severity, f"{side}.body", Subject(side, "body"), shown(a), shown(b))


def shown(body: Body) -> str:
    """Describe a body by size and hash."""
    return f"{body.size} bytes, sha256 {_hash(body)[:16]}…" if body.size else "empty"


def _known_hash(body: Body) -> str | None:
    """Return the hash of the whole content, from the record or the content itself; None if neither is available."""
    if body.inline_text is None and body.inline_base64 is None:
        return body.sha256
    try:
        return hashlib.sha256(body.bytes).hexdigest()
    except SessionError:
        return None


def _hash(body: Body) -> str:
    return body.sha256 or hashlib.sha256(body.bytes).hexdigest()
