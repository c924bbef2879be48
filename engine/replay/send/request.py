"""One recorded request sent to a server, and its response recorded as an exchange of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import anyio

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.replay.send.receiving import ResponseRecorder
from mockrec.engine.replay.send.recorded_exchange import SendContext, abort, described, recorded_exchange
from mockrec.engine.replay.send.survey import ClientAbort
from mockrec.engine.upstream.errors import TIMED_OUT, UpstreamError
from mockrec.engine.upstream.request import UpstreamRequest
from mockrec.engine.upstream.request_loop import RequestBody, perform
from mockrec.engine.upstream.stream import UpstreamStream
from mockrec.engine.wire.parts import Part, ResponseHead


def _nothing() -> None:
    pass


class RequestReplay:
    """One request, as an `UpstreamExchange` of the request loop. `run` returns why it has failed, or an empty text."""

    head_timeout = None
    """`ResponseRecorder` sets the deadline, which is that of the whole response."""
    body_consumed = False
    """The body is complete, so it can be sent again."""

    def __init__(
        self,
        context: SendContext,
        peer: ClientConnection,
        request: UpstreamRequest,
        body: bytes,
        recorded_id: str,
        client_abort: ClientAbort | None,
    ):
        """`client_abort`: the recorded client aborted its exchange, so this one aborts too."""
        self.request = request
        self.body_timeout = context.timeout
        self._context = context
        self._peer = peer
        self._body = body
        self._recorded_id = recorded_id
        self._client_abort = client_abort
        self._exchange: Exchange | None = None
        self._recorder: ResponseRecorder | None = None
        self._on_sent: Callable[[], None] = _nothing
        self.tags: Sequence[str] = ()
        """Tags of the new exchange."""
        self.scope: str | None = None
        """The scope of the recorded exchange."""
        self.keeps_response = False
        """Whether `response` will be asked for."""

    def change(self, request: UpstreamRequest, body: bytes) -> None:
        """Send this request instead, which goes to the same server."""
        self.request, self._body = request, body

    @property
    def response(self) -> tuple[Sequence[Sequence[str]], bytes] | None:
        """Once `run` has returned: the fields and the body, as received, of a response that has begun."""
        exchange = self._exchange
        if exchange is None or exchange.response_head is None:
            return None
        return exchange.response_head.raw_headers, exchange.sent_body

    async def run(self, on_sent: Callable[[], None]) -> str:
        """Send the request and record its response. `on_sent` is called when the request is sent, or fails to be."""
        self._on_sent = on_sent
        try:
            if self.request.route.alpn:  # the server chooses the protocol, and with it the fields that are logged
                on_sent()
            else:
                self._begin(http2=False)
            if self._client_abort is not None and self._client_abort.size is None:
                with anyio.move_on_after(max(0.05, min(self._client_abort.seconds, self._context.timeout))):
                    await self._perform()
            else:
                await self._perform()
        except UpstreamError as error:
            exchange = self._exchange
            if self._client_abort and error.code == TIMED_OUT and exchange is not None and exchange.response_started:
                return ""  # it aborts in the middle of the response, as the recorded client did, if at another byte
            abort(exchange or self._begin(http2=False), error)
            return described(error)
        except ValueError as error:
            return str(error)
        finally:
            self._on_sent = _nothing  # it refers to the caller, which may refer to this object
            if self._exchange is not None and not self._exchange.finished:
                self._exchange.abort(None)  # as the recorded client did, or because the replay is stopped
        return ""

    async def _perform(self) -> None:
        """Send the request and record its response; keep the connection for the recorded client if it is reusable.

        Raises UpstreamError.
        """
        await perform(self._context.upstream_client, self._peer, self, to_self=True)

    def _begin(self, *, http2: bool) -> Exchange:
        request, body = self.request, self._body
        exchange = recorded_exchange(
            self._context,
            self._peer,
            request,
            self._recorded_id,
            body,
            self.tags,
            self.scope,
            http2=http2,
            websocket=False,
        )
        self._exchange = exchange
        if self.keeps_response:
            exchange.on_end = [lambda: None]  # so that the body stays in memory
        if not request.route.alpn:
            self._on_sent()
        return exchange

    def start(self, stream: UpstreamStream, fields: list[list[str]]) -> RequestBody:
        """See `UpstreamExchange`."""
        self._peer.ip, self._peer.port = stream.byte_stream.local
        exchange = self._exchange or self._begin(http2=stream.transport.is_http2)
        self._recorder = ResponseRecorder(stream, exchange, self._context.timeout, exchange.log.backpressure)
        return self._body or None, (), bool(self._body)

    async def send_body(self, stream: UpstreamStream) -> bool:
        """See `UpstreamExchange`; the body is always complete."""
        raise AssertionError("a replayed body is complete before it is sent")

    async def interim(self, head: ResponseHead) -> None:
        """See `UpstreamExchange`."""
        assert self._recorder is not None
        await self._recorder.interim(head)

    async def respond(self, stream: UpstreamStream, head: ResponseHead, parts: list[Part]) -> bool:
        """Record the response, as far as the recorded client had received it."""
        assert self._recorder is not None
        enough = math.inf if self._client_abort is None else self._client_abort.size or 0
        return await self._recorder.record(head, parts, enough)
