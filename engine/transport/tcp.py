"""A TCP connection as a byte stream, on an asyncio transport, with the interface of anyio's `ByteStream`.

anyio's own socket stream costs a third of the requests a second (two checkpoints and a lock for each operation), which
is why this one exists. The rules are the same: `receive` waits for bytes and raises `EndOfStream` at the peer's end,
`send` returns when the kernel or a bounded buffer has taken the bytes, and both raise `BrokenResourceError` once the
connection is lost.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Any

import anyio
from anyio.abc import ByteStream

from mockrec.engine.transport.write_batch import Flushed, WriteCoalescer

_READ_AHEAD = 16 * 1024
"""Bytes that may be buffered while no code reads; one read of the event loop may bring 256 KiB at once."""
_WATCHED_AHEAD = 64 * 1024
"""The same while a disconnect callback is set."""
_WRITE_BUFFER = 64 * 1024
"""Bytes in the write buffer above which senders wait; each of them may have added as much as it had."""
_SMALL_WRITE = 16 * 1024
_RST_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, zero seconds


class TcpStream(ByteStream, asyncio.Protocol):
    """One TCP connection, accepted or made."""

    def __init__(
        self, opened: Callable[[TcpStream], None] | None = None, coalescer: WriteCoalescer | None = None
    ) -> None:
        """`opened` is called once the connection exists; small writes go through `coalescer`, if there is one."""
        self._opened = opened
        self._coalescer = coalescer
        self._coalesced = b""
        """Data that the coalescer flushes."""
        self._transport: Any = None
        self._chunks: list[bytes] = []
        self._size = 0
        self._was_read = False
        """Whether `receive` has returned bytes."""
        self._eof = False
        self._is_finished = False
        """Whether FIN was sent: nothing is written after it."""
        self._error: BaseException | None = None
        """Why the connection was lost."""
        self._lost = False
        self._expired = False
        self._reader: asyncio.Future[None] | None = None
        self._take: Callable[[bytes], bytes | None] | None = None
        """See `divert`."""
        self._disconnect_callback: Callable[[], None] | None = None
        self._paused_reading = False
        self._writable: asyncio.Event | None = None
        """What senders wait for while the write buffer is full; None while it has room."""
        self._unsent = -1
        """Bytes in the write buffer when `stalled_for` was called last."""
        self._unsent_since = 0.0
        """When that number changed last."""
        self.peer: tuple[str, int] = ("", 0)
        """Address and port of the peer."""
        self.local: tuple[str, int] = ("", 0)
        """Our own address and port."""

    @property
    def descriptor(self) -> int:
        """The file descriptor of the socket; -1 if it is closed."""
        sock = None if self._transport is None else self._transport.get_extra_info("socket")
        return -1 if sock is None else int(sock.fileno())

    # ── called by the event loop ───────────────────────────────────────────────────────────────────

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.set_write_buffer_limits(high=_WRITE_BUFFER)
        self.peer = (transport.get_extra_info("peername") or ("", 0))[:2]
        self.local = (transport.get_extra_info("sockname") or ("", 0))[:2]
        if not type(transport).__module__.startswith("uvloop"):  # uvloop does it; asyncio does not for accepted sockets
            sock = transport.get_extra_info("socket")
            if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._opened is not None:
            self._opened(self)

    def data_received(self, data: bytes) -> None:
        if self._take is not None and self._reader is not None and not (self._chunks or self._reader.done()):
            left = self._take(data)
            if left is None:
                return
            data = left
        self._chunks.append(data)
        self._size += len(data)
        # The code that has read the last bytes may not have passed them on yet; more would be buffered in addition.
        # The first bytes may arrive before the task of the connection runs, which is about to read them.
        # With a disconnect callback, reading goes on up to a higher limit: only reading shows the peer's end.
        if self._disconnect_callback is None:
            full = self._size > _READ_AHEAD or (self._reader is None and self._was_read)
        else:
            full = self._size > _WATCHED_AHEAD
        if full and not self._paused_reading:
            self._paused_reading = True
            self._transport.pause_reading()
        self._wake_reader()

    def eof_received(self) -> bool:
        self._eof = True
        self._wake_reader()
        self._report_disconnect()
        return True  # keep our direction open: the response may not have been sent yet

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._error = exc
        self._wake_reader()
        self._report_disconnect()
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

    def _report_disconnect(self) -> None:
        callback, self._disconnect_callback = self._disconnect_callback, None
        if callback is not None:
            callback()

    def on_disconnect(self, callback: Callable[[], None] | None) -> None:
        """See `byte_stream.py`."""
        self._disconnect_callback = callback
        if self._eof or self._lost:
            self._report_disconnect()
        elif self._paused_reading and callback is not None and self._size <= _WATCHED_AHEAD:
            self._resume_reading()

    def divert(self, take: Callable[[bytes], bytes | None] | None) -> None:
        """See `byte_stream.py`."""
        self._take = take

    def _resume_reading(self) -> None:
        if not (self._lost or self._transport.is_closing()):
            self._paused_reading = False
            self._transport.resume_reading()

    # ── called by the connection ───────────────────────────────────────────────────────────────────

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Return all bytes received so far. `max_bytes` is not a limit here: every caller takes all of them.

        Raises EndOfStream at the peer's end, BrokenResourceError if the connection was reset or closed here, and
        TimeoutError after `set_expired`.
        """
        while not self._chunks:
            if self._expired:
                raise TimeoutError
            if self._error is not None:
                raise anyio.BrokenResourceError from self._error
            if self._eof:
                raise anyio.EndOfStream
            if self._lost:
                raise anyio.BrokenResourceError  # closed by us, so it is not the peer's end
            if self._paused_reading:
                self._resume_reading()
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._size = 0
        self._was_read = True
        self._expired = False  # the data was received before the deadline
        return data

    async def send(self, item: bytes) -> None:
        """Write; wait while the write buffer holds more than 64 KiB. Raises BrokenResourceError.

        A write that fails is reported by the next operation.
        """
        if self._writable is not None:
            await self._drain()
        if self._lost or self._is_finished or self._transport.is_closing():
            raise anyio.BrokenResourceError from self._error
        self._write(item)
        if self._writable is not None:
            await self._drain()
        if self._lost:
            raise anyio.BrokenResourceError from self._error

    async def wait_writable(self) -> None:
        """See `byte_stream.py`."""
        if self._writable is not None:
            await self._drain()
        if self._lost or self._transport.is_closing():
            raise anyio.BrokenResourceError from self._error

    def write_nowait(self, data: bytes) -> None:
        """See `byte_stream.py`."""
        if not (self._lost or self._is_finished or self._transport.is_closing()):
            self._write(data)

    @property
    def coalesces(self) -> bool:
        """Whether small writes wait for the end of the event loop's iteration."""
        return self._coalescer is not None

    def coalesce(self, stream: Flushed) -> None:
        """Flush the stream above this one at the end of the iteration."""
        assert self._coalescer is not None
        self._coalescer.add(stream)

    def write_now(self, data: bytes) -> None:
        """Write as `write_nowait` does, with the coalesced data, but at once."""
        if not (self._lost or self._is_finished or self._transport.is_closing()):
            if self._coalesced:
                data, self._coalesced = self._coalesced + data, b""
            self._transport.write(data)

    def _write(self, data: bytes) -> None:
        if self._coalescer is not None and len(data) < _SMALL_WRITE:
            if not self._coalesced:
                self._coalescer.add(self)
                self._coalesced = data
                return
            self._coalesced += data
            if len(self._coalesced) < _SMALL_WRITE:
                return
            data = b""
        if self._coalesced:
            data, self._coalesced = self._coalesced + data, b""
        self._transport.write(data)

    async def _drain(self) -> None:
        """Return when the write buffer has room, or the connection is lost."""
        while self._writable is not None:
            await self._writable.wait()

    def flush(self) -> None:
        """Write the coalesced data."""
        if self._coalesced:
            data, self._coalesced = self._coalesced, b""
            if not self._transport.is_closing():
                self._transport.write(data)

    def stalled_for(self, now: float) -> float:
        """For how many milliseconds the peer has read nothing of a full write buffer, as seen at the calls so far."""
        if self._writable is None or self._lost:
            self._unsent = -1
            return 0.0
        unsent = self._transport.get_write_buffer_size()
        if unsent != self._unsent:
            self._unsent, self._unsent_since = unsent, now
        return now - self._unsent_since

    async def send_eof(self) -> None:
        """Send FIN after the data written so far; the other direction stays open."""
        self.flush()
        self._is_finished = True
        if not self._transport.is_closing() and self._transport.can_write_eof():
            try:
                self._transport.write_eof()
            except OSError:
                pass  # the peer has reset the connection, and the event loop has not noticed yet

    async def aclose(self) -> None:
        """Send FIN after the data written so far; does not wait for that."""
        self.close()

    def close(self) -> None:
        """Do the same as `aclose`, from code that cannot await."""
        if self._transport is not None:
            self.flush()
            self._transport.close()

    def reset(self) -> None:
        """Send RST at once; data that the kernel has not taken is dropped."""
        if self._lost:
            return  # asyncio cannot abort a transport that is lost
        self.flush()
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
        self._transport.abort()

    def set_expired(self) -> None:
        """See `byte_stream.py`."""
        self._expired = True
        self._wake_reader()

    def clear_expired(self) -> None:
        """See `byte_stream.py`."""
        self._expired = False

    @property
    def readable(self) -> bool:
        """Whether `receive` would return bytes without waiting."""
        return bool(self._chunks)

    @property
    def alive(self) -> bool:
        """Whether the connection is open in both directions and no unread data has arrived."""
        return not (self._lost or self._eof or self._chunks or self._transport.is_closing())
