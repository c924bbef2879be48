"""HTTP/2 on a byte stream: one task reads, each stream that has to wait has a task that responds, any task may write.

Traffic waits while the log cannot keep up with it.
"""

from __future__ import annotations

import math

import anyio

from mockrec.engine import clock
from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.message.target_uri import ConnectionContext
from mockrec.engine.server.client_end import RESET, TIMEOUT, TOOK_NOTHING, DeadlineHolder, client_error
from mockrec.engine.server.context import ServerContext
from mockrec.engine.server.http2_faults import NO_ERROR
from mockrec.engine.server.http2_requests import Http2Requests, ServeTunnel
from mockrec.engine.transport.byte_stream import ByteStream
from mockrec.engine.wire.fault_codes import EARLY_EOF
from mockrec.engine.wire.http2.server import H2Server, StreamPart
from mockrec.engine.wire.parts import Fault

_PROTOCOL_ERROR, _CANCEL = 1, 8
_LINGER_SECONDS = 1.0
_MOST_PENDING = 256 * 1024
"""Bytes of responses to the requests of one read that are kept, to be written together."""


class Http2Connection:
    """One HTTP/2 connection. `serve` returns when it has ended."""

    def __init__(
        self,
        stream: ByteStream,
        context: ServerContext,
        client: ClientConnection,
        connection_context: ConnectionContext,
        holder: DeadlineHolder,
        serve_tunnel: ServeTunnel,
    ) -> None:
        self._stream = stream
        self._context = context
        self._holder = holder
        self._codec = H2Server(head_limit=context.limits.head, streams=context.limits.streams, lenient=context.lenient)
        self._group = anyio.create_task_group()
        self.stopping = False
        """Whether the connection ends with its last stream."""
        self._requests = Http2Requests(
            self, self._codec, stream, context, client, connection_context, serve_tunnel, self._group
        )
        self._writer = self._requests.writer
        self._client_end = ""
        """The error code for requests that were incomplete when the client disconnected; empty before that."""
        self._waiting = False
        """Whether `serve` waits for bytes from the client; deadlines apply only then."""
        self._send_idle = context.timeouts.send_idle * 1000.0

    async def stop(self) -> None:
        """Accept no more streams; end when the present ones have ended."""
        self.stopping = True
        self._codec.close()
        await self._writer.flush_quietly()
        if self._requests.idle:
            await self._stream.aclose()

    def give_up(self, error: dict[str, str]) -> None:
        """Abort every open exchange: the process ends now. May be called while the event loop is blocked."""
        for stream in list(self._requests.streams.values()):
            stream.exchange.abort(error)

    async def serve(self, first: bytes) -> None:
        """Answer requests until one side ends the connection.

        `first` was read already. The caller closes the stream.
        """
        self._codec.start()
        requests = self._requests
        fault: Fault | None = None
        try:
            async with self._group as group:
                fault = await self._read(first)
                if fault is not None:
                    requests.faults.abort_all([stream.exchange for stream in requests.streams.values()], fault)
                elif self._client_end and not (self._holder.stalled or self.stopping):
                    for stream in requests.streams.values():
                        requests.faults.abort_unfinished(stream.exchange, Fault(self._client_end, status=0))
                requests.close()
                group.cancel_scope.cancel()
        finally:
            for stream in list(requests.streams.values()):
                if self._holder.stalled:
                    stream.exchange.abort(TOOK_NOTHING)
                stream.exchange.client_left()
            requests.streams.clear()
        if fault is not None:
            await self._send_goaway()

    # ── reading ────────────────────────────────────────────────────────────────────────────────────

    async def _read(self, first: bytes) -> Fault | None:
        """Read to the end of the connection. Return the fault that ended it, if one did."""
        requests, deadlines, data = self._requests, self._requests.deadlines, first
        while True:
            requests.dispatching = True
            for received in self._codec.receive(data, clock.now() / 1000.0):
                if isinstance(received, Fault):
                    return received
                if isinstance(received, StreamPart):
                    requests.take(received)
                    if self._codec.pending_size > _MOST_PENDING:
                        # One read may hold thousands of requests, each of which is answered at once.
                        await self._writer.flush_quietly()
            requests.dispatching = False
            data = b""
            self._writer.open_windows()
            try:
                await self._writer.flush()
                if self._context.backpressure.behind:
                    await self._context.backpressure.wait_for_room()
                    deadlines.restart_all(clock.now())
                data = await self._receive()
            except anyio.EndOfStream:
                self._client_end = EARLY_EOF
                return next((fault for fault in self._codec.receive_eof() if isinstance(fault, Fault)), None)
            except anyio.BrokenResourceError:
                self._client_end = RESET
                return None
            except anyio.ClosedResourceError:
                return None
            except TimeoutError:
                self._stream.clear_expired()
                if requests.idle and not self._codec.inside_head:
                    self._codec.close()
                    await self._writer.flush_quietly()
                    return None
                if deadlines.head_is_late(clock.now()):
                    self._codec.close(_PROTOCOL_ERROR)
                    return Fault(TIMEOUT, status=0)
                for number in deadlines.late_bodies(clock.now()):
                    self._time_out_request(number)
                for number in self._writer.waiting_since(clock.now() - self._send_idle):
                    self._time_out_response(number)

    async def _receive(self) -> bytes:
        """Read. Raises what byte streams raise; TimeoutError at the next deadline."""
        self._requests.deadlines.set_head_open(self._codec.inside_head, clock.now())
        self._waiting = True
        self.update_deadline()
        try:
            return await self._stream.receive()
        finally:
            self._waiting = False
            self._holder.deadline = math.inf

    def update_deadline(self) -> None:
        """Compute the deadline of the connection again, after a stream began, ended or received data."""
        if self._waiting:
            late = self._requests.deadlines.next(clock.now(), idle=self._requests.idle)
            self._holder.deadline = min(late, self._writer.waits_since + self._send_idle)

    async def stream_ended(self) -> None:
        """Close a stopping connection after its last stream, otherwise compute its deadline again."""
        if self.stopping and self._requests.idle:
            await self._writer.flush_quietly()
            await self._stream.aclose()
        else:
            self.update_deadline()

    # ── timeouts ───────────────────────────────────────────────────────────────────────────────────

    def _time_out_request(self, number: int) -> None:
        """Respond 408 if no response has begun, reset the stream, and log the timeout of the request body."""
        requests = self._requests
        requests.deadlines.forget_body(number)
        stream = requests.streams.get(number)
        if stream is None:
            return
        exchange, answered, body = stream.exchange, None, b""
        fault = Fault(TIMEOUT, status=408)
        if not exchange.response_started:
            answered, body = requests.faults.send_refusal(number, fault, bodiless=exchange.channel.bodiless)
        self._codec.reset(number, _CANCEL if answered is None else NO_ERROR)
        requests.faults.record(fault, answered=answered, body=body, exchange=exchange)
        exchange.abort(client_error(fault))
        stream.scope.cancel()
        if stream.responded:
            requests.forget(number)

    def _time_out_response(self, number: int) -> None:
        """Reset the stream and abort its exchange, because the client does not read the response."""
        stream = self._requests.streams.get(number)
        if stream is not None:
            self._codec.reset(number, _CANCEL)
            stream.exchange.abort(TOOK_NOTHING)
            stream.scope.cancel()

    async def _send_goaway(self) -> None:
        """Send the GOAWAY that the codec has made of a fault."""
        try:
            with anyio.move_on_after(_LINGER_SECONDS):
                await self._writer.flush()
                await self._stream.send_eof()
                # Closing a socket that has unread bytes resets the connection, and the GOAWAY is lost.
                while True:
                    await self._stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, TimeoutError):
            pass
