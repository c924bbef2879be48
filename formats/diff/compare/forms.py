"""Compare form fields by name, and multipart bodies by part."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from mockrec.formats.diff.compare.values import ValueComparer
from mockrec.formats.diff.model.finding import ABSENT, DifferenceKind, Finding, Severity, Subject

_BOUNDARY = re.compile(r'boundary=(?:"([^"]+)"|([^;\s]+))', re.IGNORECASE)


def fields(a: str, b: str, values: ValueComparer, side: str) -> Iterator[Finding]:
    """Yield the differences between two url-encoded forms. Repeated fields are compared in their order."""
    yield from named(pairs(a), pairs(b), values, side, "form")


def pairs(text: str) -> list[tuple[str, str]]:
    """Return names and values of a query or form, in order."""
    # Bytes that are not UTF-8 stay distinct: with one replacement character they would all be equal.
    return parse_qsl(text, keep_blank_values=True, errors="surrogateescape")


def named(
    a: list[tuple[str, str]], b: list[tuple[str, str]], values: ValueComparer, side: str, area: str
) -> Iterator[Finding]:
    """Yield the differences between two lists of named values. `area` is `form` or `query`."""
    counted_a, counted_b = _counted(a), _counted(b)
    for key in (*counted_a, *(key for key in counted_b if key not in counted_a)):
        value_a, value_b = counted_a.get(key, ABSENT), counted_b.get(key, ABSENT)
        if value_a is not ABSENT and value_b is not ABSENT and values.same_text(value_a, value_b):
            continue
        yield _finding(side, area, key, value_a, value_b)


def parts(a: tuple[bytes, str], b: tuple[bytes, str], values: ValueComparer, side: str) -> Iterator[Finding]:
    """Yield the differences between two multipart bodies, each with its content type."""
    if _canonical(*a) == _canonical(*b):
        return
    parts_a, parts_b = _parts(*a), _parts(*b)
    if parts_a is None or parts_b is None:
        # One is not a multipart body: compare both as a whole.
        yield from _finding_unless_same(_Part("", "", "", b"", a[0]), _Part("", "", "", b"", b[0]), values, side)
        return
    found = False
    counted_a = _counted([(part.name, part) for part in parts_a])
    counted_b = _counted([(part.name, part) for part in parts_b])
    for key in (*counted_a, *(key for key in counted_b if key not in counted_a)):
        part_a, part_b = counted_a.get(key), counted_b.get(key)
        if part_a is not None and part_b is not None and _same(part_a, part_b, values):
            continue
        shown = [ABSENT if part is None else part.shown for part in (part_a, part_b)]
        if part_a is not None and part_b is not None and shown[0] == shown[1]:
            shown = [f"{part.shown} ({part.head!r})" for part in (part_a, part_b)]
        found = True
        yield _finding(side, "form", key, *shown)
    if not found:
        yield from _between(_canonical(*a), _canonical(*b), values, side)


def _between(a: bytes, b: bytes, values: ValueComparer, side: str) -> Iterator[Finding]:
    """Compare bodies whose parts are equal: their order, or the bytes before, between and after them, may differ."""
    texts = [data.decode("utf-8", "surrogateescape") for data in (a, b)]
    if not values.same_text(*texts):
        sides = [f"{len(data)} bytes, {_digest(data)}" for data in (a, b)]
        yield Finding(
            DifferenceKind.value,
            Severity.changed,
            f"{side}.body (around the parts)",
            Subject(side, "body"),
            *sides,
        )


def _finding_unless_same(a: _Part, b: _Part, values: ValueComparer, side: str) -> Iterator[Finding]:
    if not _same(a, b, values):
        yield Finding(DifferenceKind.value, Severity.changed, f"{side}.body", Subject(side, "body"), a.shown, b.shown)


@dataclass(frozen=True)
class _Part:
    name: str
    file: str
    content_type: str
    head: bytes
    """The header fields as bytes."""
    content: bytes

    @property
    def text(self) -> str | None:
        try:
            return self.content.decode()
        except UnicodeDecodeError:
            return None

    @property
    def shown(self) -> str:
        text = self.text
        if text is not None and not self.file:
            return text
        words = [self.file, self.content_type, f"{len(self.content)} bytes", _digest(self.content)]
        return ", ".join(word for word in words if word)


def _digest(content: bytes) -> str:
    return f"sha256 {hashlib.sha256(content).hexdigest()[:16]}…"


def _boundary(content_type: str) -> bytes | None:
    match = _BOUNDARY.search(content_type)
    return None if match is None else b"--" + (match[1] or match[2]).encode("latin-1", "replace")


def _canonical(data: bytes, content_type: str) -> bytes:
    """Return the body with its boundary replaced by a fixed one."""
    boundary = _boundary(content_type)
    return data if boundary is None else data.replace(boundary, b"--boundary")


def _parts(data: bytes, content_type: str) -> list[_Part] | None:
    """Return the parts; None if the body is not valid by RFC 2046 (5.1.1)."""
    from email.parser import BytesHeaderParser

    boundary = _boundary(content_type)
    if boundary is None:
        return None
    # A delimiter is a line of its own: the boundary of a multipart body in a part may begin with this one.
    pieces = re.split(rb"(?:\A|\r\n)" + re.escape(boundary) + rb"(--)?[ \t]*(?=\r\n|\Z)", data)
    found: list[_Part] = []
    for piece, last in zip(pieces[2::2], [*pieces[1::2], None], strict=False):
        if last:
            break
        head, blank, content = piece.partition(b"\r\n\r\n")
        if not blank:
            return None
        parsed = BytesHeaderParser().parsebytes(head.lstrip(b"\r\n"))
        name = parsed.get_param("name", "", "content-disposition")
        found.append(_Part(str(name), str(parsed.get_filename("")), str(parsed.get("content-type", "")), head, content))
    return found or None


def _same(a: _Part, b: _Part, values: ValueComparer) -> bool:
    heads = [part.head.decode("utf-8", "surrogateescape") for part in (a, b)]
    if a.content_type != b.content_type or not values.same_text(a.file, b.file) or not values.same_text(*heads):
        return False
    if a.content == b.content:
        return True
    return a.text is not None and b.text is not None and values.same_text(a.text, b.text)


def _counted(items: list[tuple[str, Any]]) -> dict[tuple[str, int], Any]:
    counts: dict[str, int] = {}
    found = {}
    for name, value in items:
        counts[name] = counts.get(name, 0) + 1
        found[name, counts[name]] = value
    return found


def _finding(side: str, area: str, key: tuple[str, int], a: Any, b: Any) -> Finding:
    name, number = key
    kind = DifferenceKind.added if a is ABSENT else DifferenceKind.removed if b is ABSENT else DifferenceKind.value
    severity = Severity.breaking if kind is DifferenceKind.removed else Severity.changed
    path = f"{side}.{area}:{name}" + (f" ({number})" if number > 1 else "")
    return Finding(kind, severity, path, Subject(side, area, name), a, b)
