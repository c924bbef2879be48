"""HTTP/1 response heads as bytes (RFC 9112, 4 and 5): status line, and fields in the order and case given."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from mockrec.engine.wire.syntax import BODILESS_STATUSES, BREAKS_VALUE, TOKEN, content_length

_ODD_NAME = re.compile(r"[^\x00-\x20\x7f:](?:[^\x00-\x1f\x7f:]*[^\x00-\x20\x7f:])?")


class EncodedHead:
    """The bytes of a final head, and what `H1Server` must know of its framing to send the content (RFC 9112, 6)."""

    __slots__ = ("bodiless", "chunked", "close", "length", "text")

    def __init__(self, status: int, reason: str, raw_headers: list[list[str]], close: bool, *, odd: bool) -> None:
        """`close`: the connection ends with the response. `odd`: see `field_lines`."""
        self.text = head_bytes(status, reason, raw_headers, odd=odd)
        self.close = close
        self.bodiless = status in BODILESS_STATUSES
        names = {name.lower() for name, _ in raw_headers}
        self.chunked = "transfer-encoding" in names
        self.length = _declared_length(raw_headers) if "content-length" in names and not self.chunked else None
        """Bytes of content; None where chunks or the end of the connection delimit it. -1, which no content has, where
        Content-Length is no number."""


def _declared_length(raw_headers: list[list[str]]) -> int:
    lines = [value for name, value in raw_headers if name.lower() == "content-length"]
    lengths = {text.strip(" \t") for line in lines for text in line.split(",")}
    length = content_length(lengths.pop())
    return -1 if lengths or length is None else length


def with_one_length(raw_headers: list[list[str]]) -> list[list[str]]:
    """Return the fields with one Content-Length, which another server may have repeated (RFC 9112, 6.3)."""
    lengths = [pair for pair in raw_headers if pair[0].lower() == "content-length"]
    if len(lengths) == 1 and "," not in lengths[0][1]:
        return raw_headers
    first = lengths[0]
    one = [first[0], first[1].partition(",")[0].strip()]
    return [one if pair is first else pair for pair in raw_headers if pair is first or pair not in lengths]


def is_chunked(raw_headers: list[list[str]]) -> bool:
    """Whether Transfer-Encoding is `chunked` alone (RFC 9112, 6.1)."""
    return [value.lower() for name, value in raw_headers if name.lower() == "transfer-encoding"] == ["chunked"]


def without(raw_headers: list[list[str]], *names: str) -> list[list[str]]:
    """Return the fields except those with one of these lower-case names."""
    return [pair for pair in raw_headers if pair[0].lower() not in names]


def head_bytes(status: int, reason: str, headers: Sequence[Sequence[str]], *, odd: bool = False) -> bytes:
    """Return a response head (RFC 9112, 4). Raises ValueError for what no head can hold. `odd`: see `field_lines`."""
    if BREAKS_VALUE.search(reason):
        raise ValueError(f"a status line cannot hold {reason!r}")
    return f"HTTP/1.1 {status} {reason}\r\n".encode("latin-1") + field_lines(headers, odd=odd)


def field_lines(headers: Sequence[Sequence[str]], *, odd: bool = False) -> bytes:
    """Return header or trailer fields (RFC 9112, 5) in the order and case given, and the empty line after them.

    `odd`: a name may be no token, because a peer sent it so; every recipient finds the same colon after it. Raises
    ValueError for what no head can hold.
    """
    text = "".join([f"{name}: {value}\r\n" for name, value in headers]) + "\r\n"
    lines = len(headers) + 1
    is_whole = text.count("\n") == lines and text.count("\r") == lines and "\0" not in text
    for name, value in headers:
        if not (_is_name(name, odd) and (is_whole or not BREAKS_VALUE.search(value))):
            raise ValueError(f"no head can hold the field {name!r}: {value!r}")
    return text.encode("latin-1")


@lru_cache(2048)
def _is_name(name: str, odd: bool) -> bool:
    return (_ODD_NAME if odd else TOKEN).fullmatch(name) is not None
