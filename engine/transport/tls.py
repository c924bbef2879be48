"""The plain side of TLS as a pipe over another pipe: pyOpenSSL between two memory buffers, without threads.

What OpenSSL wants to say is sent with the next write; what it needs is read from the pipe below. TLS in TLS is
one of these over another.
"""

from __future__ import annotations

from collections.abc import Callable

import anyio
from OpenSSL import SSL

from mockrec.engine.transport.byte_stream import ByteStream

_PIECE = 65536
_RECORD_OVERHEAD = 64
"""At least what a record of 16 KiB is longer by when it is encrypted."""
_ROOM = 16 * 1024
"""For tickets, alerts and the like beside the data."""


class TlsError(anyio.BrokenResourceError):
    """TLS has failed on this connection. `reason` is OpenSSL's own text for it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TlsPipe:
    """One end of a TLS connection. Nothing works before `handshake` has returned."""

    def __init__(self, below: ByteStream, tls: SSL.Connection, received: bytes = b"") -> None:
        """`tls` is new and knows which end it is; `received` is what was read of the pipe below already."""
        self.below = below
        self.tls = tls
        self.peer = below.peer
        self.local = below.local
        self._plain = b""
        self._ended = False
        """Whether the peer has said that nothing more comes."""
        self._may_renegotiate = False
        """Whether it is TLS 1.2 or older, where a handshake may come in the middle of the data."""
        self._failed = ""
        """What is wrong with what came behind data that was still good."""
        self._closed = False
        if received:
            tls.bio_write(received)

    async def handshake(self) -> None:
        """Agree on keys. Raises TlsError, and what the pipe below raises.

        What OpenSSL says to a failure (an alert) has been sent then.
        """
        tls = self.tls
        while True:
            try:
                tls.do_handshake()
                break
            except SSL.WantReadError:
                await self._flush(_ROOM)
                tls.bio_write(await self.below.receive())
            except SSL.Error as error:
                self._last_words()
                raise TlsError(reason_of(error)) from error
        await self._flush(_ROOM)
        self._may_renegotiate = tls.get_protocol_version() < SSL.TLS1_3_VERSION

    async def receive(self, max_bytes: int = _PIECE) -> bytes:
        """All bytes that have come; see `ByteStream`."""
        if self._plain:
            data, self._plain = self._plain, b""
            return data
        while True:
            data = self._decrypted()
            if data:
                return data
            if self._ended:
                raise anyio.EndOfStream
            if self._may_renegotiate:
                await self._flush(_ROOM)  # the peer may wait for an answer of OpenSSL's before it goes on
            self.tls.bio_write(await self.below.receive())

    def _decrypted(self) -> bytes:
        """What OpenSSL can decrypt by now."""
        if self._failed:
            raise TlsError(self._failed)
        tls = self.tls
        pieces: list[bytes] = []
        try:
            while True:
                pieces.append(tls.recv(_PIECE))
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self._ended = True
        except SSL.Error as error:
            self._last_words()
            self._failed = reason_of(error)  # OpenSSL says it only once
            if not pieces:
                raise TlsError(self._failed) from error
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def send(self, item: bytes) -> None:
        """Write; see `ByteStream`."""
        if self._closed:
            raise anyio.BrokenResourceError
        if item:
            # Half a record that is lost when a sender is cancelled would be the end of the connection.
            await self.below.wait_writable()
            self.below.write_nowait(self._encrypted(item))
            await self.below.wait_writable()

    async def wait_writable(self) -> None:
        """See `ByteStream`."""
        if self._closed:
            raise anyio.BrokenResourceError
        await self.below.wait_writable()

    def _encrypted(self, data: bytes) -> bytes:
        try:
            self.tls.sendall(data)
        except SSL.Error as error:
            raise TlsError(reason_of(error)) from error
        return self._outgoing(len(data) + (len(data) // 16384 + 1) * _RECORD_OVERHEAD + 1024)

    def _outgoing(self, size: int) -> bytes:
        """Everything that OpenSSL wants to have sent; `size` is how much that probably is at most."""
        try:
            data = self.tls.bio_read(size)
        except SSL.WantReadError:
            return b""
        return data if len(data) < size else data + self._outgoing(_ROOM)

    async def _flush(self, size: int) -> None:
        await self.below.wait_writable()
        data = self._outgoing(size)
        if data:
            self.below.write_nowait(data)

    def _last_words(self) -> None:
        data = self._outgoing(_ROOM)
        if data:
            self.below.write_nowait(data)

    def write_nowait(self, data: bytes) -> None:
        """Write without waiting; see `ByteStream`."""
        if not self._closed:
            try:
                self.below.write_nowait(self._encrypted(data))
            except TlsError:
                pass

    async def send_eof(self) -> None:
        """close_notify (RFC 8446, 6.1), then FIN."""
        self._shut()
        await self.below.send_eof()

    def _shut(self) -> None:
        if not self._closed:
            self._closed = True
            try:
                self.tls.shutdown()
            except SSL.Error:
                pass  # before the handshake is over there is nothing to shut
            self._last_words()

    async def aclose(self) -> None:
        """close_notify and close."""
        self.close()

    def close(self) -> None:
        """close_notify and close."""
        self._shut()
        self.below.close()

    def reset(self) -> None:
        """RST of the connection at the bottom."""
        self._closed = True
        self.below.reset()

    def set_expired(self) -> None:
        """See `ByteStream`."""
        self.below.set_expired()

    def clear_expired(self) -> None:
        """See `ByteStream`."""
        self.below.clear_expired()

    def on_disconnect(self, callback: Callable[[], None] | None) -> None:
        """See `ByteStream`; a close_notify without FIN is not noticed."""
        self.below.on_disconnect(callback)

    @property
    def readable(self) -> bool:
        """Whether anything has come; it need not be data."""
        return bool(self._plain) or self.below.readable

    @property
    def alive(self) -> bool:
        """See `ByteStream`. A session ticket that came unasked is not data (RFC 8446, 4.6.1)."""
        if self.below.readable and not (self._ended or self._closed):
            try:
                self._read_below()
            except TlsError:
                return False
        return not (self._ended or self._closed or self._plain) and self.below.alive

    def _read_below(self) -> None:
        """Decrypt what has arrived in the pipe below, which is readable; data waits for `receive`. Raises TlsError."""
        receiving = self.below.receive()
        try:
            receiving.send(None)
        except StopIteration as done:
            self.tls.bio_write(done.value)
            self._plain += self._decrypted()
        else:
            receiving.close()


def reason_of(error: SSL.Error) -> str:
    """OpenSSL's reason for a failure, such as `tlsv1 alert unknown ca`."""
    if isinstance(error, SSL.SysCallError):
        return "the connection was closed in the middle of TLS"
    stack = error.args[0] if error.args else None
    if isinstance(stack, list) and stack:
        # OpenSSL 3.2 and later put this over the cause.
        cause = stack[-2] if len(stack) > 1 and stack[-1][-1] == "record layer failure" else stack[-1]
        return str(cause[-1]) or str(cause)
    return str(error) or type(error).__name__
