"""The inside of an HTTP/2 stream as a pipe: of a tunnel (RFC 9113, 8.5) or of a WebSocket (RFC 8441)."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from mockrec.engine.transport.byte_stream import ByteStream
from mockrec.engine.transport.http2_writer import StreamCodec, StreamWriter
from mockrec.engine.wire.parts import Data, End

CONNECT_ERROR = 10
CANCEL = 8
_MOST_QUEUED = 64 * 1024
"""Bytes that may wait for the window before senders do."""


class H2StreamPipe:
    """See `ByteStream`. What comes is credited to the peer when it is read."""

    def __init__(self, codec: StreamCodec, writer: StreamWriter, below: ByteStream, stream: int, broken: int) -> None:
        """`below` carries the connection; `broken` is the code that a reset says."""
        self._codec = codec
        self._writer = writer
        self._stream = stream
        self._broken = broken
        self.peer = below.peer
        self.local = below.local
        self._pieces: list[bytes] = []
        self._given = 0
        """Bytes that were received last."""
        self._ended = False
        self._gone = False
        self._expired = False
        self._finished = False
        """Whether our direction has ended."""
        self._closed = False
        self._news: anyio.Event | None = None
        self._watcher: Callable[[], None] | None = None

    # ── what the connection calls ────────────────────────────────────────────────────────────────

    def take(self, part: object) -> None:
        """The peer has said this on the stream."""
        if type(part) is Data:
            self.feed(part.data)
        elif type(part) is End:
            self.end()
        else:
            self.lose()

    def feed(self, data: bytes) -> None:
        """Data has come."""
        self._pieces.append(data)
        self._tell()

    def end(self) -> None:
        """The peer has ended its direction."""
        self._ended = True
        self._tell()
        self._tell_watcher()

    def lose(self) -> None:
        """The stream has been reset, or its connection has gone."""
        self._gone = True
        self._tell()
        self._tell_watcher()

    def _tell(self) -> None:
        if self._news is not None:
            self._news.set()
            self._news = None

    def _tell_watcher(self) -> None:
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher()

    # ── what its user calls ────────────────────────────────────────────────────────────────────────

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """All bytes that have come; see `ByteStream`. They are credited to the peer when more is asked for."""
        self._credit()
        while not self._pieces:
            if self._expired:
                raise TimeoutError
            if self._gone or self._closed:
                raise anyio.BrokenResourceError
            if self._ended:
                raise anyio.EndOfStream
            if self._news is None:
                self._news = anyio.Event()
            await self._news.wait()
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._expired = False
        self._given = len(data)
        return data

    def _credit(self) -> None:
        if self._given:
            self._codec.consumed(self._stream, self._given)
            self._given = 0
            self._writer.push()

    async def send(self, item: bytes) -> None:
        """Write; waits until most of it has found room in the window."""
        await self.wait_writable()
        self.write_nowait(item)
        await self.wait_writable()

    async def wait_writable(self) -> None:
        """See `ByteStream`."""
        while True:
            if self._finished or self._closed or self._gone or not self._codec.is_open(self._stream):
                raise anyio.BrokenResourceError
            if self._writer.queued(self._stream) <= _MOST_QUEUED:
                break
            await self._writer.wait_for_window(self._stream)
        await self._writer.flush()

    def write_nowait(self, data: bytes) -> None:
        """See `ByteStream`."""
        if data and not (self._finished or self._closed or self._gone):
            self._writer.queue(self._stream, data)

    async def send_eof(self) -> None:
        """END_STREAM, behind what waits; the other direction goes on."""
        if not (self._finished or self._closed or self._gone):
            self._finished = True
            self._writer.when_sent(self._stream, lambda: self._codec.send_end(self._stream))
            await self._writer.flush()

    async def aclose(self) -> None:
        """END_STREAM, and nothing is read any more."""
        self.close()

    def close(self, code: int = CANCEL) -> None:
        """The same, for those who cannot wait; `code` says why nothing is read."""
        if not self._closed:
            self._closed = True
            self._credit()
            if self._codec.is_open(self._stream):
                self._writer.when_sent(self._stream, lambda: self._end(code))
                self._writer.push()
            self._tell()

    def _end(self, code: int) -> None:
        """Everything has been sent."""
        if not self._finished:
            self._finished = True
            self._codec.send_end(self._stream)
        if not self._ended:
            self._codec.reset(self._stream, code)

    def reset(self) -> None:
        """RST_STREAM."""
        self._closed = self._gone = True
        self._writer.forget(self._stream)
        self._codec.reset(self._stream, self._broken)
        self._writer.push()
        self._tell()

    def set_expired(self) -> None:
        """See `ByteStream`."""
        self._expired = True
        self._tell()

    def clear_expired(self) -> None:
        """See `ByteStream`."""
        self._expired = False

    def on_disconnect(self, callback: Callable[[], None] | None) -> None:
        """See `ByteStream`."""
        self._watcher = callback
        if self._ended or self._gone:
            self._tell_watcher()

    @property
    def readable(self) -> bool:
        """See `ByteStream`."""
        return bool(self._pieces)

    @property
    def alive(self) -> bool:
        """See `ByteStream`."""
        return not (self._ended or self._gone or self._closed or self._pieces)
