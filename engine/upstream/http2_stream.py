"""One stream of an HTTP/2 connection to a server: a request and its response, or a WebSocket.

It is used as an HTTP/1 connection is (`http1.py`), so that its users do not distinguish the two.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence

import anyio

from mockrec.engine import clock
from mockrec.engine.transport.byte_stream import ByteStream
from mockrec.engine.transport.http2_stream import CANCEL, Http2ByteStream
from mockrec.engine.upstream.errors import REFUSED, RESET, STREAM_ERROR, TIMED_OUT, UpstreamError, unsendable
from mockrec.engine.upstream.http2 import Http2UpstreamConnection
from mockrec.engine.upstream.request import UpstreamRequest
from mockrec.engine.wire.parts import Data, End, Fault, Interim, Part, RawHeaders, ResetPart

_PIECE = 16 * 1024
"""Bytes of a body that the server has to take within one timeout."""
_ERROR_NAMES = (
    "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
    "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
)  # fmt: skip
_REFUSED_STREAM = 7


class Http2UpstreamStream:
    """An `UpstreamStream`: all methods that wait raise UpstreamError, whatever happens to the connection."""

    def __init__(self, connection: Http2UpstreamConnection, on_closed: Callable[[Http2UpstreamStream], None]) -> None:
        """Reserve a stream of the connection. `on_closed` is called once, when it has been closed on this side."""
        self.transport = connection.transport
        self.byte_stream = connection.byte_stream
        self.request_number = connection.requests + 1
        self.deadline = math.inf
        self.responded = False
        self.interim_received = False
        connection.reserved += 1
        self._reserved = True
        self.connection = connection
        self._on_closed = on_closed
        self._number = 0
        self._seconds = math.inf
        """The timeout that `deadline` ends, for the error's text."""
        self._expired = False
        self._parts: list[Part] = []
        """Received, and not taken by `receive` yet."""
        self._uncredited = 0
        """Bytes of the parts that `receive` returned last, for which the server has no new credit yet."""
        self._error: UpstreamError | None = None
        self._complete = False
        self._closed = False
        self._tunnel: Http2ByteStream | None = None
        """Takes the stream's data once it carries a WebSocket."""
        self._changed: asyncio.Future[None] | None = None
        """What `receive` waits for; it costs a tenth of an event."""

    # ── what the connection calls ──────────────────────────────────────────────────────────────────

    def take(self, part: Part | ResetPart) -> None:
        """See `StreamReceiver`."""
        if self._tunnel is not None:
            self._tunnel.take(part)
            return
        if isinstance(part, ResetPart):
            if not self._complete:  # RFC 9113, 8.1: a server may reset the upload after a complete response
                self.fail(_reset_error(part))
            return
        if isinstance(part, Fault):
            self.fail(UpstreamError(part.code, f"its answer is not HTTP/2 ({part.detail})"))
            return
        if isinstance(part, Interim):
            self.interim_received = True
        else:
            self.responded = True
        self._complete = type(part) is End
        self._parts.append(part)
        self._notify()

    def fail(self, error: UpstreamError) -> None:
        """See `StreamReceiver`."""
        if self._tunnel is not None:
            self._tunnel.lose()
        if not self._complete and self._error is None:
            self._error = error
            self._notify()

    def _notify(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    def _end_reservation(self) -> None:
        """Release the reservation of the stream, which is open now or not needed."""
        if self._reserved:
            self._reserved = False
            self.connection.reserved -= 1

    # ── the request ────────────────────────────────────────────────────────────────────────────────

    def fields(self, request: UpstreamRequest) -> list[list[str]]:
        """See `UpstreamStream`."""
        return request.for_http2()

    async def send_request(
        self, request: UpstreamRequest, fields: list[list[str]], body: bytes | None, trailers: RawHeaders, *, more: bool
    ) -> bool:
        """See `UpstreamStream`."""
        self._end_reservation()
        codec = self.connection.codec
        complete = body is not None or not more
        self._number = number = self.connection.open(self, request, fields, end=complete and not (body or trailers))
        if body and len(body) > codec.window(number):
            complete = False
        elif complete and (body or trailers):
            if body:
                codec.send_data(number, body, end=not trailers)
            if trailers:
                try:
                    codec.send_end(number, trailers)
                except ValueError as error:
                    raise unsendable(error) from None
        await self._flush()
        return complete

    async def send_data(self, data: bytes, seconds: float | None = None) -> None:
        """See `UpstreamStream`."""
        try:
            for at in range(0, len(data), _PIECE):
                with anyio.fail_after(seconds):
                    await self.connection.writer.send_data(self._number, data[at : at + _PIECE], end=False)
        except TimeoutError:
            raise UpstreamError(TIMED_OUT, f"it has taken no data for {seconds:g}s") from None
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise self._error or UpstreamError(RESET, "it takes no more of the request") from None

    async def send_end(self, trailers: RawHeaders, seconds: float | None = None) -> None:
        """See `UpstreamStream`."""
        try:
            self.connection.codec.send_end(self._number, trailers)
        except ValueError as error:
            raise unsendable(error) from None
        await self._flush()

    async def _flush(self) -> None:
        try:
            await self.connection.writer.flush()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise self._error or UpstreamError(RESET, "the connection was reset") from None

    async def send_websocket_request(self, request: UpstreamRequest) -> None:
        """See `UpstreamStream`."""
        await self.connection.wait_for_settings(request.route.options.settings.head_timeout)
        self._end_reservation()
        self._number = self.connection.open_websocket(self, request)
        await self._flush()

    def accepts_websocket(self, status: int) -> bool:
        """RFC 8441, 5."""
        return 200 <= status <= 299

    def upgrade(self, parts: Sequence[Part]) -> tuple[ByteStream, bytes]:
        """See `UpstreamStream`."""
        connection = self.connection
        self._tunnel = Http2ByteStream(connection.codec, connection.writer, self.byte_stream, self._number, CANCEL)
        for part in self._parts:
            self._tunnel.take(part)
        self._parts = []
        if self._error is not None:
            self._tunnel.lose()
        return self._tunnel, b"".join([part.data for part in parts if type(part) is Data])

    # ── the response ───────────────────────────────────────────────────────────────────────────────

    async def receive(self, seconds: float | None) -> list[Part]:
        """See `UpstreamStream`."""
        if self._uncredited:
            # What was returned last has been passed on: the server may send as much again.
            self.connection.codec.consumed(self._number, self._uncredited)
            self.connection.writer.push()
            self._uncredited = 0
        if seconds is not None and not self._parts:
            self.set_deadline(seconds)
        while not self._parts:
            if self._error is not None:
                raise self._error.again()
            if self._expired:
                what = "no more of its answer" if self.responded else "no answer"
                raise UpstreamError(TIMED_OUT, f"{what} within {self._seconds:g}s")
            self._changed = asyncio.get_running_loop().create_future()
            try:
                await self._changed
            finally:
                self._changed = None
        if seconds is not None:
            self.deadline = math.inf
        parts, self._parts = self._parts, []
        self._uncredited = _size(parts)
        return parts

    def set_deadline(self, seconds: float) -> None:
        """See `UpstreamStream`."""
        self._seconds = seconds
        self.deadline = clock.now() + seconds * 1000.0

    def expire(self) -> None:
        """See `UpstreamStream`."""
        self._expired = True
        self._notify()

    def close(self) -> None:
        """Close the stream; it is reset unless both messages are complete."""
        self.deadline = math.inf
        if not self._closed:
            self._closed = True
            self._end_reservation()
            if self._tunnel is not None:
                self._tunnel.close()
            self.connection.release(self._number, _size(self._parts) + self._uncredited)
            self._on_closed(self)

    def abort(self) -> None:
        """As `close`: the connection's other streams continue."""
        self.close()


def _size(parts: list[Part]) -> int:
    return sum([len(part.data) for part in parts if type(part) is Data])


def _reset_error(reset: ResetPart) -> UpstreamError:
    name = _ERROR_NAMES[reset.code] if reset.code < len(_ERROR_NAMES) else "an unknown code"
    if not reset.by_peer:
        return UpstreamError(STREAM_ERROR, f"its answer is not HTTP/2 ({reset.reason})")
    if reset.code == _REFUSED_STREAM:
        return UpstreamError(REFUSED, f"it refused the request ({reset.reason or name})")
    return UpstreamError(STREAM_ERROR, f"it reset the stream with {name} ({reset.code})")
