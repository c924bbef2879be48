"""Extract values from HTML and XML: inputs, meta elements, links, other attributes, and the text of elements.

This uses regular expressions, not a parser: pages may be malformed, and the time must be linear for any input.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Final

_TAG: Final = re.compile(r"<([A-Za-z_][\w.:-]{0,63})((?:\s[^<>]*)?)>([^<>]{0,8192}(?=</))?")
_ATTRIBUTE: Final = re.compile(
    r"""(?<![\w:.@-])([\w:.@-]{1,64}+)\s{0,8}+=\s{0,8}+(?:"([^"]*)"|'([^']*)'|([^\s"'<>=]+))"""
)
_IGNORED_ATTRIBUTES: Final = frozenset(
    {"class", "style", "title", "alt", "placeholder", "integrity", "xmlns", "lang", "type", "rel", "d"}
)


def html_values(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield value, place and name of each attribute and of each element that contains only text."""
    for found in _TAG.finditer(text):
        tag = found[1].rpartition(":")[2].lower()
        if found[2]:
            yield from _in_attributes(tag, found[2])
        if found[3] and (inside := found[3].strip()):
            own = found[1].rpartition(":")[2]
            yield _plain(inside), f"element:{own}", own


def _in_attributes(tag: str, source: str) -> Iterator[tuple[str, str, str]]:
    attributes = {
        found[1].lower(): _plain(found[2] or found[3] or found[4] or "") for found in _ATTRIBUTE.finditer(source)
    }
    name = attributes.get("name") or attributes.get("property") or ""
    value = {"meta": "content", "input": "value", "button": "value"}.get(tag, "")
    for key, text in attributes.items():
        if not text or key in _IGNORED_ATTRIBUTES or key == "name":
            continue
        if key == value:
            yield text, f"html:{tag}[{name or attributes.get('id', '')}]", name
        else:
            yield text, f"html:{tag}@{key}", key.removeprefix("data-") if key.startswith("data-") else ""


def _plain(text: str) -> str:
    return html.unescape(text) if "&" in text else text
