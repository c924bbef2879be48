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
from mockrec.engine.exchange.address import Origin, read_address
from mockrec.engine.exchange.channel import Peer
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.net import tunnel
from mockrec.engine.net.choosing import choose_plan
from mockrec.engine.net.conversation import Watched
from mockrec.engine.net.eager import Begun, own_task
from mockrec.engine.net.h2_channel import INTERNAL_ERROR, H2Channel
from mockrec.engine.net.site import Site
from mockrec.engine.pipe import Pipe
from mockrec.engine.streams.pipe import CONNECT_ERROR, H2StreamPipe
from mockrec.engine.streams.writer import StreamWriter
from mockrec.engine.wire.h2 import H2Server, StreamPart
from mockrec.engine.wire.parts import Data, End, Fault, Request, RequestHead, Reset


class _Stream:
    """One request and the task that answers it."""

    __slots__ = ("exchange", "news", "owed", "pipe", "scope")

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.scope = anyio.CancelScope()
        self.news: anyio.Event | None = None
        """Set when more of the request has come."""
        self.pipe: H2StreamPipe | None = None
        """Where its data goes once it is a tunnel, or carries a WebSocket."""
        self.owed = 0
        """Bytes that were received and are not used yet."""

    async def more(self) -> None:
        """Return when more of the request has come."""
        self.news = anyio.Event()
        await self.news.wait()

    def tell(self) -> None:
        """More has come."""
        if self.news is not None:
            self.news.set()
            self.news = None


