"""What clients do wrong on an HTTP/2 connection: refused with a response, and recorded."""

from __future__ import annotations

from mockrec.engine import clock
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.message.target_uri import ConnectionContext
from mockrec.engine.server.client_end import client_error
from mockrec.engine.server.context import ServerContext
from mockrec.engine.server.refusal import refusal_body, refusal_fields
from mockrec.engine.wire.http2.server import H2Server
from mockrec.engine.wire.parts import Fault, ResponseHead

NO_ERROR = 0


class Http2Faults:
    """Handles the faults of one connection."""

    def __init__(
        self,
        codec: H2Server,
        context: ServerContext,
        client: ClientConnection,
        connection_context: ConnectionContext,
    ) -> None:
        self._codec = codec
        self._context = context
        self._client = client
        self._connection_context = connection_context

    def refuse_stream(self, number: int, fault: Fault) -> None:
        """Refuse a request that cannot be understood. Other streams are not affected."""
        head, body = self.send_refusal(number, fault, bodiless=[":method", "HEAD"] in fault.raw_headers)
        self._codec.reset(number, NO_ERROR)  # the rest of the request is not needed (RFC 9113, 8.1)
        self.record(fault, answered=head, body=body)

    def send_refusal(self, number: int, fault: Fault, *, bodiless: bool) -> tuple[ResponseHead, bytes]:
        """Send an error response; its text only if the window has room for it. Return the head and the text sent."""
        body = refusal_body(fault)
        fields = [*refusal_fields(fault), ("Content-Length", str(len(body)))]
        head = self._codec.frame(fault.status, "", fields, None, "")
        if bodiless or len(body) > self._codec.window(number):
            body = b""
        self._codec.send_head(number, head, end=not body)
        if body:
            self._codec.send_data(number, body, end=True)
        self._context.refusals.warn(fault, str(fault.status))
        return head, body

    def abort_stream(self, exchange: Exchange | None, fault: Fault) -> None:
        """The codec has reset a stream because of `fault`; `exchange` is its request, if it was complete enough."""
        self._context.refusals.warn(fault, "RST_STREAM")
        self.record(fault, exchange=exchange)
        if exchange is not None:
            exchange.abort(client_error(fault))

    def abort_all(self, exchanges: list[Exchange], fault: Fault) -> None:
        """The codec ends the connection because of `fault`, and so all its exchanges."""
        self._context.refusals.warn(fault, "GOAWAY")
        self.record(fault)
        for exchange in exchanges:
            exchange.abort(client_error(fault))

    def abort_unfinished(self, exchange: Exchange, fault: Fault, *, is_legal: bool = False) -> None:
        """The client has given up a request that is not complete, as an HTTP/1 client does by disconnecting.

        `is_legal`: by resetting the stream, which is not an error.
        """
        if exchange.finished or exchange.request_body.complete:
            return
        if not is_legal:
            self.record(fault, exchange=exchange)
        exchange.abort(client_error(fault))

    def record(
        self,
        fault: Fault,
        *,
        answered: ResponseHead | None = None,
        body: bytes = b"",
        exchange: Exchange | None = None,
    ) -> None:
        """Log a client-error."""
        self._context.exchange_log.client_error(
            *(self._client, fault, self._connection_context),
            started_at=clock.now() if exchange is None else exchange.started_at,
            answered=answered,
            body=body,
            version="2.0",
            exchange=exchange,
        )
