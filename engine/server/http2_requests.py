"""The streams of one HTTP/2 connection: dispatches received parts to them, begins exchanges and tunnels.

Data is acknowledged to the client (WINDOW_UPDATE) when it has been used, so that no window is larger than what we are
ready to buffer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import anyio
from anyio.abc import TaskGroup
from msgspec.structs import replace

from mockrec.engine import clock
from mockrec.engine.errors import described
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.message.target_uri import ConnectionContext, read_target_uri
from mockrec.engine.server import tunnel
from mockrec.engine.server.client_end import RESET
from mockrec.engine.server.context import ServerContext
from mockrec.engine.server.dispatch import select_plan
from mockrec.engine.server.eager_task import EagerTask, detach
from mockrec.engine.server.http2_channel import INTERNAL_ERROR, Http2Channel
from mockrec.engine.server.http2_deadlines import Http2Deadlines
from mockrec.engine.server.http2_faults import NO_ERROR, Http2Faults
from mockrec.engine.server.http2_stream import Http2Stream
from mockrec.engine.server.proxy_auth import AUTH_REQUIRED, authenticate, proxy_tags
from mockrec.engine.transport.byte_stream import ByteStream
from mockrec.engine.transport.http2_stream import CONNECT_ERROR, Http2ByteStream
from mockrec.engine.transport.http2_writer import StreamWriter
from mockrec.engine.wire.http2.connection import code_name, stream_fault
from mockrec.engine.wire.http2.server import H2Server, StreamPart
from mockrec.engine.wire.odd_fields import client_odd_tags
from mockrec.engine.wire.parts import Data, End, Fault, RequestHead, RequestPart, ResetPart

_REFUSED_STREAM = 7
_LINGER_SECONDS = 1.0

ServeTunnel = Callable[[ByteStream, tunnel.OpenedTunnel], Awaitable[None]]
"""Serves the inside of a tunnel to its end."""


class ConnectionEnd(Protocol):
    """The calls between the streams and their connection when either ends."""

    stopping: bool
    """Whether the connection ends with its last stream."""

    def update_deadline(self) -> None: ...

    async def stream_ended(self) -> None: ...


class Http2Requests:
    """The requests and tunnels of one HTTP/2 connection."""

    def __init__(
        self,
        connection: ConnectionEnd,
        codec: H2Server,
        stream: ByteStream,
        context: ServerContext,
        client: ClientConnection,
        connection_context: ConnectionContext,
        serve_tunnel: ServeTunnel,
        group: TaskGroup,
    ) -> None:
        """`stream` carries the connection. Tasks that have to wait run in `group`."""
        self.codec = codec
        self.writer = StreamWriter(codec, stream, connection.update_deadline)
        self.deadlines = Http2Deadlines(context.timeouts)
        self.faults = Http2Faults(codec, context, client, connection_context)
        self.streams: dict[int, Http2Stream] = {}
        self.tunnels: dict[int, Http2ByteStream] = {}
        self.dispatching = False
        """True while received frames are dispatched; responses are flushed afterwards, together."""
        self._connection = connection
        self._below = stream
        self._context = context
        self._client = client
        self._connection_context = connection_context
        self._serve_tunnel = serve_tunnel
        self._group = group

    @property
    def idle(self) -> bool:
        """Whether no stream is open."""
        return not (self.streams or self.tunnels)

    def close(self) -> None:
        """The connection has ended: wake the tasks that wait for its client. They are cancelled next."""
        for tunnel_stream in self.tunnels.values():
            tunnel_stream.lose()
        self.writer.open_windows(all_of_them=True)
        for stream in self.streams.values():
            if stream.byte_stream is not None:
                stream.byte_stream.lose()

    # ── received parts ─────────────────────────────────────────────────────────────────────────────

    def take(self, received: StreamPart) -> None:
        """Pass a part to the request or the tunnel it belongs to; a request head begins one."""
        number, part = received.stream, received.part
        if type(part) is RequestPart:
            self._begin(number, part)
            return
        if type(part) is Fault:
            self.faults.refuse_stream(number, part)
            return
        if type(part) is ResetPart and not part.by_peer:
            self._take_stream_fault(number, part)
        tunnel_stream = self.tunnels.get(number)
        if tunnel_stream is not None:
            tunnel_stream.take(part)
            return
        stream = self.streams.get(number)
        if type(part) is Data:
            if stream is None:
                self.codec.consumed(number, len(part.data))
                return
            self._take_data(number, stream, part.data)
        elif stream is None:
            return
        elif stream.byte_stream is not None:
            stream.byte_stream.take(part)
        elif type(part) is End:
            self.deadlines.forget_body(number)
            if not stream.exchange.request_body.complete:
                if part.odd:
                    stream.exchange.tag(*client_odd_tags(part.odd))
                stream.exchange.take_end(part.trailers)
            stream.notify()
            if stream.responded:
                self.forget(number)
        elif type(part) is ResetPart:
            self.deadlines.forget_body(number)
            if part.by_peer and not self._connection.stopping:
                words = f"the client reset the stream ({code_name(part.code)}) in the middle of a request"
                self.faults.abort_unfinished(stream.exchange, Fault(RESET, status=0, detail=words), is_legal=True)
            stream.scope.cancel()
            if stream.responded:
                self.forget(number)

    def _take_stream_fault(self, number: int, reset: ResetPart) -> None:
        """The client has broken a rule on one stream, which the codec has reset."""
        if self._connection.stopping and reset.code == _REFUSED_STREAM:
            return  # the client may not have received the GOAWAY yet; it sends the request to another server
        stream = self.streams.get(number)
        self.faults.abort_stream(None if stream is None else stream.exchange, stream_fault(reset))

    def _take_data(self, number: int, stream: Http2Stream, data: bytes) -> None:
        if stream.byte_stream is not None:
            stream.byte_stream.feed(data)
            return
        exchange = stream.exchange
        exchange.take_data(data)
        reader = exchange.body_stream
        if reader is not None and reader.full:
            self.deadlines.forget_body(number)
            stream.unacknowledged += len(data)
            if reader.on_room is None:
                reader.on_room = lambda: self._acknowledge(number, stream)
        else:
            self.deadlines.restart_body(number, clock.now())
            self.codec.consumed(number, len(data))
        stream.notify()

    def _acknowledge(self, number: int, stream: Http2Stream) -> None:
        """Data that was held back has been used: let the client send as much again."""
        size, stream.unacknowledged = stream.unacknowledged, 0
        if size:
            self.codec.consumed(number, size)
            self.writer.push()
            if not stream.exchange.request_body.complete and number in self.streams:
                self.deadlines.restart_body(number, clock.now())
                self._connection.update_deadline()

    # ── exchanges ──────────────────────────────────────────────────────────────────────────────────

    def _begin(self, number: int, part: RequestPart) -> None:
        """Begin an exchange or, with CONNECT, a tunnel."""
        head, context = part.head, self._context
        if head.method == "CONNECT" and not head.upgrade:
            self._begin_tunnel(number, head)
            return
        target_uri = read_target_uri(head, self._client.local_port, self._connection_context)
        if isinstance(target_uri, str):
            self.faults.refuse_stream(number, Fault(target_uri, status=400, raw_headers=head.raw_headers))
            return
        tags = authenticate(context, self._connection_context, target_uri, head)
        if tags is None:
            self.faults.refuse_stream(number, Fault(AUTH_REQUIRED, status=407, raw_headers=head.raw_headers))
            return
        channel, log = Http2Channel(self, number, bodiless=head.method == "HEAD"), context.exchange_log
        control, scope = context.control, None
        if control is not None:
            admitted = control.admit(head, target_uri, self._client)
            if isinstance(admitted, Fault):
                self.faults.refuse_stream(number, replace(admitted, raw_headers=head.raw_headers))
                return
            head, target_uri, other_log, scope = admitted
            log = other_log or log
        exchange = Exchange(head, target_uri, self._client, channel, log, context.match_limit, context.log_limit)
        if tags or head.odd:
            exchange.tag(*tags, *head.odd)
        if control is not None and log is not control.log:
            exchange.scope = scope
            control.open += 1
        stream = self.streams[number] = Http2Stream(exchange)
        log.request_initiated(exchange)
        if not head.has_body or exchange.websocket:
            exchange.take_end(())  # on the stream of a WebSocket, the data are frames
        else:
            self.deadlines.restart_body(number, clock.now())
        # Most exchanges never wait: they end here, in the task that reads, and need no task of their own.
        response = EagerTask(self._respond(number, stream))
        if response.done:
            self._settle(number, stream)
        else:
            self._group.start_soon(self._finish, number, stream, response)

    async def _respond(self, number: int, stream: Http2Stream) -> None:
        """Select the rule and run its steps; see `eager_task.py` for `detach`."""
        exchange = stream.exchange
        try:
            plan = await select_plan(self._context, exchange, stream.wait_for_more)
            if not (plan.never_blocks and exchange.request_body.complete):
                await detach()
            await plan.run(exchange)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
        except Exception as error:
            self._context.report_defect(error)
            exchange.abort({"code": "E_DEFECT", **described(error)})
            self.reset(number, INTERNAL_ERROR)

    async def _finish(self, number: int, stream: Http2Stream, response: EagerTask) -> None:
        """Run the rest of a response that has to wait, in a task of its own."""
        with stream.scope:
            await response
        self._settle(number, stream)
        await self._connection.stream_ended()

    def _settle(self, number: int, stream: Http2Stream) -> None:
        """Release the stream after its steps."""
        if not stream.exchange.finished:
            stream.exchange.abort(None)
        if stream.byte_stream is not None:
            stream.byte_stream.close(NO_ERROR)  # a WebSocket ends with its stream, as it would with its connection
        stream.responded = True
        if stream.exchange.request_body.complete or not self.codec.is_open(number):
            self.forget(number)

    def forget(self, number: int) -> None:
        """Remove a stream whose request and response are complete."""
        stream = self.streams.pop(number, None)
        self.deadlines.forget_body(number)
        if stream is not None:
            if stream.unacknowledged:
                self.codec.consumed(number, stream.unacknowledged)
            stream.exchange.client_left()

    # ── tunnels ────────────────────────────────────────────────────────────────────────────────────

    def _begin_tunnel(self, number: int, head: RequestHead) -> None:
        """CONNECT (RFC 9113, 8.5)."""
        target = tunnel.read_authority(head.target)
        if isinstance(target, str):
            self.faults.refuse_stream(number, Fault(target, status=400, raw_headers=head.raw_headers))
            return
        is_inner = self._connection_context.tunnel is not None
        control = None if is_inner else self._context.control
        auth = None if is_inner else self._context.proxy_auth
        tags = proxy_tags(head.headers, auth, has_scopes=control is not None)
        if tags is None:
            self.faults.refuse_stream(number, Fault(AUTH_REQUIRED, status=407, raw_headers=head.raw_headers))
            return
        scope = None if control is None else control.scope_of_credentials(head.headers)
        if isinstance(scope, Fault):
            self.faults.refuse_stream(number, replace(scope, raw_headers=head.raw_headers))
            return
        tunnel_stream = self.tunnels[number] = self._byte_stream(number)
        self.codec.send_head(number, self.codec.frame(200, "", (), None, ""), end=False)
        self._group.start_soon(self._run_tunnel, number, tunnel_stream, tunnel.OpenedTunnel(target, tags, b"", scope))

    async def _run_tunnel(self, number: int, tunnel_stream: Http2ByteStream, opened: tunnel.OpenedTunnel) -> None:
        try:
            await self._serve_tunnel(tunnel_stream, opened)
        finally:
            self.tunnels.pop(number, None)
            tunnel_stream.close()
            await self._connection.stream_ended()

    def _byte_stream(self, number: int) -> Http2ByteStream:
        return Http2ByteStream(self.codec, self.writer, self._below, number, CONNECT_ERROR)  # RFC 9113, 8.5

    # ── for channels ───────────────────────────────────────────────────────────────────────────────

    def request_is_complete(self, number: int) -> bool:
        """Whether the whole request has been received; also True if its length is not known."""
        stream = self.streams.get(number)
        if stream is None or not stream.exchange.head.content_length:
            return True
        return stream.exchange.request_body.complete

    async def wait_for_request(self, number: int) -> None:
        """Return when a request is complete, or when no more of it has been received for a while."""
        stream = self.streams.get(number)
        while stream is not None and not self.request_is_complete(number):
            with anyio.move_on_after(_LINGER_SECONDS) as waiting:
                await stream.wait_for_more()
            if waiting.cancelled_caught:
                return

    def as_byte_stream(self, number: int) -> Http2ByteStream:
        """Turn a stream into a byte stream, which receives its data from now on instead of the exchange."""
        stream = self.streams[number]
        stream.byte_stream = self._byte_stream(number)
        return stream.byte_stream

    async def send_raw(self, data: bytes) -> None:
        """Send bytes without framing, after the frames of all streams, and end the connection."""
        await self.writer.flush()
        await self._below.send(data)
        await self._below.aclose()

    def reset(self, number: int, code: int) -> None:
        """End a stream with an error."""
        self.codec.reset(number, code)
        self.writer.push()
