"""HTTP/1 request heads (RFC 9112, 3 and 5): bytes → `RequestHead`, or the fault in them.

The checks run in the order of the bytes, line by line, and the framing is checked after the lines: a head gives the
same fault however its bytes were cut. Each check names its section of RFC 9112.
"""

from __future__ import annotations

import re
from typing import Final

from mockrec.engine.bounded_cache import comes_again, remember
from mockrec.engine.wire.fault_codes import (
    BAD_HOST,
    INVALID_CODING,
    INVALID_CONSTANT,
    INVALID_HEADER,
    INVALID_LENGTH,
    INVALID_METHOD,
    INVALID_URL,
    INVALID_VERSION,
    REPEATED_LENGTH,
)
from mockrec.engine.wire.parts import Fault, RequestHead, header_table
from mockrec.engine.wire.request_line import METHODS, NO_HOST, is_method, is_text, unusual_parts
from mockrec.engine.wire.syntax import FIELD_LINE, SCHEME_PATTERN, TOKEN_BYTES, content_length

_BAD_TARGET = re.compile(rb"[\x00-\x20\x7f]")
_ABSOLUTE_FORM = re.compile(SCHEME_PATTERN.encode() + rb"://")
_AUTHORITY_FORM = re.compile(rb"[^/?#@]+")

_CACHED_HEADS: Final = 1024
_CACHED_HEAD_SIZE: Final = 4096
_heads: dict[bytes, RequestHead] = {}
_SEEN_HEADS: Final = 4096
_seen: set[int] = set()
"""The hashes of heads that have come, and are not cached before they come again."""


def read_head(raw: bytes) -> RequestHead | Fault:
    """Read a complete head (RFC 9112, 2.1), the empty line included. The result is shared: it must not be changed."""
    known = _heads.get(raw)
    if known is not None:
        return known
    lines = raw[:-4].split(b"\r\n")
    fault = _request_line_fault(lines[0], raw)
    if fault is not None:
        return fault
    fields: list[re.Match[bytes]] = []
    for line in lines[1:]:
        matched = FIELD_LINE.fullmatch(line)
        if matched is None:
            return _field_fault(line, raw)
        fields.append(matched)
    head = _build(lines[0], fields, raw)
    if isinstance(head, RequestHead) and len(raw) <= _CACHED_HEAD_SIZE and comes_again(_seen, raw, _SEEN_HEADS):
        remember(_heads, raw, head, _CACHED_HEADS)
    return head


def partial_fault(buffer: bytes, checked: int = 0) -> Fault | None:
    """Return the fault that an incomplete head has already (RFC 9112, 3 and 5); None while it may become valid.

    The first `checked` bytes were found without fault before; the lines that end in them are not read again.
    """
    line_end = buffer.rfind(b"\r\n", 0, checked)
    *lines, rest = buffer[line_end + 2 if line_end >= 0 else 0 :].split(b"\r\n")
    if line_end < 0 and not lines:
        return _partial_request_line_fault(rest, buffer)
    fault = _syntax_fault(lines, buffer) if line_end < 0 else _header_fault(lines, buffer)
    if fault is None and b"\n" in rest:
        return Fault(INVALID_VERSION, raw=buffer)
    return fault


def _target_fault(target: bytes, *, complete: bool) -> str:
    """Return the code of the first fault in the characters of a target (RFC 9112, 3.2), or empty."""
    bad = _BAD_TARGET.search(target)
    good = target if bad is None else target[: bad.start()]
    if not is_text(good, complete=complete or bad is not None):
        return INVALID_URL
    if bad is None:
        return ""
    return INVALID_VERSION if bad[0] == b"\n" else INVALID_URL


def _partial_request_line_fault(line: bytes, raw: bytes) -> Fault | None:
    method, space, target = line.partition(b" ")
    if not space:
        # A CR may be half of the end of this line, or of an empty line (RFC 9112, 2.2).
        if line in (b"", b"\r") or TOKEN_BYTES.fullmatch(line.removesuffix(b"\r")):
            return None
        return Fault(INVALID_METHOD, raw=raw)
    if not is_method(method):
        return Fault(INVALID_METHOD, raw=raw)
    target, space, version = target.partition(b" ")
    # A line that may become `… HTTP/1.x` has no fault before its end.
    waits_for_version = b"HTTP/1.".startswith(version[:7]) and b" " not in version and b"\n" not in version
    bad = _target_fault(target if space else target.removesuffix(b"\r"), complete=bool(space))
    if not bad and (waits_for_version or not space):
        return None
    return _request_line_fault(line, raw)


