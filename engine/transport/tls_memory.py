"""OpenSSL between two memory buffers: what pyOpenSSL does, without its checks of arguments and contexts of buffers.

A record that is sent or received costs a third of what it costs through pyOpenSSL's own methods. They are still used
for everything that is rare, and for everything if pyOpenSSL has changed inside.
"""

from __future__ import annotations

import threading
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from mockrec.engine.late import Late

if TYPE_CHECKING:
    from OpenSSL import SSL
else:
    SSL = Late("OpenSSL.SSL")

RECORD: Final = 16384
"""Bytes of data in the largest record (RFC 8446, 5.1); OpenSSL returns those of one at a time."""
_ROOM: Final = 2 * RECORD
_FUNCTIONS: Final = ("SSL_read", "SSL_write", "BIO_read", "BIO_write")
_ATTRIBUTES: Final = ("_ssl", "_into_ssl", "_from_ssl", "_raise_ssl_error")


class _Buffer(threading.local):
    """Where OpenSSL puts bytes before they are copied. One for each thread: cffi releases the interpreter's lock."""

    def __init__(self) -> None:
        ffi: Any = getattr(SSL, "_ffi")  # noqa: B009  the stubs do not export it
        self.memory = ffi.new("char[]", _ROOM)
        self._view = ffi.buffer(self.memory, _ROOM)

    def first(self, size: int) -> bytes:
        """Return a copy of the first bytes."""
        data: bytes = self._view[:size]
        return data


_buffer: _Buffer | None = None


def memory_of(tls: SSL.Connection) -> TlsMemory:
    """Return the fastest way of moving the bytes of this connection."""
    return FastTlsMemory(tls) if _is_known(tls) else TlsMemory(tls)


def _is_known(tls: SSL.Connection) -> bool:
    """Whether pyOpenSSL has the names that are used here."""
    return _has_functions(_FUNCTIONS) and all(getattr(tls, name, None) is not None for name in _ATTRIBUTES)


@cache
def _has_functions(names: tuple[str, ...]) -> bool:
    library = getattr(SSL, "_lib", None)
    return all(hasattr(library, name) for name in names) and hasattr(SSL, "_ffi")


class TlsMemory:
    """The four ways of bytes through OpenSSL, by pyOpenSSL's methods."""

    __slots__ = ("_tls",)

    def __init__(self, tls: SSL.Connection) -> None:
        """`tls` has memory buffers in place of a socket."""
        self._tls = tls

    def put_received(self, data: bytes) -> None:
        """Give OpenSSL bytes that the peer has sent."""
        self._tls.bio_write(data)

    def read(self) -> bytes:
        """Return the data of the next record. Raises SSL.Error: WantReadError if there is none, and others."""
        return self._tls.recv(RECORD)

    def write(self, data: bytes) -> None:
        """Encrypt data. Raises SSL.Error."""
        self._tls.sendall(data)

    def take_sent(self, expected: int) -> bytes:
        """Return all bytes that OpenSSL wants to send, which are probably fewer than `expected`."""
        pieces: list[bytes] = []
        try:
            while not pieces or len(pieces[-1]) == expected:
                pieces.append(self._tls.bio_read(expected))
        except SSL.WantReadError:
            pass
        return b"".join(pieces)


class FastTlsMemory(TlsMemory):
    """The same by the functions of OpenSSL that pyOpenSSL calls."""

    __slots__ = ("_buffer", "_from_ssl", "_into_ssl", "_library", "_ssl")

    def __init__(self, tls: SSL.Connection) -> None:
        global _buffer
        super().__init__(tls)
        if _buffer is None:
            _buffer = _Buffer()
        self._buffer = _buffer
        internals: Any = tls
        self._library: Any = getattr(SSL, "_lib")  # noqa: B009  the stubs do not export it
        self._ssl = internals._ssl
        self._into_ssl = internals._into_ssl
        self._from_ssl = internals._from_ssl

    def put_received(self, data: bytes) -> None:
        if type(data) is not bytes or self._library.BIO_write(self._into_ssl, data, len(data)) != len(data):
            super().put_received(data)

    def read(self) -> bytes:
        buffer = self._buffer
        size = self._library.SSL_read(self._ssl, buffer.memory, RECORD)
        if size <= 0:
            self._tls._raise_ssl_error(self._ssl, size)
            raise SSL.WantReadError
        return buffer.first(size)

    def write(self, data: bytes) -> None:
        if type(data) is not bytes or len(data) > RECORD:  # pyOpenSSL lets OpenSSL write one record at a time
            super().write(data)
            return
        size = self._library.SSL_write(self._ssl, data, len(data))
        if size <= 0:
            self._tls._raise_ssl_error(self._ssl, size)
        elif size < len(data):  # a client that asked for shorter records (RFC 6066, 4): one was written
            super().write(data[size:])

    def take_sent(self, expected: int) -> bytes:
        if expected > _ROOM:
            return super().take_sent(expected)
        buffer = self._buffer
        size = self._library.BIO_read(self._from_ssl, buffer.memory, _ROOM)
        if size <= 0:
            return b""
        return buffer.first(size) if size < _ROOM else buffer.first(size) + super().take_sent(_ROOM)
