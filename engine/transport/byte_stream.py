"""What a pipe is: two byte directions, of a TCP socket, of the plain side of TLS, or of the inside of a tunnel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class ByteStream(Protocol):
    """One end of a connection.

    `receive` raises anyio.EndOfStream at the peer's end, and TimeoutError after `expire`. All that wait raise
    anyio.BrokenResourceError once the connection is gone; its cause, where it is known, is the OSError.
    """

    peer: tuple[str, int]
    """The other side's address and port, of the TCP connection at the bottom."""
    local: tuple[str, int]
    """Our own."""

    async def receive(self, max_bytes: int = ...) -> bytes:
        """All bytes that have come; waits for the first."""

    async def send(self, item: bytes) -> None:
        """Write; waits while too much is on its way."""

    async def room(self) -> None:
        """Return when not too much is on its way: then `put` is a `send` that cannot be cancelled in the middle."""

    def put(self, data: bytes) -> None:
        """Write without waiting for room, and without a word if it is too late."""

    async def send_eof(self) -> None:
        """End our direction, after what was written."""

    async def aclose(self) -> None:
        """End both directions, after what was written; does not wait for the peer."""

    def close(self) -> None:
        """The same, for those who cannot wait."""

    def reset(self) -> None:
        """End with RST at the bottom, at once."""

    def expire(self) -> None:
        """Let `receive` raise TimeoutError instead of waiting, until `unexpire`."""

    def unexpire(self) -> None:
        """Take `expire` back."""

    def watch(self, ended: Callable[[], None] | None) -> None:
        """Call `ended` once when the peer ends its direction or the connection is gone: for those who do not read just
        now. None: no longer. It may have happened already."""

    @property
    def readable(self) -> bool:
        """Whether `receive` would return bytes without waiting."""

    @property
    def alive(self) -> bool:
        """Whether neither side has ended it, as far as is known, and nothing has come that nobody asked for."""
