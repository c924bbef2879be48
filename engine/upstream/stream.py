"""What carries one request to a server and its response back: an HTTP/1 connection, or one stream of an HTTP/2 one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mockrec.engine.transport.byte_stream import ByteStream
from mockrec.engine.upstream.request import UpstreamRequest
from mockrec.engine.upstream.route import UpstreamTransport
from mockrec.engine.wire.parts import Part, RawHeaders


class UpstreamStream(Protocol):
    """All methods that wait raise UpstreamError, whatever happens to the connection."""

    transport: UpstreamTransport
    byte_stream: ByteStream
    """The connection, whose addresses the log names."""
    request_number: int
    """The number of the request on its connection, from 1; counted when the request is sent."""
    deadline: float
    """When the server has taken too long, in monotonic milliseconds; `UpstreamClient` watches it."""

    @property
    def responded(self) -> bool:
        """Whether a byte of the final response has arrived."""

    @property
    def interim_received(self) -> bool:
        """Whether an interim response has arrived."""

    def fields(self, request: UpstreamRequest) -> list[list[str]]:
        """The fields of the head in the server's protocol. Raises UpstreamError."""

    async def send_request(
        self, request: UpstreamRequest, fields: list[list[str]], body: bytes | None, trailers: RawHeaders, *, more: bool
    ) -> bool:
        """Send the head with these fields, and the body if it is given and fits the window now. Return whether the
        request is complete.

        `more`: there is a body. What was not sent goes with `send_data` and `send_end`.
        """

    async def send_data(self, data: bytes, seconds: float | None = None) -> None:
        """Send a piece of the body, which the server has to take within `seconds`."""

    async def send_end(self, trailers: RawHeaders, seconds: float | None = None) -> None:
        """End the body."""

    async def receive(self, seconds: float | None) -> list[Part]:
        """The next parts of the response, which have to arrive within `seconds` (None: before the deadline)."""

    async def send_websocket_request(self, request: UpstreamRequest) -> None:
        """Send the head of a WebSocket's opening handshake; `receive` returns the response."""

    def accepts_websocket(self, status: int) -> bool:
        """Whether a response with this status accepts the WebSocket."""

    def upgrade(self, parts: Sequence[Part]) -> tuple[ByteStream, bytes]:
        """The stream of frames after the response that accepts a WebSocket, and the bytes of frames that have been
        received; `parts` were received together with its head."""

    def set_deadline(self, seconds: float) -> None:
        """Give the server `seconds` from now for what it is expected to send."""

    def expire(self) -> None:
        """Let `receive` raise: the deadline is over."""

    def close(self) -> None:
        """Close it in order."""

    def abort(self) -> None:
        """Close it at once, in the middle of an exchange."""
