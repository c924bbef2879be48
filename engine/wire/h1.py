"""HTTP/1.1 and 1.0, server side (RFC 9112): bytes in, parts out; answers in, bytes out.

h11 keeps the state of the exchange and does the framing. This file decides what reaches h11: a head only
after `head.py` has read it, a body only up to its end, so that nothing of the next request hides inside
h11's buffer. Pipelined requests wait here until the answer before them is complete (`next_request`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import h11

from mockrec.engine.wire.head import (
    EARLY_EOF,
    INVALID_CHUNK,
    INVALID_HEADER,
    OVERFLOW,
    partial_fault,
    read_head,
)
from mockrec.engine.wire.parts import (
    Data,
    End,
    Fault,
    Part,
    Request,
    RequestHead,
    ResponseHead,
    header_table,
)

_END = h11.EndOfMessage()
_LONG_HEAD = 16 * 1024


class H1Server:
    """One HTTP/1 connection seen from the server."""

    def __init__(self, head_limit: int) -> None:
        self._head_limit = head_limit
        self._conn = self._new_connection()
        self._buffer = bytearray()
        self._checked = 0
        self._head: RequestHead | None = None
        """The request that is being answered."""
        self._reading_body = False
        self._faulty = False

    def _new_connection(self) -> h11.Connection:
        return h11.Connection(h11.SERVER, max_incomplete_event_size=max(self._head_limit, _LONG_HEAD))

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
        behind_body = self._conn.trailing_data[0]
        if behind_body:
            # What was pipelined behind a body is in h11's buffer and has to pass read_head as well. h11
            # cannot hand bytes back, but with both sides done there is no state that a new one would miss.
            self._conn = self._new_connection()
            self._buffer[:0] = behind_body
        else:
            self._conn.start_next_cycle()
        self._head = None
        return self._next_head() if self._buffer else []

    @property
    def reusable(self) -> bool:
        """Whether the request and its answer are complete and the connection may carry another pair."""
        return self._conn.our_state is h11.DONE and self._conn.their_state is h11.DONE

    @property
    def buffered(self) -> int:
        """Bytes that wait for their turn (pipelined requests, or the start of a head)."""
        return len(self._buffer)

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
        end = buffer.find(b"\r\n\r\n", max(self._checked - 3, 0))
        if end < 0 or end + 4 > self._head_limit:
            return self._incomplete_head()
        raw = bytes(buffer[: end + 4])
        del buffer[: end + 4]
        self._checked = 0
        head = read_head(raw)
        if isinstance(head, Fault):
            return [self._fault(head)]
        self._conn.receive_data(raw)
        try:
            self._conn.next_event()
        except h11.RemoteProtocolError:
            # read_head is meant to be the stricter of the two; this keeps the promise if h11 learns more.
            return [self._fault(Fault(INVALID_HEADER, raw=raw))]
        self._head = head
        if not head.has_body:
            return [Request(head), *self._body(b"")]
        self._reading_body = True
        rest = bytes(buffer)
        buffer.clear()
        return [Request(head), *(self._body(rest) if rest else ())]

    def _incomplete_head(self) -> list[Part]:
        buffer = self._buffer
        seen, self._checked = self._checked, len(buffer)
        # Only a new line, or a first line that is not complete, can tell anything new.
        if buffer.find(b"\n", seen) >= 0 or buffer.find(b"\n") < 0:
            fault = partial_fault(bytes(buffer[: self._head_limit]))
            if fault is not None:
                return [self._fault(fault)]
        if len(buffer) > self._head_limit:
            return [self._fault(Fault(OVERFLOW, status=431, raw=bytes(buffer[: self._head_limit])))]
        return []

    def _body(self, data: bytes) -> list[Part]:
        conn = self._conn
        if data:
            conn.receive_data(data)
        parts: list[Part] = []
        try:
            while True:
                event = conn.next_event()
                if type(event) is h11.Data:
                    parts.append(Data(bytes(event.data)))
                elif type(event) is h11.EndOfMessage:
                    parts.append(End(_text_pairs(event.headers) if event.headers else ()))
                    self._reading_body = False
                    return parts
                else:
                    return parts
        except h11.RemoteProtocolError:
            parts.append(self._fault(Fault(INVALID_CHUNK)))
            return parts

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

        Adds `date` where there is none, the framing (RFC 9112, 6; `length` None means unknown yet) and
        `connection: close` where the connection ends with this answer. The result depends only on the
        arguments and on `framing_key`.
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
        if "date" not in names:
            raw.append(["Date", date])
        if status == 204 or (length is None and status == 304):
            raw = [pair for pair in raw if pair[0].lower() != "content-length"]
        elif length is None:
            raw = [pair for pair in raw if pair[0].lower() not in ("content-length", "transfer-encoding")]
            if self._head.version == "1.1":
                raw.append(["Transfer-Encoding", "chunked"])
            else:
                close = True  # RFC 9112, 6.3: an HTTP/1.0 client learns the end from the connection's
        elif "content-length" not in names:
            raw.append(["Content-Length", str(length)])
        if close:
            raw = [pair for pair in raw if pair[0].lower() != "connection"]
            raw.append(["Connection", ", ".join(sorted((tokens - {"keep-alive", ""}) | {"close"}))])
        return ResponseHead(status, reason, raw, header_table(raw))

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
        return self._send(
            h11.InformationalResponse(status_code=status, reason=reason.encode("latin-1"), headers=_byte_pairs(headers))
        )

    def send_head(self, head: ResponseHead) -> bytes:
        """The bytes of a final head made by `frame`."""
        if head.wire is None:
            head.wire = h11.Response(
                status_code=head.status,
                reason=head.reason.encode("latin-1"),
                headers=_byte_pairs(head.raw_headers),
            )
        return self._send(head.wire)

    def send_data(self, data: bytes) -> bytes:
        """A piece of the body, in a chunk where the head said so."""
        return self._send(h11.Data(data=data))

    def send_end(self, trailers: Sequence[Sequence[str]] = ()) -> bytes:
        """The end of the answer. Trailers go out only with chunked framing (RFC 9112, 7.1.2)."""
        if not trailers:
            return self._send(_END)
        return self._send(h11.EndOfMessage(headers=_byte_pairs(trailers)))

    def _send(self, event: Any) -> bytes:
        return self._conn.send(event) or b""


def _byte_pairs(pairs: Sequence[Sequence[str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]


def _text_pairs(headers: Any) -> list[list[str]]:
    return [[name.decode("latin-1"), value.decode("latin-1")] for name, value in headers.raw_items()]