class H2Conversation:
    """One HTTP/2 connection. `hold` returns when it is over."""

    def __init__(
        self,
        pipe: Pipe,
        site: Site,
        peer: Peer,
        origin: Origin,
        watched: Watched,
        serve_inside: Callable[[Pipe, tunnel.Opened], Awaitable[None]],
    ) -> None:
        """`serve_inside` serves a tunnel that a client has been given."""
        self._serve_inside = serve_inside
        self.codec = H2Server(head_limit=site.limits.head, streams=site.limits.streams)
        self.pipe = pipe
        self.writer = StreamWriter(self.codec, pipe)
        self._site = site
        self._peer = peer
        self._origin = origin
        self._watched = watched
        self._streams: dict[int, _Stream] = {}
        self._tunnels: dict[int, H2StreamPipe] = {}
        self.reading = False
        """Whether what is said is written when everything that has come has been looked at."""
        self._stopping = False
        self._group: TaskGroup | None = None

    async def stop(self) -> None:
        """Accept no more streams; end when those at hand are over."""
        self._stopping = True
        self.codec.close()
        await self.writer.flush_quietly()
        if not (self._streams or self._tunnels):
            await self.pipe.aclose()

    async def hold(self, first: bytes) -> None:
        """Answer everything until one side ends the connection. The caller closes the pipe."""
        self.codec.start()
        fault: Fault | None = None
        try:
            async with anyio.create_task_group() as group:
                self._group = self.writer.group = group
                fault = await self._read(first)
                for pipe in self._tunnels.values():
                    pipe.lose()
                self.writer.open_windows(all_of_them=True)
                for stream in self._streams.values():
                    if stream.pipe is not None:
                        stream.pipe.lose()
                group.cancel_scope.cancel()
        finally:
            for stream in list(self._streams.values()):
                if fault is not None and not stream.exchange.finished:
                    stream.exchange.abort({"name": "ClientError", "code": fault.code, "message": _told(fault)})
                stream.exchange.leave()
            self._streams.clear()

    # ── in ─────────────────────────────────────────────────────────────────────────────────────────

    async def _read(self, first: bytes) -> Fault | None:
        """Read until the end; the fault that ended it, if one did."""
        data = first
        while True:
            self.reading = True
            for said in self.codec.receive(data):
                if isinstance(said, Fault):
                    await self._refuse(said)
                    return said
                if isinstance(said, StreamPart):
                    self._take(said)
            self.reading = False
            data = b""
            self.writer.open_windows()
            try:
                await self.writer.flush()
                if self._site.backpressure.behind:
                    await self._site.backpressure.wait_for_room()
                self._watched.deadline = self._patience()
                data = await self.pipe.receive()
                self._watched.deadline = math.inf
            except anyio.EndOfStream:
                for said in self.codec.receive_eof():
                    if isinstance(said, Fault):
                        await self._refuse(said)
                        return said
                return None
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                return None
            except TimeoutError:
                self.pipe.unexpire()
                if self._streams or self._tunnels:
                    continue  # answers may take their time; only an idle connection ends
                self.codec.close()
                await self.writer.flush()
                return None

    def _patience(self) -> float:
        timeouts = self._site.timeouts
        if not (self._streams or self._tunnels):
            return clock.now() + timeouts.keep_alive * 1000.0
        return math.inf

    def _take(self, said: StreamPart) -> None:
        number, part = said.stream, said.part
        if type(part) is Request:
            self._begin(number, part)
            return
        if type(part) is Fault:
            self._refuse_stream(number, part)
            return
        pipe = self._tunnels.get(number)
        if pipe is not None:
            _hand_over(pipe, part)
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
            _hand_over(stream.pipe, part)
        elif type(part) is End:
            if not stream.exchange.request_body.complete:
                stream.exchange.take_end(part.trailers)
            stream.tell()
            if stream.exchange.finished:
                self._forget(number)
        elif type(part) is Reset:
            stream.scope.cancel()
            if stream.exchange.finished:
                self._forget(number)

    def _take_data(self, number: int, stream: _Stream, data: bytes) -> None:
        if stream.pipe is not None:
            stream.pipe.feed(data)
            return
        exchange = stream.exchange
        exchange.take_data(data)
        reader = exchange.reader
        if reader is not None and reader.full:
            stream.owed += len(data)
            if reader.on_room is None:
                reader.on_room = lambda: self._pay(number, stream)
        else:
            self.codec.consumed(number, len(data))
        stream.tell()

    def _pay(self, number: int, stream: _Stream) -> None:
        """What was held back has been used: the client may send as much again."""
        owed, stream.owed = stream.owed, 0
        if owed:
            self.codec.consumed(number, owed)
            self.writer.flush_soon()

    def _begin(self, number: int, part: Request) -> None:
        head, site = part.head, self._site
        if head.method == "CONNECT" and not head.upgrade:
            self._begin_tunnel(number, head)
            return
        address = read_address(head, self._peer.local_port, self._origin)
        if isinstance(address, str):
            self._refuse_stream(number, Fault(address, status=400))
            return
        channel = H2Channel(self, number, bodiless=head.method == "HEAD")
        exchange = Exchange(head, address, self._peer, channel, site.notes, site.match_limit, site.log_limit)
        stream = self._streams[number] = _Stream(exchange)
        site.notes.request_initiated(exchange)
        if not head.has_body or exchange.websocket:
            exchange.take_end(())  # what comes on the stream of a WebSocket is frames
        begun = Begun(self._answer(number, stream))
        if begun.done:
            self._settle(number, stream)
        else:
            assert self._group is not None
            self._group.start_soon(self._go_on, number, stream, begun)

    def _begin_tunnel(self, number: int, head: RequestHead) -> None:
        """CONNECT (RFC 9113, 8.5)."""
        target = tunnel.read_authority(head.target)
        if isinstance(target, str):
            self._refuse_stream(number, Fault(target, status=400))
            return
        inside = self._origin.tunnel is not None
        tags = tunnel.admitted(head.headers, None if inside else self._site.auth)
        if tags is None:
            self._refuse_stream(number, Fault(tunnel.AUTH_REQUIRED, status=407))
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

    def _refuse_stream(self, number: int, fault: Fault) -> None:
        """A request that cannot be understood: its stream is told, the others go on."""
        head = self.codec.frame(fault.status, "", (), None, "")
        self.codec.send_head(number, head, end=True)
        self._site.notes.client_error(self._peer, fault, started_at=clock.now(), answered=head)

    # ── one stream ─────────────────────────────────────────────────────────────────────────────────

    async def _answer(self, number: int, stream: _Stream) -> None:
        exchange = stream.exchange
        try:
            plan = await choose_plan(self._site, exchange, stream.more)
            if not (plan.is_quick and exchange.request_body.complete):
                await own_task()
            await plan.run(exchange)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
        except Exception as error:
            self._site.report_defect(error)
            exchange.abort({"code": "E_DEFECT", **described(error)})
            self.reset(number, INTERNAL_ERROR)

    async def _go_on(self, number: int, stream: _Stream, begun: Begun) -> None:
        """The rest of an answer that takes its time."""
        with stream.scope:
            await begun
        self._settle(number, stream)
        if self._stopping and not self._streams:
            await self.pipe.aclose()

    def _settle(self, number: int, stream: _Stream) -> None:
        if not stream.exchange.finished:
            stream.exchange.abort(None)
        if stream.exchange.request_body.complete or not self.codec.is_open(number):
            self._forget(number)

    def _forget(self, number: int) -> None:
        stream = self._streams.pop(number, None)
        if stream is not None:
            if stream.owed:
                self.codec.consumed(number, stream.owed)
            stream.exchange.leave()

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
        self.writer.flush_soon()

    async def _refuse(self, fault: Fault) -> None:
        """Tell the client, which has been told why by the codec, and the log."""
        self._site.notes.client_error(self._peer, fault, started_at=clock.now(), answered=None)
        await self.writer.flush_quietly()


def _hand_over(pipe: H2StreamPipe, part: object) -> None:
    if type(part) is Data:
        pipe.feed(part.data)
    elif type(part) is End:
        pipe.end()
    else:
        pipe.lose()


def _told(fault: Fault) -> str:
    return "the client broke the protocol" if fault.code else "the client left"
