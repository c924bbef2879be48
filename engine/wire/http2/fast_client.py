"""The fast path of an HTTP/2 client: streams that bypass h2.

The counterpart of `fast_path.py`. Most streams carry a request that ends with its head, and a response whose head is
one frame and whose content is plain DATA. h2 costs more than half of the CPU time of such a stream. A stream bypasses
h2 until a frame is received, or something is done, that is not of that kind; then h2 is shown the stream in the state
that it has reached (`introduce`), and gets the frame itself. So the checks here only have to recognise what is right.

The connection's window is h2's own object, which counts the data of all streams (RFC 9113, 5.2). That of a stream is an
object of the same class, which the stream takes along into h2.
"""

from __future__ import annotations

import struct

from h2.connection import AllowedStreamIDs, H2Connection
from h2.stream import StreamClosedBy, StreamInputs
from h2.windows import WindowManager

from mockrec.engine.wire.http2 import frames
from mockrec.engine.wire.http2.fast_path import one_frame, write_block
from mockrec.engine.wire.http2.fields import Fields
from mockrec.engine.wire.http2.hpack import FieldEncoder
from mockrec.engine.wire.http2.streams import StreamState

_INCREMENT = struct.Struct(">L")


class ClientFastPath:
    """Opens streams of one connection that bypass h2, and keeps their windows."""

    def __init__(self, connection: H2Connection, encoder: FieldEncoder, out: bytearray) -> None:
        """`out`: where the codec collects the bytes to send that are not in h2's own buffer."""
        self._connection = connection
        self._encoder = encoder
        self._out = out
        self._window = connection._inbound_flow_control_window_manager
        self.initial_window = 0
        """Bytes that a server may send on a new stream (RFC 9113, 6.9.2)."""

    @property
    def is_ready(self) -> bool:
        """Whether h2 has sent a request: before, it accepts no frame of a stream (its connection is idle)."""
        return self._connection.highest_outbound_stream_id > 0

    def open(self, fields: Fields) -> int:
        """Open a stream by a request that ends with its head (RFC 9113, 8.1); return its number."""
        conn = self._connection
        if conn.streams:
            _ = conn.open_outbound_streams  # drops those that have ended, as h2 does whenever it opens a stream
        conn.highest_outbound_stream_id = stream = conn.highest_outbound_stream_id + 2
        self._encoder.fields = fields
        self._drain()
        write_block(self._out, stream, self._encoder.encode(()), conn.max_outbound_frame_size, frames.END_STREAM)
        return stream

    def count(self, size: int, state: StreamState, *, ended: bool) -> bool:
        """Count data that was received; False, with nothing counted, if a window is too small for it (RFC 9113, 6.9.1).

        `ended`: the stream gets no more.
        """
        window = state.window
        room = self.initial_window if window is None else window.current_window_size
        if size > room or size > self._window.current_window_size:
            return False
        self._window.window_consumed(size)
        if not ended:
            if window is None:
                window = state.window = WindowManager(room)
            window.window_consumed(size)
        return True

    def acknowledge(self, size: int, stream: int, state: StreamState | None) -> None:
        """Open the windows again (RFC 9113, 6.9); `state`: of the stream, unless it has ended."""
        increment = self._window.process_bytes(size)
        if increment:
            self._open_window(0, increment)
        if state is not None and state.window is not None:
            increment = state.window.process_bytes(size)
            if increment:
                self._open_window(stream, increment)

    def _open_window(self, stream: int, increment: int) -> None:
        self._drain()
        self._out += one_frame(frames.WINDOW_UPDATE, 0, stream, _INCREMENT.pack(increment))

    def _drain(self) -> None:
        """Move h2's bytes to `out`: what h2 has written before is sent before."""
        if self._connection._data_to_send:
            self._out += self._connection.data_to_send()

    def introduce(self, stream: int, state: StreamState) -> None:
        """Show h2 a stream that has bypassed it, so that the stream can go on in h2 (RFC 9113, 5.1).

        Its head is not encoded a second time, which would corrupt the compression table (RFC 7541, 2.3.2), but its
        state machine gets the same inputs. `highest_outbound_stream_id` is replaced for the call: h2 refuses a stream
        that is not above it (RFC 9113, 5.1.1), and later ones may be open.
        """
        conn = self._connection
        highest, conn.highest_outbound_stream_id = conn.highest_outbound_stream_id, stream - 2
        try:
            made = conn._begin_new_stream(stream, AllowedStreamIDs.ODD)
        finally:
            conn.highest_outbound_stream_id = highest
        made.state_machine.process_input(StreamInputs.SEND_HEADERS)
        made.state_machine.process_input(StreamInputs.SEND_END_STREAM)
        if state.answered:
            made.state_machine.process_input(StreamInputs.RECV_HEADERS)
        if state.window is not None:
            made._inbound_window_manager = state.window

    def note_ended(self, stream: int) -> None:
        """A HEADERS frame is received on a stream that is not open. If it ended without h2, let h2 know how.

        Otherwise h2 would take it for a stream that was never opened (RFC 9113, 5.1).
        """
        conn = self._connection
        known = stream in conn.streams or stream in conn._closed_streams
        if stream % 2 and stream <= conn.highest_outbound_stream_id and not known:
            conn._closed_streams[stream] = StreamClosedBy.RECV_END_STREAM
