"""The fast path of an HTTP/2 server: streams that bypass h2.

Most streams carry a request that ends with its head, and a response that is sent whole. h2 takes more than half of the
CPU time of such a stream, so the codec asks here first. A stream bypasses h2 until anything else happens on it; then h2
is shown its head (`introduce`). The checks here are those that h2 would make: the order of streams (RFC 9113, 5.1.1),
flow control (5.2) and the size of frames (4.2). The codec limits the number of streams in either case.
"""

from __future__ import annotations

import struct
from typing import Final

from h2.connection import H2Connection
from h2.frame_buffer import FrameBuffer

from mockrec.engine.wire.http2 import frames
from mockrec.engine.wire.http2.fields import Fields
from mockrec.engine.wire.http2.frames import Frame
from mockrec.engine.wire.http2.hpack import FieldEncoder

_WHOLE: Final = frames.END_STREAM | frames.END_HEADERS
_FRAME_HEADER = struct.Struct(">HBBBL")


class FastPath:
    """Decides which streams of one connection bypass h2, and writes their responses."""

    def __init__(self, connection: H2Connection, encoder: FieldEncoder, out: bytearray) -> None:
        """`out`: where the codec collects the bytes to send that are not in h2's own buffer."""
        self._connection = connection
        self._encoder = encoder
        self._out = out
        self.initial_window = connection.remote_settings.initial_window_size
        """Bytes that may be sent on a new stream (RFC 9113, 6.9.2)."""
        self.enabled = False
        """Set once h2 has received a request: it sends nothing on a stream before (its connection would be idle)."""

    def takes(self, frame: Frame) -> bool:
        """Whether a HEADERS frame, outside a field block, is a whole request on a stream that it may open.

        RFC 9113, 5.1.1 and 8.1.
        """
        return (
            self.enabled
            and frame.flags == _WHOLE
            and frame.stream > self._connection.highest_inbound_stream_id
            and frame.stream % 2 == 1
        )

    def open(self, stream: int) -> None:
        """The head of a request that `takes` has accepted is decoded: its stream bypasses h2 (RFC 9113, 5.1)."""
        self._connection.highest_inbound_stream_id = stream

    def respond(self, stream: int, fields: Fields, body: bytes) -> bool:
        """Write a whole response; False, with nothing written, if the windows or the size of frames do not allow it.

        RFC 9113, 6.9 and 4.2.
        """
        conn, size = self._connection, len(body)
        most = conn.max_outbound_frame_size
        if size > min(most, conn.outbound_flow_control_window, self.initial_window):
            return False
        self._encoder.fields = fields
        block = self._encoder.encode(())
        out = self._out
        out += conn.data_to_send()  # what h2 has written before is sent before
        write_block(out, stream, block, most, 0 if body else frames.END_STREAM)
        if body:
            out += one_frame(frames.DATA, frames.END_STREAM, stream, body)
            conn.outbound_flow_control_window -= size
        return True


def introduce(connection: H2Connection, stream: int) -> None:
    """Show h2 the head of a stream that has bypassed it, so that the stream can go on in h2.

    The head is a HEADERS frame with an empty field block: h2 is shown no fields in any case (`hpack.py`), and decoding
    the block a second time would corrupt the compression table (RFC 7541, 2.3.2). Two attributes of h2 are replaced for
    the call, and restored:

    * `highest_inbound_stream_id`: h2 refuses a stream that is not above it (RFC 9113, 5.1.1); later ones may be open.
    * `incoming_buffer`: h2 refuses a frame between HEADERS and CONTINUATION (RFC 9113, 6.10); the field block of
      another stream may be incomplete.
    """
    highest, buffer = connection.highest_inbound_stream_id, connection.incoming_buffer
    connection.highest_inbound_stream_id = stream - 2
    connection.incoming_buffer = FrameBuffer(server=False)
    try:
        connection.receive_data(one_frame(frames.HEADERS, _WHOLE, stream, b""))
    finally:
        connection.highest_inbound_stream_id, connection.incoming_buffer = highest, buffer


def write_block(out: bytearray, stream: int, block: bytes, most: int, end: int) -> None:
    """Write a field block (RFC 9113, 4.3) in frames of at most `most` bytes; `end`: END_STREAM, or 0."""
    if len(block) <= most:
        out += one_frame(frames.HEADERS, end | frames.END_HEADERS, stream, block)
        return
    out += one_frame(frames.HEADERS, end, stream, block[:most])
    for at in range(most, len(block), most):
        last = frames.END_HEADERS if at + most >= len(block) else 0
        out += one_frame(frames.CONTINUATION, last, stream, block[at : at + most])


def one_frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return a frame (RFC 9113, 4.1)."""
    size = len(payload)
    return _FRAME_HEADER.pack(size >> 8, size & 0xFF, kind, flags, stream) + payload
