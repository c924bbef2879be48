"""The values in HTML and XML: inputs, meta elements, links, other attributes, and the texts of elements.

No parser: pages are not always well-formed, and this has to be linear for whatever servers send.
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
_DULL: Final = frozenset(
    {"class", "style", "title", "alt", "placeholder", "integrity", "xmlns", "lang", "type", "rel", "d"}
)


def html_values(text: str) -> Iterator[tuple[str, str, str]]:
    """Value, place, and the name that it stands under."""
    for found in _TAG.finditer(text):
        tag = found[1].rpartition(":")[2].lower()
        if found[2]:
            yield from _in_attributes(tag, found[2])
        if found[3] and (inside := found[3].strip()):
            own = found[1].rpartition(":")[2]
            yield _plain(inside), f"element:{own}", own


def _in_attributes(tag: str, written: str) -> Iterator[tuple[str, str, str]]:
    given = {found[1].lower(): _plain(found[2] or found[3] or found[4] or "") for found in _ATTRIBUTE.finditer(written)}
    name = given.get("name") or given.get("property") or ""
    value = {"meta": "content", "input": "value", "button": "value"}.get(tag, "")
    for key, text in given.items():
        if not text or key in _DULL or key == "name":
            continue
        if key == value:
            yield text, f"html:{tag}[{name or given.get('id', '')}]", name
        else:
            yield text, f"html:{tag}@{key}", key.removeprefix("data-") if key.startswith("data-") else ""


def _plain(text: str) -> str:
    return html.unescape(text) if "&" in text else text
