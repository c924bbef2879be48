"""One HTTP/2 stream with a request on it."""

from __future__ import annotations

import anyio

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.transport.http2_stream import Http2ByteStream


class Http2Stream:
    """The exchange of a stream, and the state of the task that responds."""

    __slots__ = ("_more", "_scope", "byte_stream", "exchange", "responded", "unacknowledged")

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self._scope: anyio.CancelScope | None = None
        self.byte_stream: Http2ByteStream | None = None
        """Receives the data of the stream once it carries a WebSocket."""
        self.unacknowledged = 0
        """Bytes that were received and not used yet, so that the client gets no window for more."""
        self.responded = False
        """Whether the steps have ended."""
        self._more: anyio.Event | None = None

    @property
    def scope(self) -> anyio.CancelScope:
        """Cancelled when the client or a timeout ends the exchange; most exchanges end before one is needed."""
        if self._scope is None:
            self._scope = anyio.CancelScope()
        return self._scope

    async def wait_for_more(self) -> None:
        """Return when another part of the request has been received."""
        self._more = anyio.Event()
        await self._more.wait()

    def notify(self) -> None:
        """Wake the task that waits for another part of the request."""
        if self._more is not None:
            self._more.set()
            self._more = None
