"""HTTP/1 response heads from servers: from bytes to `ResponseHead` and how the body behind it ends, or the fault.

Servers are read a little more kindly than clients: a line may end with LF alone (RFC 9112, 2.2), and equal
Content-Length fields count as one (RFC 9112, 6.3). What two readers could understand in two ways is refused.
The codes are those of llhttp.
"""

from __future__ import annotations

import re
from typing import Final

from mockrec.engine.wire.head import (
    HEADER_LINE,
    INVALID_CODING,
    INVALID_CONSTANT,
    INVALID_HEADER,
    INVALID_LENGTH,
    LARGEST_LENGTH,
)
from mockrec.engine.wire.parts import Fault, ResponseHead, header_table

UNTIL_CLOSE: Final = -1
CHUNKED: Final = -2

_STATUS_LINE = re.compile(rb"HTTP/(1\.[01]) ([1-9][0-9]{2})(?: ([^\x00-\x08\x0a-\x1f\x7f]*))?")
_DIGITS = re.compile(r"[0-9]{1,19}")


def head_end(buffer: bytes | bytearray, start: int) -> int:
    """Where the first head of `buffer` ends, behind its empty line; -1 if that has not come. Looks from `start`."""
    end = -1
    for mark in (b"\r\n\r\n", b"\n\n", b"\n\r\n"):
        found = buffer.find(mark, max(start - 3, 0))
        if found >= 0 and (end < 0 or found + len(mark) < end):
            end = found + len(mark)
    return end


def read_response_head(raw: bytes) -> ResponseHead | Fault:
    """Read a complete head, the empty line included."""
    first, *lines = raw.replace(b"\r\n", b"\n").rstrip(b"\n").split(b"\n")
    status_line = _STATUS_LINE.fullmatch(first)
    if status_line is None:
        return Fault(INVALID_CONSTANT, raw=raw)
    raw_headers: list[list[str]] = []
    for line in lines:
        matched = HEADER_LINE.fullmatch(line)
        if matched is None:
            return Fault(INVALID_HEADER, raw=raw)
        raw_headers.append([matched[1].decode("latin-1"), matched[2].decode("latin-1")])
    reason = (status_line[3] or b"").decode("latin-1")
    version = status_line[1].decode("ascii")
    return ResponseHead(int(status_line[2]), reason, raw_headers, header_table(raw_headers), version=version)


def body_length(head: ResponseHead, method: str) -> int | Fault:
    """Bytes of the body, UNTIL_CLOSE or CHUNKED (RFC 9112, 6.3), or what is wrong with its framing."""
    headers, status = head.headers, head.status
    if method == "CONNECT" and 200 <= status < 300:
        return 0  # a tunnel begins, whatever the fields say
    length = headers.get("content-length")
    if length is not None:
        lengths = {text.strip(" \t") for text in length.split(",")}
        if len(lengths) > 1 or not _DIGITS.fullmatch(length := lengths.pop()) or int(length) > LARGEST_LENGTH:
            return Fault(INVALID_LENGTH)
    if method == "HEAD" or status < 200 or status in (204, 304):
        return 0
    coding = headers.get("transfer-encoding")
    if coding is not None:
        return CHUNKED if coding.lower() == "chunked" else Fault(INVALID_CODING)
    return UNTIL_CLOSE if length is None else int(length)


def keeps_alive(head: ResponseHead) -> bool:
    """Whether the server means to go on after this response (RFC 9112, 9.3), and it is certain where that ends."""
    headers = head.headers
    if "transfer-encoding" in headers and ("content-length" in headers or head.version == "1.0"):
        return False  # RFC 9112, 6.1 and 6.3: it is read as chunked, but somebody may have meant something else
    if head.status == 204 and ("transfer-encoding" in headers or headers.get("content-length", "").strip("0, ")):
        return False  # RFC 9112, 6.3: there is no body, but this server may mean to send one
    tokens = [token.strip() for token in headers.get("connection", "").lower().split(",")]
    return "close" not in tokens and (head.version == "1.1" or "keep-alive" in tokens)
