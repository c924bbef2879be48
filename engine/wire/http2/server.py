"""HTTP/2, server side (RFC 9113): bytes of one connection in, parts of its streams out; responses in, bytes out.

The counterpart of `H2Client` in `client.py`; `connection.py` has what both share, `fast_path.py` the streams that
bypass h2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from h2.errors import ErrorCodes
from h2.events import Event, RequestReceived
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes

from mockrec.engine.wire.fault_codes import OVERFLOW
from mockrec.engine.wire.http2.connection import H2Side, violation_of
from mockrec.engine.wire.http2.fast_path import FastPath, introduce
from mockrec.engine.wire.http2.fields import plain_fields, shown
from mockrec.engine.wire.http2.frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADER_SIZE,
    HEADERS,
    SETTINGS,
    Frame,
)
from mockrec.engine.wire.http2.heads import final_head, read_request, response_head
from mockrec.engine.wire.http2.lenient_head import read_lenient_request
from mockrec.engine.wire.http2.limits import HEADER_OVERFLOW
from mockrec.engine.wire.http2.streams import StreamPart, StreamState
from mockrec.engine.wire.parts import End, Fault, RequestHead, RequestPart, ResponseHead

__all__ = ["H2Server", "StreamPart"]

# The fields that h2 is shown: it must distinguish interim responses from final ones.
_INTERIM = ((b":status", b"100"),)
_FINAL = ((b":status", b"200"),)


class H2Server(H2Side):
    """The server's side of one HTTP/2 connection (RFC 9113, 3)."""

    def __init__(self, *, head_limit: int, streams: int, lenient: bool = False) -> None:
        """`streams`: how many may be open at once. `lenient`: repair what has one meaning (`lenient_head.py`)."""
        self._limit = streams
        self._read_request = read_lenient_request if lenient else read_request
        settings = {SettingCodes.MAX_CONCURRENT_STREAMS: streams, SettingCodes.ENABLE_CONNECT_PROTOCOL: 1}
        super().__init__(client=False, head_limit=head_limit, settings=settings)
        self._fast_path = FastPath(self._conn, self._encoder, self._out)

    def _take(self, frame: Frame, parts: list[Any]) -> None:
        if frame.kind != HEADERS:
            self._state(frame.stream)  # from now on, h2 knows the stream
        elif not (self._limits.block or self._leaving) and self._fast_path.takes(frame):
            self._take_request(frame, parts)
            return
        else:
            self._fast_path.enabled = True
            state = self._streams.get(frame.stream)
            if state is not None and state.reading and not frame.flags & END_STREAM:
                # h2 would end the connection for trailers that do not end the stream (RFC 9113, 8.1).
                state.endless = True
                flags = frame.flags | END_STREAM
                frame = frame._replace(raw=frame.raw[:4] + bytes((flags,)) + frame.raw[5:], flags=flags)
        super()._take(frame, parts)
        if frame.kind == SETTINGS:
            self._fast_path.initial_window = self._conn.remote_settings.initial_window_size

    def _take_request(self, frame: Frame, parts: list[Any]) -> None:
        """Take a request, whole in one frame, on a stream that bypasses h2."""
        violation = self._limits.count_frame() or self._limits.count_block(len(frame.raw), last=True)
        if violation is None:
            try:
                self._decoder.decode(frame.raw[HEADER_SIZE:])
            except ProtocolError as error:
                violation = violation_of(error)
        if violation is not None:
            parts.append(self._break(violation))
        else:
            self._fast_path.open(frame.stream)
            self._begin(frame.stream, True, parts, bypasses_h2=True)

    def _state(self, stream: int) -> StreamState | None:
        """The state of an open stream that something other than a whole response happens on."""
        state = self._streams.get(stream)
        if state is not None and state.bypasses_h2:
            state.bypasses_h2 = False
            introduce(self._conn, stream)
        return state

    def _is_late(self, frame: Frame) -> bool:
        _, kind, flags, stream = frame
        whole = kind == DATA or (kind in (HEADERS, CONTINUATION) and flags & END_HEADERS)
        return bool(whole) and stream <= self._conn.highest_inbound_stream_id and stream not in self._given_up

    def _read(self, event: Event, parts: list[Any]) -> None:
        if isinstance(event, RequestReceived):
            self._begin(event.stream_id, event.stream_ended is not None, parts)
        else:
            super()._read(event, parts)

    def _begin(self, stream: int, ended: bool, parts: list[Any], *, bypasses_h2: bool = False) -> None:
        """Begin a stream with the request head that was just decoded."""
        fields = self._decoder.fields
        code = ErrorCodes.REFUSED_STREAM
        read: tuple[RequestHead, int] | str
        if self._leaving:
            read = "the connection is being closed"
        elif len(self._streams) >= self._limit:
            read = "too many streams at once"
        else:
            code, read = ErrorCodes.PROTOCOL_ERROR, self._read_request(fields, ended)
        if isinstance(read, str):
            if bypasses_h2:
                introduce(self._conn, stream)
            self._refuse(stream, code, read, parts, shown(fields, self._head_limit))
            return
        head, size = read
        self._limits.progress()
        self._streams[stream] = state = StreamState(head.method, reading=not ended, bypasses_h2=bypasses_h2)
        if size > self._head_limit:
            state.mute = True
            fault = Fault(OVERFLOW, status=431, detail=f"a header list of {size} bytes", tag=HEADER_OVERFLOW)
            fault.raw_headers = shown(fields, self._head_limit)
            parts.append(StreamPart(stream, fault))
            return
        parts.append(StreamPart(stream, RequestPart(head)))
        if ended:
            parts.append(StreamPart(stream, End()))
        elif head.content_length is not None:
            state.left = head.content_length

    def frame(
        self,
        status: int,
        reason: str,
        headers: Sequence[tuple[str, str]],
        length: int | None,
        date: str,
    ) -> ResponseHead:
        """Return a final head as a stream must send it; see `final_head`. HTTP/2 has no reasons (RFC 9113, 8.3.2)."""
        return final_head(status, headers, length, date)

    def send_interim(self, stream: int, status: int, headers: Sequence[Sequence[str]]) -> None:
        """Send a 1xx head (RFC 9113, 8.1). Raises ValueError for what no head can hold."""
        if not 100 <= status <= 199 or status == 101:  # RFC 9113, 8.6
            raise ValueError(f"no interim head can have the status {status}")
        head = response_head(status, plain_fields(headers))
        if self._state(stream) is not None:
            self._encoder.fields = head.wire
            self._conn.send_headers(stream, _INTERIM)

    def send_whole(self, stream: int, head: ResponseHead, body: bytes) -> bool:
        """Send a whole response (RFC 9113, 8.1) past h2: a head made by `frame`, and its content.

        Returns False, with nothing sent, if that is not possible.
        """
        state = self._streams.get(stream)
        if state is None or not state.bypasses_h2 or not self._fast_path.respond(stream, head.wire, body):
            return False
        self._limits.progress()
        del self._streams[stream]
        return True

    def send_head(self, stream: int, head: ResponseHead, *, end: bool) -> None:
        """Send a final head made by `frame` (RFC 9113, 8.1). `end`: no content follows."""
        state = self._state(stream)
        if state is None:
            return
        self._encoder.fields = head.wire
        self._conn.send_headers(stream, _FINAL, end_stream=end)
        if end:
            self._sent(stream, state)
