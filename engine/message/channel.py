"""What an exchange needs of its connection, whatever the HTTP version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from mockrec.engine.message.scope import Scope
from mockrec.engine.transport.byte_stream import ByteStream
from mockrec.engine.wire.parts import ResponseHead


@dataclass(slots=True, eq=False)
class ClientConnection:
    """The client's end of a connection: its addresses as records name them, and what belongs to the connection."""

    connection_id: str
    ip: str
    port: int
    local_port: int
    local_ip: str = ""
    tags: tuple[str, ...] = ()
    """Tags that the client has sent when it opened a tunnel (`socket-metadata:…`)."""
    tls: dict[str, Any] | None = None
    """`tlsMetadata` of the innermost TLS connection."""
    scope: Scope | None = None
    """The scope that the credentials of its tunnel name."""
    log_form: object = field(default=None, repr=False)
    """Opaque here: how the connection is written to the log. Filled and read only by `recording/lines.py`."""


class Channel(Protocol):
    """Sends the response of one exchange.

    The `send_` methods wait while the client is slow, and raise anyio.BrokenResourceError if it has disconnected.
    """

    @property
    def framing_key(self) -> object:
        """Requests with equal keys get equal heads for the same response."""

    @property
    def bodiless(self) -> bool:
        """Whether the response is sent without its body (HEAD)."""

    def trailers(self, head: ResponseHead, fields: Sequence[Sequence[str]]) -> Sequence[Sequence[str]]:
        """Return the trailer fields as they are sent after a body with this head; empty if it can have none."""

    def frame(
        self, status: int, reason: str, headers: Sequence[tuple[str, str]], length: int | None, date: str
    ) -> ResponseHead:
        """Return the final head with all fields that the protocol adds. `length` None: not known yet. Without a `date`
        the head is relayed from an origin server, and gets only what this connection needs."""

    async def send_interim(self, status: int, reason: str, headers: Sequence[Sequence[str]]) -> None:
        """Send a 1xx."""

    async def send_whole(self, head: ResponseHead, body: bytes, trailers: Sequence[Sequence[str]]) -> None:
        """Send head, body and end in one write."""

    async def send_head(self, head: ResponseHead) -> None:
        """Send a head whose body follows."""

    async def send_data(self, data: bytes) -> None:
        """Send a piece of the body."""

    async def send_end(self, trailers: Sequence[Sequence[str]]) -> None:
        """Send the end of the body."""

    async def send_raw(self, data: bytes) -> None:
        """Send bytes that need not be HTTP. The connection ends after this exchange."""

    async def send_cut(self, data: bytes) -> None:
        """Send a last piece of the body and end it early, whatever length its head has announced."""

    def websocket_head(self, fields: Sequence[tuple[str, str]]) -> ResponseHead:
        """Return the head that accepts an upgrade to WebSocket: the fields of the handshake, and these."""

    async def accept_websocket(self, head: ResponseHead) -> tuple[ByteStream, bytes]:
        """Send that head. Return the byte stream of the frames, and the bytes of it that have been read already."""

    def close(self) -> None:
        """End the connection with FIN after this exchange."""

    def reset(self) -> None:
        """End the connection with RST, now."""
