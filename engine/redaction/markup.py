"""Names and values in HTML attributes: `<input name="csrf" value="…">`, `<meta name="csrf-token" content="…">`."""

from __future__ import annotations

import re
from typing import Final

from mockrec.formats.text.late_regex import late_regex

_ATTRIBUTE: Final = late_regex(
    rb"""([^\s"'<>/=]++)\s*+(?:=\s*+(?:"(?P<double>[^"]*+)(?:"|\Z)|'(?P<single>[^']*+)(?:'|\Z)|(?P<bare>[^\s"'<>=]++))?+)?+"""
)
_FORMS: Final = ("double", "single", "bare")
_OPEN: Final = late_regex(
    rb"""<(?i:input|meta|button)[\s/](?:[^<>"']++|"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z))*+\Z""", re.DOTALL
)
LONGEST_OPEN: Final = 4096
"""Bytes of the longest unclosed tag that is searched at the end of a text, which may be truncated or a piece."""
_BEGIN: Final = late_regex(rb"<(?i:input|meta|button)[\s/]")
_BEGUN: Final = late_regex(rb"<[A-Za-z]{0,6}\Z")
"""The beginning of what may become such a tag."""
_LONGEST_BEGUN: Final = 7
_NAMES: Final = (b"name", b"property", b"itemprop", b"id")
"""Attributes that name the value, the most reliable first."""

Span = tuple[int, int]


def named_value(tag: bytes) -> tuple[list[bytes], bool, Span | None]:
    """Return the names in a tag, whether it is an input for passwords, and the span of the value (None: no value).

    Of a repeated attribute the first counts, as in HTML (13.2.5.33).
    """
    spans: dict[bytes, Span] = {}
    for found in _ATTRIBUTE.finditer(tag):
        span = next((found.span(form) for form in _FORMS if found[form] is not None), (found.end(), found.end()))
        spans.setdefault(found[1].lower(), span)
    names = [tag[slice(*spans[name])].strip() for name in _NAMES if name in spans]
    is_password = tag[slice(*spans.get(b"type", (0, 0)))].strip().lower() == b"password"
    return names, is_password, spans.get(b"content" if is_meta(tag) else b"value")


def is_meta(tag: bytes) -> bool:
    """Return whether the tag is a `meta` element, which is not a field of a form."""
    return tag[1:5].lower() == b"meta"


def open_tag(text: bytes, end: int) -> int:
    """Return where the last of these tags before `end` begins, if it is not closed there; otherwise `end`."""
    tags = list(_BEGIN.finditer(text, max(0, end - LONGEST_OPEN), end))
    if tags and _OPEN.match(text, tags[-1].start(), end):
        return tags[-1].start()
    begun = _BEGUN.search(text, max(0, end - _LONGEST_BEGUN), end)
    return end if begun is None else begun.start()
