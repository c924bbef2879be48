"""What all steps share that pass requests on: how servers are reached, and what that may cost."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import anyio
from anyio.abc import TaskGroup

from mockrec.engine import clock
from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.offload.pool import Helpers
from mockrec.engine.upstream.dialer import HTTP2, HTTP2_ONLY, Dialer, Route, UpstreamTransport
from mockrec.engine.upstream.errors import NO_COMMON_PROTOCOL, PROXY_FAILED, UpstreamError
from mockrec.engine.upstream.http1 import Http1UpstreamConnection
from mockrec.engine.upstream.http2 import H2Stream, Http2UpstreamConnection
from mockrec.engine.upstream.pool import Dialing, Pool
from mockrec.engine.upstream.protocols import NEVER
from mockrec.engine.upstream.stream import UpstreamStream

ReverseTarget = tuple[str, str, int]
"""Protocol, host and port of the origin server behind a reverse proxy."""


def _raise(error: Exception) -> None:
    raise error


class UpstreamClient:
    """The client side of a run: the connections to servers, pooled for each client connection."""

    def __init__(
        self,
        dialer: Dialer,
        body_limit: int,
        *,
        helpers: Helpers | None = None,
        reverse_target: ReverseTarget | None = None,
        report_defect: Callable[[Exception], None] = _raise,
    ) -> None:
        """`body_limit`: the longest body that a transform is given, in bytes. `helpers` do the work that could take
        long; without them it is done at once. `report_defect` gets exceptions that must not happen."""
        self.dialer = dialer
        self.body_limit = body_limit
        self.helpers = helpers
        self.reverse_target = reverse_target
        self.stopping = False
        """Whether the run is ending: connections that are cut off from now on were not cut off by the client."""
        self._report_defect = report_defect
        self._pools: dict[ClientConnection, Pool] = {}
        """The pool of each client connection (or tunnel in it) that has asked for a server and has not ended."""
        self._watched: set[UpstreamStream] = set()
        self._shortest = math.inf
        """Of the timeouts that connections are under, in seconds."""
        self._group: TaskGroup | None = None

    async def run(self) -> None:
        """Read HTTP/2 connections, and look at all deadlines instead of having a timer for each; runs until it is
        cancelled."""
        async with anyio.create_task_group() as self._group:
            while True:
                await anyio.sleep(max(0.01, min(0.25, self._shortest / 4)))
                now = clock.now()
                for carrier in [one for one in self._watched if one.deadline < now]:
                    carrier.deadline = math.inf
                    carrier.expire()

    def begin_shutdown(self) -> None:
        """The run is ending; see `stopping`."""
        self.stopping = True

    def close_pool(self, peer: ClientConnection) -> None:
        """Close the connections that are kept for a client connection, which has ended."""
        pool = self._pools.pop(peer, None)
        if pool is not None:
            pool.close()

    def _pool_of(self, peer: ClientConnection) -> Pool:
        pool = self._pools.get(peer)
        if pool is None:
            pool = self._pools[peer] = Pool()
        return pool

    def idle(self, peer: ClientConnection, route: Route) -> UpstreamStream | None:
        """A connection of this client that stands open, or a stream on one."""
        pool = self._pools.get(peer)
        if pool is None:
            return None
        shared = pool.shared(route)
        return self._stream(shared) if shared is not None else pool.take(route)

    async def connect(self, peer: ClientConnection, route: Route, *, to_self: bool) -> UpstreamStream:
        """A new connection for this client, or a stream on one that somebody has made meanwhile.

        Requests that come together share the first connection if it turns out to be HTTP/2. Raises UpstreamError.
        """
        pool = self._pool_of(peer)
        while HTTP2 in route.alpn and route not in pool.plain:
            dialing = pool.dialing.get(route)
            if dialing is None:
                return await self._connect_first(pool, peer, route, to_self=to_self)
            await dialing.over.wait()
            if dialing.error is not None:
                raise dialing.error.again()
            shared = pool.shared(route)
            if shared is not None:
                return self._stream(shared)
        return await self._connect(pool, peer, route, to_self=to_self)

    async def _connect_first(
        self, pool: Pool, peer: ClientConnection, route: Route, *, to_self: bool
    ) -> UpstreamStream:
        dialing = pool.dialing[route] = Dialing()

        def over() -> None:
            del pool.dialing[route]
            dialing.over.set()

        carrier: UpstreamStream | None = None
        try:
            carrier = await self._connect(pool, peer, route, to_self=to_self)
        except UpstreamError as error:
            dialing.error = error
            raise
        finally:
            if not isinstance(carrier, H2Stream):
                over()
        if isinstance(carrier, H2Stream):
            assert self._group is not None
            self._group.start_soon(self._announce, carrier, route, over)
        return carrier

    async def _announce(self, stream: H2Stream, route: Route, over: Callable[[], None]) -> None:
        """Let the others share a connection as soon as the server has told how many streams it takes."""
        try:
            await stream.connection.settle(route.options.settings.head_timeout)
        except UpstreamError:
            pass  # its own stream tells
        finally:
            over()

    async def _connect(self, pool: Pool, peer: ClientConnection, route: Route, *, to_self: bool) -> UpstreamStream:
        asks = HTTP2 in route.alpn and not route.secure and route.alpn != HTTP2_ONLY
        if asks and route not in pool.plain:
            connection = await self._ask_for_http2(pool, peer, route, to_self=to_self)
            if connection is not None:
                return self._stream(connection)
        dialed = await self._dial(peer, replace(route, alpn=()) if asks else route, to_self=to_self)
        if not dialed.is_http2:
            pool.plain.add(route)
            return self._hold(route, dialed)
        return self._stream(self._http2(pool, route, dialed))

    async def _ask_for_http2(
        self, pool: Pool, peer: ClientConnection, route: Route, *, to_self: bool
    ) -> Http2UpstreamConnection | None:
        """A connection to a server without TLS that has answered the preface of HTTP/2 with its own (RFC 9113, 3.4);
        None where it is another server, or behind a proxy that gives no tunnel. Raises UpstreamError."""
        try:
            dialed = await self.dialer.dial(route, peer.ip, to_self=to_self)
        except UpstreamError as error:
            if error.code != PROXY_FAILED:
                raise
            return None
        connection = self._http2(pool, route, dialed)
        try:
            await connection.settle(route.options.settings.connect_timeout)
        except UpstreamError:
            return None
        finally:
            if not connection.codec.settled:
                connection.close()
        return connection

    def _http2(self, pool: Pool, route: Route, dialed: UpstreamTransport) -> Http2UpstreamConnection:
        assert self._group is not None
        connection = Http2UpstreamConnection(dialed, self._group, partial(self._lost, pool, route))
        self._mind(route)
        pool.share(route, connection)
        self._group.start_soon(self._read, connection)
        return connection

    async def connect_websocket(self, peer: ClientConnection, route: Route, *, to_self: bool) -> UpstreamStream:
        """A new connection for a WebSocket; a stream where a server knows HTTP/2 alone. Raises UpstreamError."""
        shared = self._pool_of(peer).shared(route)
        return self._stream(shared) if shared is not None else await self.connect(peer, route, to_self=to_self)

    async def _dial(self, peer: ClientConnection, route: Route, *, to_self: bool) -> UpstreamTransport:
        try:
            return await self.dialer.dial(route, peer.ip, to_self=to_self)
        except UpstreamError as error:
            if NO_COMMON_PROTOCOL not in error.tags or HTTP2 in route.alpn:
                raise
            if route.options.settings.http2 == NEVER:
                text = f"{error}; it may speak HTTP/2 alone, which upstream.http2 forbids"
                raise UpstreamError(error.code, text, *error.tags[1:]) from None
        # A client of HTTP/1 in front of a server that knows nothing older than HTTP/2.
        return await self.dialer.dial(replace(route, alpn=HTTP2_ONLY), peer.ip, to_self=to_self)

    def _hold(self, route: Route, dialed: UpstreamTransport) -> Http1UpstreamConnection:
        connection = Http1UpstreamConnection(dialed, self._forget)
        self._watched.add(connection)
        self._mind(route)
        return connection

    def _mind(self, route: Route) -> None:
        settings = route.options.settings
        self._shortest = min(self._shortest, settings.head_timeout, settings.body_idle_timeout)

    def _stream(self, connection: Http2UpstreamConnection) -> H2Stream:
        stream = H2Stream(connection, self._watched.discard)
        self._watched.add(stream)
        return stream

    async def _read(self, connection: Http2UpstreamConnection) -> None:
        try:
            await connection.hold()
        except Exception as error:
            self._report_defect(error)

    def _lost(self, pool: Pool, route: Route, connection: Http2UpstreamConnection) -> None:
        pool.unshare(route, connection)
        self.dialer.forget(connection.pipe)

    def _forget(self, connection: Http1UpstreamConnection) -> None:
        self._watched.discard(connection)
        self.dialer.forget(connection.pipe)

    def keep(self, peer: ClientConnection, route: Route, carrier: UpstreamStream) -> None:
        """The exchange is complete: keep the connection for the client's next request, if it can carry one."""
        if isinstance(carrier, Http1UpstreamConnection):
            self._pool_of(peer).give(route, carrier)
        else:
            carrier.close()
