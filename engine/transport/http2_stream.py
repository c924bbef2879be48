"""The inside of an HTTP/2 stream as a byte stream: a tunnel (RFC 9113, 8.5) or a WebSocket (RFC 8441)."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from mockrec.engine.transport.byte_stream import ByteStream
from mockrec.engine.transport.http2_writer import StreamCodec, StreamWriter
from mockrec.engine.wire.parts import Data, End

CONNECT_ERROR = 10
CANCEL = 8
_MOST_QUEUED = 64 * 1024
"""Bytes that may be queued for the flow-control window before senders wait."""


class Http2ByteStream:
    """A `ByteStream`. Received data is acknowledged to the peer (WINDOW_UPDATE) when it has been read."""

    def __init__(
        self, codec: StreamCodec, writer: StreamWriter, below: ByteStream, number: int, reset_code: int
    ) -> None:
        """`below` carries the connection; `reset_code` is the error code of a reset."""
        self._codec = codec
        self._writer = writer
        self._number = number
        self._reset_code = reset_code
        self.peer = below.peer
        self.local = below.local
        self._pieces: list[bytes] = []
        self._unacknowledged = 0
        """Bytes of the last `receive`."""
        self._peer_ended = False
        self._lost = False
        """Whether the stream was reset or its connection was lost."""
        self._expired = False
        self._finished = False
        """Whether our direction has ended."""
        self._closed = False
        self._changed: anyio.Event | None = None
        """Set when something happens that `receive` waits for."""
        self._disconnect_callback: Callable[[], None] | None = None

    # ── called by the connection ───────────────────────────────────────────────────────────────────

    def take(self, part: object) -> None:
        """Take a part that was received on the stream."""
        if type(part) is Data:
            self.feed(part.data)
        elif type(part) is End:
            self.end()
        else:
            self.lose()

    def feed(self, data: bytes) -> None:
        """Take received data."""
        self._pieces.append(data)
        self._wake_reader()

    def end(self) -> None:
        """Take the END_STREAM of the peer."""
        self._peer_ended = True
        self._wake_reader()
        self._report_disconnect()

    def lose(self) -> None:
        """Fail the stream, which was reset or lost with its connection: `receive` raises from now on."""
        self._lost = True
        self._wake_reader()
        self._report_disconnect()

    def _wake_reader(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    def _report_disconnect(self) -> None:
        callback, self._disconnect_callback = self._disconnect_callback, None
        if callback is not None:
            callback()

    # ── ByteStream ─────────────────────────────────────────────────────────────────────────────────

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """See `ByteStream`. The data is acknowledged to the peer at the next call."""
        self._acknowledge()
        while not self._pieces:
            if self._expired:
                raise TimeoutError
            if self._lost or self._closed:
                raise anyio.BrokenResourceError
            if self._peer_ended:
                raise anyio.EndOfStream
            if self._changed is None:
                self._changed = anyio.Event()
            await self._changed.wait()
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._expired = False
        self._unacknowledged = len(data)
        return data

    def _acknowledge(self) -> None:
        if self._unacknowledged:
            self._codec.consumed(self._number, self._unacknowledged)
            self._unacknowledged = 0
            self._writer.push()

    def divert(self, take: Callable[[bytes], bytes | None] | None) -> None:
        """See `ByteStream`; it does nothing."""

    async def send(self, item: bytes) -> None:
        """Write; wait until most of `item` has fitted into the flow-control window."""
        await self.wait_writable()
        self.write_nowait(item)
        await self.wait_writable()

    async def wait_writable(self) -> None:
        """See `ByteStream`."""
        while True:
            if self._finished or self._closed or self._lost or not self._codec.is_open(self._number):
                raise anyio.BrokenResourceError
            if self._writer.queued(self._number) <= _MOST_QUEUED:
                break
            await self._writer.wait_for_window(self._number)
        await self._writer.flush()

    def write_nowait(self, data: bytes) -> None:
        """See `ByteStream`."""
        if data and not (self._finished or self._closed or self._lost):
            self._writer.queue(self._number, data)

    async def send_eof(self) -> None:
        """Send END_STREAM after the queued data; the other direction stays open."""
        if not (self._finished or self._closed or self._lost):
            self._finished = True
            self._writer.when_sent(self._number, lambda: self._codec.send_end(self._number))
            await self._writer.flush()

    async def aclose(self) -> None:
        """Send END_STREAM after the queued data, and read no more."""
        self.close()

    def close(self, code: int = CANCEL) -> None:
        """Do the same as `aclose`; `code` is the reason that the peer receives."""
        if not self._closed:
            self._closed = True
            self._acknowledge()
            if self._codec.is_open(self._number):
                self._writer.when_sent(self._number, lambda: self._end_both(code))
                self._writer.push()
            self._wake_reader()

    def _end_both(self, code: int) -> None:
        """End our direction and, with a reset, the peer's: all data has been sent."""
        if not self._finished:
            self._finished = True
            self._codec.send_end(self._number)
        if not self._peer_ended:
            self._codec.reset(self._number, code)

    def reset(self) -> None:
        """Send RST_STREAM."""
        self._closed = self._lost = True
        self._writer.forget(self._number)
        self._codec.reset(self._number, self._reset_code)
        self._writer.push()
        self._wake_reader()

    def set_expired(self) -> None:
        """See `ByteStream`."""
        self._expired = True
        self._wake_reader()

    def clear_expired(self) -> None:
        """See `ByteStream`."""
        self._expired = False

    def on_disconnect(self, callback: Callable[[], None] | None) -> None:
        """See `ByteStream`."""
        self._disconnect_callback = callback
        if self._peer_ended or self._lost:
            self._report_disconnect()

    @property
    def readable(self) -> bool:
        """See `ByteStream`."""
        return bool(self._pieces)

    @property
    def alive(self) -> bool:
        """See `ByteStream`."""
        return not (self._peer_ended or self._lost or self._closed or self._pieces)
