"""What an exchange needs of its connection, whatever the protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mockrec.engine.transport.byte_stream import ByteStream
from mockrec.engine.wire.parts import ResponseHead


@dataclass(slots=True, eq=False)
class ClientConnection:
    """The client end of a connection, as every event of the connection names it, and what is kept for it."""

    connection_id: str
    ip: str
    port: int
    local_port: int
    local_ip: str = ""
    tags: tuple[str, ...] = ()
    """What tunnels have said of the client (`socket-metadata:…`)."""
    tls: dict[str, Any] | None = None
    """`tlsMetadata` of the innermost TLS connection."""


class Channel(Protocol):
    """The answering side of one exchange.

    The sends wait while the client is slow and raise anyio.BrokenResourceError when it has gone.
    """

    @property
    def framing_key(self) -> object:
        """Two requests with an equal key get the same framing for the same answer."""

    @property
    def bodiless(self) -> bool:
        """Whether the answer has no body on the wire whatever it says (HEAD)."""

    def trailers(self, head: ResponseHead, fields: Sequence[Sequence[str]]) -> Sequence[Sequence[str]]:
        """The fields that follow the body behind such a head, as they are sent; none where none can."""

    def frame(
        self, status: int, reason: str, headers: Sequence[tuple[str, str]], length: int | None, date: str
    ) -> ResponseHead:
        """The final head with everything the protocol adds; `length` None: not known yet. Without a `date` it is
        another server's head, to which only what this connection needs is added."""

    async def send_interim(self, status: int, reason: str, headers: Sequence[Sequence[str]]) -> None:
        """A 1xx."""

    async def send_whole(self, head: ResponseHead, body: bytes, trailers: Sequence[Sequence[str]]) -> None:
        """Head, body and end in one write."""

    async def send_head(self, head: ResponseHead) -> None:
        """A head whose body follows."""

    async def send_data(self, data: bytes) -> None:
        """A piece of the body."""

    async def send_end(self, trailers: Sequence[Sequence[str]]) -> None:
        """The end of the body."""

    async def send_raw(self, data: bytes) -> None:
        """Bytes past the protocol; the connection ends after this exchange."""

    async def send_cut(self, data: bytes) -> None:
        """A last piece of a body that ends before its time, whatever length its head has told."""

    def websocket_head(self, fields: Sequence[tuple[str, str]]) -> ResponseHead:
        """The head that accepts an upgrade to WebSocket, with these fields beside those that the protocol needs."""

    async def accept_websocket(self, head: ResponseHead) -> tuple[ByteStream, bytes]:
        """Send such a head. What follows is frames: their pipe, and what has come of them."""

    def close(self) -> None:
        """End the connection with FIN after this exchange."""

    def reset(self) -> None:
        """End the connection with RST, now."""
