"""HTTP/1.1, client side (RFC 9112): requests in, bytes out; bytes of the server in, parts out.

The counterpart of `server.py`. Requests are written as given: the server side, or a replay, has checked them before.
`response_head.py` and `chunked.py` read the response.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mockrec.engine.wire.fault_codes import EARLY_EOF, INVALID_CONSTANT, OVERFLOW
from mockrec.engine.wire.http1.chunked import ChunkedBody
from mockrec.engine.wire.http1.response_head import (
    CHUNKED,
    UNTIL_CLOSE,
    body_length,
    head_end,
    keeps_alive,
    read_response_head,
)
from mockrec.engine.wire.http1.written_heads import field_lines
from mockrec.engine.wire.parts import Data, End, Fault, Interim, Part, ResponseHead, ResponsePart

HUNG_UP = "ECONNRESET"
"""The code for a connection that the server ended before it responded."""
UNASKED_SWITCH = "HPE_UNEXPECTED_SWITCH"
"""The code for a 101 in response to a request without Upgrade (RFC 9110, 15.2.2)."""

_MOST_INTERIMS = 1000
"""Interim responses (RFC 9110, 15.2) to one request; a server that sends more sends no final one."""
_STATUS_LINE_START = b"HTTP/"
_EMPTY_LINES = re.compile(rb"(?:\r?\n)+")
_MOST_EMPTY_LINES = 1000
_BREAKS_REQUEST_LINE = re.compile(r"[\x00-\x20\x7f]")


class EncodedRequest:
    """The bytes of a request head, and what `H1Client` must know of it. Several connections may send it."""

    __slots__ = ("_raw_headers", "_target", "chunked", "close", "method", "text")

    def __init__(self, method: str, target: str, raw_headers: Sequence[Sequence[str]], *, odd: bool) -> None:
        """`odd`: a name may be no token. Raises ValueError for what no head can hold."""
        if not method or not target or _BREAKS_REQUEST_LINE.search(method + target):
            raise ValueError(f"no request line can hold {method!r} and {target!r}")
        self.text = f"{method} {target} HTTP/1.1\r\n".encode("latin-1") + field_lines(raw_headers, odd=odd)
        self.method = method
        self._target = target
        self._raw_headers = raw_headers
        self.chunked = any(name.lower() == "transfer-encoding" for name, _ in raw_headers)
        self.close = any(name.lower() == "connection" and "close" in _tokens(value) for name, value in raw_headers)
        """Whether the connection ends with the response (RFC 9112, 9.6)."""

    def is_of(self, method: str, target: str, raw_headers: Sequence[Sequence[str]]) -> bool:
        """Whether it is that of this request; `raw_headers` are compared by identity."""
        return self._raw_headers is raw_headers and self._target == target and self.method == method


class H1Client:
    """The client's side of one HTTP/1 connection (RFC 9112, 9.3): one exchange after another, without pipelining."""

    def __init__(self, head_limit: int) -> None:
        self._head_limit = head_limit
        self._buffer = bytearray()
        self._checked = 0
        self._skipped = 0
        """Empty lines before the current head."""
        self._method = ""
        self._chunking = False
        self._closes = False
        """Whether the request has `Connection: close` (RFC 9112, 9.6)."""
        self._sent = True
        """Whether the request is complete."""
        self._awaits_head = False
        self._upgrade = False
        self._interims = 0
        """Interim responses to the current request."""
        self._left = 0
        self._chunks: ChunkedBody | None = None
        self._over = True
        """Whether the response is complete, or cannot be completed."""
        self._keep_alive = True
        self._last: tuple[bytes, ResponseHead] | None = None
        """The last final head, as bytes and as read: servers send equal heads within a second."""

    # ── out ────────────────────────────────────────────────────────────────────────────────────────

    def send_request(
        self,
        method: str,
        target: str,
        raw_headers: Sequence[Sequence[str]],
        *,
        body: bool,
        upgrade: bool = False,
        odd: bool = False,
    ) -> bytes:
        """Return the bytes of a request head (RFC 9112, 3), written as given.

        `body`: content follows. `upgrade`: a 101 is accepted. `odd`: a name may be no token. Raises ValueError for what
        no head can hold; nothing has changed then.
        """
        return self.send_encoded(EncodedRequest(method, target, raw_headers, odd=odd), body=body, upgrade=upgrade)

    def send_encoded(self, request: EncodedRequest, *, body: bool, upgrade: bool = False) -> bytes:
        """Return the bytes of a request head; see `send_request`."""
        head = request.text
        self._upgrade = upgrade
        self._method = request.method
        self._chunking = request.chunked
        self._closes = request.close
        self._sent = not body
        self._interims = 0
        self._awaits_head, self._over = True, False
        self._checked = self._skipped = 0
        return head

    def send_data(self, data: bytes) -> bytes:
        """Return the bytes of a piece of content, in a chunk if the head declares chunks (RFC 9112, 7.1)."""
        return b"%x\r\n%b\r\n" % (len(data), data) if self._chunking and data else data

    def send_end(self, trailers: Sequence[Sequence[str]] = ()) -> bytes:
        """Return the bytes of the end of the request. Only chunked content has trailers (RFC 9112, 7.1.2)."""
        self._sent = True
        if not self._chunking:
            return b""
        return b"0\r\n" + field_lines(trailers)

    # ── in ─────────────────────────────────────────────────────────────────────────────────────────

    def receive(self, data: bytes) -> list[Part]:
        """Return the parts that these bytes from the server complete. Nothing follows a `Fault` or an `End`.

        RFC 9112, 4 to 7.
        """
        if self._over:
            self._buffer += data
            return []
        if self._awaits_head:
            self._buffer += data
            return self._heads()
        return self._body(data)

    def receive_eof(self) -> list[Part]:
        """The server will send nothing more: the end of the response, or a fault (RFC 9112, 8)."""
        self._keep_alive = False
        if self._over:
            return []
        self._over = True
        if self._awaits_head:
            raw = bytes(self._buffer)
            return [Fault(EARLY_EOF if raw.strip() else HUNG_UP, status=0, raw=raw)]
        if self._left == UNTIL_CLOSE:
            return [End()]
        return [Fault(EARLY_EOF, status=0)]

    @property
    def reusable(self) -> bool:
        """Whether request and response are complete and the connection may carry another exchange (RFC 9112, 9.3)."""
        return self._over and self._sent and self._keep_alive and not self._buffer

    @property
    def informed(self) -> bool:
        """Whether an interim response to the current request was received (RFC 9110, 15.2)."""
        return self._interims > 0

    @property
    def answered(self) -> bool:
        """Whether a byte of the final response was received."""
        return not self._awaits_head or bool(self._buffer)

    @property
    def rest(self) -> bytes:
        """The bytes that follow the end of the response: after a 101, of the protocol switched to (RFC 9110, 7.8)."""
        return bytes(self._buffer)

    def _heads(self) -> list[Part]:
        buffer = self._buffer
        parts: list[Part] = []
        while True:
            self._skip_empty_lines()
            end = head_end(buffer, self._checked)
            if end < 0 or end > self._head_limit:
                self._checked = len(buffer)
                fault = self._partial_fault()
                return [*parts, self._fault(fault)] if fault is not None else parts
            raw = b"\r\n" * self._skipped + bytes(buffer[:end])
            del buffer[:end]
            self._checked = self._skipped = 0
            last = self._last
            head = last[1] if last is not None and last[0] == raw else read_response_head(raw)
            if isinstance(head, Fault):
                return [*parts, self._fault(head)]
            if head.status == 101 and not self._upgrade:
                detail = "it switches to another protocol, which the request did not ask for"
                return [*parts, self._fault(Fault(UNASKED_SWITCH, raw=raw, detail=detail))]
            if head.status >= 200 or head.status == 101:
                break
            self._interims += 1
            if self._interims > _MOST_INTERIMS:
                detail = f"it has more than {_MOST_INTERIMS} interim responses"
                return [*parts, self._fault(Fault(OVERFLOW, raw=raw, detail=detail))]
            parts.append(Interim(head))
        length = body_length(head, self._method)
        if isinstance(length, Fault):
            return [*parts, self._fault(Fault(length.code, raw=raw, detail=length.detail))]
        self._last = raw, head
        self._awaits_head = False
        self._left = length
        self._keep_alive = keeps_alive(head) and length != UNTIL_CLOSE and not self._closes
        self._chunks = ChunkedBody(self._head_limit, odd=True) if length == CHUNKED else None
        parts.append(ResponsePart(head, self._keep_alive))
        rest = bytes(buffer)
        if length == 0:
            self._over = True
            parts.append(End())
        elif rest:
            buffer.clear()
            parts += self._body(rest)
        return parts

    def _skip_empty_lines(self) -> None:
        """Skip empty lines before a response, as browsers and Node do; RFC 9112 (2.2) asks for it before a request."""
        if self._buffer.startswith((b"\r", b"\n")):
            matched = _EMPTY_LINES.match(self._buffer)
            if matched is not None:
                self._skipped += matched[0].count(b"\n")
                del self._buffer[: matched.end()]
                self._checked = 0

    def _partial_fault(self) -> Fault | None:
        """Return the fault that the incomplete head has already, or None."""
        buffer = self._buffer
        start = bytes(buffer[: len(_STATUS_LINE_START)]).upper()
        if not (_STATUS_LINE_START.startswith(start) or buffer == b"\r"):  # which may be half of an empty line
            raw = bytes(buffer[: self._head_limit])
            shown = ascii(raw.partition(b"\n")[0][:60].decode("latin-1"))
            return Fault(INVALID_CONSTANT, raw=raw, detail=f"it begins with {shown}, which is no status line")
        if len(buffer) > self._head_limit or self._skipped > _MOST_EMPTY_LINES:
            detail = f"its head has more than {self._head_limit // 1024} KiB"
            return Fault(OVERFLOW, raw=bytes(buffer[: self._head_limit]), detail=detail)
        return None

    def _body(self, data: bytes) -> list[Part]:
        if self._chunks is not None:
            parts = self._chunks.receive(data)
            last = type(parts[-1]) if parts else None
            if last is End or last is Fault:
                self._over = True
                self._keep_alive = self._keep_alive and last is End
                self._buffer += self._chunks.rest
                self._chunks = None
            return parts
        if self._left == UNTIL_CLOSE:
            return [Data(data)]
        if len(data) > self._left:
            self._buffer += data[self._left :]
            data = data[: self._left]
        self._left -= len(data)
        if self._left:
            return [Data(data)]
        self._over = True
        return [Data(data), End()]

    def _fault(self, fault: Fault) -> Fault:
        self._over, self._keep_alive = True, False
        return fault


def _tokens(value: str) -> list[str]:
    return [token.strip(" \t") for token in value.lower().split(",")]
