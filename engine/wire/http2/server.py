"""HTTP/2, server side (RFC 9113): bytes of one connection in, parts of its streams out; answers in, bytes out.

The twin of `H2Client` in `client.py`; what both do stands in `connection.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from h2.errors import ErrorCodes
from h2.events import Event, RequestReceived
from h2.settings import SettingCodes

from mockrec.engine.wire.http1.lenient_head import read_lenient_request
from mockrec.engine.wire.http1.request_head import OVERFLOW
from mockrec.engine.wire.http2.fast_path import QuickStreams
from mockrec.engine.wire.http2.fields import plain_fields, shown
from mockrec.engine.wire.http2.frames import CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, Frame
from mockrec.engine.wire.http2.heads import final_head, read_request, response_head
from mockrec.engine.wire.http2.limits import HEADER_OVERFLOW
from mockrec.engine.wire.http2.streams import StreamPart, StreamState
from mockrec.engine.wire.parts import End, Fault, RequestPart, ResponseHead

__all__ = ["H2Server", "StreamPart"]

# What h2 is shown in place of the fields: it must know an interim response from a final one.
_INTERIM = ((b":status", b"100"),)
_FINAL = ((b":status", b"200"),)


class H2Server(QuickStreams):
    """One HTTP/2 connection seen from the server."""

    def __init__(self, *, head_limit: int, streams: int, lenient: bool = False) -> None:
        """`lenient`: what is odd in a request and means one thing only is repaired (`lenient_head.py`)."""
        self._limit = streams
        self._read_request = read_lenient_request if lenient else read_request
        settings = {SettingCodes.MAX_CONCURRENT_STREAMS: streams, SettingCodes.ENABLE_CONNECT_PROTOCOL: 1}
        super().__init__(head_limit=head_limit, settings=settings)

    def _take(self, frame: Frame, parts: list[Any]) -> None:
        if frame.kind == HEADERS and not frame.flags & END_STREAM:
            state = self._streams.get(frame.stream)
            if state is not None and state.reading:
                # h2 would end the connection for trailers that do not end the stream (RFC 9113, 8.1).
                state.endless = True
                flags = frame.flags | END_STREAM
                frame = frame._replace(raw=frame.raw[:4] + bytes((flags,)) + frame.raw[5:], flags=flags)
        super()._take(frame, parts)

    def _is_late(self, frame: Frame) -> bool:
        _, kind, flags, stream = frame
        whole = kind == DATA or (kind in (HEADERS, CONTINUATION) and flags & END_HEADERS)
        return bool(whole) and stream <= self._conn.highest_inbound_stream_id and stream not in self._given_up

    def _read(self, event: Event, parts: list[Any]) -> None:
        if isinstance(event, RequestReceived):
            self._begin(event.stream_id, event.stream_ended is not None, parts)
        else:
            super()._read(event, parts)

    def _begin(self, stream: int, ended: bool, parts: list[Any]) -> None:
        fields = self._decoder.fields
        if self._leaving or len(self._streams) >= self._limit:
            reason = "the connection is being closed" if self._leaving else "too many streams at once"
            self._refuse(stream, ErrorCodes.REFUSED_STREAM, reason, parts, shown(fields, self._head_limit))
            return
        read = self._read_request(fields, ended)
        if isinstance(read, str):
            self._refuse(stream, ErrorCodes.PROTOCOL_ERROR, read, parts, shown(fields, self._head_limit))
            return
        head, size = read
        self._limits.progress()
        self._streams[stream] = state = StreamState(head.method, reading=not ended)
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
        """A final head as a stream must send it; see `final_head`. HTTP/2 has no reasons."""
        return final_head(status, headers, length, date)

    def send_interim(self, stream: int, status: int, headers: Sequence[Sequence[str]]) -> None:
        """A 1xx head. Raises ValueError for what no head can hold."""
        if not 100 <= status <= 199 or status == 101:  # RFC 9113, 8.6
            raise ValueError(f"no interim head can have the status {status}")
        head = response_head(status, plain_fields(headers))
        if self._state(stream) is not None:
            self._encoder.fields = head.wire
            self._conn.send_headers(stream, _INTERIM)

    def send_head(self, stream: int, head: ResponseHead, *, end: bool) -> None:
        """A final head made by `frame`."""
        state = self._state(stream)
        if state is None:
            return
        self._encoder.fields = head.wire
        self._conn.send_headers(stream, _FINAL, end_stream=end)
        if end:
            self._sent(stream, state)
