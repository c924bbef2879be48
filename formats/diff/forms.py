"""Form fields by name, and multipart bodies by part."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from typing import Any
from urllib.parse import parse_qsl

from mockrec.formats.diff.model import ABSENT, Finding, Kind, Severity, Subject
from mockrec.formats.diff.values import Values

_BOUNDARY = re.compile(r'boundary=(?:"([^"]+)"|([^;\s]+))', re.IGNORECASE)


def fields(a: str, b: str, values: Values, side: str) -> Iterator[Finding]:
    """What differs between two url-encoded forms. Repeated fields are compared in their order."""
    yield from named(pairs(a), pairs(b), values, side, "form")


def pairs(text: str) -> list[tuple[str, str]]:
    """Names and values of a query or form, in order."""
    return parse_qsl(text, keep_blank_values=True)


def named(
    a: list[tuple[str, str]], b: list[tuple[str, str]], values: Values, side: str, area: str
) -> Iterator[Finding]:
    """What differs between two lists of named values (`area` is `form` or `query`)."""
    there_a, there_b = _counted(a), _counted(b)
    for key in (*there_a, *(key for key in there_b if key not in there_a)):
        value_a, value_b = there_a.get(key, ABSENT), there_b.get(key, ABSENT)
        if value_a is not ABSENT and value_b is not ABSENT and values.same_text(value_a, value_b):
            continue
        yield _finding(side, area, key, value_a, value_b)


def parts(a: tuple[bytes, str], b: tuple[bytes, str], values: Values, side: str) -> Iterator[Finding]:
    """What differs between two multipart bodies, each with its content type."""
    there_a = _counted([(part.name, part) for part in _parts(*a)])
    there_b = _counted([(part.name, part) for part in _parts(*b)])
    for key in (*there_a, *(key for key in there_b if key not in there_a)):
        part_a, part_b = there_a.get(key), there_b.get(key)
        if part_a is not None and part_b is not None and _same(part_a, part_b, values):
            continue
        shown = [ABSENT if part is None else part.shown for part in (part_a, part_b)]
        yield _finding(side, "form", key, *shown)


@dataclass(frozen=True)
class _Part:
    name: str
    file: str
    content_type: str
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


def _parts(data: bytes, content_type: str) -> Iterator[_Part]:
    match = _BOUNDARY.search(content_type)
    if match is None:
        yield _Part("", "", "", data)
        return
    boundary = b"--" + (match[1] or match[2]).encode("latin-1", "replace")
    for piece in (b"\r\n" + data).split(b"\r\n" + boundary)[1:]:
        if piece.startswith(b"--"):
            return
        head, _, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        parsed = BytesHeaderParser().parsebytes(head)
        name = parsed.get_param("name", "", "content-disposition")
        yield _Part(str(name), str(parsed.get_filename("")), parsed.get("content-type", ""), content)


def _same(a: _Part, b: _Part, values: Values) -> bool:
    if a.content_type != b.content_type or not values.same_text(a.file, b.file):
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
    kind = Kind.added if a is ABSENT else Kind.removed if b is ABSENT else Kind.value
    severity = Severity.breaking if kind is Kind.removed else Severity.changed
    path = f"{side}.{area}:{name}" + (f" ({number})" if number > 1 else "")
    return Finding(kind, severity, path, Subject(side, area, name), a, b)
