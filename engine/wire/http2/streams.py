"""The streams of one end of an HTTP/2 connection: which are open, what may be sent on them, and what is sent.

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
from hyperframe.frame import GoAwayFrame

from mockrec.engine.wire.http2.fields import as_wire, plain_fields
from mockrec.engine.wire.http2.frames import PREFACE
from mockrec.engine.wire.http2.hpack import FieldDecoder, FieldEncoder
from mockrec.engine.wire.http2.limits import PeerLimits
from mockrec.engine.wire.parts import Part, ResetPart

STREAM_WINDOW: Final = 256 * 1024
CONNECTION_WINDOW: Final = 100 * STREAM_WINDOW
"""How much a peer may send that nobody has used yet, on one stream and on all of them: streams that nobody reads must
not stop the others, so that the connection has room for as many as there may be."""

_NO_LIMIT: Final = 2**31 - 1
_DEFAULT_WINDOW: Final = 65535
_GIVEN_UP: Final = 1000


@dataclass(slots=True)
class StreamPart:
    """What one side said on one stream.

    A `Fault` in here is of this stream alone: its head was read but is too large, and can still be answered.
    """

    stream: int
    part: Part | ResetPart


class StreamState:
    """What h2 does not tell of an open stream."""

    __slots__ = ("bypasses_h2", "endless", "left", "method", "mute", "reading", "sending")

    def __init__(self, method: str, reading: bool = True, sending: bool = True, *, bypasses_h2: bool = False) -> None:
        self.method = method
        self.reading = reading
        """Whether the peer's message is not complete."""
        self.sending = sending
        """Whether ours is not."""
        self.left = -1
        """Bytes of the peer's body that must still come, -1 if it has not told."""
        self.mute = False
        """Whether the peer's body is thrown away."""
        self.endless = False
        """Whether the peer's trailers do not end the stream."""
        self.bypasses_h2 = bypasses_h2
        """Whether h2 does not know the stream (`fast_path.py`)."""


class H2Streams:
    """What is sent on a stream that is over (the peer has reset it) goes nowhere."""

    def __init__(self, *, client: bool, head_limit: int, settings: dict[SettingCodes, int]) -> None:
        # Fields do not reach h2, so there is nothing for it to validate or to normalize.
        config = H2Configuration(
            client_side=client,
            validate_inbound_headers=False,
            normalize_inbound_headers=False,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self._head_limit = head_limit
        # A head that is a little too large must be read, so that the connection can go on without it.
        self._limits = PeerLimits(max(4 * head_limit, 1 << 16))
        self._conn = H2Connection(config)
        self._conn.encoder = self._encoder = FieldEncoder()
        self._conn.decoder = self._decoder = FieldDecoder(self._limits.block_limit, shown=int(client))
        self._client = client
        self._settings = settings
        self._streams: dict[int, StreamState] = {}
        self._owed: dict[int, int] = {}
        """Bytes of received data that nobody has used yet, by stream."""
        self._given_up: deque[int] = deque(maxlen=_GIVEN_UP)
        """Streams that we have reset: the peer may not know yet (RFC 9113, 5.1)."""
        self._out = bytearray()
        self._broken = False
        self._leaving = False
        """Whether we take no new streams."""

    def start(self) -> None:
        """Our preface. Must come before everything else."""
        conn = self._conn
        initial = {
            SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
            SettingCodes.MAX_HEADER_LIST_SIZE: self._head_limit,
            **self._settings,
        }
        conn.local_settings = Settings(client=self._client, initial_values=initial)
        conn.initiate_connection()
        # h2 would end the connection for one stream too many; here it is refused and the others go on.
        initial[SettingCodes.MAX_CONCURRENT_STREAMS] = _NO_LIMIT
        conn.local_settings = Settings(client=self._client, initial_values=initial)
        conn.increment_flow_control_window(CONNECTION_WINDOW - _DEFAULT_WINDOW)
        if not self._client:
            conn.receive_data(PREFACE)  # it has been checked by the reader of frames

    # ── state and flow control ─────────────────────────────────────────────────────────────────────

    def consumed(self, stream: int, size: int) -> None:
        """`size` bytes of the data received on `stream` have been used, so the peer may send as many more.

        Whoever takes data must say so for all of it, also when the stream is over; only a reset settles the rest.
        """
        owed = self._owed.get(stream, 0)
        size = min(size, owed)
        if size <= 0:
            return
        if size < owed:
            self._owed[stream] = owed - size
        else:
            del self._owed[stream]
        self._conn.acknowledge_received_data(size, stream)

    def window(self, stream: int) -> int:
        """How many bytes may be sent now; 0 also where the stream takes none any more."""
        state = self._state(stream)
        return max(0, self._conn.local_flow_control_window(stream)) if state is not None and state.sending else 0

    def is_open(self, stream: int) -> bool:
        """Whether one of the two messages is not complete."""
        return stream in self._streams

    def _state(self, stream: int) -> StreamState | None:
        """An open stream that something is about to happen on."""
        return self._streams.get(stream)

    def _forget(self, stream: int) -> None:
        """The stream is over: what nobody has used of its data counts as used."""
        self._streams.pop(stream, None)
        owed = self._owed.pop(stream, 0)
        if owed:
            self._conn.acknowledge_received_data(owed, stream)

    def _end(self, stream: int, code: int) -> None:
        try:
            self._conn.reset_stream(stream, code)
            self._given_up.append(stream)
        except H2Error:
            pass  # both messages were complete: there is nothing left to end
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
        """Everything that must be sent now."""
        data = self._conn.data_to_send()
        if self._out:
            data = bytes(self._out) + data
            self._out.clear()
        return data

    def send_data(self, stream: int, data: bytes, *, end: bool) -> None:
        """A piece of our body, no longer than `window` allows."""
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
        """The end of our message. Raises ValueError for trailers that cannot be sent; nothing has changed then."""
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
        """Give a stream up."""
        if self._state(stream) is not None:
            self._end(stream, code)

    def close(self, code: int = 0) -> None:
        """GOAWAY. With code 0 the streams that are open go on and new ones are refused; else nothing goes on."""
        if self._broken:
            return
        if code:
            self._shut(code)
        elif not self._leaving:
            # h2 would take its own GOAWAY for the end.
            last = self._conn.highest_inbound_stream_id
            self._out += self._conn.data_to_send() + GoAwayFrame(0, last_stream_id=last).serialize()
            self._leaving = True

    def _sent(self, stream: int, state: StreamState) -> None:
        state.sending = False
        if not state.reading:
            del self._streams[stream]

    def _shut(self, code: int, *, told: bool = False) -> None:
        """The connection cannot go on; `told`: the peer has been."""
        if not told:
            self._conn.close_connection(code)
        self._broken = True
        self._streams.clear()
        self._owed.clear()
