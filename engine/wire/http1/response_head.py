"""HTTP/1 response heads of servers (RFC 9112, 4 to 6): bytes → `ResponseHead` and its framing, or the fault.

More is accepted from servers than from clients, as curl and browsers do: a line may end with LF alone (RFC 9112, 2.2),
equal Content-Length fields count as one (RFC 9112, 6.3), and `odd_fields.py` repairs fields. The head then names what
was repaired, and keeps its bytes. What two recipients could read in two ways is refused.
"""

from __future__ import annotations

import re
from typing import Final

from mockrec.engine.wire import odd_fields
from mockrec.engine.wire.fault_codes import INVALID_CODING, INVALID_CONSTANT, INVALID_HEADER, INVALID_LENGTH
from mockrec.engine.wire.parts import Fault, ResponseHead, header_table
from mockrec.engine.wire.syntax import BODILESS_STATUSES, content_length

UNTIL_CLOSE: Final = -1
CHUNKED: Final = -2

_STATUS_LINE = re.compile(rb"HTTP/(1\.[01]) ([1-9][0-9]{2})(?: ([^\x00-\x08\x0a-\x1f\x7f]*))?")
_ODD_STATUS_LINE = re.compile(
    rb"HTTP/(1\.[0-9]|2(?:\.0)?)[ \t]+([1-9][0-9]{2})(?:[ \t]+([^\x00\r\n]*))?", re.IGNORECASE
)
"""As curl and browsers read it: lower case, more whitespace, a later minor version (RFC 9110, 6.2), and `HTTP/2` from
servers that name their own version instead of the connection's. See docs/tolerances.md."""
_STILL_KEPT = frozenset((odd_fields.BARE_LF, odd_fields.REPEATED_LENGTH))
"""Repaired faults after which the end of the message is certain, so that the connection may be reused."""


def head_end(buffer: bytes | bytearray, start: int) -> int:
    """Return where the first head of `buffer` ends, after its empty line; -1 if it is incomplete.

    `start`: bytes that were searched before. RFC 9112, 2.2: a line may end with LF alone.
    """
    end = -1
    for mark in (b"\r\n\r\n", b"\n\n", b"\n\r\n"):
        # Of a head that was found, not the body behind it is searched for an earlier end.
        found = buffer.find(mark, max(start - 3, 0), end if end >= 0 else len(buffer))
        if found >= 0:
            end = found + len(mark)
    return end


def read_response_head(raw: bytes) -> ResponseHead | Fault:
    """Read a complete head (RFC 9112, 2.1), the empty line included."""
    lines = raw.replace(b"\r\n", b"\n").rstrip(b"\n").split(b"\n")
    odd: list[str] = [] if raw.count(b"\n") == raw.count(b"\r\n") else [odd_fields.BARE_LF]
    first = next((at for at, line in enumerate(lines) if line), 0)
    if first:
        odd.append(odd_fields.EMPTY_LINES)
    status_line = _STATUS_LINE.fullmatch(lines[first])
    if status_line is not None:
        version, status, reason = status_line.groups()
    else:
        status_line = _ODD_STATUS_LINE.fullmatch(lines[first])
        if status_line is None:
            shown = ascii(lines[first][:60].decode("latin-1"))
            return Fault(INVALID_CONSTANT, raw=raw, detail=f"it begins with {shown}, which is no status line")
        version, status, reason = status_line.groups()
        version = b"1.0" if version == b"1.0" else b"1.1"
        reason_kind = odd_fields.value_kind(reason or b"")
        assert reason_kind is not None  # the expression excludes it
        odd.append(reason_kind or odd_fields.STATUS_LINE)
    read = odd_fields.read_fields(lines[first + 1 :])
    if isinstance(read, str):
        return Fault(INVALID_HEADER, raw=raw, detail=read)
    raw_headers, kinds = read
    headers = header_table(raw_headers)
    head = ResponseHead(
        int(status), (reason or b"").decode("latin-1"), raw_headers, headers, version=version.decode("ascii")
    )
    length = headers.get("content-length")
    if length is not None:
        if "," in length:
            odd.append(odd_fields.REPEATED_LENGTH)
        if "transfer-encoding" in headers:
            odd.append(odd_fields.BOTH_LENGTHS)
    if odd or kinds:
        head.odd = tuple(dict.fromkeys([*odd, *kinds]))
        head.raw = raw
    return head


def body_length(head: ResponseHead, method: str) -> int | Fault:
    """Return the length of the content, UNTIL_CLOSE or CHUNKED (RFC 9112, 6.3), or the fault in its framing."""
    headers, status = head.headers, head.status
    if method == "CONNECT" and 200 <= status < 300:
        return 0  # RFC 9112, 6.3: a tunnel begins, whatever the fields declare
    length = None
    if "content-length" in headers:
        lengths = {text.strip(" \t") for text in headers["content-length"].split(",")}
        length = content_length(lengths.pop())
        if lengths or length is None:
            return Fault(INVALID_LENGTH, detail=f"its Content-Length is {headers['content-length'][:60]!a}")
    if method == "HEAD" or status < 200 or status in BODILESS_STATUSES:
        return 0
    coding = headers.get("transfer-encoding")
    if coding is not None:
        if coding.lower() == "chunked":
            return CHUNKED
        return Fault(INVALID_CODING, detail=f"its Transfer-Encoding is {coding[:60]!a}; only chunked is known")
    return UNTIL_CLOSE if length is None else length


def keeps_alive(head: ResponseHead) -> bool:
    """Whether the server keeps the connection after this response (RFC 9112, 9.3), and the end of that is certain."""
    headers = head.headers
    if head.odd and not _STILL_KEPT.issuperset(head.odd):
        return False  # after one repair, the rest may be misread
    if "transfer-encoding" in headers and ("content-length" in headers or head.version == "1.0"):
        return False  # RFC 9112, 6.1 and 6.3: it is read as chunked, but the server may have framed it otherwise
    if head.status == 204 and ("transfer-encoding" in headers or headers.get("content-length", "").strip("0, ")):
        return False  # RFC 9112, 6.3: there is no content, but this server may send some
    tokens = [token.strip() for token in headers.get("connection", "").lower().split(",")]
    return "close" not in tokens and (head.version == "1.1" or "keep-alive" in tokens)
