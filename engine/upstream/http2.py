"""HTTP/2 connections to servers: one task reads, and the requests of the client are concurrent streams
(`http2_stream.py`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import anyio
from anyio.abc import TaskGroup

from mockrec.engine import clock
from mockrec.engine.transport.http2_stream import CANCEL
from mockrec.engine.transport.http2_writer import StreamWriter
from mockrec.engine.transport.tls import TlsError
from mockrec.engine.upstream.errors import (
    REFUSED,
    RESET,
    TIMED_OUT,
    UNSENDABLE,
    UpstreamError,
    tls_error,
    unsendable,
)
from mockrec.engine.upstream.request import UpstreamRequest
from mockrec.engine.upstream.route import UpstreamTransport
from mockrec.engine.wire.http2.client import H2Client
from mockrec.engine.wire.http2.connection import HTTP2_ERROR
from mockrec.engine.wire.http2.heads import request_fields
from mockrec.engine.wire.http2.server import StreamPart
from mockrec.engine.wire.parts import Data, Fault, Part, ResetPart

_HEAD_LIMIT = 256 * 1024
_LINGER_SECONDS = 1.0
_SPEAKS_HTTP1 = "its answer is not HTTP/2 but HTTP/1 (see upstream.http2)"


class StreamReceiver(Protocol):
    """One stream, as the connection sees it."""

    def take(self, part: Part | ResetPart) -> None:
        """Take a part that was received for the stream."""

    def fail(self, error: UpstreamError) -> None:
        """Note that nothing more will be received, and why."""


class Http2UpstreamConnection:
    """One connection. `read` reads it until it ends."""

    def __init__(
        self, transport: UpstreamTransport, group: TaskGroup, forget: Callable[[Http2UpstreamConnection], None]
    ) -> None:
        """`forget` is called once, when the connection has ended."""
        self.transport = transport
        self.byte_stream = transport.byte_stream
        self.codec = H2Client(head_limit=_HEAD_LIMIT)
        self.codec.start()
        self.writer = StreamWriter(self.codec, transport.byte_stream)
        self.requests = 0
        """Requests that it has carried."""
        self.reserved = 0
        """Streams that are taken but not opened yet."""
        self._group = group
        self._forget = forget
        self._streams: dict[int, StreamReceiver] = {}
        self._settled = anyio.Event()
        self._error: UpstreamError | None = None
        """Why the connection has ended."""

    async def wait_for_settings(self, seconds: float) -> None:
        """Return when the server has sent its settings. Raises UpstreamError."""
        with anyio.move_on_after(seconds):
            await self._settled.wait()
        if self._error is not None:
            raise self._error
        if not self._settled.is_set():
            raise UpstreamError(TIMED_OUT, f"no settings of HTTP/2 within {seconds:g}s")

    @property
    def has_room(self) -> bool:
        """Whether it takes another request now."""
        codec = self.codec
        if self._error is not None or not codec.settled:
            return False
        return codec.can_request and codec.open_streams + self.reserved < codec.max_streams

    async def read(self) -> None:
        """Read until the connection ends, and hand the parts to their streams."""
        try:
            await self._read()
        except TlsError as error:
            self._end(tls_error(error))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, TimeoutError):
            self._end(UpstreamError(RESET, "the connection was reset"))
        finally:
            self._end(UpstreamError(RESET, "the connection was closed"))

    async def _read(self) -> None:
        await self.writer.flush()
        while self._error is None:
            try:
                data = await self.byte_stream.receive()
            except anyio.EndOfStream:
                text = "it closed the connection before its answer was complete"
                if not self.codec.settled:
                    text = "it closed the connection without a word of HTTP/2 (see upstream.http2)"
                self._end(UpstreamError(RESET, text, closed=True))
                return
            if data.startswith(b"HTTP/1.") and not self.codec.settled:
                self._end(UpstreamError(HTTP2_ERROR, _SPEAKS_HTTP1))
                return
            for received in self.codec.receive(data, clock.now() / 1000.0):
                if isinstance(received, StreamPart):
                    self._hand_over(received)
                elif isinstance(received, Fault):
                    text = f"its answer is not HTTP/2 ({received.detail})"
                    self.writer.push()
                    self._end(UpstreamError(received.code, text))
                    return
            if self.codec.settled:
                self._settled.set()
            self.writer.open_windows()
            await self.writer.flush()
            if not self._streams and not self.codec.can_request:
                self.close()  # the server has sent GOAWAY, or the stream numbers are used up

    def _hand_over(self, received: StreamPart) -> None:
        stream = self._streams.get(received.stream)
        if stream is not None:
            stream.take(received.part)
        elif isinstance(received.part, Data):
            self.codec.consumed(received.stream, len(received.part.data))

    def open(self, stream: StreamReceiver, request: UpstreamRequest, fields: list[list[str]], *, end: bool) -> int:
        """Open a stream by a request's head; return its number. `end`: the request is complete. Raises
        UpstreamError."""
        return self._open(stream, request, request.method, fields, end=end)

    def open_websocket(self, stream: StreamReceiver, request: UpstreamRequest) -> int:
        """Open a stream for a WebSocket (RFC 8441); return its number. Raises UpstreamError."""
        if not self.codec.takes_websockets:
            raise UpstreamError(UNSENDABLE, "it speaks HTTP/2 alone, and takes no WebSockets there (RFC 8441)")
        return self._open(stream, request, "CONNECT", request.websocket_for_http2(), end=False)

    def _open(
        self, stream: StreamReceiver, request: UpstreamRequest, method: str, fields: list[list[str]], *, end: bool
    ) -> int:
        if self._error is not None or not self.codec.can_request:
            raise self._error or UpstreamError(REFUSED, "it takes no more requests on this connection")
        head = request.http2
        wire = head.wire if head is not None and head.fields is fields else None
        if wire is None:
            try:
                wire = request_fields(method, request.target, request.protocol, request.authority, fields)
            except ValueError as error:
                raise unsendable(error) from None
            if head is not None and head.fields is fields:
                head.wire = wire
        number = self.codec.open(method, wire, end=end)
        self._streams[number] = stream
        self.requests += 1
        return number

    def release(self, number: int, unread: int) -> None:
        """Stop receiving on a stream, of which `unread` bytes were not read; reset it unless it is complete."""
        if self._streams.pop(number, None) is None:
            return
        self.codec.consumed(number, unread)
        self.codec.reset(number, CANCEL)
        if not self._streams and not self.codec.can_request:
            self.close()
        else:
            self.writer.push()

    def close(self) -> None:
        """Close the connection in order: the client's has ended, or it can carry no more requests."""
        if self._error is None:
            self.codec.close()
            self.writer.push()
            self._end(UpstreamError(RESET, "the connection was closed"))

    def _end(self, error: UpstreamError) -> None:
        if self._error is not None:
            return
        self._error = error
        self._settled.set()
        for stream in self._streams.values():
            stream.fail(error)
        self._streams.clear()
        self.writer.open_windows(all_of_them=True)
        self._forget(self)
        self.byte_stream.close()
        self._group.start_soon(self._linger)

    async def _linger(self) -> None:
        """Reset the connection a second later: data that the server does not take must not keep it open."""
        await anyio.sleep(_LINGER_SECONDS)
        self.byte_stream.reset()
