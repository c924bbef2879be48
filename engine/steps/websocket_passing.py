"""`passthrough` and `forward` of a WebSocket: the upgrade goes on to a server.

What the server agrees to is what the client gets: subprotocol, compression, or a refusal as it stands.
"""

from __future__ import annotations

from base64 import b64encode
from secrets import token_bytes
from typing import Any

from mockrec.engine.exchange.answer import Answer
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.exchange.websocket import SocketLimits, WebSocketSession
from mockrec.engine.steps.websocket_relay import ServerEnd, SocketRelay
from mockrec.engine.upstream.errors import LOOP, UpstreamError
from mockrec.engine.upstream.gateway import Gateway
from mockrec.engine.upstream.headers import end_to_end, without
from mockrec.engine.upstream.http import UpstreamConnection
from mockrec.engine.upstream.request import Outgoing
from mockrec.engine.wire.parts import Data, End, Interim, Part, Response, ResponseHead
from mockrec.engine.wire.websocket import WebSocket
from mockrec.engine.wire.ws_handshake import agreed, offered_protocols, without_others

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
        self._ask_for_websocket()
        self._tell()
        try:
            await self._pass_on()
        except UpstreamError as error:
            self._tell_abort(error)
            raise

    async def _pass_on(self) -> None:
        exchange, request = self._exchange, self._request
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

    async def _relay(self, connection: UpstreamConnection, head: ResponseHead) -> None:
        """The server has accepted: so do we, and from then on it is frames."""
        exchange, limits = self._exchange, self._limits
        answer = head.headers.get("sec-websocket-extensions", "")
        try:
            deflate = agreed(answer, self._offer) if answer else None
        except ValueError as error:
            raise UpstreamError("WS_ERR_EXTENSION", f"it agrees to what nobody offered: {error}") from None
        fields = [(name, value) for name, value in end_to_end(head.raw_headers) if name.lower() not in _OURS]
        pipe, first = await exchange.accept_websocket(fields)
        relayed = WebSocket("client", deflate=deflate, message_limit=limits.message, check_text=False)
        server = ServerEnd(connection.pipe, relayed, connection.codec.rest)
        codec = WebSocket("server", deflate=deflate, message_limit=limits.message, check_text=False)
        session = WebSocketSession(exchange, pipe, codec, first, limits.logged)
        with limits.open.hold(session):
            await SocketRelay(exchange, session, server, self._server_lost).run()

    def _server_lost(self, error: UpstreamError) -> None:
        self._tell_abort(error)
        self._exchange.tag(*error.tags)

    def _tell_abort(self, error: UpstreamError) -> None:
        if error.code == LOOP:
            return
        exchange = self._exchange
        told = {
            "downstreamAborted": False,
            "tags": [*exchange.tags, *error.tags],
            "error": {"name": "UpstreamError", "code": error.code, "message": str(error)},
        }
        exchange.notes.rule_event(exchange, "passthrough-abort", told, rule_id=self._name)
