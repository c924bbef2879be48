"""A byte stream on the event loop's transport, with the interface of anyio's `ByteStream`.

anyio's own socket stream costs a third of the requests a second (two checkpoints and a lock an operation),
which is why this one exists. The rules are the same: `receive` waits for bytes and raises `EndOfStream` at
the peer's end, `send` returns when the kernel or a bounded buffer has taken the bytes, and both raise
`BrokenResourceError` once the connection is gone.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Any

import anyio
from anyio.abc import ByteStream

from mockrec.engine.transport.write_batch import WriteCoalescer

_READ_AHEAD = 16 * 1024
"""Bytes that may wait while nobody asks for more; one read of the event loop may bring 256 KiB at once."""
_WATCHED_AHEAD = 64 * 1024
"""The same while somebody watches for the end."""
_WRITE_BUFFER = 64 * 1024
"""Bytes on their way above which senders wait, each of whom may have added as much as it had."""
_SMALL_WRITE = 16 * 1024
_RST_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, zero seconds


class TransportStream(ByteStream, asyncio.Protocol):
    """One TCP connection, accepted or made."""

    def __init__(
        self, opened: Callable[[TransportStream], None] | None = None, outbox: WriteCoalescer | None = None
    ) -> None:
        """`opened` is called when the connection is there; small writes go through `outbox` where there is one."""
        self._opened = opened
        self._outbox = outbox
        self._waiting = b""
        """What the outbox will have written."""
        self._transport: Any = None
        self._chunks: list[bytes] = []
        self._size = 0
        self._eof = False
        self._lost: BaseException | None = None
        self._gone = False
        self._expired = False
        self._reader: asyncio.Future[None] | None = None
        self._watcher: Callable[[], None] | None = None
        self._paused_reading = False
        self._writable: asyncio.Event | None = None
        """What senders wait for while the buffer is full."""
        self._left = -1
        """Bytes in the buffer when `stalled` last saw fewer than before."""
        self._left_since = 0.0
        self.peer: tuple[str, int] = ("", 0)
        """The other side's address and port."""
        self.local: tuple[str, int] = ("", 0)

    @property
    def descriptor(self) -> int:
        """The number of the socket's file descriptor; -1 where there is none (any more)."""
        sock = None if self._transport is None else self._transport.get_extra_info("socket")
        return -1 if sock is None else int(sock.fileno())

    # ── what the event loop calls ──────────────────────────────────────────────────────────────────

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.set_write_buffer_limits(high=_WRITE_BUFFER)
        self.peer = (transport.get_extra_info("peername") or ("", 0))[:2]
        self.local = (transport.get_extra_info("sockname") or ("", 0))[:2]
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._opened is not None:
            self._opened(self)

    def data_received(self, data: bytes) -> None:
        self._chunks.append(data)
        self._size += len(data)
        # Whoever has had the last bytes may not have passed them on yet: more would come on top of them. But a watcher
        # wants to know of the end, which is only seen by reading.
        if self._watcher is None:
            full = self._size > _READ_AHEAD or self._reader is None
        else:
            full = self._size > _WATCHED_AHEAD
        if full and not self._paused_reading:
            self._paused_reading = True
            self._transport.pause_reading()
        self._wake_reader()

    def eof_received(self) -> bool:
        self._eof = True
        self._wake_reader()
        self._tell_watcher()
        return True  # keep our side open: the answer may still be on its way

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone = True
        self._lost = exc
        self._wake_reader()
        self._tell_watcher()
        self.resume_writing()

    def pause_writing(self) -> None:
        self._writable = asyncio.Event()

    def resume_writing(self) -> None:
        if self._writable is not None:
            self._writable.set()
            self._writable = None

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _tell_watcher(self) -> None:
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher()

    def on_disconnect(self, callback: Callable[[], None] | None) -> None:
        """Call `callback` when the peer ends its direction or the connection is gone."""
        self._watcher = callback
        if self._eof or self._gone:
            self._tell_watcher()
        elif self._paused_reading and callback is not None and self._size <= _WATCHED_AHEAD:
            self._read_on()

    def _read_on(self) -> None:
        if not (self._gone or self._transport.is_closing()):
            self._paused_reading = False
            self._transport.resume_reading()

    # ── what the connection calls ──────────────────────────────────────────────────────────────────

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """All bytes that have arrived (`max_bytes` is not a bound here: nobody reads less than there is).

        Raises EndOfStream at the peer's end, BrokenResourceError when the connection was reset or closed
        here, and TimeoutError after `set_expired`.
        """
        while not self._chunks:
            if self._expired:
                raise TimeoutError
            if self._lost is not None:
                raise anyio.BrokenResourceError from self._lost
            if self._eof:
                raise anyio.EndOfStream
            if self._gone:
                raise anyio.BrokenResourceError  # closed on our side, so it is not the peer's end
            if self._paused_reading:
                self._read_on()
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._size = 0
        self._expired = False  # the data came first
        return data

    async def send(self, item: bytes) -> None:
        """Write; waits while more than 64 KiB are on their way. Raises BrokenResourceError.

        A failed write is known to the next operation.
        """
        if self._writable is not None:
            await self._drained()
        if self._gone or self._transport.is_closing():
            raise anyio.BrokenResourceError from self._lost
        self._write(item)
        if self._writable is not None:
            await self._drained()
        if self._gone:
            raise anyio.BrokenResourceError from self._lost

    async def wait_writable(self) -> None:
        """See `Pipe`."""
        if self._writable is not None:
            await self._drained()
        if self._gone or self._transport.is_closing():
            raise anyio.BrokenResourceError from self._lost

    def write_nowait(self, data: bytes) -> None:
        """Write without waiting for room, and without a word if it is too late."""
        if not (self._gone or self._transport.is_closing()):
            self._write(data)

    def _write(self, data: bytes) -> None:
        if self._outbox is not None and len(data) < _SMALL_WRITE:
            if not self._waiting:
                self._outbox.add(self)
                self._waiting = data
                return
            self._waiting += data
            if len(self._waiting) < _SMALL_WRITE:
                return
            data = b""
        if self._waiting:
            data, self._waiting = self._waiting + data, b""
        self._transport.write(data)

    async def _drained(self) -> None:
        """Return when the buffer has room, or the connection has gone."""
        while self._writable is not None:
            await self._writable.wait()

    def flush(self) -> None:
        """Write what waits for the end of the turn."""
        if self._waiting:
            data, self._waiting = self._waiting, b""
            if not self._transport.is_closing():
                self._transport.write(data)

    def stalled(self, now: float) -> float:
        """For how many milliseconds the peer has taken nothing of a full buffer, as seen from call to call."""
        if self._writable is None or self._gone:
            self._left = -1
            return 0.0
        left = self._transport.get_write_buffer_size()
        if left != self._left:
            self._left, self._left_since = left, now
        return now - self._left_since

    async def send_eof(self) -> None:
        """Half-close: FIN after what was written."""
        self.flush()
        if not self._transport.is_closing() and self._transport.can_write_eof():
            try:
                self._transport.write_eof()
            except OSError:
                pass  # the peer has reset the connection, which the loop has not noticed yet

    async def aclose(self) -> None:
        """FIN after what was written; does not wait for it."""
        self.close()

    def close(self) -> None:
        """The same, for those who cannot wait."""
        if self._transport is not None:
            self.flush()
            self._transport.close()

    def reset(self) -> None:
        """RST at once; what the kernel has not taken is dropped."""
        if self._gone:
            return  # asyncio's transports cannot be aborted any more then
        self.flush()
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
        self._transport.abort()

    def set_expired(self) -> None:
        """Let a waiting `receive` raise TimeoutError, and every later one that would wait, until `clear_expired`."""
        self._expired = True
        self._wake_reader()

    def clear_expired(self) -> None:
        """Take `set_expired` back."""
        self._expired = False

    @property
    def readable(self) -> bool:
        """Whether `receive` would return without waiting."""
        return bool(self._chunks)

    @property
    def alive(self) -> bool:
        """Whether neither side has ended it and nothing has come that was not read."""
        return not (self._gone or self._eof or self._chunks or self._transport.is_closing())
