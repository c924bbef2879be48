"""One recorded request sent to a server, and its answer told to the log as an exchange of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import anyio

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.message.target_uri import ConnectionContext, read_target_uri
from mockrec.engine.recording.exchange_log import ExchangeLog
from mockrec.engine.replay.send.null_channel import SILENT
from mockrec.engine.replay.send.receiving import Receiving
from mockrec.engine.replay.send.survey import ClientAbort
from mockrec.engine.upstream.client import UpstreamClient
from mockrec.engine.upstream.errors import TIMED_OUT, UpstreamError
from mockrec.engine.upstream.request import UpstreamRequest
from mockrec.engine.upstream.retry import ATTEMPTS, may_repeat, send_whole, while_sending
from mockrec.engine.upstream.stream import UpstreamStream
from mockrec.engine.wire.parts import RequestHead, header_table

REPLAY_OF = "replay-of:"
_AT_ONCE = 32 * 1024
"""Bytes of a body that go out with the head."""


@dataclass(frozen=True, slots=True)
class SendContext:
    """What all requests of a replay share."""

    upstream_client: UpstreamClient
    notes: ExchangeLog
    timeout: float
    """Seconds from a request to the end of its answer, and to each message that a WebSocket waits for."""
    body_limit: int
    """Bytes of a body that the log keeps."""
    message_limit: int


def begin(
    tools: SendContext,
    peer: ClientConnection,
    request: UpstreamRequest,
    identity: str,
    body: bytes = b"",
    tags: Sequence[str] = (),
    *,
    http2: bool,
    websocket: bool,
) -> Exchange:
    """An exchange for a request that is about to be sent; the log hears of it, complete with its body.

    Raises ValueError.
    """
    raw_headers = request.for_http2() if http2 else request.for_http1()
    if websocket and not http2:
        raw_headers = request.websocket_for_http1()
    head = RequestHead(
        request.method, request.target, "2.0" if http2 else "1.1", raw_headers, header_table(raw_headers)
    )
    head.upgrade = "websocket" if websocket else ""
    origin = ConnectionContext(request.protocol, (request.route.name, request.route.port))
    address = read_target_uri(head, request.route.port, origin)
    if isinstance(address, str):
        raise ValueError(f"{request.url} is no URL that can be asked for ({address})")
    head.has_body = bool(body)
    exchange = Exchange(head, address, peer, SILENT, tools.notes, tools.body_limit, tools.body_limit)
    exchange.tag(f"{REPLAY_OF}{identity}", *tags)
    tools.notes.request_initiated(exchange)
    if body:
        exchange.take_data(body)
    exchange.take_end(())
    exchange.choose(None)
    return exchange


def failed(exchange: Exchange, error: UpstreamError) -> None:
    """There is no complete answer, and this is why."""
    exchange.tag(*error.tags)
    exchange.abort({"name": "UpstreamError", "code": error.code, "message": str(error)})


def sentence(error: UpstreamError) -> str:
    """For people."""
    return f"{error} [{error.code}]"


class Sending:
    """One request. `run` returns why it has failed; empty if it has not."""

    def __init__(
        self,
        tools: SendContext,
        peer: ClientConnection,
        request: UpstreamRequest,
        body: bytes,
        identity: str,
        left: ClientAbort | None,
    ):
        """`left`: the recorded client gave up, so this one does too."""
        self._tools = tools
        self._peer = peer
        self._request = request
        self._body = body
        self._identity = identity
        self._left = left
        self._exchange: Exchange | None = None
        self._sent = False
        self._told: Callable[[], None] = lambda: None
        self.tags: Sequence[str] = ()
        """Of the new exchange."""
        self.keeps_answer = False
        """Whether `answer` is wanted."""

    def change(self, request: UpstreamRequest, body: bytes) -> None:
        """Send this request instead, which goes to the same server."""
        self._request, self._body = request, body

    @property
    def answer(self) -> tuple[Sequence[Sequence[str]], bytes] | None:
        """Head and body, as they came, of an answer that has begun, when `run` is over."""
        exchange = self._exchange
        if exchange is None or exchange.response_head is None:
            return None
        return exchange.response_head.raw_headers, exchange.sent_body

    async def run(self, told: Callable[[], None]) -> str:
        """`told` is called when the request leaves, or would have."""
        self._told = told
        try:
            if self._request.route.alpn:  # its server chooses the protocol
                told()
            else:
                self._begin(http2=False)
            if self._left is not None and self._left.size is None:
                with anyio.move_on_after(max(0.05, min(self._left.seconds, self._tools.timeout))):
                    await self._send()
            else:
                await self._send()
        except UpstreamError as error:
            if (
                self._left is not None
                and error.code == TIMED_OUT
                and self._exchange
                and self._exchange.response_started
            ):
                return ""  # it leaves in the middle too, only not at the same byte
            failed(self._exchange or self._begin(http2=False), error)
            return sentence(error)
        except ValueError as error:
            return str(error)
        finally:
            if self._exchange is not None and not self._exchange.finished:
                self._exchange.abort(None)  # as the recorded client has left, or because the replay is stopped
        return ""

    def _begin(self, *, http2: bool) -> Exchange:
        request, body = self._request, self._body
        exchange = begin(
            self._tools, self._peer, request, self._identity, body, self.tags, http2=http2, websocket=False
        )
        self._exchange = exchange
        if self.keeps_answer:
            exchange.on_end = [lambda: None]  # so that the body stays in memory
        if not request.route.alpn:
            self._told()
        return exchange

    async def _send(self) -> None:
        """Raises UpstreamError. The connection is kept for the next request of the same recorded client, or closed."""
        upstream_client, peer, route = self._tools.upstream_client, self._peer, self._request.route
        carrier = upstream_client.idle(peer, route)
        for attempts_left in reversed(range(ATTEMPTS)):
            is_new = carrier is None
            if carrier is None:
                carrier = await upstream_client.connect(peer, route, to_self=True)
                peer.ip, peer.port = carrier.pipe.local
            complete = False
            try:
                complete = await self._converse(carrier)
                return
            except UpstreamError as error:
                if not (attempts_left and may_repeat(carrier, error, self._request.method, is_new=is_new)):
                    raise
            finally:
                carrier.deadline = math.inf
                if complete:
                    upstream_client.keep(peer, route, carrier)
                else:
                    carrier.abandon()
            carrier = None

    async def _converse(self, carrier: UpstreamStream) -> bool:
        """One request and its answer; whether the connection can be used again."""
        exchange, body, timeout = self._exchange, self._body, self._tools.timeout
        if exchange is None:
            exchange = self._begin(http2=carrier.dialed.is_http2)
        receiving = Receiving(carrier, exchange, timeout, self._tools.upstream_client.backpressure)
        # So much had the recorded client read when it left.
        enough = math.inf if self._left is None else self._left.size or 0

        async def receive() -> bool:
            return await receiving.rest(*await receiving.head(), enough)

        async def send() -> None:
            await send_whole(carrier, body, (), timeout)
            self._sent = True

        at_once = body if body and len(body) <= _AT_ONCE else None
        self._sent = await carrier.ask(self._request, carrier.fields(self._request), at_once, (), more=bool(body))
        complete = await (receive() if self._sent else while_sending(send, receive))
        return complete and self._sent
