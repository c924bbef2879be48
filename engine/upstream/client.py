"""The upstream client: connections to servers, their pools, the choice of the protocol, deadlines."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, cast

import anyio
from anyio.abc import TaskGroup
from msgspec.structs import replace

from mockrec.engine import clock
from mockrec.engine.late import imported
from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.offload.pool import Helpers
from mockrec.engine.upstream.dialer import Dialer
from mockrec.engine.upstream.errors import NO_COMMON_PROTOCOL, PROXY_FAILED, UpstreamError
from mockrec.engine.upstream.http1 import Http1UpstreamConnection
from mockrec.engine.upstream.pool import Dialing, Pool
from mockrec.engine.upstream.protocols import NEVER
from mockrec.engine.upstream.route import HTTP2, HTTP2_ONLY, Route, UpstreamTransport
from mockrec.engine.upstream.stream import UpstreamStream

if TYPE_CHECKING:
    from mockrec.engine.upstream.http2 import Http2UpstreamConnection
    from mockrec.engine.upstream.http2_stream import Http2UpstreamStream

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
        """The shortest timeout of all routes that were connected to, in seconds."""
        self._group: TaskGroup | None = None

    async def run(self) -> None:
        """Read HTTP/2 connections, and watch all deadlines, instead of one timer for each; runs until cancelled."""
        async with anyio.create_task_group() as self._group:
            while True:
                await anyio.sleep(max(0.01, min(0.25, self._shortest / 4)))
                now = clock.now()
                for stream in [one for one in self._watched if one.deadline < now]:
                    stream.deadline = math.inf
                    stream.expire()

    def begin_shutdown(self) -> None:
        """The run is ending; see `stopping`."""
        self.stopping = True

    # ── pools ──────────────────────────────────────────────────────────────────────────────────────

    def close_pool(self, client: ClientConnection) -> None:
        """Close the connections that are kept for a client connection, which has ended."""
        pool = self._pools.pop(client, None)
        if pool is not None:
            pool.close()

    def _pool_of(self, client: ClientConnection) -> Pool:
        pool = self._pools.get(client)
        if pool is None:
            pool = self._pools[client] = Pool()
        return pool

    def take_idle(self, client: ClientConnection, route: Route) -> UpstreamStream | None:
        """A kept connection of this client, or a new stream on an open one; None if there is neither."""
        pool = self._pools.get(client)
        if pool is None:
            return None
        shared = pool.shared(route)
        return self._stream(shared) if shared is not None else pool.take(route)

    def keep(self, client: ClientConnection, route: Route, stream: UpstreamStream) -> None:
        """Keep the connection of a complete exchange for the client's next request, if it can carry one."""
        if isinstance(stream, Http1UpstreamConnection):
            self._pool_of(client).put(route, stream)
        else:
            stream.close()

    # ── new connections ────────────────────────────────────────────────────────────────────────────

    async def connect(self, client: ClientConnection, route: Route, *, to_self: bool) -> UpstreamStream:
        """A new connection for this client, or a stream on one that another of its requests has made meanwhile.

        Requests that arrive together share the first connection if it turns out to be HTTP/2. Raises UpstreamError.
        """
        pool = self._pool_of(client)
        while HTTP2 in route.alpn and route not in pool.http1_only:
            dialing = pool.dialing.get(route)
            if dialing is None:
                return await self._connect_first(pool, client, route, to_self=to_self)
            await dialing.over.wait()
            if dialing.error is not None:
                raise dialing.error.again()
            shared = pool.shared(route)
            if shared is not None:
                return self._stream(shared)
        return await self._connect(pool, client, route, to_self=to_self)

    async def connect_websocket(self, client: ClientConnection, route: Route, *, to_self: bool) -> UpstreamStream:
        """A new connection for a WebSocket, or a stream if the server speaks HTTP/2 alone. Raises UpstreamError."""
        shared = self._pool_of(client).shared(route)
        return self._stream(shared) if shared is not None else await self.connect(client, route, to_self=to_self)

    async def _connect_first(
        self, pool: Pool, client: ClientConnection, route: Route, *, to_self: bool
    ) -> UpstreamStream:
        """Connect while other requests for the route wait for the outcome."""
        dialing = pool.dialing[route] = Dialing()

        def over() -> None:
            del pool.dialing[route]
            dialing.over.set()

        stream: UpstreamStream | None = None
        try:
            stream = await self._connect(pool, client, route, to_self=to_self)
        except UpstreamError as error:
            dialing.error = error
            raise
        finally:
            if stream is None or not stream.transport.is_http2:
                over()
        if stream.transport.is_http2:
            assert self._group is not None
            self._group.start_soon(self._announce, cast("Http2UpstreamStream", stream), route, over)
        return stream

    async def _announce(self, stream: Http2UpstreamStream, route: Route, over: Callable[[], None]) -> None:
        """Let other requests share a connection once the server has sent its settings: how many streams it takes."""
        try:
            await stream.connection.wait_for_settings(route.options.settings.head_timeout)
        except UpstreamError:
            pass  # the connection's first stream raises it too
        finally:
            over()

    async def _connect(self, pool: Pool, client: ClientConnection, route: Route, *, to_self: bool) -> UpstreamStream:
        if HTTP2 in route.alpn:
            await imported("mockrec.engine.upstream.http2_stream")
        tries_http2 = HTTP2 in route.alpn and not route.secure and route.alpn != HTTP2_ONLY
        if tries_http2 and route not in pool.http1_only:
            connection = await self._try_http2(pool, client, route, to_self=to_self)
            if connection is not None:
                return self._stream(connection)
        transport = await self._dial(client, replace(route, alpn=()) if tries_http2 else route, to_self=to_self)
        if not transport.is_http2:
            pool.http1_only.add(route)
            return self._http1(route, transport)
        return self._stream(self._http2(pool, route, transport))

    async def _try_http2(
        self, pool: Pool, client: ClientConnection, route: Route, *, to_self: bool
    ) -> Http2UpstreamConnection | None:
        """A connection to a server without TLS that answers the preface of HTTP/2 with its own (RFC 9113, 3.4); None if
        it does not, or a proxy on the way gives no tunnel. Raises UpstreamError."""
        try:
            transport = await self.dialer.dial(route, client.ip, to_self=to_self)
        except UpstreamError as error:
            if error.code != PROXY_FAILED:
                raise
            return None
        connection = self._http2(pool, route, transport)
        try:
            await connection.wait_for_settings(route.options.settings.connect_timeout)
        except UpstreamError:
            return None
        finally:
            if not connection.codec.settled:
                connection.close()
        return connection

    async def _dial(self, client: ClientConnection, route: Route, *, to_self: bool) -> UpstreamTransport:
        try:
            return await self.dialer.dial(route, client.ip, to_self=to_self)
        except UpstreamError as error:
            if NO_COMMON_PROTOCOL not in error.tags or HTTP2 in route.alpn:
                raise
            if route.options.settings.http2 == NEVER:
                text = f"{error}; it may speak HTTP/2 alone, which upstream.http2 forbids"
                raise UpstreamError(error.code, text, *error.tags[1:]) from None
        # A client of HTTP/1, and a server that speaks no version older than HTTP/2.
        return await self.dialer.dial(replace(route, alpn=HTTP2_ONLY), client.ip, to_self=to_self)

    def _http1(self, route: Route, transport: UpstreamTransport) -> Http1UpstreamConnection:
        connection = Http1UpstreamConnection(transport, self._forget_http1)
        self._watched.add(connection)
        self._note_timeouts(route)
        return connection

    def _http2(self, pool: Pool, route: Route, transport: UpstreamTransport) -> Http2UpstreamConnection:
        from mockrec.engine.upstream.http2 import Http2UpstreamConnection

        assert self._group is not None
        connection = Http2UpstreamConnection(transport, self._group, partial(self._forget_http2, pool, route))
        self._note_timeouts(route)
        pool.share(route, connection)
        self._group.start_soon(self._read, connection)
        return connection

    def _stream(self, connection: Http2UpstreamConnection) -> Http2UpstreamStream:
        from mockrec.engine.upstream.http2_stream import Http2UpstreamStream

        stream = Http2UpstreamStream(connection, self._watched.discard)
        self._watched.add(stream)
        return stream

    def _note_timeouts(self, route: Route) -> None:
        settings = route.options.settings
        self._shortest = min(self._shortest, settings.head_timeout, settings.body_idle_timeout)

    async def _read(self, connection: Http2UpstreamConnection) -> None:
        try:
            await connection.read()
        except Exception as error:
            self._report_defect(error)

    def _forget_http1(self, connection: Http1UpstreamConnection) -> None:
        self._watched.discard(connection)
        self.dialer.forget(connection.byte_stream)

    def _forget_http2(self, pool: Pool, route: Route, connection: Http2UpstreamConnection) -> None:
        pool.unshare(route, connection)
        self.dialer.forget(connection.byte_stream)
