"""HTTP/1.1 and 1.0, server side (RFC 9112): bytes in, parts out; responses in, bytes out.

`states.py` has the state machine. `request_head.py` reads heads, `chunked.py` reads chunks, and `written_heads.py`
writes heads. Pipelined requests stay unread in the buffer until the response before them is complete (`next_request`).
"""

from __future__ import annotations

from collections.abc import Sequence

from mockrec.engine.wire.fault_codes import EARLY_EOF, OVERFLOW
from mockrec.engine.wire.http1.chunked import ChunkedBody
from mockrec.engine.wire.http1.lenient_head import lenient_partial_fault, read_lenient_head
from mockrec.engine.wire.http1.request_head import partial_fault, read_head
from mockrec.engine.wire.http1.response_head import head_end
from mockrec.engine.wire.http1.states import (
    DONE,
    ERROR,
    IDLE,
    REQUEST_STATES,
    RESPONSE_STATES,
    SEND_BODY,
    SEND_RESPONSE,
    ResponseStep,
    State,
)
from mockrec.engine.wire.http1.written_heads import (
    EncodedHead,
    field_lines,
    head_bytes,
    is_chunked,
    with_one_length,
    without,
)
from mockrec.engine.wire.parts import (
    Data,
    End,
    Fault,
    Part,
    RequestHead,
    RequestPart,
    ResponseHead,
    header_table,
)
from mockrec.engine.wire.syntax import BODILESS_STATUSES, FRAMING_NAMES


class FramingError(Exception):
    """The caller sends what the state of the response, or the length in its head (RFC 9112, 6.2), does not allow."""


