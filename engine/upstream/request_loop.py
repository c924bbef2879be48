"""The request loop: one request to an origin server and its response, on a kept connection or a new one.

`perform` is the whole loop (passthrough, replay), `attempt` one pass of it on a given stream (webhooks), and
`open_websocket` its counterpart for a WebSocket's handshake. What differs between the callers, the source of the body
and the use of the response, they supply as an `UpstreamExchange`.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol, TypeVar

import anyio

from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.upstream.client import UpstreamClient
from mockrec.engine.upstream.errors import REFUSED, RESET, TIMED_OUT, UNSENDABLE, UpstreamError
from mockrec.engine.upstream.request import UpstreamRequest
from mockrec.engine.upstream.stream import UpstreamStream
from mockrec.engine.wire.parts import Interim, Part, RawHeaders, ResponseHead, ResponsePart

ATTEMPTS = 3
"""Most attempts for a request that the server does not process."""
AT_ONCE = 64 * 1024
"""The longest body, in bytes, that is sent together with the head. A connection takes that much without waiting for the
server, so the response can be read afterwards; a longer body is sent while the response is being read."""
PIECE = 256 * 1024
"""Bytes of a complete body in one call of `send_data`; each call has the full timeout."""
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})  # RFC 9110, 9.2.2

RequestBody = tuple[bytes | None, RawHeaders, bool]
"""The whole body if it is complete (None: no body, or `send_body` sends it), its trailers, and whether it has one."""
T = TypeVar("T")


class ResponseHandler(Protocol):
    """What becomes of a response."""

    @property
    def head_timeout(self) -> float | None:
        """Seconds from the end of the request to the final response's head; None: the handler sets the deadline of the
        stream itself."""

    async def interim(self, head: ResponseHead) -> None:
        """Handle an interim response (1xx)."""

    async def respond(self, stream: UpstreamStream, head: ResponseHead, parts: list[Part]) -> bool:
        """Handle the final response, of which `parts` were received together with the head, and read the rest of it
        from the stream. Return whether it was read to its end."""


class UpstreamExchange(ResponseHandler, Protocol):
    """One request and its response: the loop moves the bytes, an exchange supplies and uses them."""

    @property
    def request(self) -> UpstreamRequest:
        """The request without its body."""

    @property
    def body_timeout(self) -> float:
        """Seconds that the server has for taking a piece of the body."""

    @property
    def body_consumed(self) -> bool:
        """Whether a part of the body has been sent that cannot be sent again."""

    def start(self, stream: UpstreamStream, fields: list[list[str]]) -> RequestBody:
        """Return the body for an attempt on this stream with these fields. The first attempt is logged; further ones
        are not, because the server has processed none of them."""

    async def send_body(self, stream: UpstreamStream) -> bool:
        """Send a body that is still arriving; return whether all of it was sent."""


async def perform(
    client: UpstreamClient, connection: ClientConnection, exchange: UpstreamExchange, *, to_self: bool
) -> None:
    """Send the request on a kept connection or a new one for this client, and have its response handled.

    A request that the server has not processed is sent again. Afterwards the connection is kept for the client's next
    request if both messages are complete, and reset otherwise. `to_self`: the server may be this recorder. Raises
    UpstreamError, and what the exchange's methods raise.
    """
    route = exchange.request.route
    stream = client.take_idle(connection, route)
    for attempts_left in range(ATTEMPTS - 1, -1, -1):
        is_new = stream is None
        if stream is None:
            stream = await client.connect(connection, route, to_self=to_self)
        reusable = False
        try:
            reusable = await attempt(stream, exchange)
            return
        except UpstreamError as error:
            if not attempts_left or exchange.body_consumed:
                raise
            if not may_repeat(stream, error, exchange.request.method, is_new=is_new):
                raise
        finally:
            stream.deadline = math.inf
            if reusable:
                client.keep(connection, route, stream)
            else:
                stream.abort()
        stream = None


async def attempt(stream: UpstreamStream, exchange: UpstreamExchange) -> bool:
    """Send the request on this stream and have its response handled; return whether both messages are complete."""
    request = exchange.request
    fields = stream.fields(request)
    body, trailers, has_body = exchange.start(stream, fields)
    at_once = body if body is not None and len(body) <= AT_ONCE else None
    sent = await stream.send_request(request, fields, at_once, trailers, more=has_body)
    if sent:
        if exchange.head_timeout is not None:
            stream.set_deadline(exchange.head_timeout)
        return await _receive(stream, exchange)

    async def send() -> None:
        nonlocal sent
        if body is None:
            sent = await exchange.send_body(stream)
        else:
            await send_whole(stream, body, trailers, exchange.body_timeout)
            sent = True
        if sent and exchange.head_timeout is not None and not stream.responded:
            stream.set_deadline(exchange.head_timeout)

    return await while_sending(send, partial(_receive, stream, exchange)) and sent


async def open_websocket(stream: UpstreamStream, request: UpstreamRequest, handler: ResponseHandler) -> None:
    """Send the request of a WebSocket's opening handshake, and have its response handled. Raises as `perform` does."""
    await stream.send_websocket_request(request)
    if handler.head_timeout is not None:
        stream.set_deadline(handler.head_timeout)
    await _receive(stream, handler)


async def _receive(stream: UpstreamStream, handler: ResponseHandler) -> bool:
    while True:
        parts = await stream.receive(None)
        for index, part in enumerate(parts):
            if isinstance(part, ResponsePart):
                if handler.head_timeout is not None:
                    stream.deadline = math.inf
                return await handler.respond(stream, part.head, parts[index + 1 :])
            assert isinstance(part, Interim)
            await handler.interim(part.head)


def may_repeat(stream: UpstreamStream, error: UpstreamError, method: str, *, is_new: bool) -> bool:
    """Whether the server has not processed a request, which can therefore be sent again: it has refused the stream
    (RFC 9113, 8.7), or closed the idle connection while the request was on its way (RFC 9112, 9.3.1)."""
    if error.code == REFUSED:
        return True
    lost = error.code in (RESET, "EPIPE") and not (stream.responded or stream.interim_received)
    return lost and not is_new and method in _IDEMPOTENT


async def while_sending(send: Callable[[], Awaitable[None]], receive: Callable[[], Awaitable[T]]) -> T:
    """Return what `receive` returns, while `send` sends a body; when the response is complete, sending stops.

    A server that responds and closes the connection without taking all of the body is still read; one that takes no
    more of the body within the timeout is not waited for.
    """
    failures: list[Exception] = []
    received: list[T] = []
    is_sending = True
    async with anyio.create_task_group() as group:

        async def sending() -> None:
            nonlocal is_sending
            try:
                await send()
            except UpstreamError as error:
                if error.code in (TIMED_OUT, UNSENDABLE):
                    failures.append(error)
                    group.cancel_scope.cancel()
            finally:
                is_sending = False

        group.start_soon(sending)
        try:
            received.append(await receive())
        except Exception as error:
            failures.append(error)
        if is_sending:  # cancelling nothing takes 20 µs: anyio describes the task that does it
            group.cancel_scope.cancel()
    if failures:
        raise failures[0]
    return received[0]


async def send_whole(stream: UpstreamStream, body: bytes, trailers: RawHeaders, seconds: float) -> None:
    """Send a complete body in pieces, so that a server that takes none of it for `seconds` is noticed."""
    for start in range(0, len(body), PIECE):
        await stream.send_data(body[start : start + PIECE], seconds)
    await stream.send_end(trailers, seconds)
