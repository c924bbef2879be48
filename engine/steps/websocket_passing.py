"""`passthrough` and `forward` of a WebSocket: the upgrade goes on to a server, and what both sides say is relayed.

What the server agrees to is what the client gets: subprotocol, compression, or a refusal as it stands. Fragments
pass as they come, so that no message need be in memory.
"""

from __future__ import annotations

from base64 import b64encode
from secrets import token_bytes
from typing import Any

import anyio

from mockrec.engine.exchange.answer import Answer
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.exchange.websocket import SocketLimits, WebSocketLost, WebSocketSession
from mockrec.engine.upstream.errors import RESET, UpstreamError
from mockrec.engine.upstream.gateway import Gateway
from mockrec.engine.upstream.headers import end_to_end, without
from mockrec.engine.upstream.http import UpstreamConnection
from mockrec.engine.upstream.request import Outgoing
from mockrec.engine.wire.parts import Data, End, Interim, Part, Response, ResponseHead
from mockrec.engine.wire.websocket import Close, Fragment, Ping, Pong, WebSocket, WsFault
from mockrec.engine.wire.ws_handshake import agreed, offered_protocols, without_others

_UNEXPECTED = 1011
_BAD_GATEWAY = 1014  # registered with IANA for exactly this
_CLOSING_SECONDS = 5.0
"""How long the second close frame may take."""
_OURS = frozenset({"sec-websocket-accept", "connection", "upgrade"})
_SCHEMES = {"http": "ws", "https": "wss"}


class SocketPassing:
    """One WebSocket on its way to a server."""

    def __init__(
        self, exchange: Exchange, request: Outgoing, gateway: Gateway, name: str | None, limits: SocketLimits
    ) -> None:
        self._exchange = exchange
        self._request = request
        self._gateway = gateway
        self._name = name
        self._limits = limits
        self._offer = without_others(exchange.address.headers.get("sec-websocket-extensions", ""))

    async def run(self) -> None:
        """Raises UpstreamError as long as nothing has been answered."""
        exchange, request = self._exchange, self._request
        self._ask_for_websocket()
        self._tell()
        connection = await self._gateway.connect_http1(exchange.peer, request.route, to_self=True)
        try:
            await connection.send(
                connection.codec.send_request("GET", request.target, request.raw_headers, body=False, upgrade=True)
            )
            response, parts = await self._head(connection)
            if response.head.status != 101:
                await self._refused(connection, response.head, parts)
                return
            await self._relay(connection, response.head)
        finally:
            connection.close()

    def _ask_for_websocket(self) -> None:
        """The client's own handshake fields, of which hops have taken some away."""
        request = self._request
        raw = without(request.raw_headers, "connection", "upgrade", "sec-websocket-extensions", "content-length")
        if self._offer:
            raw.append(["Sec-WebSocket-Extensions", self._offer])
        if not any(name.lower() == "sec-websocket-key" for name, _ in raw):
            raw.append(["Sec-WebSocket-Key", b64encode(token_bytes(16)).decode("ascii")])  # HTTP/2 has none
        request.raw_headers = [*raw, ["Connection", "Upgrade"], ["Upgrade", "websocket"]]

    def _tell(self) -> None:
        request = self._request
        told: dict[str, Any] = {
            "method": "GET",
            "protocol": _SCHEMES[request.protocol],
            "hostname": request.route.name,
            "port": str(request.route.port),
            "path": request.target,
            "rawHeaders": request.raw_headers,
            "subprotocols": list(offered_protocols(self._exchange.address.headers)),
        }
        self._exchange.notes.rule_event(self._exchange, "passthrough-websocket-connect", told, rule_id=self._name)

    async def _head(self, connection: UpstreamConnection) -> tuple[Response, list[Part]]:
        seconds = self._request.route.options.settings.head_timeout
        while True:
            parts = await connection.receive(seconds)
            for index, part in enumerate(parts):
                if isinstance(part, Response):
                    return part, parts[index + 1 :]
                assert isinstance(part, Interim)

    async def _refused(self, connection: UpstreamConnection, head: ResponseHead, parts: list[Part]) -> None:
        """The server's refusal, as it stands."""
        seconds = self._request.route.options.settings.body_idle_timeout
        while not (parts and type(parts[-1]) is End):
            parts += await connection.receive(seconds)
        headers = tuple([(name, value) for name, value in end_to_end(head.raw_headers)])
        body = b"".join([part.data for part in parts if type(part) is Data])
        await self._exchange.reply(Answer(head.status, headers, body, reason=head.reason, relayed=True))

    # ── what both sides say ────────────────────────────────────────────────────────────────────────

    async def _relay(self, connection: UpstreamConnection, head: ResponseHead) -> None:
        exchange, limits = self._exchange, self._limits
        answer = head.headers.get("sec-websocket-extensions", "")
        try:
            deflate = agreed(answer, self._offer) if answer else None
        except ValueError as error:
            raise UpstreamError("WS_ERR_EXTENSION", f"it agrees to what nobody offered: {error}") from None
        fields = [(name, value) for name, value in end_to_end(head.raw_headers) if name.lower() not in _OURS]
        pipe, first = await exchange.accept_websocket(fields)
        relayed = WebSocket("client", deflate=deflate, message_limit=limits.message, check_text=False)
        server = _Server(connection, relayed)
        codec = WebSocket("server", deflate=deflate, message_limit=limits.message, check_text=False)
        session = WebSocketSession(exchange, pipe, codec, first, limits.logged)
        lost: list[UpstreamError] = []
        async with anyio.create_task_group() as group:

            async def down() -> None:
                try:
                    await _server_to_client(server, session)
                except WebSocketLost:
                    pass
                except UpstreamError as error:
                    lost.append(error)
                    await self._server_lost(error, session)
                if exchange.finished:
                    group.cancel_scope.cancel()

            group.start_soon(down)
            try:
                await _client_to_server(session, server)
            except WebSocketLost:
                await server.close(_UNEXPECTED)
                group.cancel_scope.cancel()
            except UpstreamError as error:
                if not lost:
                    await self._server_lost(error, session)
            if exchange.finished:
                group.cancel_scope.cancel()
            else:
                group.cancel_scope.deadline = anyio.current_time() + _CLOSING_SECONDS
        if not exchange.finished:
            exchange.abort(None)

    async def _server_lost(self, error: UpstreamError, session: WebSocketSession) -> None:
        """The server has gone without a word, or broken the protocol: the client is told, and the log."""
        exchange = self._exchange
        exchange.tag(*error.tags)
        told = {
            "downstreamAborted": False,
            "tags": list(exchange.tags),
            "error": {"name": "UpstreamError", "code": error.code, "message": str(error)},
        }
        exchange.notes.rule_event(exchange, "passthrough-abort", told, rule_id=self._name)
        try:
            await session.send_close(_BAD_GATEWAY, "the server has gone")
        except WebSocketLost:
            pass


