"""The streams of one end of an HTTP/2 connection (RFC 9113, 5): which are open, their windows, and the sending side.

The h2 package keeps the states of connection and streams, flow control and header compression.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.exceptions import H2Error
from h2.settings import SettingCodes, Settings
from h2.windows import WindowManager
from hyperframe.frame import GoAwayFrame

from mockrec.engine.wire.http2.fields import as_wire, plain_fields
from mockrec.engine.wire.http2.frames import PREFACE
from mockrec.engine.wire.http2.hpack import FieldDecoder, FieldEncoder
from mockrec.engine.wire.http2.limits import PeerLimits
from mockrec.engine.wire.parts import Part, ResetPart

STREAM_WINDOW: Final = 256 * 1024
CONNECTION_WINDOW: Final = 100 * STREAM_WINDOW
"""Bytes that a peer may send before they are consumed (RFC 9113, 5.2), on one stream and on all. The connection has
room for the full windows of 100 streams, so a stream that is not read does not stop the others."""

_NO_LIMIT: Final = 2**31 - 1
_DEFAULT_WINDOW: Final = 65535
_GIVEN_UP: Final = 1000


@dataclass(slots=True)
class StreamPart:
    """A part that was received on one stream (RFC 9113, 5).

    A `Fault` is one of this stream alone: its head was read but is too large, and a response can be sent.
    """

    stream: int
    part: Part | ResetPart


class StreamState:
    """The state of an open stream (RFC 9113, 5.1) that h2 does not expose."""

    __slots__ = ("answered", "bypasses_h2", "endless", "left", "method", "mute", "reading", "sending", "window")

    def __init__(self, method: str, reading: bool = True, sending: bool = True, *, bypasses_h2: bool = False) -> None:
        self.method = method
        self.reading = reading
        """Whether the peer's message is incomplete."""
        self.sending = sending
        """Whether our message is incomplete."""
        self.left = -1
        """Bytes of the peer's content that must follow (RFC 9113, 8.1.1); -1 if it declares no length."""
        self.mute = False
        """Whether the peer's content is discarded."""
        self.endless = False
        """Whether the peer's trailers do not end the stream, which is a fault (RFC 9113, 8.1)."""
        self.bypasses_h2 = bypasses_h2
        """Whether h2 does not know the stream (`fast_path.py`, `fast_client.py`). The next two are kept only then."""
        self.answered = False
        """Whether the head of the server's response was received."""
        self.window: WindowManager | None = None
        """What the peer may still send; None if it is the initial window."""


