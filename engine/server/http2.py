"""HTTP/2 on a pipe: one task reads, each stream has one that answers, and whoever has something to say writes.

Data is credited to the client when it has been used, and traffic waits while the log cannot keep up, so that no
window is larger than what we are ready to hold.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

import anyio
from anyio.abc import TaskGroup

from mockrec.engine import clock
from mockrec.engine.errors import described
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.message.target_uri import ConnectionContext, read_target_uri
from mockrec.engine.server import tunnel
from mockrec.engine.server.context import ServerContext
from mockrec.engine.server.dispatch import select_plan
from mockrec.engine.server.eager_task import EagerTask, detach
from mockrec.engine.server.http1 import RESET, TIMEOUT, TOOK_NOTHING, Watched
from mockrec.engine.server.http2_deadlines import H2Deadlines
from mockrec.engine.server.http2_stream import INTERNAL_ERROR, H2Channel
from mockrec.engine.server.proxy_auth import authenticate
from mockrec.engine.server.refusal import refusal_body, refusal_fields
from mockrec.engine.transport.byte_stream import ByteStream
from mockrec.engine.transport.http2_stream import CONNECT_ERROR, H2StreamPipe
from mockrec.engine.transport.http2_writer import StreamWriter
from mockrec.engine.wire.fault_phrases import fault_words
from mockrec.engine.wire.http1.odd_fields import client_odd_tags
from mockrec.engine.wire.http1.request_head import EARLY_EOF
from mockrec.engine.wire.http2.connection import code_name, stream_fault
from mockrec.engine.wire.http2.server import H2Server, StreamPart
from mockrec.engine.wire.parts import Data, End, Fault, RequestHead, RequestPart, ResetPart, ResponseHead

_NO_ERROR, _PROTOCOL_ERROR, _REFUSED_STREAM, _CANCEL = 0, 1, 7, 8
_LINGER_SECONDS = 1.0
_MOST_PENDING = 256 * 1024
"""Bytes of answers to one read that are kept together."""


class _Stream:
    """One request and the task that answers it."""

    __slots__ = ("answered", "exchange", "news", "owed", "pipe", "scope")

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.scope = anyio.CancelScope()
        self.news: anyio.Event | None = None
        """Set when more of the request has come."""
        self.pipe: H2StreamPipe | None = None
        """Where its data goes once it is a tunnel, or carries a WebSocket."""
        self.owed = 0
        """Bytes that were received and are not used yet."""
        self.answered = False
        """Whether the task is over."""

    async def more(self) -> None:
        """Return when more of the request has come."""
        self.news = anyio.Event()
        await self.news.wait()

    def tell(self) -> None:
        """More has come."""
        if self.news is not None:
            self.news.set()
            self.news = None


class Http2Connection:
    """One HTTP/2 connection. `hold` returns when it is over."""

    def __init__(
        self,
        pipe: ByteStream,
        site: ServerContext,
        peer: ClientConnection,
        origin: ConnectionContext,
        watched: Watched,
        serve_inside: Callable[[ByteStream, tunnel.Opened], Awaitable[None]],
    ) -> None:
        """`serve_inside` serves a tunnel that a client has been given."""
        self._serve_inside = serve_inside
        self.codec = H2Server(head_limit=site.limits.head, streams=site.limits.streams, lenient=site.lenient)
        self.pipe = pipe
        self.writer = StreamWriter(self.codec, pipe)
        self._site = site
        self._peer = peer
        self._origin = origin
        self._watched = watched
        self._streams: dict[int, _Stream] = {}
        self._tunnels: dict[int, H2StreamPipe] = {}
        self.taking = False
        """Whether what has come is being looked at; what is said to it is written behind it all."""
        self._stopping = False
        self._left = ""
        """How the client has ended the connection: the code for a request that it did not complete."""
        self._reading = False
        """Whether the client is waited for."""
        self._deadlines = H2Deadlines(site.timeouts)
        self._send_idle = site.timeouts.send_idle * 1000.0
        self.writer.on_wait = self._set_deadline
        self._group: TaskGroup | None = None

    async def stop(self) -> None:
        """Accept no more streams; end when those at hand are over."""
        self._stopping = True
        self.codec.close()
        await self.writer.flush_quietly()
        if not (self._streams or self._tunnels):
            await self.pipe.aclose()

    def give_up(self, error: dict[str, str]) -> None:
        """The process ends now: abort what is open. May be called while the event loop is held up."""
        for stream in list(self._streams.values()):
            stream.exchange.abort(error)

    async def hold(self, first: bytes) -> None:
        """Answer everything until one side ends the connection. The caller closes the pipe."""
        self.codec.start()
        fault: Fault | None = None
        try:
            async with anyio.create_task_group() as group:
                self._group = group
                fault = await self._read(first)
                if fault is not None:
                    self._note_fault(fault)
                elif self._left and not self._watched.stalled:
                    for stream in self._streams.values():
                        self._note_leaving(stream.exchange, Fault(self._left, status=0))
                for pipe in self._tunnels.values():
                    pipe.lose()
                self.writer.open_windows(all_of_them=True)
                for stream in self._streams.values():
                    if stream.pipe is not None:
                        stream.pipe.lose()
                group.cancel_scope.cancel()
        finally:
            for stream in list(self._streams.values()):
                if self._watched.stalled:
                    stream.exchange.abort(TOOK_NOTHING)
                stream.exchange.client_left()
            self._streams.clear()
        if fault is not None:
            await self._say_goodbye()

    # ── in ─────────────────────────────────────────────────────────────────────────────────────────

    async def _read(self, first: bytes) -> Fault | None:
        """Read until the end; the fault that ended it, if one did."""
        data = first
        while True:
            self.taking = True
            for said in self.codec.receive(data, clock.now() / 1000.0):
                if isinstance(said, Fault):
                    return said
                if isinstance(said, StreamPart):
                    self._take(said)
                    if self.codec.pending_size > _MOST_PENDING:
                        # One read may hold thousands of requests, each of which is answered at once.
                        await self.writer.flush_quietly()
            self.taking = False
            data = b""
            self.writer.open_windows()
            try:
                await self.writer.flush()
                if self._site.backpressure.behind:
                    await self._site.backpressure.wait_for_room()
                    self._deadlines.waited(clock.now())
                data = await self._receive()
            except anyio.EndOfStream:
                self._left = EARLY_EOF
                return next((said for said in self.codec.receive_eof() if isinstance(said, Fault)), None)
            except anyio.BrokenResourceError:
                self._left = RESET
                return None
            except anyio.ClosedResourceError:
                return None
            except TimeoutError:
                self.pipe.unexpire()
                if self._idle and not self.codec.inside_head:
                    self.codec.close()
                    await self.writer.flush_quietly()
                    return None
                if self._deadlines.head_is_late(clock.now()):
                    self.codec.close(_PROTOCOL_ERROR)
                    return Fault(TIMEOUT, status=0)
                for number in self._deadlines.late_bodies(clock.now()):
                    self._give_up(number)
                for number in self.writer.waiting_since(clock.now() - self._send_idle):
                    self._give_up_sending(number)

    async def _receive(self) -> bytes:
        """What the client says next. Raises what pipes raise, TimeoutError if it takes too long."""
        self._deadlines.block(self.codec.inside_head, clock.now())
        self._reading = True
        self._set_deadline()
        try:
            return await self.pipe.receive()
        finally:
            self._reading = False
            self._watched.deadline = math.inf

    @property
    def _idle(self) -> bool:
        return not (self._streams or self._tunnels)

    def _set_deadline(self) -> None:
        """Streams have come, gone, or been heard of."""
        if self._reading:
            late = self._deadlines.next(clock.now(), idle=self._idle)
            self._watched.deadline = min(late, self.writer.waits_since + self._send_idle)

    def _give_up(self, number: int) -> None:
        """The client has taken too long inside the body of a request."""
        self._deadlines.forget(number)
        stream = self._streams.get(number)
        if stream is None:
            return
        exchange, answered, body = stream.exchange, None, b""
        fault = Fault(TIMEOUT, status=408)
        if not exchange.response_started:
            answered, body = self._send_refusal(number, fault, bodiless=exchange.channel.bodiless)
        self.codec.reset(number, _CANCEL if answered is None else _NO_ERROR)
        self._note(fault, answered=answered, body=body, exchange=exchange)
        exchange.abort(_told(fault))
        stream.scope.cancel()
        if stream.answered:
            self._forget(number)

    def _give_up_sending(self, number: int) -> None:
        """The client has taken nothing of an answer for too long."""
        stream = self._streams.get(number)
        if stream is not None:
            self.codec.reset(number, _CANCEL)
            stream.exchange.abort(TOOK_NOTHING)
            stream.scope.cancel()

    def _take(self, said: StreamPart) -> None:
        number, part = said.stream, said.part
        if type(part) is RequestPart:
            self._begin(number, part)
            return
        if type(part) is Fault:
            self._refuse_stream(number, part)
            return
        if type(part) is ResetPart and not part.by_peer:
            self._note_stream_fault(number, part)
        pipe = self._tunnels.get(number)
        if pipe is not None:
            pipe.take(part)
            return
        stream = self._streams.get(number)
        if type(part) is Data:
            if stream is None:
                self.codec.consumed(number, len(part.data))
                return
            self._take_data(number, stream, part.data)
        elif stream is None:
            return
        elif stream.pipe is not None:
            stream.pipe.take(part)
        elif type(part) is End:
            self._deadlines.forget(number)
            if not stream.exchange.request_body.complete:
                if part.odd:
                    stream.exchange.tag(*client_odd_tags(part.odd))
                stream.exchange.take_end(part.trailers)
            stream.tell()
            if stream.answered:
                self._forget(number)
        elif type(part) is ResetPart:
            self._deadlines.forget(number)
            if part.by_peer:
                words = f"the client reset the stream ({code_name(part.code)}) in the middle of a request"
                self._note_leaving(stream.exchange, Fault(RESET, status=0, detail=words), is_legal=True)
            stream.scope.cancel()
            if stream.answered:
                self._forget(number)

    def _note_leaving(self, exchange: Exchange, fault: Fault, *, is_legal: bool = False) -> None:
        """The client gives up a request that is not complete, as one of HTTP/1 does that ends its connection.

        `is_legal`: it has reset the stream, which it may.
        """
        if exchange.finished or exchange.request_body.complete or self._stopping:
            return
        if not is_legal:
            self._note(fault, exchange=exchange)
        exchange.abort(_told(fault))

    def _note_stream_fault(self, number: int, reset: ResetPart) -> None:
        """The client has broken a rule on one stream, which the codec has ended for it."""
        if self._stopping and reset.code == _REFUSED_STREAM:
            return  # it may not have known yet; it asks somebody else
        stream = self._streams.get(number)
        exchange = None if stream is None else stream.exchange
        fault = stream_fault(reset)
        self._site.refusals.tell(fault, "RST_STREAM")
        self._note(fault, exchange=exchange)
        if exchange is not None:
            exchange.abort(_told(fault))

    def _take_data(self, number: int, stream: _Stream, data: bytes) -> None:
        if stream.pipe is not None:
            stream.pipe.feed(data)
            return
        exchange = stream.exchange
        exchange.take_data(data)
        reader = exchange.body_stream
        if reader is not None and reader.full:
            self._deadlines.forget(number)
            stream.owed += len(data)
            if reader.on_room is None:
                reader.on_room = lambda: self._pay(number, stream)
        else:
            self._deadlines.heard(number, clock.now())
            self.codec.consumed(number, len(data))
        stream.tell()

    def _pay(self, number: int, stream: _Stream) -> None:
        """What was held back has been used: the client may send as much again."""
        owed, stream.owed = stream.owed, 0
        if owed:
            self.codec.consumed(number, owed)
            self.writer.push()
            if not stream.exchange.request_body.complete and number in self._streams:
                self._deadlines.heard(number, clock.now())
                self._set_deadline()

    def _begin(self, number: int, part: RequestPart) -> None:
        head, site = part.head, self._site
        if head.method == "CONNECT" and not head.upgrade:
            self._begin_tunnel(number, head)
            return
        address = read_target_uri(head, self._peer.local_port, self._origin)
        if isinstance(address, str):
            self._refuse_stream(number, Fault(address, status=400, raw_headers=head.raw_headers))
            return
        tags = authenticate(site, self._peer, self._origin, address, head)
        if tags is None:
            self._refuse_stream(number, Fault(tunnel.AUTH_REQUIRED, status=407, raw_headers=head.raw_headers))
            return
        channel = H2Channel(self, number, bodiless=head.method == "HEAD")
        exchange = Exchange(head, address, self._peer, channel, site.notes, site.match_limit, site.log_limit)
        if tags or head.odd:
            exchange.tag(*tags, *head.odd)
        stream = self._streams[number] = _Stream(exchange)
        site.notes.request_initiated(exchange)
        if not head.has_body or exchange.websocket:
            exchange.take_end(())  # what comes on the stream of a WebSocket is frames
        else:
            self._deadlines.heard(number, clock.now())
        begun = EagerTask(self._answer(number, stream))
        if begun.done:
            self._settle(number, stream)
        else:
            assert self._group is not None
            self._group.start_soon(self._go_on, number, stream, begun)

    def _begin_tunnel(self, number: int, head: RequestHead) -> None:
        """CONNECT (RFC 9113, 8.5)."""
        target = tunnel.read_authority(head.target)
        if isinstance(target, str):
            self._refuse_stream(number, Fault(target, status=400, raw_headers=head.raw_headers))
            return
        inside = self._origin.tunnel is not None
        tags = tunnel.admitted(head.headers, None if inside else self._site.auth)
        if tags is None:
            self._refuse_stream(number, Fault(tunnel.AUTH_REQUIRED, status=407, raw_headers=head.raw_headers))
            return
        pipe = self._tunnels[number] = self._pipe_of(number)
        self.codec.send_head(number, self.codec.frame(200, "", (), None, ""), end=False)
        assert self._group is not None
        self._group.start_soon(self._serve_tunnel, number, pipe, tunnel.Opened(target, tags, b""))

    async def _serve_tunnel(self, number: int, pipe: H2StreamPipe, opened: tunnel.Opened) -> None:
        try:
            await self._serve_inside(pipe, opened)
        finally:
            self._tunnels.pop(number, None)
            pipe.close()
            await self._end_of_stream()

    def _refuse_stream(self, number: int, fault: Fault) -> None:
        """A request that cannot be understood: its stream is told, the others go on."""
        head, body = self._send_refusal(number, fault, bodiless=[":method", "HEAD"] in fault.raw_headers)
        self.codec.reset(number, _NO_ERROR)  # if there was more to come (RFC 9113, 8.1)
        self._note(fault, answered=head, body=body)

    def _send_refusal(self, number: int, fault: Fault, *, bodiless: bool) -> tuple[ResponseHead, bytes]:
        """Answer a stream with a text, if the client has room for it; the head and the text."""
        body = refusal_body(fault)
        fields = [*refusal_fields(fault), ("Content-Length", str(len(body)))]
        head = self.codec.frame(fault.status, "", fields, None, "")
        if bodiless or len(body) > self.codec.window(number):
            body = b""
        self.codec.send_head(number, head, end=not body)
        if body:
            self.codec.send_data(number, body, end=True)
        self._site.refusals.tell(fault, str(fault.status))
        return head, body

    def _note(
        self,
        fault: Fault,
        *,
        answered: ResponseHead | None = None,
        body: bytes = b"",
        exchange: Exchange | None = None,
    ) -> None:
        """Tell the log of a fault."""
        self._site.notes.client_error(
            *(self._peer, fault, self._origin),
            started_at=clock.now() if exchange is None else exchange.started_at,
            answered=answered,
            body=body,
            version="2.0",
            exchange=exchange,
        )

    # ── one stream ─────────────────────────────────────────────────────────────────────────────────

    async def _answer(self, number: int, stream: _Stream) -> None:
        exchange = stream.exchange
        try:
            plan = await select_plan(self._site, exchange, stream.more)
            if not (plan.never_blocks and exchange.request_body.complete):
                await detach()
            await plan.run(exchange)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
        except Exception as error:
            self._site.report_defect(error)
            exchange.abort({"code": "E_DEFECT", **described(error)})
            self.reset(number, INTERNAL_ERROR)

    async def _go_on(self, number: int, stream: _Stream, begun: EagerTask) -> None:
        """The rest of an answer that takes its time."""
        with stream.scope:
            await begun
        self._settle(number, stream)
        await self._end_of_stream()

    def request_is_complete(self, number: int) -> bool:
        """Whether nothing more comes of a request, or nobody knows how much."""
        stream = self._streams.get(number)
        if stream is None or not stream.exchange.head.content_length:
            return True
        return stream.exchange.request_body.complete

    async def wait_for_request(self, number: int) -> None:
        """Return when a request is complete, or no more of it has come for a while."""
        stream = self._streams.get(number)
        while stream is not None and not self.request_is_complete(number):
            with anyio.move_on_after(_LINGER_SECONDS) as waiting:
                await stream.more()
            if waiting.cancelled_caught:
                return

    async def _end_of_stream(self) -> None:
        """One stream less: it may have been the last."""
        if self._stopping and self._idle:
            await self.writer.flush_quietly()
            await self.pipe.aclose()
        else:
            self._set_deadline()

    def _settle(self, number: int, stream: _Stream) -> None:
        if not stream.exchange.finished:
            stream.exchange.abort(None)
        if stream.pipe is not None:
            stream.pipe.close(_NO_ERROR)  # a WebSocket ends with its stream, as it would with its connection
        stream.answered = True
        if stream.exchange.request_body.complete or not self.codec.is_open(number):
            self._forget(number)

    def _forget(self, number: int) -> None:
        stream = self._streams.pop(number, None)
        self._deadlines.forget(number)
        if stream is not None:
            if stream.owed:
                self.codec.consumed(number, stream.owed)
            stream.exchange.client_left()

    def as_pipe(self, number: int) -> H2StreamPipe:
        """What comes on a stream from now on is for its pipe, not for its exchange."""
        stream = self._streams[number]
        stream.pipe = self._pipe_of(number)
        return stream.pipe

    def _pipe_of(self, number: int) -> H2StreamPipe:
        return H2StreamPipe(self.codec, self.writer, self.pipe, number, CONNECT_ERROR)  # RFC 9113, 8.5

    # ── out ────────────────────────────────────────────────────────────────────────────────────────

    async def send_raw(self, data: bytes) -> None:
        """Bytes past the protocol, for all streams together; the connection ends with them."""
        await self.writer.flush()
        await self.pipe.send(data)
        await self.pipe.aclose()

    def reset(self, number: int, code: int) -> None:
        """End a stream with an error."""
        self.codec.reset(number, code)
        self.writer.push()

    def _note_fault(self, fault: Fault) -> None:
        """The client has broken a rule on the connection, and everything on it."""
        self._site.refusals.tell(fault, "GOAWAY")
        self._note(fault)
        for stream in self._streams.values():
            stream.exchange.abort(_told(fault))

    async def _say_goodbye(self) -> None:
        """The GOAWAY that the codec has made of a fault."""
        try:
            with anyio.move_on_after(_LINGER_SECONDS):
                await self.writer.flush()
                await self.pipe.send_eof()
                # Closing a socket that has unread bytes resets the connection, and takes the GOAWAY away again.
                while True:
                    await self.pipe.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, TimeoutError):
            pass


def _told(fault: Fault) -> dict[str, str]:
    """The error of an exchange that ends with it."""
    return {"name": "ClientError", "code": fault.code, "message": fault_words(fault)}
