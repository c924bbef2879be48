"""One recorded request sent to a server, and its answer told to the log as an exchange of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import anyio

from mockrec.engine.exchange.address import Origin, read_address
from mockrec.engine.exchange.answer import Answer
from mockrec.engine.exchange.channel import Peer
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.exchange.notes import Notes
from mockrec.engine.replay.silent import SILENT
from mockrec.engine.replay.survey import Left
from mockrec.engine.upstream.carrier import Carrier
from mockrec.engine.upstream.errors import REFUSED, RESET, TIMED_OUT, UNSENDABLE, UpstreamError
from mockrec.engine.upstream.gateway import Gateway
from mockrec.engine.upstream.request import Outgoing
from mockrec.engine.wire.parts import Data, End, Interim, Part, RequestHead, Response, header_table

REPLAY_OF = "replay-of:"
_AT_ONCE = 32 * 1024
"""Bytes of a body that go out with the head."""
_PIECE = 256 * 1024
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})  # RFC 9110, 9.2.2
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Tools:
    """What all requests of a replay share."""

    gateway: Gateway
    notes: Notes
    timeout: float
    """Seconds from a request to the end of its answer, and to each message that a WebSocket waits for."""
    body_limit: int
    """Bytes of a body that the log keeps."""
    message_limit: int


def begin(tools: Tools, peer: Peer, request: Outgoing, identity: str, *, http2: bool, websocket: bool) -> Exchange:
    """An exchange for a request that is about to be sent; the log hears of it. Raises ValueError."""
    raw_headers = request.for_http2() if http2 else request.for_http1()
    if websocket and not http2:
        raw_headers = request.websocket_for_http1()
    head = RequestHead(
        request.method, request.target, "2.0" if http2 else "1.1", raw_headers, header_table(raw_headers)
    )
    head.upgrade = "websocket" if websocket else ""
    origin = Origin(request.protocol, (request.route.name, request.route.port))
    address = read_address(head, request.route.port, origin)
    if isinstance(address, str):
        raise ValueError(f"{request.url} is no URL that can be asked for ({address})")
    exchange = Exchange(head, address, peer, SILENT, tools.notes, tools.body_limit, tools.body_limit)
    exchange.tag(f"{REPLAY_OF}{identity}")
    tools.notes.request_initiated(exchange)
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

    def __init__(self, tools: Tools, peer: Peer, request: Outgoing, body: bytes, identity: str, left: Left | None):
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

    async def run(self, told: Callable[[], None]) -> str:
        """`told` is called when the request leaves, or would have."""
        self._told = told
        try:
            if self._request.route.secure:  # its server chooses the protocol
                told()
            else:
                self._begin(http2=False)
            if self._left is not None and self._left.size is None:
                with anyio.move_on_after(max(0.05, min(self._left.seconds, self._tools.timeout))):
                    await self._send()
            else:
                await self._send()
        except UpstreamError as error:
            failed(self._exchange or self._begin(http2=False), error)
            return sentence(error)
        except ValueError as error:
            return str(error)
        finally:
            if self._exchange is not None and not self._exchange.finished:
                self._exchange.abort(None)  # as the recorded client has left, or because the replay is stopped
        return ""

    def _begin(self, *, http2: bool) -> Exchange:
        exchange = begin(self._tools, self._peer, self._request, self._identity, http2=http2, websocket=False)
        self._exchange = exchange
        if not self._request.route.secure:
            self._told()
        if self._body:
            exchange.head.has_body = True
            exchange.take_data(self._body)
        exchange.take_end(())
        exchange.choose(None)
        return exchange

    async def _send(self) -> None:
        """Raises UpstreamError. The connection is kept for the next request of the same recorded client, or closed."""
        gateway, peer, route = self._tools.gateway, self._peer, self._request.route
        carrier = gateway.idle(peer, route)
        for attempts_left in reversed(range(_ATTEMPTS)):
            is_new = carrier is None
            if carrier is None:
                carrier = await gateway.connect(peer, route, to_self=True)
                peer.ip, peer.port = carrier.pipe.local
            complete = False
            try:
                complete = await self._converse(carrier)
                return
            except UpstreamError as error:
                if not (attempts_left and self._may_repeat(carrier, error, is_new=is_new)):
                    raise
            finally:
                carrier.deadline = math.inf
                if complete:
                    gateway.keep(peer, route, carrier)
                else:
                    carrier.abandon()
            carrier = None

    def _may_repeat(self, carrier: Carrier, error: UpstreamError, *, is_new: bool) -> bool:
        """Whether the server has not looked at the request: it refused it (RFC 9113, 8.7), or closed the idle
        connection while it was on its way (RFC 9112, 9.3.1)."""
        if error.code == REFUSED and carrier.dialed.is_http2:
            return True
        lost = error.code in (RESET, "EPIPE") and not (carrier.answered or carrier.informed)
        return lost and not is_new and self._request.method in _IDEMPOTENT

    async def _converse(self, carrier: Carrier) -> bool:
        """One request and its answer; whether the connection can be used again."""
        if self._exchange is None:
            self._begin(http2=carrier.dialed.is_http2)
        body = self._body
        at_once = body if body and len(body) <= _AT_ONCE else None
        carrier.allow(self._tools.timeout)
        self._sent = await carrier.ask(self._request, carrier.fields(self._request), at_once, (), more=bool(body))
        if self._sent:
            return await self._receive(carrier) and self._sent
        failures: list[Exception] = []
        complete = False
        async with anyio.create_task_group() as group:

            async def send() -> None:
                try:
                    for start in range(0, len(body), _PIECE):
                        await carrier.send_data(body[start : start + _PIECE], self._tools.timeout)
                    await carrier.send_end((), self._tools.timeout)
                    self._sent = True
                except UpstreamError as error:
                    # A server that has said why it hangs up is still heard.
                    if error.code in (TIMED_OUT, UNSENDABLE):
                        failures.append(error)
                        group.cancel_scope.cancel()

            group.start_soon(send)
            try:
                complete = await self._receive(carrier)
            except Exception as error:
                failures.append(error)
            group.cancel_scope.cancel()
        if failures:
            raise failures[0]
        return complete and self._sent

    async def _receive(self, carrier: Carrier) -> bool:
        """The answer; whether all of it has come."""
        exchange = self._exchange
        assert exchange is not None
        response, parts = await final_head(carrier, exchange)
        head = response.head
        answer = Answer(
            head.status, tuple([(name, value) for name, value in head.raw_headers]), reason=head.reason, relayed=True
        )
        if self._left is None and parts and type(parts[-1]) is End:
            answer.body = b"".join([part.data for part in parts if type(part) is Data])
            answer.trailers = tuple((name, value) for name, value in parts[-1].trailers)
            await exchange.reply(answer)
            return True
        await exchange.begin(answer)
        enough = math.inf if self._left is None else self._left.size or 0
        size = 0
        while True:
            for part in parts:
                if type(part) is Data:
                    size += len(part.data)
                    await exchange.send(part.data)
                elif type(part) is End:
                    await exchange.finish(part.trailers)
                    return True
            if size >= enough:
                return False  # so much had the recorded client read when it left
            if self._tools.gateway.backpressure.behind:
                await self._tools.gateway.backpressure.wait_for_room()
            parts = await carrier.receive(None)


async def final_head(carrier: Carrier, exchange: Exchange) -> tuple[Response, Sequence[Part]]:
    """The final head of an answer and what came with it; interim ones are told to the log. Raises UpstreamError."""
    while True:
        parts = await carrier.receive(None)
        for index, part in enumerate(parts):
            if isinstance(part, Response):
                return part, parts[index + 1 :]
            if isinstance(part, Interim):
                pairs = [(name, value) for name, value in part.head.raw_headers if name != ":status"]
                await exchange.inform(part.head.status, pairs)
