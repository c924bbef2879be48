"""`passthrough` and `forward` of a WebSocket: the upgrade goes on to a server.

What the server agrees to is what the client gets: subprotocol, compression, or a refusal as it stands.
"""

from __future__ import annotations

from base64 import b64encode
from secrets import token_bytes
from typing import Any

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.exchange.websocket import SocketSettings, WebSocketSession
from mockrec.engine.message.response import REASONS, PreparedResponse
from mockrec.engine.steps.websocket_relay import ServerEnd, SocketRelay
from mockrec.engine.upstream.client import UpstreamClient
from mockrec.engine.upstream.errors import LOOP, UpstreamError
from mockrec.engine.upstream.headers import end_to_end, end_to_end_trailers, with_upgrade
from mockrec.engine.upstream.request import UpstreamRequest
from mockrec.engine.upstream.stream import UpstreamStream
from mockrec.engine.wire.http1.odd_fields import odd_tags
from mockrec.engine.wire.http1.request_head import target_text
from mockrec.engine.wire.parts import Data, End, Interim, Part, ResponseHead, ResponsePart
from mockrec.engine.wire.websocket.connection import WebSocket
from mockrec.engine.wire.websocket.handshake import agreed, offered_protocols, without_others

_OF_HTTP1 = frozenset({"sec-websocket-accept", "connection", "upgrade"})
_SCHEMES = {"http": "ws", "https": "wss"}


class WebSocketPassthrough:
    """One WebSocket on its way to a server."""

    def __init__(
        self,
        exchange: Exchange,
        request: UpstreamRequest,
        upstream_client: UpstreamClient,
        name: str | None,
        limits: SocketSettings,
    ) -> None:
        self._exchange = exchange
        self._request = request
        self._upstream_client = upstream_client
        self._name = name
        self._limits = limits
        self._told = False
        self._offer = without_others(exchange.target.headers.get("sec-websocket-extensions", ""))

    async def run(self) -> None:
        """Raises UpstreamError as long as nothing has been answered."""
        self._ask_for_websocket()
        try:
            await self._pass_on()
        except UpstreamError as error:
            self._tell_abort(error)
            raise

    async def _pass_on(self) -> None:
        exchange, request = self._exchange, self._request
        carrier = await self._upstream_client.connect_websocket(exchange.client, request.route, to_self=True)
        try:
            self._tell(http2=carrier.dialed.is_http2)
            await carrier.ask_for_websocket(request)
            response, parts = await self._head(carrier)
            if carrier.accepts(response.head.status):
                await self._relay(carrier, response.head, parts)
            else:
                await self._refused(carrier, response.head, parts)
        finally:
            carrier.close()

    def _ask_for_websocket(self) -> None:
        """The client's own handshake, but for extensions that nobody here knows."""
        request = self._request
        request.method = "GET"
        fields: list[list[str]] = []
        offer = self._offer
        for name, value in request.raw_headers:
            if name.lower() != "sec-websocket-extensions":
                fields.append([name, value])
            elif offer:  # it stays where it stood; several are one
                fields.append([name, offer])
                offer = ""
        request.raw_headers = fields
        if not any(name.lower() == "sec-websocket-key" for name, _ in request.raw_headers):
            key = b64encode(token_bytes(16)).decode("ascii")  # HTTP/2 has none
            request.raw_headers.append(["Sec-WebSocket-Key", key])

    def _tell(self, *, http2: bool) -> None:
        request = self._request
        self._told = True
        told: dict[str, Any] = {
            "method": "GET",
            "protocol": _SCHEMES[request.protocol],
            "hostname": request.route.name,
            "port": str(request.route.port),
            "path": target_text(request.target),
            "rawHeaders": request.websocket_for_http2() if http2 else request.websocket_for_http1(),
            "subprotocols": list(offered_protocols(self._exchange.target.headers)),
        }
        self._exchange.log.rule_event(self._exchange, "passthrough-websocket-connect", told, rule_id=self._name)

    async def _head(self, carrier: UpstreamStream) -> tuple[ResponsePart, list[Part]]:
        seconds = self._request.route.options.settings.head_timeout
        while True:
            parts = await carrier.receive(seconds)
            for index, part in enumerate(parts):
                if isinstance(part, ResponsePart):
                    self._exchange.tag(*odd_tags(part.head.odd))
                    return part, parts[index + 1 :]
                assert isinstance(part, Interim)

    async def _refused(self, carrier: UpstreamStream, head: ResponseHead, parts: list[Part]) -> None:
        """The server's refusal, as it stands; its head at once, because many break off behind it."""
        exchange = self._exchange
        seconds = self._request.route.options.settings.body_idle_timeout
        headers = tuple([(name, value) for name, value in end_to_end(_fields(head))])
        reason = REASONS.get(head.status, "") if head.version == "2.0" else head.reason
        answer = PreparedResponse(head.status, headers, reason=reason, relayed=True)
        if parts and type(parts[-1]) is End:
            answer.body = b"".join([part.data for part in parts if type(part) is Data])
            await exchange.reply(answer)
            return
        length = head.headers.get("content-length") if "transfer-encoding" not in head.headers else None
        await exchange.begin(answer, int(length.partition(",")[0]) if length else None)
        while True:
            for part in parts:
                if type(part) is Data:
                    await exchange.send(part.data)
                elif type(part) is End:
                    exchange.tag(*odd_tags(part.odd))
                    await exchange.finish(end_to_end_trailers(part.trailers))
                    return
            parts = await carrier.receive(seconds)

    async def _relay(self, carrier: UpstreamStream, head: ResponseHead, parts: list[Part]) -> None:
        """The server has accepted: so do we, and from then on it is frames."""
        exchange, limits = self._exchange, self._limits
        answer = head.headers.get("sec-websocket-extensions", "")
        try:
            deflate = agreed(answer, self._offer) if answer else None
        except ValueError as error:
            raise UpstreamError("WS_ERR_EXTENSION", f"it agrees to what nobody offered: {error}") from None
        fields = [(name, value) for name, value in with_upgrade(_fields(head))]
        if exchange.head.version == "2.0" or head.version == "2.0":
            fields = [pair for pair in fields if pair[0].lower() not in _OF_HTTP1]
        pipe, first = await exchange.accept_websocket(fields)
        relayed = WebSocket("client", deflate=deflate, message_limit=limits.message, check_text=False)
        server = ServerEnd(*carrier.upgraded(parts), relayed)
        codec = WebSocket("server", deflate=deflate, message_limit=limits.message, check_text=False)
        session = WebSocketSession(exchange, pipe, codec, first, limits.logged)
        try:
            with limits.open.hold(session):
                await SocketRelay(exchange, session, server, self._server_lost).run()
        finally:
            if server.stuck:
                carrier.abandon()

    def _server_lost(self, error: UpstreamError) -> None:
        self._tell_abort(error)
        self._exchange.tag(*error.tags)

    def _tell_abort(self, error: UpstreamError) -> None:
        if error.code == LOOP:
            return
        if not self._told:
            self._tell(http2=False)  # there was no server to choose
        exchange = self._exchange
        told = {
            "downstreamAborted": False,
            "tags": [*exchange.tags, *error.tags],
            "error": {"name": "UpstreamError", "code": error.code, "message": str(error)},
        }
        exchange.log.rule_event(exchange, "passthrough-abort", told, rule_id=self._name)


def _fields(head: ResponseHead) -> list[list[str]]:
    return [pair for pair in head.raw_headers if pair[0] != ":status"]
