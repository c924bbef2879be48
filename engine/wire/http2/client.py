"""HTTP/2, client side (RFC 9113): requests in, bytes out; bytes of the server in, parts of its streams out.

The counterpart of `H2Server` in `server.py`; `connection.py` has what both share, `fast_client.py` the streams that
bypass h2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import Event, InformationalResponseReceived, RequestReceived, ResponseReceived
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes

from mockrec.engine.wire.fault_codes import OVERFLOW
from mockrec.engine.wire.http2.connection import H2Side, violation_of
from mockrec.engine.wire.http2.fast_client import ClientFastPath
from mockrec.engine.wire.http2.fields import Fields
from mockrec.engine.wire.http2.frames import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADER_SIZE,
    HEADERS,
    SETTINGS,
    Frame,
    Violation,
)
from mockrec.engine.wire.http2.heads import body_length, read_response, request_fields
from mockrec.engine.wire.http2.limits import HEADER_OVERFLOW
from mockrec.engine.wire.http2.streams import StreamPart, StreamState
from mockrec.engine.wire.parts import Data, End, Fault, GoAway, Interim, ResetPart, ResponsePart

STREAMS_AT_FIRST = 100
"""How many streams are opened before the server's limit is known (RFC 9113, 6.5.2)."""

_LAST_STREAM = H2Connection.HIGHEST_ALLOWED_STREAM_ID


