"""The connections to servers that are kept for one client connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from mockrec.engine.upstream.errors import UpstreamError
from mockrec.engine.upstream.http1 import Http1UpstreamConnection

if TYPE_CHECKING:
    from mockrec.engine.upstream.http2 import Http2UpstreamConnection

_MOST_IDLE = 32
"""HTTP/1 connections that are kept for one client."""


class Dialing:
    """A connection that is being made, and whose protocol is not known yet."""

    def __init__(self) -> None:
        self.over = anyio.Event()
        self.error: UpstreamError | None = None


class Pool:
    """The idle connections to servers of one client connection; never shared with another client."""

    __slots__ = ("_idle", "_order", "_shared", "closed", "dialing", "http1_only")

    def __init__(self) -> None:
        self.dialing: dict[object, Dialing] = {}
        """Route → a connection that may turn out to be HTTP/2: other requests wait for it instead of making one."""
        self.http1_only: set[object] = set()
        """Routes on which the server chose HTTP/1 last time: requests do not wait for one another there."""
        self._shared: dict[object, list[Http2UpstreamConnection]] = {}
        self._idle: dict[object, list[Http1UpstreamConnection]] = {}
        self._order: dict[Http1UpstreamConnection, object] = {}
        """All idle connections with their routes, the longest idle first."""
        self.closed = False

    def take(self, route: object) -> Http1UpstreamConnection | None:
        """Take an HTTP/1 connection that can carry another request out of the pool, if there is one."""
        idle = self._idle.get(route)
        while idle:
            connection = idle.pop()
            self._order.pop(connection, None)
            connection.byte_stream.on_disconnect(None)
            if connection.reusable:
                return connection
            connection.close()
        return None

    def shared(self, route: object) -> Http2UpstreamConnection | None:
        """An HTTP/2 connection that takes another request now, if there is one."""
        return next((one for one in self._shared.get(route, ()) if one.has_room), None)

    def share(self, route: object, connection: Http2UpstreamConnection) -> None:
        """Let other requests of the client use an HTTP/2 connection."""
        if self.closed:
            connection.close()
        else:
            self._shared.setdefault(route, []).append(connection)

    def unshare(self, route: object, connection: Http2UpstreamConnection) -> None:
        """Remove an HTTP/2 connection that has ended."""
        remaining = [one for one in self._shared.pop(route, []) if one is not connection]
        if remaining:
            self._shared[route] = remaining

    def put(self, route: object, connection: Http1UpstreamConnection) -> None:
        """Keep an HTTP/1 connection for the next request, or close it if it cannot carry one."""
        if self.closed or not connection.reusable:
            connection.close()
        else:
            if len(self._order) >= _MOST_IDLE:
                self._drop(next(iter(self._order)))
            self._idle.setdefault(route, []).append(connection)
            self._order[connection] = route
            connection.byte_stream.on_disconnect(lambda: self._drop(connection))

    def _drop(self, connection: Http1UpstreamConnection) -> None:
        route = self._order.pop(connection, None)
        if route is not None:
            idle = self._idle[route]
            idle.remove(connection)
            if not idle:
                del self._idle[route]
        connection.byte_stream.on_disconnect(None)
        connection.close()

    def close(self) -> None:
        """Close all connections: the client's has ended."""
        self.closed = True
        for connection in list(self._order):
            self._drop(connection)
        for shared in [one for several in self._shared.values() for one in several]:
            shared.close()
