"""HTTP/1 connections to servers: one request and its response after another."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import anyio

from mockrec.engine import clock
from mockrec.engine.transport.byte_stream import ByteStream
from mockrec.engine.transport.tls import TlsError
from mockrec.engine.upstream.errors import RESET, TIMED_OUT, UpstreamError, tls_error
from mockrec.engine.upstream.proxy_tunnels import basic
from mockrec.engine.upstream.request import UpstreamRequest
from mockrec.engine.upstream.route import UpstreamTransport
from mockrec.engine.wire.fault_codes import EARLY_EOF
from mockrec.engine.wire.http1.client import HUNG_UP, EncodedRequest, H1Client
from mockrec.engine.wire.parts import Fault, Part, RawHeaders

_HEAD_LIMIT = 256 * 1024
_SETTINGS = b"\x04\0\0\0\0\0"
"""The bytes after the length in the first frame of a server that speaks HTTP/2 (RFC 9113, 3.4 and 4.1)."""


class Http1UpstreamConnection:
    """An `UpstreamStream`: all methods that wait raise UpstreamError, whatever happens to the connection."""

    def __init__(self, transport: UpstreamTransport, forget: Callable[[Http1UpstreamConnection], None]) -> None:
        """`forget` is called once, when the connection has been closed."""
        self.transport = transport
        self.byte_stream = transport.byte_stream
        self.codec = H1Client(_HEAD_LIMIT)
        self.request_number = 0
        self.deadline = math.inf
        self._seconds = math.inf
        """The timeout that `deadline` ends, for the error's text."""
        self._fault: Fault | None = None
        self._forget = forget
        self._closed = False

    @property
    def responded(self) -> bool:
        """See `UpstreamStream`."""
        return self.codec.answered

    @property
    def interim_received(self) -> bool:
        """See `UpstreamStream`."""
        return self.codec.informed

    def fields(self, request: UpstreamRequest) -> list[list[str]]:
        """See `UpstreamStream`."""
        return request.for_http1()

    async def send_request(
        self, request: UpstreamRequest, fields: list[list[str]], body: bytes | None, trailers: RawHeaders, *, more: bool
    ) -> bool:
        """See `UpstreamStream`."""
        target, raw_headers = request.target, fields
        self.request_number += 1
        if self.transport.wants_urls:
            target = request.url
            proxy = self.transport.proxy
            if proxy is not None and proxy.user is not None:
                raw_headers = [*raw_headers, ["Proxy-Authorization", basic(proxy)]]
        encoded = request.encoded
        if encoded is None or not encoded.is_of(request.method, target, raw_headers):
            encoded = request.encoded = EncodedRequest(request.method, target, raw_headers, odd=request.odd)
        data = self.codec.send_encoded(encoded, body=more)
        if body is not None:
            data += self.codec.send_data(body) + self.codec.send_end(trailers)
        await self.send(data)
        return body is not None or not more

    async def send_data(self, data: bytes, seconds: float | None = None) -> None:
        """See `UpstreamStream`."""
        await self.send(self.codec.send_data(data), seconds)

    async def send_end(self, trailers: RawHeaders, seconds: float | None = None) -> None:
        """See `UpstreamStream`."""
        data = self.codec.send_end(trailers)
        if data:
            await self.send(data, seconds)

    async def send(self, data: bytes, seconds: float | None = None) -> None:
        """Write; the server has `seconds` for taking what was written before."""
        try:
            if seconds is None:
                await self.byte_stream.send(data)
            else:
                with anyio.fail_after(seconds):
                    await self.byte_stream.send(data)
        except TimeoutError:
            raise UpstreamError(TIMED_OUT, f"it has taken no data for {seconds:g}s") from None
        except anyio.BrokenResourceError as error:
            raise _broken(error) from None

    async def receive(self, seconds: float | None) -> list[Part]:
        """See `UpstreamStream`: the parts that the next bytes complete."""
        if self._fault is not None:
            raise _at_fault(self._fault, self.codec.answered)
        if seconds is not None:
            self.set_deadline(seconds)
        try:
            data = await self.byte_stream.receive()
            if data[3:9] == _SETTINGS and not (self.codec.answered or self.codec.informed):
                raise UpstreamError("HPE_INVALID_CONSTANT", "it speaks HTTP/2 alone (upstream.http2: prior-knowledge)")
            parts = self.codec.receive(data)
        except TimeoutError:
            self.byte_stream.clear_expired()
            what = "no more of its answer" if self.codec.answered else "no answer"
            raise UpstreamError(TIMED_OUT, f"{what} within {self._seconds:g}s") from None
        except anyio.EndOfStream:
            parts = self.codec.receive_eof()
        except anyio.BrokenResourceError as error:
            raise _broken(error) from None
        if seconds is not None:
            self.deadline = math.inf
        if parts and isinstance(parts[-1], Fault):
            fault = parts.pop()
            assert isinstance(fault, Fault)
            if not parts:
                raise _at_fault(fault, self.codec.answered)
            self._fault = fault  # the parts before it are handed over first
        return parts

    async def send_websocket_request(self, request: UpstreamRequest) -> None:
        """See `UpstreamStream`."""
        self.request_number += 1
        raw_headers = request.websocket_for_http1()
        await self.send(
            self.codec.send_request("GET", request.target, raw_headers, body=False, upgrade=True, odd=request.odd)
        )

    def accepts_websocket(self, status: int) -> bool:
        """RFC 6455, 4.1."""
        return status == 101

    def upgrade(self, parts: Sequence[Part]) -> tuple[ByteStream, bytes]:
        """See `UpstreamStream`."""
        return self.byte_stream, self.codec.rest

    def set_deadline(self, seconds: float) -> None:
        """See `UpstreamStream`."""
        self._seconds = seconds
        self.deadline = clock.now() + seconds * 1000.0

    def expire(self) -> None:
        """See `UpstreamStream`."""
        self.deadline = math.inf
        self.byte_stream.set_expired()

    @property
    def reusable(self) -> bool:
        """Whether another request can be sent on it, as far as is known."""
        return not self._closed and self.codec.reusable and self.byte_stream.alive

    def close(self) -> None:
        """See `UpstreamStream`."""
        if not self._closed:
            self._closed = True
            self._forget(self)
            self.byte_stream.close()

    def abort(self) -> None:
        """Reset the connection: data that the server has not taken must not keep it open."""
        if not self._closed:
            self._closed = True
            self._forget(self)
            self.byte_stream.reset()


def _broken(error: anyio.BrokenResourceError) -> UpstreamError:
    if isinstance(error, TlsError):
        return tls_error(error)
    return UpstreamError(RESET, "the connection was reset")


def _at_fault(fault: Fault, answered: bool) -> UpstreamError:
    if fault.code == HUNG_UP:
        return UpstreamError(RESET, "it closed the connection without an answer (socket hang up)", closed=True)
    if fault.code == EARLY_EOF:
        return UpstreamError(RESET, "it closed the connection in the middle of its answer", closed=True)
    what = f"its answer is not HTTP/1: {fault.detail}" if fault.detail else "its answer is not HTTP/1"
    return UpstreamError(fault.code, what, raw_head=fault.raw)