class H1Server:
    """The server's side of one HTTP/1 connection (RFC 9112, 9.3)."""

    def __init__(self, head_limit: int, *, lenient: bool = False) -> None:
        """`head_limit`: bytes of a head, or of trailers. `lenient`: repair what has one meaning (`lenient_head.py`)."""
        self._head_limit = head_limit
        self._lenient = lenient
        self._request: State = IDLE
        self._response: State = SEND_RESPONSE
        self._buffer = bytearray()
        """What follows the part of the current request that has been read; between requests, the start of a head."""
        self._checked = 0
        """Bytes of the buffer in which an incomplete head was already found free of faults."""
        self._head: RequestHead | None = None
        """The head of the current request."""
        self.bodiless = False
        """Whether the response has no content, whatever its head declares: the method is HEAD (RFC 9110, 9.3.2)."""
        self._left = 0
        """Bytes of the request's content, where Content-Length frames it, that have not been received."""
        self._chunks: ChunkedBody | None = None
        """The request's content where chunks frame it."""
        self._chunking = False
        """Whether the response's content goes out in chunks."""
        self._unsent: int | None = 0
        """Bytes of content that the response must still have; None where its head declares no length."""
        self._closes = False
        """Whether the connection ends with the response that is being sent."""

    # ── in ─────────────────────────────────────────────────────────────────────────────────────────

    def receive(self, data: bytes) -> list[Part]:
        """Return the parts that these bytes from the client complete. After a `Fault`, all bytes are ignored.

        RFC 9112, 2.2 and 6.
        """
        state = self._request
        if state is SEND_BODY:
            return self._content(data)
        if state is ERROR:
            return []
        self._buffer += data
        return self._next_head() if state is IDLE else []

    def receive_eof(self) -> list[Part]:
        """The client will send nothing more: a fault in the middle of a message (RFC 9112, 8)."""
        state = self._request
        if state is SEND_BODY or (state is IDLE and self._buffer.strip(b"\r\n")):
            return [self._fault(Fault(EARLY_EOF, status=0, raw=bytes(self._buffer)))]
        return []

    def next_request(self) -> list[Part]:
        """Begin the next exchange on a `reusable` connection; return the parts of a pipelined request.

        RFC 9112, 9.3.2.
        """
        try:
            self._request = REQUEST_STATES[self._request]["next"]
            self._response = RESPONSE_STATES[self._response]["next"]
        except KeyError:
            raise FramingError("request and response are not complete, or the connection ends with them") from None
        self._head = None
        return self._next_head() if self._buffer else []

    @property
    def reusable(self) -> bool:
        """Whether request and response are complete and the connection may carry another exchange (RFC 9112, 9.3)."""
        return self._request is DONE and self._response is DONE

    def take_rest(self) -> bytes:
        """Remove and return the bytes after the request: of a tunnel (RFC 9110, 9.3.6) or another protocol (7.8)."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    @property
    def buffered(self) -> int:
        """Bytes of pipelined requests (RFC 9112, 9.3.2), or of an incomplete head."""
        return len(self._buffer)

    @property
    def pending(self) -> bytes:
        """The received part of an incomplete head (RFC 9112, 2.1)."""
        return bytes(self._buffer) if self._head is None else b""

    @property
    def head_begun(self) -> bool:
        """Whether the buffer has the start of an incomplete head (RFC 9112, 2.1)."""
        return self._head is None and bool(self._buffer)

    @property
    def reading_body(self) -> bool:
        """Whether content of the request is still to be received (RFC 9112, 6)."""
        return self._request is SEND_BODY

    def _next_head(self) -> list[Part]:
        buffer = self._buffer
        while buffer.startswith(b"\r\n"):  # RFC 9112, 2.2: empty lines before a request are ignored
            del buffer[:2]
            self._checked = 0
        if self._lenient:
            end = head_end(buffer, self._checked)
        else:
            end = buffer.find(b"\r\n\r\n", max(self._checked - 3, 0)) + 4
        if end < 4 or end > self._head_limit:
            return self._incomplete_head()
        raw = bytes(buffer[:end])
        del buffer[:end]
        self._checked = 0
        head = read_lenient_head(raw) if self._lenient else read_head(raw)
        if isinstance(head, Fault):
            return [self._fault(head)]
        self._head = head
        self.bodiless = head.method == "HEAD"
        if not head.has_body:
            self._request = REQUEST_STATES[self._request]["head"]
            return [RequestPart(head), End()]
        self._request = REQUEST_STATES[self._request]["head-with-content"]
        self._left = head.content_length or 0
        self._chunks = ChunkedBody(self._head_limit, odd=self._lenient) if head.chunked else None
        rest = bytes(buffer)
        buffer.clear()
        return [RequestPart(head), *(self._content(rest) if rest else ())]

    def _incomplete_head(self) -> list[Part]:
        buffer = self._buffer
        seen, self._checked = self._checked, len(buffer)
        # Only a new line, or a first line that is not complete, can hold a fault that was not found before.
        if buffer.find(b"\n", seen) >= 0 or buffer.find(b"\n") < 0:
            start = bytes(buffer[: self._head_limit])
            fault = lenient_partial_fault(start) if self._lenient else partial_fault(start, seen)
            if fault is not None:
                return [self._fault(fault)]
        if len(buffer) > self._head_limit:
            return [self._fault(Fault(OVERFLOW, status=431, raw=bytes(buffer[: self._head_limit])))]
        return []

    def _content(self, data: bytes) -> list[Part]:
        """The parts that bytes of the request's content complete (RFC 9112, 6.3)."""
        if self._chunks is not None:
            return self._chunked_content(self._chunks, data)
        if len(data) > self._left:
            self._buffer += data[self._left :]
            data = data[: self._left]
        self._left -= len(data)
        if self._left:
            return [Data(data)]
        self._request = REQUEST_STATES[self._request]["end"]
        return [Data(data), End()]

    def _chunked_content(self, chunks: ChunkedBody, data: bytes) -> list[Part]:
        parts = chunks.receive(data)
        last = parts[-1] if parts else None
        if type(last) is End:
            self._buffer += chunks.rest
            self._chunks = None
            self._request = REQUEST_STATES[self._request]["end"]
        elif type(last) is Fault:
            self._fault(last)
        return parts

    def _fault(self, fault: Fault) -> Fault:
        self._request = REQUEST_STATES[self._request]["fault"]
        return fault

    # ── out ────────────────────────────────────────────────────────────────────────────────────────

    def frame(
        self,
        status: int,
        reason: str,
        headers: Sequence[tuple[str, str]],
        length: int | None,
        date: str,
    ) -> ResponseHead:
        """Return a final head as this connection must send it in response to the current request.

        Adds `date` (unless it is empty) where there is no Date field, the framing (RFC 9112, 6; `length` None means not
        known yet), and `connection: close` where the connection ends with this response. An empty `date` means that
        another server made the head. The result depends only on the arguments and on `framing_key`. Raises ValueError
        for what no head can hold.
        """
        assert self._head is not None
        names = {name.lower() for name, _ in headers}
        tokens = {
            token.strip().lower()
            for name, value in headers
            if name.lower() == "connection"
            for token in value.split(",")
        }
        close = not self._head.keep_alive or "close" in tokens
        raw = [[name, value] for name, value in headers]
        if date and "date" not in names:
            raw.append(["Date", date])
        elif not date and "content-length" in names:
            raw = with_one_length(raw)
        if status in BODILESS_STATUSES:
            # No framing but the Content-Length of a 304, which is that of the 200 it stands for (RFC 9110, 8.6).
            raw = without(raw, "transfer-encoding", *(("content-length",) if status == 204 else ()))
        elif not date and self.bodiless and not names & FRAMING_NAMES:
            pass  # another server's response to HEAD may leave the length out (RFC 9110, 9.3.2)
        elif length is None or "transfer-encoding" in names:
            raw = without(raw, "content-length")
            if self._head.version == "1.1":
                if "transfer-encoding" not in names or not is_chunked(raw):
                    raw = without(raw, "transfer-encoding")
                    raw.append(["Transfer-Encoding", "chunked"])
            else:
                raw = without(raw, "transfer-encoding")
                close = True  # RFC 9112, 6.3: an HTTP/1.0 client learns the end from the connection's
        elif "content-length" not in names:
            raw.append(["Content-Length", str(length)])
        if close and ("close" not in tokens or "keep-alive" in tokens):
            raw = without(raw, "connection")
            raw.append(["Connection", ", ".join(sorted((tokens - {"keep-alive", ""}) | {"close"}))])
        return ResponseHead(
            status, reason, raw, header_table(raw), EncodedHead(status, reason, raw, close, odd=not date)
        )

    @property
    def framing_key(self) -> tuple[bool, str]:
        """The properties of the request that decide the framing of a response (RFC 9112, 6.3 and 9.6)."""
        assert self._head is not None
        return self._head.keep_alive, self._head.version

    def send_interim(self, status: int, reason: str, headers: Sequence[Sequence[str]]) -> bytes:
        """Return the bytes of a 1xx head (RFC 9110, 15.2). Raises ValueError for what no head can hold."""
        text = head_bytes(status, reason, headers)
        self._on_response("interim")
        return text

    @property
    def websocket_key(self) -> str:
        """`Sec-WebSocket-Key` of the current request (RFC 6455, 11.3.1)."""
        assert self._head is not None
        key: str = self._head.headers.get("sec-websocket-key", "")
        return key

    def send_switch(self, head: ResponseHead) -> bytes:
        """Return the bytes of a 101 with its fields (RFC 9110, 15.2.2); what follows is another protocol."""
        text = head_bytes(head.status, head.reason, head.raw_headers, odd=True)
        self._on_response("switch")
        return text

    def send_whole(self, head: ResponseHead, body: bytes, trailers: Sequence[Sequence[str]] = ()) -> bytes:
        """Return the bytes of a whole response (RFC 9112, 2.1): a head made by `frame`, its content and its end."""
        wire: EncodedHead = head.wire
        if not trailers and len(body) == (0 if wire.bodiless or self.bodiless else wire.length):
            self._on_response("whole-and-close" if wire.close else "whole")
            return wire.text + body if body else wire.text
        data = self.send_head(head)
        if body:
            data += self.send_data(body)
        return data + self.send_end(trailers)

    def send_head(self, head: ResponseHead) -> bytes:
        """Return the bytes of a final head made by `frame` (RFC 9112, 4)."""
        wire: EncodedHead = head.wire
        self._on_response("head")
        # RFC 9112, 6.3: how many bytes of content must follow.
        self._unsent = length = 0 if wire.bodiless or self.bodiless else wire.length
        self._chunking = length is None and wire.chunked
        self._closes = wire.close
        return wire.text

    def send_data(self, data: bytes) -> bytes:
        """Return the bytes of a piece of content, in a chunk if the head declares chunks (RFC 9112, 7.1)."""
        self._on_response("data")
        if self._chunking:
            return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        if self._unsent is not None:
            self._unsent -= len(data)
            if self._unsent < 0:
                raise FramingError("the content is longer than the head declares")
        return data

    def send_end(self, trailers: Sequence[Sequence[str]] = ()) -> bytes:
        """Return the bytes of the end of the response. Only a chunked one has trailers (RFC 9112, 7.1.2).

        Raises ValueError for trailers that cannot be sent; nothing has changed then.
        """
        text = (b"0\r\n" + field_lines(trailers)) if self._chunking else b""
        if self._unsent:
            raise FramingError("the content is shorter than the head declares")
        self._on_response("end-and-close" if self._closes else "end")
        return text

    def _on_response(self, event: ResponseStep) -> None:
        try:
            self._response = RESPONSE_STATES[self._response][event]
        except KeyError:
            raise FramingError(f"{event!r} is not allowed while the response is {self._response}") from None