class H2Client(H2Side):
    """The client's side of one HTTP/2 connection (RFC 9113, 3)."""

    def __init__(self, *, head_limit: int, bypass: bool = True) -> None:
        """`bypass`: whether plain streams bypass h2 (`fast_client.py`). Nothing else depends on it."""
        super().__init__(client=True, head_limit=head_limit, settings={SettingCodes.ENABLE_PUSH: 0})
        self._server_leaves = False
        self._max_streams = STREAMS_AT_FIRST
        self._bypass = bypass
        self._fast_path = ClientFastPath(self._conn, self._encoder, self._out)

    def start(self) -> None:
        """Write our connection preface (RFC 9113, 3.4). Must be called first."""
        super().start()
        self._fast_path.initial_window = self._conn.local_settings.initial_window_size

    @property
    def max_streams(self) -> int:
        """How many streams the server accepts at once (SETTINGS_MAX_CONCURRENT_STREAMS; RFC 9113, 6.5.2)."""
        return self._max_streams

    @property
    def settled(self) -> bool:
        """Whether the server's SETTINGS were received (RFC 9113, 3.4)."""
        return self._reader.settled

    @property
    def takes_websockets(self) -> bool:
        """Whether the server accepts WebSockets over HTTP/2 (SETTINGS_ENABLE_CONNECT_PROTOCOL; RFC 8441, 3)."""
        return bool(self._conn.remote_settings.enable_connect_protocol)

    @property
    def open_streams(self) -> int:
        """How many streams are open (RFC 9113, 5.1)."""
        return len(self._streams)

    @property
    def can_request(self) -> bool:
        """Whether the connection can carry another request now (RFC 9113, 5.1.2 and 6.8)."""
        return (
            not (self._broken or self._leaving or self._server_leaves)
            and len(self._streams) < self._max_streams
            and self._conn.highest_outbound_stream_id + 2 <= _LAST_STREAM
        )

    def request(
        self,
        method: str,
        target: str,
        scheme: str,
        authority: str,
        raw_headers: Sequence[Sequence[str]],
        *,
        end: bool,
    ) -> int:
        """Open a stream with a request head (RFC 9113, 8.3.1); return its id. `end`: no content follows.

        Only if `can_request`. Pseudo-headers among `raw_headers` determine the order, the arguments the values;
        `:protocol` is forwarded. Raises ValueError for what no head can hold; nothing has changed then.
        """
        return self.open(method, request_fields(method, target, scheme, authority, raw_headers), end=end)

    def open(self, method: str, fields: Fields, *, end: bool) -> int:
        """Do the same with fields that `request_fields` has made."""
        if not self.can_request:
            raise RuntimeError("the connection takes no more requests")
        bypasses_h2 = end and self._bypass and self._fast_path.is_ready
        if bypasses_h2:
            stream = self._fast_path.open(fields)
        else:
            stream = self._conn.get_next_available_stream_id()
            self._encoder.fields = fields
            self._conn.send_headers(stream, (), end_stream=end)
        self._limits.progress()
        self._streams[stream] = StreamState(method, sending=not end, bypasses_h2=bypasses_h2)
        return stream

    def _take(self, frame: Frame, parts: list[Any]) -> None:
        kind, stream = frame.kind, frame.stream
        state = self._streams.get(stream)
        if state is None:
            if kind == HEADERS:
                self._fast_path.note_ended(stream)
        elif state.bypasses_h2:
            if not self._limits.block:  # otherwise the frame is a fault, whatever it is (RFC 9113, 6.10)
                if kind == DATA and self._take_data(frame, state, parts):
                    return
                if kind == HEADERS and self._take_head(frame, state, parts):
                    return
            self._state(stream)  # from now on, h2 knows the stream
        super()._take(frame, parts)
        if kind == SETTINGS:
            self._max_streams = self._conn.remote_settings.max_concurrent_streams

    def _take_head(self, frame: Frame, state: StreamState, parts: list[Any]) -> bool:
        """Take a whole final head on a stream that bypasses h2; False if h2 has to receive the frame."""
        if state.answered or frame.flags | END_STREAM != END_STREAM | END_HEADERS:
            return False
        try:
            self._decoder.decode(frame.raw[HEADER_SIZE:])
        except ProtocolError as error:
            parts.append(self._break(self._limits.count_frame() or violation_of(error)))
            return True
        read = read_response(self._decoder.fields)
        if isinstance(read, str):
            self._decoder.repeats = True
            return False
        head, size, declared = read
        length = body_length(declared, head.status, state.method)
        ended = frame.flags & END_STREAM
        if head.status < 200 or size > self._head_limit or isinstance(length, str) or (ended and length > 0):
            self._decoder.repeats = True
            return False
        violation = self._limits.count_frame()
        if violation is not None:
            parts.append(self._break(violation))
            return True
        self._limits.progress()
        state.answered, state.left = True, length
        parts.append(StreamPart(frame.stream, ResponsePart(head)))
        if ended:
            del self._streams[frame.stream]
            parts.append(StreamPart(frame.stream, End()))
        return True

    def _take_data(self, frame: Frame, state: StreamState, parts: list[Any]) -> bool:
        """Take content on a stream that bypasses h2; False if h2 has to receive the frame."""
        raw, _, flags, stream = frame
        size, left = len(raw) - HEADER_SIZE, state.left
        if not state.answered or flags > END_STREAM:  # padding, or a flag that is not defined
            return False
        if left >= 0:
            left -= size
            if left < 0 or (flags and left):
                return False  # longer or shorter than announced
        if not self._fast_path.count(size, state, ended=bool(flags)):
            return False
        violation = self._limits.count_frame()
        if violation is not None:
            parts.append(self._break(violation))
            return True
        state.left = left
        if size:
            self._limits.progress()
            self._owed[stream] = self._owed.get(stream, 0) + size
            parts.append(StreamPart(stream, Data(raw[HEADER_SIZE:])))
        if flags:
            del self._streams[stream]
            parts.append(StreamPart(stream, End()))
        return True

    def _state(self, stream: int) -> StreamState | None:
        """The state of an open stream that something other than a plain response happens on."""
        state = self._streams.get(stream)
        if state is not None and state.bypasses_h2:
            state.bypasses_h2 = False
            self._fast_path.introduce(stream, state)
        return state

    def _acknowledge(self, size: int, stream: int) -> None:
        state = self._streams.get(stream)
        if state is None or state.bypasses_h2:
            self._fast_path.acknowledge(size, stream, state)
        else:
            super()._acknowledge(size, stream)

    def _read(self, event: Event, parts: list[Any]) -> None:
        if isinstance(event, RequestReceived):
            # h2 accepts a stream that a server opens if its id is even; only a PUSH_PROMISE may (RFC 9113, 8.4).
            detail = f"the server opened stream {event.stream_id}"
            parts.append(self._break(Violation(ErrorCodes.PROTOCOL_ERROR, detail)))
            return
        if not isinstance(event, (ResponseReceived, InformationalResponseReceived)):
            super()._read(event, parts)
            return
        stream = event.stream_id
        state = self._streams[stream]
        ended = isinstance(event, ResponseReceived) and event.stream_ended is not None
        read = read_response(self._decoder.fields)
        if isinstance(read, str):
            self._refuse(stream, ErrorCodes.PROTOCOL_ERROR, read, parts)
            return
        head, size, declared = read
        if size > self._head_limit:
            self._end(stream, ErrorCodes.CANCEL)
            detail = f"a header list of {size} bytes"
            parts.append(StreamPart(stream, Fault(OVERFLOW, status=0, detail=detail, tag=HEADER_OVERFLOW)))
            return
        if head.status < 200:
            parts.append(StreamPart(stream, Interim(head)))
            return  # no progress: too many successive frames of this kind are a flood
        self._limits.progress()
        length = body_length(declared, head.status, state.method)
        if isinstance(length, str):
            self._refuse(stream, ErrorCodes.PROTOCOL_ERROR, length, parts)
            return
        state.left = length
        parts.append(StreamPart(stream, ResponsePart(head)))
        if ended:
            self._ended(stream, state, End(), parts)

    def _gone(self, notice: GoAway, parts: list[Any]) -> None:
        """Requests on streams above the last one were not processed and may be sent again (RFC 9113, 6.8)."""
        self._server_leaves = True
        parts.append(notice)
        for stream in [stream for stream in self._streams if stream > notice.last_stream]:
            self._end(stream, ErrorCodes.CANCEL)
            parts.append(StreamPart(stream, ResetPart(ErrorCodes.REFUSED_STREAM, "the server is leaving")))
