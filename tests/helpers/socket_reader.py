"""A blocking reader of HTTP/1 bytes, shared by the client and the server of the tests."""

from __future__ import annotations

import socket

SOCKET_SECONDS = 60.0
"""Time limit of each read; ends a test that would hang."""


class SocketReader:
    """Buffered reads from a socket; `sock` may be replaced, for example by TLS on it."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.buffer = b""

    def more(self) -> bool:
        """Read the bytes that are available; False at the end of the connection."""
        data = self.sock.recv(65536)
        self.buffer += data
        return bool(data)

    def until(self, mark: bytes) -> bytes:
        """Return everything up to and including `mark`, or b"" if the connection ends first."""
        while mark not in self.buffer:
            if not self.more():
                return b""
        found, _, self.buffer = self.buffer.partition(mark)
        return found + mark

    def exactly(self, size: int) -> bytes:
        """Return `size` bytes."""
        while len(self.buffer) < size:
            assert self.more(), f"the connection ended after {len(self.buffer)} of {size} bytes"
        found, self.buffer = self.buffer[:size], self.buffer[size:]
        return found

    def chunked(self) -> tuple[bytes, bytes]:
        """Return a chunked body and its trailer section."""
        body = []
        while size := int(self.until(b"\r\n").partition(b";")[0], 16):
            body.append(self.exactly(size))
            assert self.exactly(2) == b"\r\n"
        trailers = b""
        while (line := self.until(b"\r\n")) != b"\r\n":
            trailers += line
        return b"".join(body), trailers
