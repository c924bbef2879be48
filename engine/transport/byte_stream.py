"""`ByteStream`: bytes in two directions, of a TCP connection, of the plaintext side of TLS, or of a tunnel's inside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class ByteStream(Protocol):
    """One end of a connection.

    `receive` raises anyio.EndOfStream when the peer has ended its direction, and TimeoutError after `set_expired`.
    Methods that wait raise anyio.BrokenResourceError once the connection is lost; its cause, if known, is the OSError.
    """

    peer: tuple[str, int]
    """Address and port of the peer of the TCP connection at the bottom."""
    local: tuple[str, int]
    """Our own address and port on the TCP connection at the bottom."""

    async def receive(self, max_bytes: int = ...) -> bytes:
        """Return all bytes received so far; wait until there is at least one."""

    def divert(self, take: Callable[[bytes], bytes | None] | None) -> None:
        """Pass bytes to `take` instead of a `receive` that waits; None ends that. `take` returns the bytes that
        `receive` shall return, which may be empty; None if it shall go on waiting. May do nothing."""

    async def send(self, item: bytes) -> None:
        """Write `item`; wait while the write buffer is full."""

    async def wait_writable(self) -> None:
        """Return when the write buffer has room.

        `wait_writable` followed by `write_nowait` is a `send` that cannot be cancelled between its two halves.
        """

    def write_nowait(self, data: bytes) -> None:
        """Write without waiting for room in the buffer. Does nothing once the connection is lost."""

    async def send_eof(self) -> None:
        """End our direction after the data written so far."""

    async def aclose(self) -> None:
        """End both directions after the data written so far; does not wait for the peer."""

    def close(self) -> None:
        """Do the same as `aclose`, from code that cannot await."""

    def reset(self) -> None:
        """Abort the connection at the bottom with RST, at once."""

    def set_expired(self) -> None:
        """Make `receive` raise TimeoutError instead of waiting, until `clear_expired` or until data arrives."""

    def clear_expired(self) -> None:
        """Let `receive` wait again."""

    def on_disconnect(self, callback: Callable[[], None] | None) -> None:
        """Call `callback` once when the peer ends its direction or the connection is lost; None removes it.

        For code that is not reading at the time. If the connection has ended already, the call comes at once.
        """

    @property
    def readable(self) -> bool:
        """Whether `receive` would return bytes without waiting."""

    @property
    def alive(self) -> bool:
        """Whether the connection is open in both directions, as far as is known, and no unread data has arrived."""
