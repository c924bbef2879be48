"""HTTP/1 connections to servers: requests out, parts of the response in, one after another."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import anyio

from mockrec.engine import clock
from mockrec.engine.transport.byte_stream import ByteStream
from mockrec.engine.transport.tls import TlsError
from mockrec.engine.upstream.dialer import UpstreamTransport, basic
from mockrec.engine.upstream.errors import RESET, TIMED_OUT, UpstreamError, tls_error
from mockrec.engine.upstream.headers import RawHeaders
from mockrec.engine.upstream.request import UpstreamRequest
from mockrec.engine.wire.fault_codes import EARLY_EOF
from mockrec.engine.wire.http1.client import HUNG_UP, H1Client
from mockrec.engine.wire.parts import Fault, Part

_HEAD_LIMIT = 256 * 1024
_SETTINGS = b"\x04\0\0\0\0\0"
"""What follows the length of a server's first frame in HTTP/2 (RFC 9113, 3.4 and 4.1)."""


class Http1UpstreamConnection:
    """All methods raise UpstreamError, whatever happens to the connection."""

    def __init__(self, dialed: UpstreamTransport, forget: Callable[[Http1UpstreamConnection], None]) -> None:
        """`forget` is called once, when the connection has been closed."""
        self.dialed = dialed
        self.pipe = dialed.pipe
        self.codec = H1Client(_HEAD_LIMIT)
        self.used = 0
        """Requests it has carried."""
        self.deadline = math.inf
        """When the server has taken too long, in monotonic milliseconds; the gateway looks at it."""
        self._allowed = math.inf
        self._fault: Fault | None = None
        self._forget = forget
        self._closed = False

    @property
    def answered(self) -> bool:
        """Whether anything of the response has come."""
        return self.codec.answered

    @property
    def informed(self) -> bool:
        """Whether an interim response has come."""
        return self.codec.informed

    def fields(self, request: UpstreamRequest) -> list[list[str]]:
        """See `Carrier`."""
        return request.for_http1()

    async def ask(
        self, request: UpstreamRequest, fields: list[list[str]], body: bytes | None, trailers: RawHeaders, *, more: bool
    ) -> bool:
        """Send the head, and the body if it is given; whether all has been sent. `more`: there is a body."""
        target, raw_headers = request.target, fields
        self.used += 1
        if self.dialed.wants_urls:
            target = request.url
            proxy = self.dialed.proxy
            if proxy is not None and proxy.user is not None:
                raw_headers = [*raw_headers, ["Proxy-Authorization", basic(proxy)]]
        data = self.codec.send_request(request.method, target, raw_headers, body=more, odd=request.odd)
        if body is not None:
            data += self.codec.send_data(body) + self.codec.send_end(trailers)
        await self.send(data)
        return body is not None or not more

    async def send_data(self, data: bytes, seconds: float | None = None) -> None:
        """A piece of the body; the server has so long to take what is before it."""
        await self.send(self.codec.send_data(data), seconds)

    async def send_end(self, trailers: RawHeaders, seconds: float | None = None) -> None:
        """The end of the body."""
        data = self.codec.send_end(trailers)
        if data:
            await self.send(data, seconds)

    async def send(self, data: bytes, seconds: float | None = None) -> None:
        """Write; the server has so long to take what is before it."""
        try:
            if seconds is None:
                await self.pipe.send(data)
            else:
                with anyio.fail_after(seconds):
                    await self.pipe.send(data)
        except TimeoutError:
            raise UpstreamError(TIMED_OUT, f"it has taken no data for {seconds:g}s") from None
        except anyio.BrokenResourceError as error:
            raise _broken(error) from None

    async def receive(self, seconds: float | None) -> list[Part]:
        """The parts that the next bytes complete, which have so long to come (None: as long as `allow` said)."""
        if self._fault is not None:
            raise _at_fault(self._fault, self.codec.answered)
        if seconds is not None:
            self.allow(seconds)
        try:
            data = await self.pipe.receive()
            if data[3:9] == _SETTINGS and not (self.codec.answered or self.codec.informed):
                raise UpstreamError("HPE_INVALID_CONSTANT", "it speaks HTTP/2 alone (upstream.http2: prior-knowledge)")
            parts = self.codec.receive(data)
        except TimeoutError:
            self.pipe.unexpire()
            what = "no more of its answer" if self.codec.answered else "no answer"
            raise UpstreamError(TIMED_OUT, f"{what} within {self._allowed:g}s") from None
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
            self._fault = fault  # what came before it counts
        return parts

    async def ask_for_websocket(self, request: UpstreamRequest) -> None:
        """See `Carrier`."""
        self.used += 1
        raw_headers = request.websocket_for_http1()
        await self.send(
            self.codec.send_request("GET", request.target, raw_headers, body=False, upgrade=True, odd=request.odd)
        )

    def accepts(self, status: int) -> bool:
        """RFC 6455, 4.1."""
        return status == 101

    def upgraded(self, parts: Sequence[Part]) -> tuple[ByteStream, bytes]:
        """See `Carrier`."""
        return self.pipe, self.codec.rest

    def allow(self, seconds: float) -> None:
        """Give the server so long from now for what is being waited for."""
        self._allowed = seconds
        self.deadline = clock.now() + seconds * 1000.0

    def expire(self) -> None:
        """The deadline is over."""
        self.deadline = math.inf
        self.pipe.expire()

    @property
    def reusable(self) -> bool:
        """Whether another request can go out on it, as far as is known."""
        return not self._closed and self.codec.reusable and self.pipe.alive

    def close(self) -> None:
        """Give the connection up."""
        if not self._closed:
            self._closed = True
            self._forget(self)
            self.pipe.close()

    def abandon(self) -> None:
        """Break it off in the middle: what the server has not taken must not keep the connection open."""
        if not self._closed:
            self._closed = True
            self._forget(self)
            self.pipe.reset()


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
