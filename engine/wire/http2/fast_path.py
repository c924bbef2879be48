"""Requests that end with their head, of which h2 is told only if need be.

Most streams have two messages of one turn: a head comes, and a whole answer that fits into the windows goes. Of such
a stream h2 need not know, as h11 need not know of such an exchange; it takes more than half of the time. What is
looked at here is what h2 would look at: the order of streams, their number, the windows, the size of frames. As soon
as anything else happens on the stream, h2 is given its head.
"""

from __future__ import annotations

import struct
from typing import Any, Final

from h2.errors import ErrorCodes
from h2.exceptions import DenialOfServiceError, ProtocolError

from mockrec.engine.wire.fault_phrases import library_words
from mockrec.engine.wire.http2 import frames
from mockrec.engine.wire.http2.connection import H2Side
from mockrec.engine.wire.http2.frames import Frame, Violation
from mockrec.engine.wire.http2.limits import HEADER_OVERFLOW
from mockrec.engine.wire.http2.streams import StreamState
from mockrec.engine.wire.parts import ResponseHead

_WHOLE: Final = frames.END_STREAM | frames.END_HEADERS
_FRAME_HEADER = struct.Struct(">HBBBL")


class QuickStreams(H2Side):
    """The server's side with such streams."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(client=False, **settings)
        self._untold: set[int] = set()
        """The streams that h2 does not know of."""
        self._begun = False
        """Whether h2 has seen a request, which it has to before it says anything itself."""

    def _take(self, frame: Frame, parts: list[Any]) -> None:
        if frame.kind != frames.HEADERS:
            if frame.stream in self._untold:
                self._tell_h2(frame.stream)
        elif self._is_quick(frame):
            self._take_head(frame, parts)
            return
        else:
            self._begun = True
        super()._take(frame, parts)

    def _is_quick(self, frame: Frame) -> bool:
        """Whether it is a head without a body, on a stream that may begin."""
        return (
            frame.flags == _WHOLE
            and self._begun
            and frame.stream > self._conn.highest_inbound_stream_id
            and frame.stream % 2 == 1
            and not (self._limits.block or self._leaving)
        )

    def _take_head(self, frame: Frame, parts: list[Any]) -> None:
        raw, _, _, stream = frame
        violation = self._limits.count_frame() or self._limits.count_block(len(raw), last=True)
        if violation is None:
            try:
                self._decoder.decode(raw[frames.HEADER_SIZE :])
            except ProtocolError as error:
                tag = HEADER_OVERFLOW if isinstance(error, DenialOfServiceError) else ""
                violation = Violation(ErrorCodes(error.error_code), library_words(error), tag)
        if violation is not None:
            parts.append(self._break(violation))
            return
        self._conn.highest_inbound_stream_id = stream
        self._untold.add(stream)
        self._begin(stream, True, parts)

    def _begin(self, stream: int, ended: bool, parts: list[Any]) -> None:
        """A request's head has been decoded."""
        raise NotImplementedError

    def _state(self, stream: int) -> StreamState | None:
        if stream in self._untold:
            self._tell_h2(stream)
        return super()._state(stream)

    def _tell_h2(self, stream: int) -> None:
        """h2 gets the head; of its fields it would be shown nothing in any case."""
        self._untold.discard(stream)
        conn = self._conn
        highest, conn.highest_inbound_stream_id = conn.highest_inbound_stream_id, stream - 2
        conn.receive_data(_frame(frames.HEADERS, _WHOLE, stream, b""))
        conn.highest_inbound_stream_id = highest

    def _end(self, stream: int, code: int) -> None:
        if stream in self._untold:
            self._tell_h2(stream)
        super()._end(stream, code)

    def _forget(self, stream: int) -> None:
        self._untold.discard(stream)
        super()._forget(stream)

    def _shut(self, code: int, *, told: bool = False) -> None:
        super()._shut(code, told=told)
        self._untold.clear()

    def send_whole(self, stream: int, head: ResponseHead, body: bytes) -> bool:
        """Send a whole answer past h2, if that can be done."""
        conn, size = self._conn, len(body)
        if stream not in self._untold:
            return False
        most = conn.max_outbound_frame_size
        if size > min(most, conn.outbound_flow_control_window, conn.remote_settings.initial_window_size):
            return False
        self._encoder.fields = head.wire
        block = self._encoder.encode(())
        out = self._out
        out += conn.data_to_send()  # what h2 has said before comes before it
        end = 0 if body else frames.END_STREAM
        if len(block) <= most:
            out += _frame(frames.HEADERS, end | frames.END_HEADERS, stream, block)
        else:
            out += _frame(frames.HEADERS, end, stream, block[:most])
            for at in range(most, len(block), most):
                last = frames.END_HEADERS if at + most >= len(block) else 0
                out += _frame(frames.CONTINUATION, last, stream, block[at : at + most])
        if body:
            out += _frame(frames.DATA, frames.END_STREAM, stream, body)
            conn.outbound_flow_control_window -= size
        self._limits.progress()
        self._untold.discard(stream)
        del self._streams[stream]
        return True


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    size = len(payload)
    return _FRAME_HEADER.pack(size >> 8, size & 0xFF, kind, flags, stream) + payload
