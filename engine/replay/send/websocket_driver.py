"""The replay's side of an accepted WebSocket: sends the client's messages, and records those of both sides."""

from __future__ import annotations

import anyio
from anyio.lowlevel import checkpoint_if_cancelled

from mockrec.engine import clock
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.exchange.websocket import KeptContent
from mockrec.engine.replay.send.recorded_exchange import SendContext, abort, described
from mockrec.engine.steps.websocket_relay import ServerEnd
from mockrec.engine.upstream.errors import RESET, UpstreamError
from mockrec.engine.wire.websocket.parts import CloseFrame, Fragment, Ping


class WebSocketDriver:
    """One WebSocket that the server has accepted."""

    def __init__(self, exchange: Exchange, server: ServerEnd, context: SendContext) -> None:
        self.problem = ""
        """Why the replay of the WebSocket has failed; empty: it has not."""
        self._exchange = exchange
        self._server = server
        self._timeout = context.timeout
        self._message = KeptContent(context.body_limit)
        """The server's message that is being received."""
        self._received = 0
        """The server's messages so far."""
        self._client_close: CloseFrame | None = None
        """The client's close frame, if it came first."""
        self._server_close: CloseFrame | None = None
        self._over = False
        """Whether nothing more will be received."""
        self._progress = anyio.Event()

    async def receive(self) -> None:
        """Record the server's messages up to its close frame."""
        try:
            while not self._over:
                await checkpoint_if_cancelled()  # `receive` does not wait while a server sends without a pause
                part = await self._server.receive()
                if type(part) is Fragment:
                    self._take(part)
                elif type(part) is Ping:
                    await self._server.send(self._server.codec.send_pong(part.data))
                elif type(part) is CloseFrame:
                    self._server_close = part
                    self._over = True
                    self._notify()
        except UpstreamError as error:
            self.fail(error)

    def _take(self, fragment: Fragment) -> None:
        message = self._message
        message.add(fragment)
        if fragment.ends:
            log = self._exchange.log.websocket
            log.message(self._exchange, "sent", message.data, message.size, message.is_binary)
            message.clear()
            self._received += 1
            self._notify()

    async def finish(self, code: int | None, reason: str) -> None:
        """Complete the closing handshake that the server has begun or answered, and record it. `code` and `reason` are
        the client's, unless its close frame has been sent already."""
        if self._server_close is None or self._exchange.finished:
            return
        close = self._client_close or CloseFrame(code, reason)
        await self._server.close(close.code, close.reason)
        exchange = self._exchange
        exchange.ws_closed_at = clock.now()
        initiator = "server" if self._client_close is None else "client"
        first = self._server_close if self._client_close is None else None
        exchange.log.websocket.closed(exchange, close.code, close.reason, initiator, first)

    def fail(self, error: UpstreamError) -> None:
        """End the WebSocket because of an error."""
        if not self._over:
            self._over = True
            self.problem = described(error)
            if not self._exchange.finished:
                abort(self._exchange, error)
            self._notify()

    def _notify(self) -> None:
        self._progress.set()
        self._progress = anyio.Event()

    async def wait_for(self, count: int, *, last: bool = False) -> bool:
        """Wait until the server has sent `count` messages. Return False once nothing more can be sent to it, which is a
        problem unless these are the `last` messages of the recording and all have arrived."""
        while self._received < count and not self._over:
            with anyio.move_on_after(self._timeout) as scope:
                await self._progress.wait()
            if scope.cancelled_caught:
                text = f"{self._received} of {count} recorded answers have come, and no more within {self._timeout:g}s"
                self.fail(UpstreamError("ETIMEDOUT", text))
        if self._over and not self.problem and not (last and self._received >= count):
            self.problem = "the server has closed the WebSocket before the conversation was over"
        return not self._over

    async def send(self, data: bytes, *, is_binary: bool) -> None:
        """Send a message to the server, and record it. Raises UpstreamError."""
        with anyio.move_on_after(self._timeout) as scope:
            await self._server.send(self._server.codec.send_message(data, is_binary=is_binary))
        if scope.cancelled_caught:
            raise UpstreamError("ETIMEDOUT", f"it has taken no message for {self._timeout:g}s")
        self._exchange.log.websocket.message(self._exchange, "received", data, len(data), is_binary)

    async def send_close(self, code: int | None, reason: str) -> None:
        """Send the client's close frame, before the server has sent one."""
        self._client_close = CloseFrame(code, reason)
        await self._server.close(code, reason)

    async def wait_for_close(self) -> None:
        """Wait for the server's close frame. Raises UpstreamError."""
        with anyio.move_on_after(self._timeout):
            while not self._over:
                await self._progress.wait()
        if self._server_close is None:
            raise UpstreamError(RESET, "it has not closed the WebSocket")
