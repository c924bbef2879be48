"""The relay of a WebSocket's frames between client and server, once the server has accepted it.

Fragments are passed on as they arrive, so that no whole message is in memory. Each side's close frame goes to the
other; if a close frame does not arrive, or a side is lost, the other side gets one and is not waited for without end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import anyio

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.exchange.websocket import CLOSING_SECONDS, WebSocketLost, WebSocketSession
from mockrec.engine.transport.byte_stream import ByteStream
from mockrec.engine.upstream.errors import RESET, UpstreamError
from mockrec.engine.upstream.stream import UpstreamStream
from mockrec.engine.wire.parts import Part, ResponseHead
from mockrec.engine.wire.websocket.handshake import Deflate, agreed
from mockrec.engine.wire.websocket.parts import CloseFrame, Fragment, Ping, Pong, WsFault

_UNEXPECTED = 1011
_BAD_GATEWAY = 1014  # registered with IANA for exactly this


class ServerEnd:
    """The server's end of a WebSocket."""

    def __init__(self, pipe: ByteStream, first: bytes, deflate: Deflate | None, message_limit: int) -> None:
        """`first`: what was received after the head."""
        self._pipe = pipe
        self.deflate = deflate
        """The compression that the server has agreed to."""
        from mockrec.engine.wire.websocket.connection import WebSocket

        self.codec = codec = WebSocket("client", deflate=deflate, message_limit=message_limit, check_text=False)
        self.stuck = False
        """Whether a write is under way that the server has not taken yet."""
        self._parts = deque(codec.receive(first))

    async def receive(self) -> Fragment | Ping | Pong | CloseFrame:
        """The next frame or fragment of the server. Raises UpstreamError."""
        while not self._parts:
            try:
                self._parts.extend(self.codec.receive(await self._pipe.receive()))
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                raise UpstreamError(RESET, "it has gone without a close frame") from None
        part = self._parts.popleft()
        if isinstance(part, WsFault):
            await self.close(part.code)
            raise UpstreamError(f"WS_ERR_{part.code}", f"it breaks the WebSocket protocol: {part.reason}")
        return part

    async def send(self, data: bytes) -> None:
        """Write, unless the server has sent its close frame. If the server has left, `receive` raises after the frames
        that it has sent."""
        if not self.codec.close_received:
            await self._write(data)

    async def close(self, code: int | None, reason: str = "") -> None:
        """Send a close frame, if none has been sent."""
        if not self.codec.close_sent:
            await self._write(self.codec.send_close(code, reason))

    async def _write(self, data: bytes) -> None:
        self.stuck = True
        try:
            await self._pipe.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
        self.stuck = False


def take_over(
    stream: UpstreamStream, head: ResponseHead, parts: Sequence[Part], offer: str, message_limit: int
) -> ServerEnd:
    """The server's end of a WebSocket that it has accepted with this head; `parts` were received with it, `offer` are
    the extensions that it was offered. Raises UpstreamError."""
    extensions = head.headers.get("sec-websocket-extensions", "")
    try:
        deflate = agreed(extensions, offer) if extensions else None
    except ValueError as error:
        raise UpstreamError("WS_ERR_EXTENSION", f"it agrees to what nobody offered: {error}") from None
    return ServerEnd(*stream.upgrade(parts), deflate, message_limit)


class SocketRelay:
    """Relays between client and server, with one task that reads each."""

    def __init__(
        self,
        exchange: Exchange,
        session: WebSocketSession,
        server: ServerEnd,
        on_lost: Callable[[UpstreamError], None],
    ) -> None:
        """`on_lost` is called with the reason if the server leaves without a close frame."""
        self._exchange = exchange
        self._session = session
        self._server = server
        self._on_lost = on_lost

    async def run(self) -> None:
        """Relay until the exchange is over."""
        session = self._session
        async with anyio.create_task_group() as group:

            async def down() -> None:
                try:
                    await self._server_to_client()
                except WebSocketLost:
                    await self._client_lost()
                self._closing(group.cancel_scope)

            def left() -> None:
                """The client has left while no task reads it, because the server takes nothing."""
                group.cancel_scope.deadline = min(group.cancel_scope.deadline, anyio.current_time() + CLOSING_SECONDS)

            group.start_soon(down)
            try:
                await self._client_to_server(left)
            except WebSocketLost:
                await self._client_lost()
            self._closing(group.cancel_scope)
        if self._exchange.finished:
            return
        close = session.client_close
        if self._server.stuck:
            self._exchange.abort(None)  # the client has left, and the server takes nothing
        elif close is None:
            session.give_up()
        else:  # the server has not answered the client's close frame
            try:
                await session.close(close.code, close.reason)
            except WebSocketLost:
                pass

    async def _client_lost(self) -> None:
        """Tell the server that the client has disconnected. Either task may notice that first; it ends the other."""
        if self._session.client_close is None:
            await self._server.close(_UNEXPECTED)

    def _closing(self, scope: anyio.CancelScope) -> None:
        """Give the other side some time for its close frame, after that of one side."""
        if self._session.close_sent:
            self._session.finish()
        if self._exchange.finished:
            scope.cancel()
        else:
            scope.deadline = min(scope.deadline, anyio.current_time() + CLOSING_SECONDS)

    async def _client_to_server(self, left: Callable[[], None]) -> None:
        session, server = self._session, self._server
        codec = server.codec
        while True:
            session.watch(None)
            part = await session.receive()
            session.watch(left)
            if type(part) is Fragment:
                data = codec.send_fragment(part.data, is_binary=part.is_binary, starts=part.starts, ends=part.ends)
                await server.send(data)
            elif type(part) is Ping:
                await server.send(codec.send_ping(part.data))
            elif type(part) is Pong:
                await server.send(codec.send_pong(part.data))
            elif type(part) is CloseFrame:
                await server.close(part.code, part.reason)
                return

    async def _server_to_client(self) -> None:
        session = self._session
        try:
            while True:
                part = await self._server.receive()
                if type(part) is Fragment:
                    await session.send_fragment(part)
                elif type(part) is Ping:
                    await session.ping(part.data)
                elif type(part) is Pong:
                    await session.pong(part.data)
                elif type(part) is CloseFrame:
                    await session.send_close(part.code, part.reason)
                    return
        except UpstreamError as error:
            self._on_lost(error)
            close = session.client_close
            if close is None:
                await session.send_close(_BAD_GATEWAY, _close_reason(error))
            else:
                await session.send_close(close.code, close.reason)


def _close_reason(error: UpstreamError) -> str:
    return "the server has gone" if error.code == RESET else "the server broke the protocol"
