"""Multipart bodies (RFC 2046, 5.1), of forms (RFC 7578) and others: bytes → parts.

A malformed body gives fewer parts, never an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

MAX_PARTS = 10_000
MAX_HEADERS = 100
"""Lines of a part's head that are read."""

_PARAMETER = re.compile(r';\s*([^\s=;"]+)\s*=\s*(?:"((?:\\"|[^"])*)"|([^\s;"]*))')


class Part(msgspec.Struct, frozen=True):
    """One body part (RFC 7578, 4). `name` and `filename` are None if the part has none; `headers` are in lower case."""

    name: str | None
    filename: str | None
    headers: Mapping[str, str]
    content: bytes

    @property
    def text(self) -> str:
        """The content as UTF-8; bytes that are not valid become U+FFFD."""
        return self.content.decode("utf-8", "replace")


def header_parameter(value: str, name: str) -> str | None:
    """Return a parameter (RFC 9110, 5.6.6) of a field value such as `form-data; name="a"`, unquoted, or None.

    Browsers write a quote in a name as `%22` (RFC 7578, 2), older clients as a backslash and a quote; both are read.
    """
    for found in _PARAMETER.finditer(value):
        if found[1].lower() == name:
            quoted: str | None = found[2]
            return found[3] if quoted is None else quoted.replace('\\"', '"').replace("%22", '"')
    return None


def parse_multipart(body: bytes, content_type: str) -> tuple[Part, ...]:
    """Return the parts of a form (RFC 7578); none if `content_type` is not multipart/form-data with a boundary."""
    if "multipart/form-data" not in content_type.lower():
        return ()
    return parse_parts(body, content_type)


def parse_parts(body: bytes, content_type: str) -> tuple[Part, ...]:
    """Return the parts of a multipart body of any subtype (RFC 2046, 5.1); none without a boundary."""
    boundary = header_parameter(content_type, "boundary")
    if not boundary:
        return ()
    delimiter = b"\r\n--" + boundary.encode("utf-8", "surrogateescape")
    # The first delimiter may be the first line of the body: give it the line end that the others follow.
    pieces = (b"\r\n" + body).split(delimiter, MAX_PARTS + 1)
    parts = []
    for piece in pieces[1 : MAX_PARTS + 1]:
        if piece.startswith(b"--"):
            break
        padding, line_end, rest = piece.partition(b"\r\n")
        if not line_end or padding.strip(b" \t"):
            continue
        parts.append(_part(rest))
    return tuple(parts)


def _part(data: bytes) -> Part:
    if data.startswith(b"\r\n"):
        head, content = b"", data[2:]
    else:
        head, _, content = data.partition(b"\r\n\r\n")
    headers: dict[str, str] = {}
    for line in head.split(b"\r\n", MAX_HEADERS)[:MAX_HEADERS]:
        name, colon, value = line.decode("utf-8", "replace").partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    disposition = headers.get("content-disposition", "")
    return Part(header_parameter(disposition, "name"), header_parameter(disposition, "filename"), headers, content)
