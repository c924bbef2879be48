"""`passthrough` and `forward` of a WebSocket: pass the opening handshake on to a server.

The client gets what the server agrees to: subprotocol, compression, or its refusal unchanged.
"""

from __future__ import annotations

from base64 import b64encode
from secrets import token_bytes

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.exchange.websocket import SocketSettings, WebSocketSession
from mockrec.engine.late import imported
from mockrec.engine.message.response import REASONS, PreparedResponse
from mockrec.engine.steps.passthrough_log import log_abort, log_websocket
from mockrec.engine.steps.passthrough_response import content_length
from mockrec.engine.steps.websocket_relay import SocketRelay, take_over
from mockrec.engine.upstream.client import UpstreamClient
from mockrec.engine.upstream.errors import LOOP, UpstreamError
from mockrec.engine.upstream.headers import end_to_end, end_to_end_trailers, with_upgrade
from mockrec.engine.upstream.request import UpstreamRequest
from mockrec.engine.upstream.request_loop import open_websocket
from mockrec.engine.upstream.stream import UpstreamStream
from mockrec.engine.wire.odd_fields import odd_tags
from mockrec.engine.wire.parts import Data, End, Part, ResponseHead
from mockrec.engine.wire.websocket.handshake import without_others

_HTTP1_FIELDS = frozenset({"sec-websocket-accept", "connection", "upgrade"})
"""Fields of a 101 that have no meaning over HTTP/2 (RFC 8441, 5)."""


class WebSocketPassthrough:
    """One WebSocket on its way to a server; the `ResponseHandler` of its opening handshake."""

    def __init__(
        self,
        exchange: Exchange,
        request: UpstreamRequest,
        upstream_client: UpstreamClient,
        rule_id: str | None,
        settings: SocketSettings,
    ) -> None:
        options = request.route.options.settings
        self.head_timeout = options.head_timeout
        self._body_timeout = options.body_idle_timeout
        self._exchange = exchange
        self._request = request
        self._upstream_client = upstream_client
        self._rule_id = rule_id
        self._settings = settings
        self._logged = False
        self._offer = without_others(exchange.target.headers.get("sec-websocket-extensions", ""))
        """The extensions that are offered to the server."""

    async def run(self) -> None:
        """Pass the WebSocket on. Raises UpstreamError, as long as the client has got no response."""
        exchange, request = self._exchange, self._request
        self._prepare_request()
        try:
            stream = await self._upstream_client.connect_websocket(exchange.client, request.route, to_self=True)
            try:
                self._log_request(http2=stream.transport.is_http2)
                await open_websocket(stream, request, self)
            finally:
                stream.close()
        except UpstreamError as error:
            self._log_abort(error)
            raise

    def _prepare_request(self) -> None:
        """Make the client's handshake fit for the server: without extensions that this recorder does not know."""
        request = self._request
        request.method = "GET"
        fields: list[list[str]] = []
        offer = self._offer
        for name, value in request.raw_headers:
            if name.lower() != "sec-websocket-extensions":
                fields.append([name, value])
            elif offer:  # where the first field stood; several become one
                fields.append([name, offer])
                offer = ""
        request.raw_headers = fields
        if not any(name.lower() == "sec-websocket-key" for name, _ in request.raw_headers):
            key = b64encode(token_bytes(16)).decode("ascii")  # a client of HTTP/2 sends none
            request.raw_headers.append(["Sec-WebSocket-Key", key])

    def _log_request(self, *, http2: bool) -> None:
        self._logged = True
        log_websocket(self._exchange, self._rule_id, self._request, http2=http2)

    def _log_abort(self, error: UpstreamError) -> None:
        if error.code == LOOP:
            return
        if not self._logged:
            self._log_request(http2=False)  # no server was reached that could choose the protocol
        log_abort(self._exchange, self._rule_id, error)

    async def interim(self, head: ResponseHead) -> None:
        """Ignore interim responses."""

    async def respond(self, stream: UpstreamStream, head: ResponseHead, parts: list[Part]) -> bool:
        """Accept the client's WebSocket and relay, or pass the refusal on."""
        self._exchange.tag(*odd_tags(head.odd))
        if stream.accepts_websocket(head.status):
            await imported("mockrec.engine.wire.websocket.connection")
            await self._relay(stream, head, parts)
        else:
            await self._refuse(stream, head, parts)
        return True

    async def _refuse(self, stream: UpstreamStream, head: ResponseHead, parts: list[Part]) -> None:
        """Pass the server's refusal on unchanged; its head at once, since many servers close the connection right
        after it."""
        exchange = self._exchange
        headers = tuple([(name, value) for name, value in end_to_end(_fields(head))])
        reason = REASONS.get(head.status, "") if head.version == "2.0" else head.reason
        response = PreparedResponse(head.status, headers, reason=reason, relayed=True)
        if parts and type(parts[-1]) is End:
            response.body = b"".join([part.data for part in parts if type(part) is Data])
            await exchange.reply(response)
            return
        await exchange.begin(response, content_length(head))
        while True:
            for part in parts:
                if type(part) is Data:
                    await exchange.send(part.data)
                elif type(part) is End:
                    exchange.tag(*odd_tags(part.odd))
                    await exchange.finish(end_to_end_trailers(part.trailers))
                    return
            parts = await stream.receive(self._body_timeout)

    async def _relay(self, stream: UpstreamStream, head: ResponseHead, parts: list[Part]) -> None:
        """Accept the WebSocket, as the server has, and relay frames from then on."""
        exchange, settings = self._exchange, self._settings
        server = take_over(stream, head, parts, self._offer, settings.message)
        fields = [(name, value) for name, value in with_upgrade(_fields(head))]
        if exchange.head.version == "2.0" or head.version == "2.0":
            fields = [pair for pair in fields if pair[0].lower() not in _HTTP1_FIELDS]
        try:
            pipe, first = await exchange.accept_websocket(fields)
            from mockrec.engine.wire.websocket.connection import WebSocket

            codec = WebSocket("server", deflate=server.deflate, message_limit=settings.message, check_text=False)
            session = WebSocketSession(exchange, pipe, codec, first, settings.logged)
            with settings.open.hold(session):
                await SocketRelay(exchange, session, server, self._server_lost).run()
        finally:
            if server.stuck:
                stream.abort()

    def _server_lost(self, error: UpstreamError) -> None:
        self._log_abort(error)
        self._exchange.tag(*error.tags)


def _fields(head: ResponseHead) -> list[list[str]]:
    return [pair for pair in head.raw_headers if pair[0] != ":status"]
