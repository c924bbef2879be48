"""Multipart bodies (RFC 2046, 5.1), those of forms above all (RFC 7578): bytes → parts.

A malformed body gives fewer parts, never an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

MAX_PARTS = 10_000
MAX_HEADERS = 100
"""Lines of a part's head that are looked at."""

_PARAMETER = re.compile(r';\s*([^\s=;"]+)\s*=\s*(?:"((?:\\"|[^"])*)"|([^\s;"]*))')


@dataclass(frozen=True, slots=True)
class Part:
    """One part. `name` and `filename` are None where the part does not say; `headers` are lower-case."""

    name: str | None
    filename: str | None
    headers: Mapping[str, str]
    content: bytes

    @property
    def text(self) -> str:
        """The content as UTF-8; what is not valid in it becomes U+FFFD."""
        return self.content.decode("utf-8", "replace")


def header_parameter(value: str, name: str) -> str | None:
    """A parameter of a header value such as `form-data; name="a"`, unquoted; None when it is not there.

    Browsers write a quote inside a name as `%22`, older clients as a backslash and a quote; both are undone.
    """
    for found in _PARAMETER.finditer(value):
        if found[1].lower() == name:
            quoted: str | None = found[2]
            return found[3] if quoted is None else quoted.replace('\\"', '"').replace("%22", '"')
    return None


def parse_multipart(body: bytes, content_type: str) -> tuple[Part, ...]:
    """The parts of `body`; none if `content_type` is not multipart/form-data with a boundary."""
    if "multipart/form-data" not in content_type.lower():
        return ()
    return parse_parts(body, content_type)


def parse_parts(body: bytes, content_type: str) -> tuple[Part, ...]:
    """The parts of `body`, whichever kind of multipart it is; none without a boundary."""
    boundary = header_parameter(content_type, "boundary")
    if not boundary:
        return ()
    delimiter = b"\r\n--" + boundary.encode("utf-8", "surrogateescape")
    # The first delimiter may stand at the very start, so give it the line end that the others have.
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
