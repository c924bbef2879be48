"""Restore the body of a form from `postData.params` of other tools' entries, where `text` is missing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from mockrec.formats.har.fields import items, mapping, text

_BOUNDARY = re.compile(r"""(?:^|;)\s*boundary\s*=\s*(?:"([^"\r\n]{1,200})"|([^\s;,"]{1,200}))""", re.IGNORECASE)
_FIRST_LINE = re.compile(r"\s{0,4}--([^\r\n]{1,200}?)[ \t]{0,9}\r?\n")
_BREAKS = re.compile(r"[\x00-\x1f\x7f]")


def boundary_in(content_type: str) -> str:
    """Return the boundary that a multipart type names, or ""."""
    found = _BOUNDARY.search(content_type)
    return (found[1] or found[2]) if found else ""


def boundary_of_text(body: str) -> str:
    """Return the boundary with which a multipart body begins, or ""."""
    found = _FIRST_LINE.match(body)
    return found[1] if found else ""


def made_up_boundary(seed: str) -> str:
    """Return a boundary that is always the same for the same exchange."""
    return f"----mockrec{seed.replace('-', '')}"


def is_multipart(content_type: str) -> bool:
    """True for a multipart type."""
    return content_type.strip().lower().startswith("multipart/")


def multipart(params: Any, boundary: str) -> tuple[bytes, list[str]]:
    """Return the body of a form (RFC 7578; HTML, 4.10.21.8), and the names of files whose content the HAR lacks."""
    pieces: list[str] = []
    missing: list[str] = []
    for param in map(mapping, items(params)):
        pieces.append(f"--{boundary}\r\n{_head(param)}\r\n{_value(param)}\r\n")
        if text(param.get("fileName")) and not isinstance(param.get("value"), str):
            missing.append(text(param["fileName"]))
    pieces.append(f"--{boundary}--\r\n")
    return "".join(pieces).encode("utf-8", "replace"), missing


def urlencoded(params: Any) -> bytes:
    """Return the body of a form as `application/x-www-form-urlencoded`."""
    return urlencode([(text(param.get("name")), _value(param)) for param in map(mapping, items(params))]).encode()


def _head(param: Mapping[str, Any]) -> str:
    head = f'Content-Disposition: form-data; name="{_quoted(text(param.get("name")))}"'
    if isinstance(param.get("fileName"), str):
        head += f'; filename="{_quoted(param["fileName"])}"'
    kind = _BREAKS.sub(" ", text(param.get("contentType"))).strip()
    return f"{head}\r\nContent-Type: {kind}\r\n" if kind else f"{head}\r\n"


def _value(param: Mapping[str, Any]) -> str:
    value = param.get("value")
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else value if isinstance(value, str) else str(value)


def _quoted(name: str) -> str:
    """Escape a name for a quoted string, as browsers do."""
    return _BREAKS.sub(lambda found: f"%{ord(found[0]):02X}", name).replace('"', "%22")
