"""An HTTP/1 connection to a server, as steps use it: requests out, parts of the response in, one after another."""

from __future__ import annotations

import math
from collections.abc import Callable

import anyio

from mockrec.engine import clock
from mockrec.engine.tls.session import TlsError
from mockrec.engine.upstream.dial import Dialed
from mockrec.engine.upstream.errors import RESET, TIMED_OUT, UpstreamError, tls_error
from mockrec.engine.wire.h1_client import HUNG_UP, H1Client
from mockrec.engine.wire.head import EARLY_EOF
from mockrec.engine.wire.parts import Fault, Part

_HEAD_LIMIT = 256 * 1024
_MOST_IDLE = 32
"""Connections to servers that are kept for one client."""


class UpstreamConnection:
    """All methods raise UpstreamError, whatever happens to the connection."""

    def __init__(self, dialed: Dialed, forget: Callable[[UpstreamConnection], None]) -> None:
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
            parts = self.codec.receive(await self.pipe.receive())
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

    def allow(self, seconds: float) -> None:
        """Give the server so long from now for what is being waited for."""
        self._allowed = seconds
        self.deadline = clock.now() + seconds * 1000.0

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
        return UpstreamError(RESET, "it closed the connection without an answer (socket hang up)")
    if fault.code == EARLY_EOF:
        return UpstreamError(RESET, "it closed the connection in the middle of its answer")
    return UpstreamError(fault.code, f"its answer is not HTTP/1 ({fault.code})")


class Pool:
    """The idle connections to servers of one client connection; never shared with another client."""

    __slots__ = ("_idle", "_order", "closed")

    def __init__(self) -> None:
        self._idle: dict[object, list[UpstreamConnection]] = {}
        self._order: dict[UpstreamConnection, object] = {}
        """All idle ones with their routes, the longest idle first."""
        self.closed = False

    def take(self, route: object) -> UpstreamConnection | None:
        """A connection that can carry another request, if there is one."""
        idle = self._idle.get(route)
        while idle:
            connection = idle.pop()
            self._order.pop(connection, None)
            connection.pipe.watch(None)
            if connection.reusable:
                return connection
            connection.close()
        return None

    def give(self, route: object, connection: UpstreamConnection) -> None:
        """Keep a connection for the next request, if it can carry one."""
        if self.closed or not connection.reusable:
            connection.close()
        else:
            if len(self._order) >= _MOST_IDLE:
                self._drop(next(iter(self._order)))
            self._idle.setdefault(route, []).append(connection)
            self._order[connection] = route
            connection.pipe.watch(lambda: self._drop(connection))  # when the server ends it, so do we

    def _drop(self, connection: UpstreamConnection) -> None:
        route = self._order.pop(connection, None)
        if route is not None:
            idle = self._idle[route]
            idle.remove(connection)
            if not idle:
                del self._idle[route]
        connection.pipe.watch(None)
        connection.close()

    def close(self) -> None:
        """The client has gone."""
        self.closed = True
        for connection in list(self._order):
            self._drop(connection)
