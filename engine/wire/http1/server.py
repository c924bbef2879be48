"""HTTP/1.1 and 1.0, server side (RFC 9112): bytes in, parts out; answers in, bytes out.

h11 keeps the state of the exchange and frames the answer's body. This file decides what reaches h11: a head
only after `head.py` has read it, a body only up to its end and of a chunked one only the end (`chunked.py`
reads the rest), so that nothing of the next request hides inside h11's buffer. Pipelined requests wait here
until the answer before them is complete (`next_request`). Heads of answers are written here too, because
h11 reorders them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import h11

from mockrec.engine.wire.http1.chunked import ChunkedBody
from mockrec.engine.wire.http1.lenient_head import lenient_partial_fault, read_lenient_head
from mockrec.engine.wire.http1.request_head import EARLY_EOF, INVALID_HEADER, OVERFLOW, partial_fault, read_head
from mockrec.engine.wire.http1.response_head import head_end
from mockrec.engine.wire.http1.written_heads import Wire, field_lines, head_bytes, is_chunked, with_one_length, without
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
from mockrec.engine.wire.syntax import BODILESS_STATUSES

_END = h11.EndOfMessage()
_FRAMING_NAMES = frozenset(("content-length", "transfer-encoding"))
_LAST_CHUNK = b"0\r\n\r\n"


class H1Server:
    """One HTTP/1 connection seen from the server."""

    def __init__(self, head_limit: int, *, lenient: bool = False) -> None:
        """`lenient`: what is odd in a request and means one thing only is repaired (`lenient_head.py`)."""
        self._head_limit = head_limit
        self._lenient = lenient
        self._h11: h11.Connection | None = None
        """Made when it is needed: it takes longer than everything else here."""
        self._buffer = bytearray()
        self._checked = 0
        """How much of the buffer has been read as a part of a head and may become good."""
        self._head: RequestHead | None = None
        """The request that is being answered."""
        self._reading_body = False
        self._left = 0
        """Bytes of a body by length that have not come yet."""
        self._chunks: ChunkedBody | None = None
        self._chunking = False
        """Whether the answer's body goes out in chunks."""
        self._faulty = False
        self._unread = b""
        """The request at hand while h11 has not seen it: without a body, it need not if the answer is whole."""
        self._answered = False
        """Whether it was answered without h11."""

    @property
    def _conn(self) -> h11.Connection:
        if self._h11 is None:
            self._h11 = h11.Connection(h11.SERVER)
        return self._h11

    # ── in ─────────────────────────────────────────────────────────────────────────────────────────

    def receive(self, data: bytes) -> list[Part]:
        """Take bytes from the peer; the parts they complete. After a `Fault` everything is ignored."""
        if self._faulty:
            return []
        if self._reading_body:
            return self._body(data)
        self._buffer += data
        return self._next_head() if self._head is None else []

    def receive_eof(self) -> list[Part]:
        """The peer will send nothing more. In the middle of a message that is a fault."""
        if self._faulty:
            return []
        if self._reading_body or (self._head is None and self._buffer.strip(b"\r\n")):
            return [self._fault(Fault(EARLY_EOF, status=0, raw=bytes(self._buffer)))]
        return []

    def next_request(self) -> list[Part]:
        """Begin the next cycle on a connection that stays open: what a pipelining client has sent already."""
        if self._answered:
            self._answered = False
        else:
            self._conn.start_next_cycle()
        self._head = None
        return self._next_head() if self._buffer else []

    @property
    def reusable(self) -> bool:
        """Whether the request and its answer are complete and the connection may carry another pair."""
        return self._answered or (self._conn.our_state is h11.DONE and self._conn.their_state is h11.DONE)

    def take_rest(self) -> bytes:
        """What has come behind the request at hand: the first bytes of the tunnel that it has asked for."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    @property
    def buffered(self) -> int:
        """Bytes that wait for their turn (pipelined requests, or the start of a head)."""
        return len(self._buffer)

    @property
    def pending(self) -> bytes:
        """What has come of a head that is not complete."""
        return bytes(self._buffer) if self._head is None else b""

    @property
    def head_begun(self) -> bool:
        """Whether a head has been started and is not complete."""
        return self._head is None and bool(self._buffer)

    @property
    def reading_body(self) -> bool:
        """Whether a request body is under way."""
        return self._reading_body

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
        head: RequestHead | Fault
        plain = raw
        if self._lenient:
            read = read_lenient_head(raw)
            head, plain = read if isinstance(read, tuple) else (read, raw)
        else:
            head = read_head(raw)
        if isinstance(head, Fault):
            return [self._fault(head)]
        self._head = head
        self._unread = _for_h11(plain, head) if head.odd else raw
        if not head.has_body:
            return [RequestPart(head), End()]
        if not self._engage():
            return [self._fault(Fault(INVALID_HEADER, raw=raw))]
        self._reading_body = True
        self._left = head.content_length or 0
        self._chunks = ChunkedBody(self._head_limit, odd=self._lenient) if head.chunked else None
        rest = bytes(buffer)
        buffer.clear()
        return [RequestPart(head), *(self._body(rest) if rest else ())]

    def _engage(self) -> bool:
        """Show h11 the request, if it has not seen it; False if it finds fault with it.

        read_head is meant to be the stricter of the two; this keeps the promise if h11 learns more.
        """
        raw, self._unread = self._unread, b""
        if raw:
            self._conn.receive_data(raw)
            try:
                self._conn.next_event()
                if self._head is not None and not self._head.has_body:
                    self._conn.next_event()
            except h11.RemoteProtocolError:
                return False
        return True

    def _incomplete_head(self) -> list[Part]:
        buffer = self._buffer
        seen, self._checked = self._checked, len(buffer)
        # Only a new line, or a first line that is not complete, can tell anything new.
        if buffer.find(b"\n", seen) >= 0 or buffer.find(b"\n") < 0:
            told = bytes(buffer[: self._head_limit])
            fault = lenient_partial_fault(told) if self._lenient else partial_fault(told, seen)
            if fault is not None:
                return [self._fault(fault)]
        if len(buffer) > self._head_limit:
            return [self._fault(Fault(OVERFLOW, status=431, raw=bytes(buffer[: self._head_limit])))]
        return []

    def _body(self, data: bytes) -> list[Part]:
        if self._chunks is not None:
            return self._chunked_body(self._chunks, data)
        if len(data) > self._left:
            self._buffer += data[self._left :]
            data = data[: self._left]
        self._left -= len(data)
        self._conn.receive_data(data)
        self._conn.next_event()
        return [Data(data)] if self._left else [Data(data), self._ended(End())]

    def _chunked_body(self, chunks: ChunkedBody, data: bytes) -> list[Part]:
        parts = chunks.receive(data)
        last = parts[-1] if parts else None
        if type(last) is End:
            self._buffer += chunks.rest
            self._conn.receive_data(_LAST_CHUNK)
            self._ended(last)
        elif type(last) is Fault:
            self._fault(last)
        return parts

    def _ended(self, end: End) -> End:
        self._conn.next_event()
        self._reading_body = False
        self._chunks = None
        return end

    def _fault(self, fault: Fault) -> Fault:
        self._faulty = True
        self._reading_body = False
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
        """A final head as this connection must send it for the request at hand.

        Adds `date` (unless it is empty) where there is none, the framing (RFC 9112, 6; `length` None means unknown
        yet) and `connection: close` where the connection ends with this answer. The result depends only on the
        arguments and on `framing_key`. Raises ValueError for what no head can hold.
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
            # No body, and no framing but the length that a 304 may tell of what it stands for (RFC 9110, 8.6).
            raw = without(raw, "transfer-encoding", *(("content-length",) if status == 204 else ()))
        elif not date and self.bodiless and not names & _FRAMING_NAMES:
            pass  # another server's answer to HEAD need not tell the length (RFC 9110, 9.3.2)
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
        return ResponseHead(status, reason, raw, header_table(raw), Wire(status, reason, raw, close, odd=not date))

    @property
    def framing_key(self) -> tuple[bool, str]:
        """What of the request decides the framing of its answer, besides the answer itself."""
        assert self._head is not None
        return self._head.keep_alive, self._head.version

    @property
    def bodiless(self) -> bool:
        """Whether an answer to this request never has a body on the wire (HEAD)."""
        return self._head is not None and self._head.method == "HEAD"

    def send_interim(self, status: int, reason: str, headers: Sequence[Sequence[str]]) -> bytes:
        """A 1xx head (RFC 9110, 15.2)."""
        text = head_bytes(status, reason, headers)
        self._send(h11.InformationalResponse(status_code=status, headers=[]))
        return text

    @property
    def websocket_key(self) -> str:
        """`Sec-WebSocket-Key` of the request at hand."""
        assert self._head is not None
        key: str = self._head.headers.get("sec-websocket-key", "")
        return key

    def send_switch(self, head: ResponseHead) -> bytes:
        """A 101 with its fields (RFC 9110, 15.2.2); what follows is another protocol's."""
        return head_bytes(head.status, head.reason, head.raw_headers, odd=True)

    def send_whole(self, head: ResponseHead, body: bytes, trailers: Sequence[Sequence[str]] = ()) -> bytes:
        """Head, body and end of an answer.

        Where both messages are complete and their framing plain, h11 has nothing to watch over and is left
        out: it would cost as much as everything else that is done for such an exchange.
        """
        wire: Wire = head.wire
        request = self._head
        if (
            self._unread
            and request is not None
            and not request.upgrade
            and not trailers
            and (wire.length == len(body) or (not body and (wire.bodiless or self.bodiless)))
        ):
            self._unread = b""
            self._answered = not wire.close
            return wire.text + body if body else wire.text
        data = self.send_head(head)
        if body:
            data += self.send_data(body)
        return data + self.send_end(trailers)

    def send_head(self, head: ResponseHead) -> bytes:
        """The bytes of a final head made by `frame`."""
        wire: Wire = head.wire
        self._send(wire.event)
        self._chunking = wire.chunked
        return wire.text

    def send_data(self, data: bytes) -> bytes:
        """A piece of the body, in a chunk where the head said so."""
        return self._send(h11.Data(data=data))

    def send_end(self, trailers: Sequence[Sequence[str]] = ()) -> bytes:
        """The end of the answer. Trailers go out only with chunked framing (RFC 9112, 7.1.2)."""
        if not trailers or not self._chunking or self.bodiless:
            return self._send(_END)
        text = b"0\r\n" + field_lines(trailers)
        self._send(_END)
        return text

    def _send(self, event: Any) -> bytes:
        if self._unread:
            self._engage()
        return self._conn.send(event) or b""


def _for_h11(raw: bytes, head: RequestHead) -> bytes:
    """A head that holds more than h11 takes: it is shown the framing, with a target and a host that say nothing."""
    fields = raw[raw.index(b"\r\n") + 2 :]
    host = b"" if "host" in head.headers else b"Host: -\r\n"
    return f"{head.method} / HTTP/{head.version}\r\n".encode() + host + fields