class H2Streams:
    """The streams of a connection (RFC 9113, 5). What is sent on a stream that has ended or was reset is discarded."""

    def __init__(self, *, client: bool, head_limit: int, settings: dict[SettingCodes, int]) -> None:
        # Fields do not reach h2 (`hpack.py`), so it has nothing to validate or to normalize.
        config = H2Configuration(
            client_side=client,
            validate_inbound_headers=False,
            normalize_inbound_headers=False,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self._head_limit = head_limit
        # A head that is a little too large is read, so that only its stream fails.
        self._limits = PeerLimits(max(4 * head_limit, 1 << 16))
        self._conn = H2Connection(config)
        self._conn.encoder = self._encoder = FieldEncoder()
        self._conn.decoder = self._decoder = FieldDecoder(self._limits.block_limit, shown=int(client))
        self._client = client
        self._settings = settings
        self._streams: dict[int, StreamState] = {}
        self._owed: dict[int, int] = {}
        """Stream → bytes of received data that have not been consumed."""
        self._given_up: deque[int] = deque(maxlen=_GIVEN_UP)
        """Streams that were reset here: the peer may not know yet (RFC 9113, 5.1)."""
        self._out = bytearray()
        self._broken = False
        self._leaving = False
        """Whether new streams are refused: a GOAWAY was sent (RFC 9113, 6.8)."""

    def start(self) -> None:
        """Write our connection preface (RFC 9113, 3.4). Must be called first."""
        conn = self._conn
        initial = {
            SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
            SettingCodes.MAX_HEADER_LIST_SIZE: self._head_limit,
            **self._settings,
        }
        conn.local_settings = Settings(client=self._client, initial_values=initial)
        conn.initiate_connection()
        # h2 would end the connection for one stream too many (RFC 9113, 5.1.2); here only that stream is refused.
        initial[SettingCodes.MAX_CONCURRENT_STREAMS] = _NO_LIMIT
        conn.local_settings = Settings(client=self._client, initial_values=initial)
        conn.increment_flow_control_window(CONNECTION_WINDOW - _DEFAULT_WINDOW)
        if not self._client:
            conn.receive_data(PREFACE)  # FrameReader checks the one that is received

    # ── state and flow control ─────────────────────────────────────────────────────────────────────

    def consumed(self, stream: int, size: int) -> None:
        """`size` bytes of data from `stream` were consumed: the peer may send as many more (RFC 9113, 6.9).

        Must be called for all data that was received, also after the end of the stream; a reset settles the rest.
        """
        owed = self._owed.get(stream, 0)
        size = min(size, owed)
        if size <= 0:
            return
        if size < owed:
            self._owed[stream] = owed - size
        else:
            del self._owed[stream]
        self._acknowledge(size, stream)

    def _acknowledge(self, size: int, stream: int) -> None:
        """Open the windows of stream and connection again (RFC 9113, 6.9)."""
        self._conn.acknowledge_received_data(size, stream)

    def window(self, stream: int) -> int:
        """Return how many bytes may be sent now (RFC 9113, 6.9.1); 0 also if the stream accepts none."""
        state = self._state(stream)
        return max(0, self._conn.local_flow_control_window(stream)) if state is not None and state.sending else 0

    def is_open(self, stream: int) -> bool:
        """Whether one of the two messages is incomplete (RFC 9113, 5.1)."""
        return stream in self._streams

    def _state(self, stream: int) -> StreamState | None:
        """Return the state of an open stream, for everything that happens on it in h2."""
        return self._streams.get(stream)

    def _forget(self, stream: int) -> None:
        """Remove a stream that has ended; data that was not consumed counts as consumed."""
        owed = self._owed.pop(stream, 0)
        if owed:
            self._acknowledge(owed, stream)
        self._streams.pop(stream, None)

    def _end(self, stream: int, code: int) -> None:
        """Reset a stream (RFC 9113, 6.4)."""
        self._state(stream)
        try:
            self._conn.reset_stream(stream, code)
            self._given_up.append(stream)
        except H2Error:
            pass  # both messages are complete: there is nothing to reset
        self._forget(stream)

    # ── out ────────────────────────────────────────────────────────────────────────────────────────

    @property
    def pending(self) -> bool:
        """Whether there is anything to send."""
        return bool(self._out or self._conn._data_to_send)

    @property
    def pending_size(self) -> int:
        """Bytes that wait to be sent."""
        return len(self._out) + len(self._conn._data_to_send)

    def outgoing(self) -> bytes:
        """Remove and return all bytes that wait to be sent."""
        data = self._conn.data_to_send()
        if self._out:
            data = bytes(self._out) + data if data else bytes(self._out)
            self._out.clear()
        return data

    def send_data(self, stream: int, data: bytes, *, end: bool) -> None:
        """Send a piece of content (RFC 9113, 6.1), no longer than `window` allows."""
        state = self._state(stream)
        if state is None or not (data or end):
            return
        if data:
            self._limits.progress()
        most = self._conn.max_outbound_frame_size
        for at in range(0, len(data) - most, most):
            self._conn.send_data(stream, data[at : at + most])
        rest = len(data) % most or min(len(data), most)
        self._conn.send_data(stream, data[len(data) - rest :], end_stream=end)
        if end:
            self._sent(stream, state)

    def send_end(self, stream: int, trailers: Sequence[Sequence[str]] = ()) -> None:
        """End our message (RFC 9113, 8.1). Raises ValueError for invalid trailers; nothing has changed then."""
        state = self._state(stream)
        if state is None:
            return
        fields = as_wire(plain_fields(trailers))
        if fields:
            self._encoder.fields = fields
            self._conn.send_headers(stream, (), end_stream=True)
        else:
            self._conn.end_stream(stream)
        self._sent(stream, state)

    def reset(self, stream: int, code: int) -> None:
        """Reset a stream, if it is open (RFC 9113, 6.4)."""
        if self._state(stream) is not None:
            self._end(stream, code)

    def close(self, code: int = 0) -> None:
        """Send GOAWAY (RFC 9113, 6.8). With code 0 open streams continue and new ones are refused; else all end."""
        if self._broken:
            return
        if code:
            self._shut(code)
        elif not self._leaving:
            # After a GOAWAY of its own, h2 would end the connection.
            last = self._conn.highest_inbound_stream_id
            self._out += self._conn.data_to_send() + GoAwayFrame(0, last_stream_id=last).serialize()
            self._leaving = True

    def _sent(self, stream: int, state: StreamState) -> None:
        state.sending = False
        if not state.reading:
            del self._streams[stream]

    def _shut(self, code: int, *, notified: bool = False) -> None:
        """End the connection and all streams. `notified`: h2 has written the GOAWAY already."""
        if not notified:
            self._conn.close_connection(code)
        self._broken = True
        self._streams.clear()
        self._owed.clear()
