"""HTTP/2, client side (RFC 9113): requests in, bytes out; bytes of the server in, parts of its streams out.

The counterpart of `H2Server` in `server.py`; `connection.py` has what both share.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import Event, InformationalResponseReceived, RequestReceived, ResponseReceived
from h2.settings import SettingCodes

from mockrec.engine.wire.fault_codes import OVERFLOW
from mockrec.engine.wire.http2.connection import H2Side
from mockrec.engine.wire.http2.fields import list_size
from mockrec.engine.wire.http2.frames import Violation
from mockrec.engine.wire.http2.heads import body_length, read_response, request_fields
from mockrec.engine.wire.http2.limits import HEADER_OVERFLOW
from mockrec.engine.wire.http2.streams import StreamPart, StreamState
from mockrec.engine.wire.parts import End, Fault, GoAway, Interim, ResetPart, ResponsePart

STREAMS_AT_FIRST = 100
"""How many streams are opened before the server's limit is known (RFC 9113, 6.5.2)."""

_LAST_STREAM = H2Connection.HIGHEST_ALLOWED_STREAM_ID


class H2Client(H2Side):
    """The client's side of one HTTP/2 connection (RFC 9113, 3)."""

    def __init__(self, *, head_limit: int) -> None:
        super().__init__(client=True, head_limit=head_limit, settings={SettingCodes.ENABLE_PUSH: 0})
        self._server_leaves = False

    @property
    def max_streams(self) -> int:
        """How many streams the server accepts at once (SETTINGS_MAX_CONCURRENT_STREAMS; RFC 9113, 6.5.2)."""
        limit = self._conn.remote_settings.max_concurrent_streams
        return limit if self._reader.settled else min(limit, STREAMS_AT_FIRST)

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
            and len(self._streams) < self.max_streams
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
        if not self.can_request:
            raise RuntimeError("the connection takes no more requests")
        wire = request_fields(method, target, scheme, authority, raw_headers)
        stream = self._conn.get_next_available_stream_id()
        self._encoder.fields = wire
        self._conn.send_headers(stream, (), end_stream=end)
        self._limits.progress()
        self._streams[stream] = StreamState(method, sending=not end)
        return stream

    def _read(self, event: Event, parts: list[Any]) -> None:
        if isinstance(event, RequestReceived):
            # h2 accepts a stream that a server opens if its id is even; only a PUSH_PROMISE may (RFC 9113, 8.4).
            detail = f"the server opened stream {event.stream_id}"
            parts.append(self._break(Violation(ErrorCodes.PROTOCOL_ERROR, detail)))
            return
        if not isinstance(event, (ResponseReceived, InformationalResponseReceived)):
            super()._read(event, parts)
            return
        stream, fields = event.stream_id, self._decoder.fields
        state = self._streams[stream]
        ended = isinstance(event, ResponseReceived) and event.stream_ended is not None
        head = read_response(fields)
        if isinstance(head, str):
            self._refuse(stream, ErrorCodes.PROTOCOL_ERROR, head, parts)
            return
        if list_size(fields) > self._head_limit:
            self._end(stream, ErrorCodes.CANCEL)
            detail = f"a header list of {list_size(fields)} bytes"
            parts.append(StreamPart(stream, Fault(OVERFLOW, status=0, detail=detail, tag=HEADER_OVERFLOW)))
            return
        if head.status < 200:
            parts.append(StreamPart(stream, Interim(head)))
            return  # no progress: too many successive frames of this kind are a flood
        self._limits.progress()
        length = body_length(fields, head.status, state.method)
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
