"""The plaintext side of a TLS connection, over any byte stream: pyOpenSSL between two memory buffers, without threads.

What OpenSSL wants to send goes out with the next write; what it needs is read from the stream below. TLS inside TLS is
one such stream over another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import anyio

from mockrec.engine.late import Late
from mockrec.engine.transport.byte_stream import ByteStream
from mockrec.engine.transport.tcp import TcpStream
from mockrec.engine.transport.tls_memory import RECORD, memory_of
from mockrec.engine.transport.tls_records import RecordCounter

if TYPE_CHECKING:
    from OpenSSL import SSL
else:
    SSL = Late("OpenSSL.SSL")

_PIECE = 65536
_SMALL_WRITE = 16 * 1024
_RECORD_OVERHEAD = 64
"""Bytes by which encryption makes a record of 16 KiB longer, at most."""
_CONTROL_ROOM = 16 * 1024
"""Bytes of tickets, alerts and other records without data."""


class TlsError(anyio.BrokenResourceError):
    """TLS has failed on this connection. `reason` is OpenSSL's own text for it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TlsStream:
    """One end of a TLS connection. No method works before `handshake` has returned."""

    def __init__(self, below: ByteStream, tls: SSL.Connection, received: bytes = b"") -> None:
        """`tls` is new and knows whether it is client or server; `received` was read from the stream below already."""
        self.below = below
        self.tls = tls
        self._memory = memory_of(tls)
        self.peer = below.peer
        self.local = below.local
        self._plain = b""
        self._diverted: Callable[[bytes], bytes | None] | None = None
        """See `divert`."""
        self._is_left = False
        """Whether `receive` shall return `_plain`, even if it is empty."""
        self._peer_ended = False
        """Whether the peer has sent a close_notify."""
        self._may_renegotiate = False
        """Whether it is TLS 1.2 or older, where a handshake may come between the data."""
        self._failure = ""
        """Why the connection failed, after data that was still valid."""
        self._closed = False
        self._socket = below if isinstance(below, TcpStream) and below.coalesces else None
        """The stream below, if it coalesces small writes: then they are encrypted together as well."""
        self._coalesced = b""
        """Data that the coalescer flushes."""
        self._records = RecordCounter()
        self._unread = 0
        """How many records OpenSSL has that were not read, at most; -1 if that is not known."""
        if received:
            self._take(received)

    def _take(self, data: bytes) -> None:
        """Give OpenSSL what was received."""
        self._memory.put_received(data)
        ends = self._records.count(data)
        self._unread = -1 if self._unread else ends or -1

    async def handshake(self) -> None:
        """Complete the handshake. Raises TlsError, and what the stream below raises.

        OpenSSL's alert, if there is one, has been sent when TlsError is raised.
        """
        tls = self.tls
        while True:
            try:
                tls.do_handshake()
                break
            except SSL.WantReadError:
                await self._flush(_CONTROL_ROOM)
                self._take(await self.below.receive())
            except SSL.Error as error:
                self._flush_nowait()
                raise TlsError(reason_of(error)) from error
        await self._flush(_CONTROL_ROOM)
        self._unread = -1  # the handshake has read some of them
        self._may_renegotiate = tls.get_protocol_version() < SSL.TLS1_3_VERSION

    async def receive(self, max_bytes: int = _PIECE) -> bytes:
        """Return all data received so far; see `ByteStream`."""
        while not (self._plain or self._is_left):
            if self._unread:
                data = self._decrypt()
                if data:
                    return data
            if self._peer_ended:
                raise anyio.EndOfStream
            if self._may_renegotiate:
                await self._flush(_CONTROL_ROOM)  # the peer may wait for OpenSSL's handshake messages
            received = await self.below.receive()
            if received:  # nothing, if only diverted data is left
                self._take(received)
        data, self._plain, self._is_left = self._plain, b"", False
        return data

    def _decrypt(self) -> bytes:
        """Return the data of all complete records."""
        if self._failure:
            raise TlsError(self._failure)
        read = self._memory.read
        pieces: list[bytes] = []
        try:
            while self._unread:
                pieces.append(read())
                if self._unread > 0:
                    self._unread -= 1
        except SSL.WantReadError:
            self._unread = 0
        except SSL.ZeroReturnError:
            self._peer_ended = True
        except SSL.Error as error:
            self._flush_nowait()
            self._failure = reason_of(error)  # OpenSSL reports it only once
            if not pieces:
                raise TlsError(self._failure) from error
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def divert(self, take: Callable[[bytes], bytes | None] | None) -> None:
        """See `ByteStream`."""
        self._diverted = take
        self.below.divert(None if take is None else self._take_below)

    def _take_below(self, data: bytes) -> bytes | None:
        """Take bytes of the stream below while `receive` waits for them, and pass their data on; see `divert`."""
        if self._diverted is None or self._may_renegotiate:
            return data
        self._take(data)
        try:
            plain = self._decrypt() if self._unread else b""
        except TlsError:
            return b""  # `receive` raises it again
        if plain:
            left = self._diverted(plain)
            if left is not None:
                self._plain, self._is_left = left, True
        return b"" if self._is_left or self._peer_ended or self._failure else None

    async def send(self, item: bytes) -> None:
        """Write; see `ByteStream`."""
        if self._closed:
            raise anyio.BrokenResourceError
        if item:
            # A sender that is cancelled must not lose half a record: that would be the end of the connection.
            await self.below.wait_writable()
            self.flush()
            self.below.write_nowait(self._encrypt(item))
            await self.below.wait_writable()

    async def wait_writable(self) -> None:
        """See `ByteStream`."""
        if self._closed:
            raise anyio.BrokenResourceError
        await self.below.wait_writable()

    def _encrypt(self, data: bytes) -> bytes:
        try:
            self._memory.write(data)
        except SSL.Error as error:
            raise TlsError(reason_of(error)) from error
        return self._memory.take_sent(len(data) + (len(data) // RECORD + 1) * _RECORD_OVERHEAD + 1024)

    async def _flush(self, size: int) -> None:
        await self.below.wait_writable()
        data = self._memory.take_sent(size)
        if data:
            self.below.write_nowait(data)

    def _flush_nowait(self) -> None:
        data = self._memory.take_sent(_CONTROL_ROOM)
        if data:
            self.below.write_nowait(data)

    def write_nowait(self, data: bytes) -> None:
        """See `ByteStream`. Small writes of one iteration of the event loop are encrypted together, at its end."""
        if self._closed:
            return
        if self._socket is None:
            self._write(data, self.below.write_nowait)
            return
        if not self._coalesced:
            self._socket.coalesce(self)
        self._coalesced += data
        if len(self._coalesced) >= _SMALL_WRITE:
            self.flush()

    def flush(self) -> None:
        """Encrypt and write the coalesced data."""
        if self._coalesced and self._socket is not None:
            data, self._coalesced = self._coalesced, b""
            self._write(data, self._socket.write_now)

    def _write(self, data: bytes, write: Callable[[bytes], None]) -> None:
        try:
            write(self._encrypt(data))
        except TlsError:
            pass

    async def send_eof(self) -> None:
        """Send close_notify (RFC 8446, 6.1), then FIN."""
        self._send_close_notify()
        await self.below.send_eof()

    def _send_close_notify(self) -> None:
        if not self._closed:
            self.flush()
            self._closed = True
            try:
                self.tls.shutdown()
            except SSL.Error:
                pass  # the handshake is not complete
            self._flush_nowait()

    async def aclose(self) -> None:
        """Send close_notify and close."""
        self.close()

    def close(self) -> None:
        """Send close_notify and close."""
        self._send_close_notify()
        self.below.close()

    def reset(self) -> None:
        """Reset the connection at the bottom."""
        self.flush()
        self._closed = True
        self.below.reset()

    def set_expired(self) -> None:
        """See `ByteStream`."""
        self.below.set_expired()

    def clear_expired(self) -> None:
        """See `ByteStream`."""
        self.below.clear_expired()

    def on_disconnect(self, callback: Callable[[], None] | None) -> None:
        """See `ByteStream`; a close_notify without FIN does not count."""
        self.below.on_disconnect(callback)

    @property
    def readable(self) -> bool:
        """Whether anything has been received; it may be a record without data."""
        return bool(self._plain) or self.below.readable

    @property
    def alive(self) -> bool:
        """See `ByteStream`. A session ticket is not unread data (RFC 8446, 4.6.1)."""
        if self.below.readable and not (self._peer_ended or self._closed):
            try:
                self._read_below()
            except TlsError:
                return False
        return not (self._peer_ended or self._closed or self._plain) and self.below.alive

    def _read_below(self) -> None:
        """Decrypt what the stream below has received: it is readable. `receive` returns the data. Raises TlsError."""
        receiving = self.below.receive()
        try:
            receiving.send(None)
        except StopIteration as done:
            self._take(done.value)
            self._plain += self._decrypt()
        else:
            receiving.close()


def reason_of(error: SSL.Error) -> str:
    """OpenSSL's reason for a failure, such as `tlsv1 alert unknown ca`."""
    if isinstance(error, SSL.SysCallError):
        return "the connection was closed in the middle of TLS"
    stack = error.args[0] if error.args else None
    if isinstance(stack, list) and stack:
        # OpenSSL 3.2 and later put this error on top of the cause.
        cause = stack[-2] if len(stack) > 1 and stack[-1][-1] == "record layer failure" else stack[-1]
        return str(cause[-1]) or str(cause)
    return str(error) or type(error).__name__
