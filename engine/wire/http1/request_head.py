"""HTTP/1 request heads: from bytes to `RequestHead`, or the fault in them.

h11 forgives what a recorder must not (bare line feeds, folded lines) and names no error codes, so every
head passes here first. The checks run in the order of the bytes, lines first and framing after them;
that way a head gives the same fault however it was cut on its way.

The codes are those of llhttp and Node's HTTP server (RFC 9112 sections stand beside the checks).
"""

from __future__ import annotations

import codecs
import re
from typing import Final

from mockrec.engine.bounded_cache import remember
from mockrec.engine.wire.parts import Fault, RequestHead, header_table
from mockrec.engine.wire.syntax import TOKEN_BYTES

INVALID_METHOD = "HPE_INVALID_METHOD"
INVALID_URL = "HPE_INVALID_URL"
INVALID_CONSTANT = "HPE_INVALID_CONSTANT"
INVALID_VERSION = "HPE_INVALID_VERSION"
INVALID_HEADER = "HPE_INVALID_HEADER_TOKEN"
INVALID_LENGTH = "HPE_INVALID_CONTENT_LENGTH"
REPEATED_LENGTH = "HPE_UNEXPECTED_CONTENT_LENGTH"
INVALID_CODING = "HPE_INVALID_TRANSFER_ENCODING"
INVALID_CHUNK = "HPE_INVALID_CHUNK_SIZE"
OVERFLOW = "HPE_HEADER_OVERFLOW"
EARLY_EOF = "HPE_INVALID_EOF_STATE"
BAD_HOST = "ERR_INVALID_URL"

NO_HOST: Final = "client-odd:no-host"
"""Tag: a request of HTTP/1.1 that names its host in the request line only."""
RAW_TARGET: Final = "client-odd:raw-target"
"""Tag: the target holds UTF-8 that is not percent-encoded."""
UNKNOWN_METHOD: Final = "client-odd:unknown-method"
"""Tag: the method is not registered."""

METHODS = frozenset(
    b"ACL BIND CHECKOUT CONNECT COPY DELETE GET HEAD LINK LOCK M-SEARCH MERGE MKACTIVITY MKCALENDAR MKCOL"
    b" MOVE NOTIFY OPTIONS PATCH POST PROPFIND PROPPATCH PURGE PUT QUERY REBIND REPORT SEARCH SOURCE"
    b" SUBSCRIBE TRACE UNBIND UNLINK UNLOCK UNSUBSCRIBE".split()
)
"""The registered ones. Any other token is a method too."""

# The value may hold tabs and everything from 0x80 up (obs-text), no other control character.
HEADER_LINE = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*((?:[^\x00-\x08\x0a-\x1f\x7f]*[^\x00-\x20\x7f])?)[ \t]*"
)
_BAD_TARGET = re.compile(rb"[\x00-\x20\x7f]")
# Control characters above ASCII, and what ends a line for readers of Unicode.
_BAD_CHARACTER = re.compile("[\x80-\x9f\u2028\u2029]")
_ABSOLUTE_FORM = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*://")
_AUTHORITY_FORM = re.compile(rb"[^/?#@]+")
LARGEST_LENGTH = (1 << 63) - 1
"""A larger one is negative to a reader that counts with 64 bits."""
_DIGITS = re.compile(r"[0-9]{1,19}")

_CACHED_HEADS = 1024
_CACHED_HEAD_SIZE = 4096
_heads: dict[bytes, RequestHead] = {}


def read_head(raw: bytes) -> RequestHead | Fault:
    """Read a complete head, the empty line included. The result is shared: never change it."""
    known = _heads.get(raw)
    if known is not None:
        return known
    lines = raw[:-4].split(b"\r\n")
    fault = _syntax_fault(lines, raw)
    if fault is not None:
        return fault
    head = _build(lines, raw)
    if isinstance(head, RequestHead) and len(raw) <= _CACHED_HEAD_SIZE:
        remember(_heads, raw, head, _CACHED_HEADS)
    return head


def partial_fault(buffer: bytes, checked: int = 0) -> Fault | None:
    """The fault that a head must end in, although it is not complete yet; None while it may become good.

    The first `checked` bytes were found good before; the lines that end in them are not read again.
    """
    line_end = buffer.rfind(b"\r\n", 0, checked)
    *lines, rest = buffer[line_end + 2 if line_end >= 0 else 0 :].split(b"\r\n")
    if line_end < 0 and not lines:
        return _partial_request_line_fault(rest, buffer)
    fault = _syntax_fault(lines, buffer) if line_end < 0 else _header_fault(lines, buffer)
    if fault is None and b"\n" in rest:
        return Fault(INVALID_VERSION, raw=buffer)
    return fault


