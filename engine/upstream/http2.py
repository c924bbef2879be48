"""HTTP/2 connections to servers: one task reads, and each request of the client is a stream beside the others.

A stream is used as an HTTP/1 connection is (`http1.py`), so that steps do not know which they have.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import anyio
from anyio.abc import TaskGroup

from mockrec.engine import clock
from mockrec.engine.transport.byte_stream import ByteStream
from mockrec.engine.transport.http2_stream import CANCEL, Http2ByteStream
from mockrec.engine.transport.http2_writer import StreamWriter
from mockrec.engine.transport.tls import TlsError
from mockrec.engine.upstream.dialer import UpstreamTransport
from mockrec.engine.upstream.errors import (
    REFUSED,
    RESET,
    STREAM_ERROR,
    TIMED_OUT,
    UNSENDABLE,
    UpstreamError,
    tls_error,
    unsendable,
)
from mockrec.engine.upstream.headers import RawHeaders
from mockrec.engine.upstream.request import UpstreamRequest
from mockrec.engine.wire.http2.client import H2Client
from mockrec.engine.wire.http2.connection import HTTP2_ERROR
from mockrec.engine.wire.http2.server import StreamPart
from mockrec.engine.wire.parts import Data, End, Fault, Interim, Part, ResetPart

_HEAD_LIMIT = 256 * 1024
_PIECE = 16 * 1024
"""Bytes of a body that the server may take its time for."""
_LINGER_SECONDS = 1.0
_NAMES = (
    "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
    "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
)  # fmt: skip
_REFUSED_STREAM = 7
_SPEAKS_HTTP1 = "its answer is not HTTP/2 but HTTP/1 (see upstream.http2)"


class Http2UpstreamConnection:
    """One connection. `hold` reads it until it ends."""

    def __init__(
        self, dialed: UpstreamTransport, group: TaskGroup, forget: Callable[[Http2UpstreamConnection], None]
    ) -> None:
        """`forget` is called once, when the connection has ended."""
        self.dialed = dialed
        self.pipe = dialed.pipe
        self.codec = H2Client(head_limit=_HEAD_LIMIT)
        self.codec.start()
        self.writer = StreamWriter(self.codec, dialed.pipe)
        self._group = group
        self.used = 0
        """Requests it has carried."""
        self.promised = 0
        """Streams that somebody holds and has not opened yet."""
        self._forget = forget
        self._streams: dict[int, H2Stream] = {}
        self._settled = anyio.Event()
        self._lost: UpstreamError | None = None
        """Why no stream goes on."""

    async def settle(self, seconds: float) -> None:
        """Return when the server has told its settings. Raises UpstreamError."""
        with anyio.move_on_after(seconds):
            await self._settled.wait()
        if self._lost is not None:
            raise self._lost
        if not self._settled.is_set():
            raise UpstreamError(TIMED_OUT, f"no settings of HTTP/2 within {seconds:g}s")

    @property
    def free(self) -> bool:
        """Whether it takes another request."""
        codec = self.codec
        if self._lost is not None or not codec.settled:
            return False
        return codec.can_request and codec.open_streams + self.promised < codec.max_streams

    async def hold(self) -> None:
        """Read until the end; what the streams are told goes to them."""
        try:
            await self._read()
        except TlsError as error:
            self._lose(tls_error(error))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, TimeoutError):
            self._lose(UpstreamError(RESET, "the connection was reset"))
        finally:
            self._lose(UpstreamError(RESET, "the connection was closed"))

    async def _read(self) -> None:
        await self.writer.flush()
        while self._lost is None:
            try:
                data = await self.pipe.receive()
            except anyio.EndOfStream:
                text = "it closed the connection before its answer was complete"
                if not self.codec.settled:
                    text = "it closed the connection without a word of HTTP/2 (see upstream.http2)"
                self._lose(UpstreamError(RESET, text, closed=True))
                return
            if data.startswith(b"HTTP/1.") and not self.codec.settled:
                self._lose(UpstreamError(HTTP2_ERROR, _SPEAKS_HTTP1))
                return
            for said in self.codec.receive(data, clock.now() / 1000.0):
                if isinstance(said, StreamPart):
                    self._hand_over(said)
                elif isinstance(said, Fault):
                    text = f"its answer is not HTTP/2 ({said.detail})"
                    self.writer.push()
                    self._lose(UpstreamError(said.code, text))
                    return
            if self.codec.settled:
                self._settled.set()
            self.writer.open_windows()
            await self.writer.flush()
            if not self._streams and not self.codec.can_request:
                self.close()  # it is leaving, or out of numbers

    def _hand_over(self, said: StreamPart) -> None:
        stream = self._streams.get(said.stream)
        if stream is not None:
            stream.take(said.part)
        elif isinstance(said.part, Data):
            self.codec.consumed(said.stream, len(said.part.data))

    def open(self, stream: H2Stream, request: UpstreamRequest, fields: list[list[str]], *, end: bool) -> int:
        """A stream for a request. Raises UpstreamError."""
        return self._open(stream, request, request.method, fields, end=end)

    def open_websocket(self, stream: H2Stream, request: UpstreamRequest) -> int:
        """A stream for a WebSocket (RFC 8441). Raises UpstreamError."""
        if not self.codec.takes_websockets:
            raise UpstreamError(UNSENDABLE, "it speaks HTTP/2 alone, and takes no WebSockets there (RFC 8441)")
        return self._open(stream, request, "CONNECT", request.websocket_for_http2(), end=False)

    def _open(
        self, stream: H2Stream, request: UpstreamRequest, method: str, fields: list[list[str]], *, end: bool
    ) -> int:
        if self._lost is not None or not self.codec.can_request:
            raise self._lost or UpstreamError(REFUSED, "it takes no more requests on this connection")
        try:
            number = self.codec.request(method, request.target, request.protocol, request.authority, fields, end=end)
        except ValueError as error:
            raise unsendable(error) from None
        self._streams[number] = stream
        self.used += 1
        return number

    def leave(self, number: int, unread: int) -> None:
        """A stream is not listened to any more, with so many bytes not read; it is reset if it is not over."""
        if self._streams.pop(number, None) is None:
            return
        self.codec.consumed(number, unread)
        self.codec.reset(number, CANCEL)
        if not self._streams and not self.codec.can_request:
            self.close()
        else:
            self.writer.push()

    def close(self) -> None:
        """Give the connection up: the client has gone, or nothing more can be asked."""
        if self._lost is None:
            self.codec.close()
            self.writer.push()
            self._lose(UpstreamError(RESET, "the connection was closed"))

    def _lose(self, error: UpstreamError) -> None:
        if self._lost is not None:
            return
        self._lost = error
        self._settled.set()
        for stream in self._streams.values():
            stream.lose(error)
        self._streams.clear()
        self.writer.open_windows(all_of_them=True)
        self._forget(self)
        self.pipe.close()
        self._group.start_soon(self._linger)

    async def _linger(self) -> None:
        """What the server has not taken by then must not keep the connection open."""
        await anyio.sleep(_LINGER_SECONDS)
        self.pipe.reset()


class H2Stream:
    """One request and its response. All methods raise UpstreamError, whatever happens; see `UpstreamConnection`."""

    def __init__(self, connection: Http2UpstreamConnection, done: Callable[[H2Stream], None]) -> None:
        """`done` is called once, when nobody listens any more."""
        self.dialed = connection.dialed
        self.pipe = connection.pipe
        self.used = connection.used + 1
        self.deadline = math.inf
        self.answered = False
        self.informed = False
        connection.promised += 1
        self._promised = True
        self.connection = connection
        self._done = done
        self._number = 0
        self._allowed = math.inf
        self._expired = False
        self._parts: list[Part] = []
        self._given = 0
        """Bytes of the parts that were taken last."""
        self._error: UpstreamError | None = None
        self._complete = False
        self._closed = False
        self._tunnel: Http2ByteStream | None = None
        """Where its data goes once it carries a WebSocket."""
        self._news: anyio.Event | None = None

    # ── what the connection calls ──────────────────────────────────────────────────────────────────

    def take(self, part: Part | ResetPart) -> None:
        """The server has said this."""
        if self._tunnel is not None:
            self._tunnel.take(part)
            return
        if isinstance(part, ResetPart):
            if not self._complete:  # RFC 9113, 8.1: a server may end the upload behind its answer
                self.lose(_at_reset(part))
            return
        if isinstance(part, Fault):
            self.lose(UpstreamError(part.code, f"its answer is not HTTP/2 ({part.detail})"))
            return
        if isinstance(part, Interim):
            self.informed = True
        else:
            self.answered = True
        self._complete = type(part) is End
        self._parts.append(part)
        self._tell()

    def lose(self, error: UpstreamError) -> None:
        """Nothing more will come."""
        if self._tunnel is not None:
            self._tunnel.lose()
        if not self._complete and self._error is None:
            self._error = error
            self._tell()

    def _tell(self) -> None:
        if self._news is not None:
            self._news.set()
            self._news = None

    def _take_place(self) -> None:
        """The place that was kept is used, or not needed any more."""
        if self._promised:
            self._promised = False
            self.connection.promised -= 1

    # ── the request ────────────────────────────────────────────────────────────────────────────────

    def fields(self, request: UpstreamRequest) -> list[list[str]]:
        """See `Carrier`."""
        return request.for_http2()

    async def ask(
        self, request: UpstreamRequest, fields: list[list[str]], body: bytes | None, trailers: RawHeaders, *, more: bool
    ) -> bool:
        """Send the head, and the body if it is given and the server takes it at once; whether all has been sent."""
        self._take_place()
        codec = self.connection.codec
        whole = body is not None or not more
        self._number = number = self.connection.open(self, request, fields, end=whole and not (body or trailers))
        if body and len(body) > codec.window(number):
            whole = False
        elif whole and (body or trailers):
            if body:
                codec.send_data(number, body, end=not trailers)
            if trailers:
                try:
                    codec.send_end(number, trailers)
                except ValueError as error:
                    raise unsendable(error) from None
        await self._written()
        return whole

    async def send_data(self, data: bytes, seconds: float | None = None) -> None:
        """A piece of the body; the server has so long to take it."""
        try:
            for at in range(0, len(data), _PIECE):
                with anyio.fail_after(seconds):
                    await self.connection.writer.send_data(self._number, data[at : at + _PIECE], end=False)
        except TimeoutError:
            raise UpstreamError(TIMED_OUT, f"it has taken no data for {seconds:g}s") from None
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise self._error or UpstreamError(RESET, "it takes no more of the request") from None

    async def send_end(self, trailers: RawHeaders, seconds: float | None = None) -> None:
        """The end of the body."""
        try:
            self.connection.codec.send_end(self._number, trailers)
        except ValueError as error:
            raise unsendable(error) from None
        await self._written()

    async def _written(self) -> None:
        try:
            await self.connection.writer.flush()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise self._error or UpstreamError(RESET, "the connection was reset") from None

    async def ask_for_websocket(self, request: UpstreamRequest) -> None:
        """See `Carrier`."""
        await self.connection.settle(request.route.options.settings.head_timeout)
        self._take_place()
        self._number = self.connection.open_websocket(self, request)
        await self._written()

    def accepts(self, status: int) -> bool:
        """RFC 8441, 5."""
        return 200 <= status <= 299

    def upgraded(self, parts: Sequence[Part]) -> tuple[ByteStream, bytes]:
        """See `Carrier`."""
        connection = self.connection
        self._tunnel = Http2ByteStream(connection.codec, connection.writer, self.pipe, self._number, CANCEL)
        for part in self._parts:
            self._tunnel.take(part)
        self._parts = []
        if self._error is not None:
            self._tunnel.lose()
        return self._tunnel, b"".join([part.data for part in parts if type(part) is Data])

    # ── the response ───────────────────────────────────────────────────────────────────────────────

    async def receive(self, seconds: float | None) -> list[Part]:
        """What has come, or else the next of it, which has so long (None: as long as `allow` said)."""
        if self._given:
            # What was taken has been passed on: the server may send as much again.
            self.connection.codec.consumed(self._number, self._given)
            self.connection.writer.push()
            self._given = 0
        if seconds is not None and not self._parts:
            self.allow(seconds)
        while not self._parts:
            if self._error is not None:
                raise self._error.again()
            if self._expired:
                what = "no more of its answer" if self.answered else "no answer"
                raise UpstreamError(TIMED_OUT, f"{what} within {self._allowed:g}s")
            if self._news is None:
                self._news = anyio.Event()
            await self._news.wait()
        if seconds is not None:
            self.deadline = math.inf
        parts, self._parts = self._parts, []
        self._given = _size(parts)
        return parts

    def allow(self, seconds: float) -> None:
        """See `UpstreamConnection`."""
        self._allowed = seconds
        self.deadline = clock.now() + seconds * 1000.0

    def expire(self) -> None:
        """The deadline is over."""
        self._expired = True
        self._tell()

    def close(self) -> None:
        """Give it up: the server is told unless both messages are complete."""
        self.deadline = math.inf
        if not self._closed:
            self._closed = True
            self._take_place()
            if self._tunnel is not None:
                self._tunnel.close()
            self.connection.leave(self._number, _size(self._parts) + self._given)
            self._done(self)

    def abandon(self) -> None:
        """The same: other streams go on."""
        self.close()


def _size(parts: list[Part]) -> int:
    return sum([len(part.data) for part in parts if type(part) is Data])


def _at_reset(reset: ResetPart) -> UpstreamError:
    name = _NAMES[reset.code] if reset.code < len(_NAMES) else "an unknown code"
    if not reset.by_peer:
        return UpstreamError(STREAM_ERROR, f"its answer is not HTTP/2 ({reset.reason})")
    if reset.code == _REFUSED_STREAM:
        return UpstreamError(REFUSED, f"it refused the request ({reset.reason or name})")
    return UpstreamError(STREAM_ERROR, f"it reset the stream with {name} ({reset.code})")
