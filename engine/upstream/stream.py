"""What carries one request to a server and its response back: an HTTP/1 connection, or a stream of an HTTP/2 one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mockrec.engine.transport.byte_stream import ByteStream
from mockrec.engine.upstream.dialer import UpstreamTransport
from mockrec.engine.upstream.headers import RawHeaders
from mockrec.engine.upstream.request import UpstreamRequest
from mockrec.engine.wire.parts import Part


class UpstreamStream(Protocol):
    """All methods that wait raise UpstreamError, whatever happens to the connection."""

    dialed: UpstreamTransport
    pipe: ByteStream
    """Of the connection: who is at its other end."""
    used: int
    """Which request of the connection this is, from 1; counted when it is asked."""
    deadline: float
    """When the server has taken too long, in monotonic milliseconds; the gateway looks at it."""

    @property
    def answered(self) -> bool:
        """Whether anything of the response has come."""

    @property
    def informed(self) -> bool:
        """Whether an interim response has come."""

    def fields(self, request: UpstreamRequest) -> list[list[str]]:
        """The head's fields in the words of the server's protocol. Raises UpstreamError."""

    async def ask(
        self, request: UpstreamRequest, fields: list[list[str]], body: bytes | None, trailers: RawHeaders, *, more: bool
    ) -> bool:
        """Send the head with these fields, and the body if it is given and the server takes it at once; whether all
        has been sent.

        `more`: there is a body. What has not been sent goes with `send_data` and `send_end`.
        """

    async def send_data(self, data: bytes, seconds: float | None = None) -> None:
        """A piece of the body; the server has so long to take it."""

    async def send_end(self, trailers: RawHeaders, seconds: float | None = None) -> None:
        """The end of the body."""

    async def receive(self, seconds: float | None) -> list[Part]:
        """The next of the response, which has so long to come (None: as long as `allow` said)."""

    async def ask_for_websocket(self, request: UpstreamRequest) -> None:
        """Send the head of a WebSocket's handshake; the answer comes by `receive`."""

    def accepts(self, status: int) -> bool:
        """Whether this status accepts the WebSocket."""

    def upgraded(self, parts: Sequence[Part]) -> tuple[ByteStream, bytes]:
        """What follows is frames: their pipe, and what has come of them; `parts` came behind the head."""

    def allow(self, seconds: float) -> None:
        """Give the server so long from now for what is being waited for."""

    def expire(self) -> None:
        """The deadline is over: `receive` raises."""

    def close(self) -> None:
        """Give it up."""

    def abandon(self) -> None:
        """Break it off in the middle."""
