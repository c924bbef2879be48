"""HTTP/1 on a byte stream, from the first request to the last: bytes → parts → exchanges, answered in order.

One task serves the connection. Only while steps run before the request body is complete, a second task reads, so that
the body is recorded and a client that leaves is noticed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import anyio
import anyio.lowlevel
from msgspec.structs import replace

from mockrec.engine import clock
from mockrec.engine.errors import described
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.exchange.request_stream import RequestBodyStream
from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.message.target_uri import ConnectionContext, read_target_uri
from mockrec.engine.server import tunnel
from mockrec.engine.server.client_end import (
    RESET,
    TIMEOUT,
    TOO_MANY,
    TOOK_NOTHING,
    ClientLeft,
    DeadlineHolder,
    ProtocolViolation,
    client_error,
)
from mockrec.engine.server.context import ServerContext
from mockrec.engine.server.dispatch import select_plan
from mockrec.engine.server.http1_channel import Http1Channel
from mockrec.engine.server.http1_direct import DirectAnswers
from mockrec.engine.server.proxy_auth import AUTH_REQUIRED, authenticate, proxy_tags
from mockrec.engine.server.refusal import http1_refusal
from mockrec.engine.steps.plan import CompiledSteps
from mockrec.engine.transport.byte_stream import ByteStream
from mockrec.engine.wire.http1.server import H1Server
from mockrec.engine.wire.odd_fields import client_odd_tags
from mockrec.engine.wire.parts import Data, End, Fault, Part, RequestHead, RequestPart

_MOST_PIPELINED = 256 * 1024
"""Bytes of pipelined requests that are read ahead while a request is answered."""
_EXCHANGES_IN_A_ROW = 32
"""Pipelined exchanges of one connection before other connections get their turn."""
_LINGER_SECONDS = 1.0


class Http1Connection(DirectAnswers):
    """One HTTP/1 connection. `serve` returns when it has ended, or with the tunnel that the client opened."""

    def __init__(
        self,
        stream: ByteStream,
        context: ServerContext,
        client: ClientConnection,
        connection_context: ConnectionContext,
        holder: DeadlineHolder,
    ) -> None:
        self._stream = stream
        self._context = context
        self._client = client
        self._connection_context = connection_context
        self._holder = holder
        DirectAnswers.__init__(self)
        self._codec = H1Server(context.limits.head, lenient=context.lenient)
        self._channel = Http1Channel(self._codec, stream)
        self._exchange: Exchange | None = None
        """The request that is being answered, if there is one."""
        self._tunnel_target: tuple[str, int | None] | None = None
        self._head_began = clock.now()
        self._is_first = True
        """Whether no request head has been read so far."""
        self._stopping = False
        self._scope = anyio.CancelScope()
        """Cancelled when the client leaves while steps run. One for all exchanges: creating one takes its time."""

    async def stop(self) -> None:
        """End after the present exchange, or now if there is none."""
        self._stopping = True
        if self._exchange is None and not self._codec.head_begun:
            await self._stream.aclose()

    def give_up(self, error: dict[str, str]) -> None:
        """Abort the open exchange: the process ends now. May be called while the event loop is blocked."""
        if self._exchange is not None:
            self._exchange.abort(error)

    async def refuse(self, *, linger: bool) -> None:
        """Answer 503: there are too many connections. With `linger`, the client gets time to read that."""
        await self._refuse(Fault(TOO_MANY, status=503), linger=linger)

    async def serve(self, first: bytes) -> tunnel.OpenedTunnel | None:
        """Answer requests until one side ends the connection, or until the client opens a tunnel.

        `first` was read already. The caller closes the stream.
        """
        try:
            with self._scope:
                self._stream.divert(self._answer_directly)
                return await self._serve(first)
        except ClientLeft:
            pass
        except ProtocolViolation as violation:
            await self._refuse(violation.fault)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass  # the client left while a response was sent to it; the open exchange is aborted below
        except Exception as error:
            self._context.report_defect(error)
            if self._exchange is not None:
                self._exchange.abort({"code": "E_DEFECT", **described(error)})
        finally:
            self._stream.divert(None)
            if self._exchange is not None:
                if self._holder.stalled:
                    self._exchange.abort(TOOK_NOTHING)
                self._exchange.client_left()
        return None

    async def _serve(self, first: bytes) -> tunnel.OpenedTunnel | None:
        parts: Sequence[Part] = self._codec.receive(first)
        in_a_row = 0
        while True:
            self._take(parts)
            exchange = self._exchange
            if exchange is None:
                if self._tunnel_target is not None:
                    await self._stream.send(tunnel.ESTABLISHED)
                    return tunnel.OpenedTunnel(self._tunnel_target, self._client.tags, self._codec.take_rest())
                parts = await self._receive()
                continue
            await self._respond(exchange)
            while not (exchange.request_body.complete or self._channel.ended):
                # The response came before the end of the request, whose rest is still recorded.
                self._take(await self._receive())
            self._exchange = None
            if self._channel.ended or self._stopping or self._context.closing or not self._codec.reusable:
                await self._end(linger=not exchange.request_body.complete)
                return None
            parts = self._codec.next_request()
            self._head_began = clock.now()
            if parts:
                in_a_row += 1
                if in_a_row % _EXCHANGES_IN_A_ROW == 0:
                    await anyio.lowlevel.checkpoint()
            else:
                parts = await self._receive()

    # ── the response ───────────────────────────────────────────────────────────────────────────────

    async def _respond(self, exchange: Exchange) -> None:
        """Select the rule and run its steps, unless that was begun already."""
        begun, self._begun = self._begun, None
        if begun is None:
            await self._begin_response(exchange)
        elif not begun.done:
            await begun
        plan, self._plan = self._plan, None
        if plan is not None:
            await self._run(plan, exchange)

    async def _begin_response(self, exchange: Exchange) -> None:
        """Select the rule and run its steps, or leave them in `_plan` if they have to run in a task."""
        plan = await select_plan(self._context, exchange, self._take_more)
        self._waits = not plan.never_blocks
        if plan.never_blocks and exchange.request_body.complete:
            await plan.run(exchange)
        else:
            self._plan = plan

    async def _take_more(self) -> None:
        self._take(await self._receive())

    async def _run(self, plan: CompiledSteps, exchange: Exchange) -> None:
        if not exchange.request_body.complete:
            await self._run_while_reading(plan, exchange)
        else:
            await self._run_while_watching(plan, exchange)

    async def _run_while_watching(self, plan: CompiledSteps, exchange: Exchange) -> None:
        """Run the steps. A client that leaves ends them, and the connection. Pipelined requests wait unread."""
        self._stream.on_disconnect(self._scope.cancel)
        try:
            await plan.run(exchange)
        finally:
            self._stream.on_disconnect(None)

    async def _run_while_reading(self, plan: CompiledSteps, exchange: Exchange) -> None:
        """Run the steps while a second task reads the rest of the request; a client that ends it ends the steps."""
        client_end: ClientLeft | ProtocolViolation | None = None
        failure: Exception | None = None

        async def read() -> None:
            nonlocal client_end
            client_end = await self._read_rest(plan, exchange)
            if client_end is not None:
                group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(read)
            try:
                await plan.run(exchange)
            except Exception as error:  # leaving the group, it would be wrapped in an ExceptionGroup
                failure = error
            group.cancel_scope.cancel()
        if client_end is not None and not exchange.finished:
            raise client_end  # before the end of the response: if the steps failed as well, this is the cause
        if failure is not None:
            raise failure
        if client_end is not None and not exchange.request_body.complete:
            raise client_end  # after the response, before the end of the request

    async def _read_rest(self, plan: CompiledSteps, exchange: Exchange) -> ClientLeft | ProtocolViolation | None:
        """Read the rest of a request, and some pipelined ones. Return how the client ended that, if it did."""
        try:
            while self._codec.buffered <= _MOST_PIPELINED:
                self._take(await self._receive())
                if exchange.body_stream is not None and exchange.body_stream.full:
                    await self._wait_for_reader(exchange.body_stream)
        except ClientLeft as end:
            if plan.never_blocks and exchange.request_body.complete:
                return None  # it may have closed its own direction only, and the response is about to be sent
            return end
        except ProtocolViolation as end:
            return end
        return None

    async def _wait_for_reader(self, reader: RequestBodyStream) -> None:
        """Return when the reader of the request body has room. Raises ClientLeft if the client leaves meanwhile."""
        with anyio.CancelScope() as scope:
            self._stream.on_disconnect(scope.cancel)
            try:
                await reader.wait_for_room()
            finally:
                self._stream.on_disconnect(None)
        if scope.cancelled_caught:
            raise ClientLeft

    async def _end(self, *, linger: bool) -> None:
        """Send FIN. With `linger`, or if there are unread bytes, give the client time to read the response.

        Closing a socket that has unread bytes resets the connection, and the response is lost. Later bytes are dropped.
        """
        self._stream.divert(None)
        await self._stream.send_eof()
        if not (linger or self._stream.readable or self._codec.buffered):
            return
        with anyio.move_on_after(_LINGER_SECONDS):
            try:
                while True:
                    await self._stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError, TimeoutError):
                pass

    # ── the request ────────────────────────────────────────────────────────────────────────────────

    async def _receive(self) -> Sequence[Part]:
        """Read, and return the parts that the bytes complete.

        Raises ClientLeft, or ProtocolViolation if the client ends the connection in the middle of a request.
        """
        context, codec = self._context, self._codec
        if context.backpressure.behind:
            await context.backpressure.wait_for_room()
        if self._exchange is None:
            if codec.head_begun or self._is_first:
                self._holder.deadline = self._head_began + context.timeouts.head * 1000.0
            else:
                self._holder.deadline = clock.now() + context.timeouts.keep_alive * 1000.0
        elif codec.reading_body:
            self._holder.deadline = clock.now() + context.timeouts.body_idle * 1000.0
        begun = codec.head_begun
        try:
            data = await self._stream.receive()
        except anyio.EndOfStream:
            parts = codec.receive_eof()
            if not parts:
                raise ClientLeft from None
            return parts
        except anyio.BrokenResourceError:
            if not (begun or codec.reading_body):
                raise ClientLeft from None
            raise ProtocolViolation(Fault(RESET, status=0, raw=codec.pending)) from None
        except TimeoutError:
            if not (begun or codec.reading_body):
                raise ClientLeft from None
            self._stream.clear_expired()
            raise ProtocolViolation(Fault(TIMEOUT, status=408, raw=codec.pending)) from None
        self._holder.deadline = math.inf
        if self._is_left:
            return self._parts_left(data)
        if not begun and self._exchange is None:
            self._head_began = clock.now()
        return codec.receive(data)

    def _take(self, parts: Sequence[Part]) -> None:
        """Pass parts to the exchange they belong to; a request head begins one."""
        for part in parts:
            kind = type(part)
            if kind is RequestPart:
                self._begin(part.head)  # type: ignore[union-attr, arg-type]
                if self._tunnel_target is not None:
                    return  # the bytes after the head are inside the tunnel
            elif kind is Data:
                self._exchange.take_data(part.data)  # type: ignore[union-attr]
            elif kind is End:
                if part.odd:  # type: ignore[union-attr]
                    self._exchange.tag(*client_odd_tags(part.odd))  # type: ignore[union-attr]
                self._exchange.take_end(part.trailers)  # type: ignore[union-attr]
            else:
                raise ProtocolViolation(part)  # type: ignore[arg-type]

    def _begin(self, head: RequestHead) -> None:
        """Begin an exchange or, with CONNECT, a tunnel."""
        self._is_first = False
        if head.method == "CONNECT":
            self._begin_tunnel(head)
            return
        client, context = self._client, self._context
        target_uri = read_target_uri(head, client.local_port, self._connection_context)
        if isinstance(target_uri, str):
            raise ProtocolViolation(Fault(target_uri, raw=_as_sent(head)))
        log, control, scope = context.exchange_log, context.control, None
        if control is not None:
            admitted = control.admit(head, target_uri, client)
            if isinstance(admitted, Fault):
                raise ProtocolViolation(replace(admitted, raw=_as_sent(head)))
            head, target_uri, other_log, scope = admitted
            log = other_log or log
        exchange = Exchange(head, target_uri, client, self._channel, log, context.match_limit, context.log_limit)
        tags = authenticate(context, self._connection_context, target_uri, head)
        if tags is None:
            raise ProtocolViolation(Fault(AUTH_REQUIRED, status=407, raw=_as_sent(head)))
        if tags or head.odd:
            exchange.tag(*tags, *head.odd)
        if control is not None and log is not control.log:
            exchange.scope = scope
            control.open += 1
        self._exchange = exchange
        log.request_initiated(exchange)

    def _begin_tunnel(self, head: RequestHead) -> None:
        """CONNECT (RFC 9110, 9.3.6): the bytes after the head are for another server, whatever protocol they are."""
        target = tunnel.read_authority(head.target)
        if isinstance(target, str):
            raise ProtocolViolation(Fault(target, raw=_as_sent(head)))
        if head.has_body:
            raise ProtocolViolation(Fault(tunnel.CONNECT_WITH_BODY, raw=_as_sent(head)))
        # In a tunnel, the credentials are those of another proxy, or were checked when the tunnel was opened.
        is_inner = self._connection_context.tunnel is not None
        control = None if is_inner else self._context.control
        auth = None if is_inner else self._context.proxy_auth
        tags = proxy_tags(head.headers, auth, has_scopes=control is not None)
        if tags is None:
            raise ProtocolViolation(Fault(AUTH_REQUIRED, status=407, raw=_as_sent(head)))
        if control is not None:
            scope = control.scope_of_credentials(head.headers)
            if isinstance(scope, Fault):
                raise ProtocolViolation(replace(scope, raw=_as_sent(head)))
            self._client.scope = scope
        self._client.tags += (*tags, *head.odd)
        self._tunnel_target = target

    # ── protocol errors ────────────────────────────────────────────────────────────────────────────

    async def _refuse(self, fault: Fault, *, linger: bool = True) -> None:
        """Send an error response, unless another response has begun, and record the client's error."""
        exchange = self._exchange
        answered, body = None, b""
        if fault.status and not (exchange is not None and (exchange.response_started or self._channel.ended)):
            answered, body, encoded = http1_refusal(fault)
            if exchange is not None and exchange.channel.bodiless:
                encoded, body = encoded.removesuffix(body), b""
            self._context.refusals.warn(fault, str(fault.status))
            try:
                await self._stream.send(encoded)
            except anyio.BrokenResourceError:
                answered = None
        started_at = exchange.started_at if exchange is not None else self._head_began
        self._context.exchange_log.client_error(
            *(self._client, fault, self._connection_context),
            started_at=started_at,
            answered=answered,
            body=body,
            exchange=exchange,
        )
        if exchange is not None:
            exchange.abort(client_error(fault))
            self._exchange = None
        if answered is not None and linger:
            await self._end(linger=True)


def _as_sent(head: RequestHead) -> bytes:
    lines = [f"{head.method} {head.target} HTTP/{head.version}"]
    lines += [f"{name}: {value}" for name, value in head.raw_headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
