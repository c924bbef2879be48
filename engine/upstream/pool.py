"""The connections to servers that are kept for a client."""

from __future__ import annotations

import anyio

from mockrec.engine.upstream.errors import UpstreamError
from mockrec.engine.upstream.http1 import Http1UpstreamConnection
from mockrec.engine.upstream.http2 import Http2UpstreamConnection

_MOST_IDLE = 32
"""HTTP/1 connections that are kept for one client."""


class Dialing:
    """A connection that is being made, and whose protocol nobody knows yet."""

    def __init__(self) -> None:
        self.over = anyio.Event()
        self.error: UpstreamError | None = None


class Pool:
    """The idle connections to servers of one client connection; never shared with another client."""

    __slots__ = ("_idle", "_order", "_shared", "closed", "dialing", "plain")

    def __init__(self) -> None:
        self.dialing: dict[object, Dialing] = {}
        """Connections that may turn out to be HTTP/2, for which others wait before they make one."""
        self.plain: set[object] = set()
        """Where HTTP/1 was chosen last time, so that nobody need wait."""
        self._shared: dict[object, list[Http2UpstreamConnection]] = {}
        self._idle: dict[object, list[Http1UpstreamConnection]] = {}
        self._order: dict[Http1UpstreamConnection, object] = {}
        """All idle ones with their routes, the longest idle first."""
        self.closed = False

    def take(self, route: object) -> Http1UpstreamConnection | None:
        """A connection that can carry another request, if there is one."""
        idle = self._idle.get(route)
        while idle:
            connection = idle.pop()
            self._order.pop(connection, None)
            connection.pipe.on_disconnect(None)
            if connection.reusable:
                return connection
            connection.close()
        return None

    def shared(self, route: object) -> Http2UpstreamConnection | None:
        """An HTTP/2 connection that takes another request beside those it has."""
        return next((one for one in self._shared.get(route, ()) if one.free), None)

    def share(self, route: object, connection: Http2UpstreamConnection) -> None:
        """Let others use an HTTP/2 connection."""
        if self.closed:
            connection.close()
        else:
            self._shared.setdefault(route, []).append(connection)

    def unshare(self, route: object, connection: Http2UpstreamConnection) -> None:
        """An HTTP/2 connection has ended."""
        remaining = [one for one in self._shared.pop(route, []) if one is not connection]
        if remaining:
            self._shared[route] = remaining

    def give(self, route: object, connection: Http1UpstreamConnection) -> None:
        """Keep a connection for the next request, if it can carry one."""
        if self.closed or not connection.reusable:
            connection.close()
        else:
            if len(self._order) >= _MOST_IDLE:
                self._drop(next(iter(self._order)))
            self._idle.setdefault(route, []).append(connection)
            self._order[connection] = route
            connection.pipe.on_disconnect(lambda: self._drop(connection))  # when the server ends it, so do we

    def _drop(self, connection: Http1UpstreamConnection) -> None:
        route = self._order.pop(connection, None)
        if route is not None:
            idle = self._idle[route]
            idle.remove(connection)
            if not idle:
                del self._idle[route]
        connection.pipe.on_disconnect(None)
        connection.close()

    def close(self) -> None:
        """The client has gone."""
        self.closed = True
        for connection in list(self._order):
            self._drop(connection)
        for shared in [one for several in self._shared.values() for one in several]:
            shared.close()