class _Server:
    """The server's end."""

    def __init__(self, connection: UpstreamConnection, codec: WebSocket) -> None:
        self._pipe = connection.pipe
        self.codec = codec
        self._parts = codec.receive(connection.codec.rest)

    async def receive(self) -> Fragment | Ping | Pong | Close:
        """The next thing that it says. Raises UpstreamError."""
        while not self._parts:
            try:
                self._parts += self.codec.receive(await self._pipe.receive())
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                raise UpstreamError(RESET, "it has gone without a close frame") from None
        part = self._parts.pop(0)
        if isinstance(part, WsFault):
            await self.close(part.code)
            raise UpstreamError(f"WS_ERR_{part.code}", f"it breaks the WebSocket protocol: {part.reason}")
        return part

    async def send(self, data: bytes) -> None:
        """Raises UpstreamError."""
        try:
            await self._pipe.send(data)
        except anyio.BrokenResourceError:
            raise UpstreamError(RESET, "the connection was reset") from None

    async def close(self, code: int | None, reason: str = "") -> None:
        """A close frame, if it can still be sent."""
        if not self.codec.close_sent:
            try:
                await self._pipe.send(self.codec.send_close(code, reason))
            except anyio.BrokenResourceError:
                pass


async def _client_to_server(session: WebSocketSession, server: _Server) -> None:
    codec = server.codec
    while True:
        part = await session.receive()
        if type(part) is Fragment:
            data = codec.send_fragment(part.data, is_binary=part.is_binary, starts=part.starts, ends=part.ends)
            await server.send(data)
        elif type(part) is Ping:
            await server.send(codec.send_ping(part.data))
        elif type(part) is Pong:
            await server.send(codec.send_pong(part.data))
        elif type(part) is Close:
            answered = codec.close_received
            await server.close(part.code, part.reason)
            if answered or session.close_sent:
                session.finish()
            return


async def _server_to_client(server: _Server, session: WebSocketSession) -> None:
    while True:
        part = await server.receive()
        if type(part) is Fragment:
            await session.send_fragment(part)
        elif type(part) is Ping:
            await session.ping(part.data)
        elif type(part) is Pong:
            await session.pong(part.data)
        elif type(part) is Close:
            await session.send_close(part.code, part.reason)
            if session.client_closed:
                session.finish()
            return