def is_method(word: bytes) -> bool:
    """Whether a word is a method (RFC 9110, 9.1): any token, but for one that is a registered method in other letters,
    which servers read differently, and for the start of HTTP/2 (RFC 9113, 3.4)."""
    return word in METHODS or (
        TOKEN_BYTES.fullmatch(word) is not None and word.upper() not in METHODS and word != b"PRI"
    )


def is_text(target: bytes, *, complete: bool = True) -> bool:
    """Whether the bytes of a target are UTF-8 without control characters. If they are not `complete`, the last
    character may be cut."""
    if target.isascii():
        return True
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(target, complete)
    except UnicodeDecodeError:
        return False
    return _BAD_CHARACTER.search(text) is None


def target_text(target: str) -> str:
    """The text of a request target (latin-1, so that it can be sent again byte by byte) that is UTF-8."""
    return target if target.isascii() else target.encode("latin-1").decode("utf-8", "replace")


def sent_target(text: str) -> str:
    """The other way: a target as text → as it is sent."""
    return text if text.isascii() else text.encode("utf-8", "surrogatepass").decode("latin-1")


def _target_fault(target: bytes, *, complete: bool) -> str:
    """The code of the first fault among the characters of a target, or nothing."""
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
        # A CR may be half of the line's end, also of an empty line's.
        if line in (b"", b"\r") or TOKEN_BYTES.fullmatch(line.removesuffix(b"\r")):
            return None
        return Fault(INVALID_METHOD, raw=raw)
    if not is_method(method):
        return Fault(INVALID_METHOD, raw=raw)
    target, space, version = target.partition(b" ")
    # A line that can still become `… HTTP/1.x` waits for its end.
    waits_for_version = b"HTTP/1.".startswith(version[:7]) and b" " not in version and b"\n" not in version
    bad = _target_fault(target if space else target.removesuffix(b"\r"), complete=bool(space))
    if not bad and (waits_for_version or not space):
        return None
    return _request_line_fault(line, raw)


def _syntax_fault(lines: list[bytes], raw: bytes) -> Fault | None:
    return _request_line_fault(lines[0], raw) or _header_fault(lines[1:], raw)


def _header_fault(lines: list[bytes], raw: bytes) -> Fault | None:
    match = HEADER_LINE.fullmatch
    for line in lines:
        if match(line) is None:
            # A bare LF is a line break to some readers and not to others: the classic smuggling gap.
            return Fault(INVALID_VERSION if b"\n" in line else INVALID_HEADER, raw=raw)
    return None


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


def _build(lines: list[bytes], raw: bytes) -> RequestHead | Fault:
    method, target, version = lines[0].decode("latin-1").split(" ")
    raw_headers: list[list[str]] = []
    for line in lines[1:]:
        matched = HEADER_LINE.fullmatch(line)
        assert matched is not None  # _syntax_fault has seen every line
        raw_headers.append([matched[1].decode("latin-1"), matched[2].decode("latin-1")])
    head = RequestHead(method, target, version[5:], raw_headers, header_table(raw_headers))
    code = _read_framing(head)
    if code:
        return Fault(code, raw=raw)
    head.odd += odd_parts(method, target)
    return head


def odd_parts(method: str, target: str) -> tuple[str, ...]:
    """The tags of what is unusual in a request line, and good."""
    tags = () if method.encode("latin-1") in METHODS else (UNKNOWN_METHOD,)
    return tags if target.isascii() else (*tags, RAW_TARGET)


def _read_framing(head: RequestHead) -> str:
    """Fill in what the headers say about the message; the error code if they contradict themselves."""
    names = [name.lower() for name, _ in head.raw_headers]
    headers = head.headers
    lengths = names.count("content-length")
    if lengths > 1:
        return REPEATED_LENGTH
    if "transfer-encoding" in headers:
        # RFC 9112, 6.1 and 6.3: both lengths at once, or a coding we cannot undo, is an attack or a mistake.
        if lengths or headers["transfer-encoding"].lower() != "chunked" or head.version == "1.0":
            return INVALID_CODING
        head.chunked = head.has_body = True
    elif lengths:
        if not _DIGITS.fullmatch(headers["content-length"]):
            return INVALID_LENGTH
        head.content_length = int(headers["content-length"])
        if head.content_length > LARGEST_LENGTH:
            return INVALID_LENGTH
        head.has_body = head.content_length > 0
    hosts = names.count("host")
    if hosts > 1:
        return BAD_HOST  # RFC 9112, 3.2
    if hosts == 0 and head.version == "1.1":
        if head.method != "CONNECT" and head.target.startswith(("/", "*")):
            return BAD_HOST  # nothing else names it
        head.odd = (NO_HOST,)
    connection = [token.strip() for token in headers.get("connection", "").lower().split(",")]
    head.keep_alive = head.version == "1.1" and "close" not in connection
    if "upgrade" in connection and head.version == "1.1":
        head.upgrade = headers.get("upgrade", "").lower()
    head.expects_continue = head.version == "1.1" and headers.get("expect", "").lower() == "100-continue"
    return ""