def _syntax_fault(lines: list[bytes], raw: bytes) -> Fault | None:
    return _request_line_fault(lines[0], raw) or _header_fault(lines[1:], raw)


def _header_fault(lines: list[bytes], raw: bytes) -> Fault | None:
    match = FIELD_LINE.fullmatch
    for line in lines:
        if match(line) is None:
            return _field_fault(line, raw)
    return None


def _field_fault(line: bytes, raw: bytes) -> Fault:
    # A bare LF ends a line for some recipients and not for others (RFC 9112, 2.2): request smuggling.
    return Fault(INVALID_VERSION if b"\n" in line else INVALID_HEADER, raw=raw)


def _request_line_fault(line: bytes, raw: bytes) -> Fault | None:
    """RFC 9112, 3: method SP request-target SP HTTP-version, single spaces only."""
    words = line.split(b" ")
    if not is_method(words[0]) or (len(words) == 1 and words[0] not in METHODS):
        return Fault(INVALID_METHOD, raw=raw)
    if len(words) > 1:
        target = words[1]
        bad = _target_fault(target, complete=True)
        if bad:
            return Fault(bad, raw=raw)
        if not target or not _target_form_fits(words[0], target):
            return Fault(INVALID_URL, raw=raw)
    if len(words) < 3:
        return Fault(INVALID_VERSION, raw=raw)
    if not words[2].startswith(b"HTTP/"):
        return Fault(INVALID_CONSTANT, raw=raw)
    if len(words) > 3 or words[2] not in (b"HTTP/1.1", b"HTTP/1.0"):
        return Fault(INVALID_VERSION, raw=raw)
    return None


def _target_form_fits(method: bytes, target: bytes) -> bool:
    """RFC 9112, 3.2: origin-form, absolute-form, `*`; authority-form for CONNECT and only there."""
    if method == b"CONNECT":
        return _AUTHORITY_FORM.fullmatch(target) is not None
    return target.startswith(b"/") or target == b"*" or _ABSOLUTE_FORM.match(target) is not None


def _build(line: bytes, fields: list[re.Match[bytes]], raw: bytes) -> RequestHead | Fault:
    method, target, version = line.decode("latin-1").split(" ")
    raw_headers = [[matched[1].decode("latin-1"), matched[2].decode("latin-1")] for matched in fields]
    head = RequestHead(method, target, version[5:], raw_headers, header_table(raw_headers))
    code = _read_framing(head)
    if code:
        return Fault(code, raw=raw)
    head.odd += unusual_parts(method, target)
    return head


def _read_framing(head: RequestHead) -> str:
    """Set what the fields say about the message; return the code of a fault, or empty."""
    names = [name.lower() for name, _ in head.raw_headers]
    headers = head.headers
    lengths = names.count("content-length")
    if lengths > 1:
        return REPEATED_LENGTH
    if "transfer-encoding" in headers:
        # RFC 9112, 6.1 and 6.3: both framings at once, or a coding that is not known, is an attack or a mistake.
        if lengths or headers["transfer-encoding"].lower() != "chunked" or head.version == "1.0":
            return INVALID_CODING
        head.chunked = head.has_body = True
    elif lengths:
        length = content_length(headers["content-length"])
        if length is None:
            return INVALID_LENGTH
        head.content_length = length
        head.has_body = length > 0
    hosts = names.count("host")
    if hosts > 1:
        return BAD_HOST  # RFC 9112, 3.2
    if hosts == 0 and head.version == "1.1":
        if head.method != "CONNECT" and head.target.startswith(("/", "*")):
            return BAD_HOST  # the target names no host either
        head.odd = (NO_HOST,)
    connection = [token.strip() for token in headers.get("connection", "").lower().split(",")]
    head.keep_alive = head.version == "1.1" and "close" not in connection
    if "upgrade" in connection and head.version == "1.1":
        head.upgrade = headers.get("upgrade", "").lower()
    head.expects_continue = head.version == "1.1" and headers.get("expect", "").lower() == "100-continue"
    return ""
