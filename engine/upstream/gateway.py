"""What all steps share that pass requests on: how servers are reached, and what that may cost."""

from __future__ import annotations

import math
from typing import Protocol

import anyio

from mockrec.engine import clock
from mockrec.engine.exchange.channel import Peer
from mockrec.engine.exchange.websocket import SocketLimits
from mockrec.engine.upstream.dial import Dialer, Route
from mockrec.engine.upstream.http import Pool, UpstreamConnection


class Backpressure(Protocol):
    """Says when the log cannot keep up, so that traffic has to wait for it."""

    @property
    def behind(self) -> bool: ...

    async def wait_for_room(self) -> None: ...


class _NoLog:
    behind = False

    async def wait_for_room(self) -> None:
        """Nothing is recorded."""


class Gateway:
    """One for a run."""

    def __init__(self, dialer: Dialer, body_limit: int, limits: SocketLimits | None = None) -> None:
        """`body_limit`: the longest body that a transform is given, in bytes."""
        self.dialer = dialer
        self.limits = limits or SocketLimits()
        self.body_limit = body_limit
        self.backpressure: Backpressure = _NoLog()
        self.before: tuple[str, str, int] | None = None
        """Protocol, host and port of the server that we stand before."""
        self.stopping = False
        """Whether the run is ending, so that what is cut off now is not the client's doing."""
        self._connections: set[UpstreamConnection] = set()
        self._shortest = math.inf
        """Of the timeouts that connections are under, in seconds."""

    def idle(self, peer: Peer, route: Route) -> UpstreamConnection | None:
        """A connection of this client that stands open."""
        return peer.pool.take(route) if peer.pool is not None else None

    async def connect(self, peer: Peer, route: Route, *, to_self: bool) -> UpstreamConnection:
        """A new connection for this client. Raises UpstreamError."""
        dialed = await self.dialer.dial(route, peer.ip, to_self=to_self)
        connection = UpstreamConnection(dialed, self._forget)
        self._connections.add(connection)
        settings = route.options.settings
        self._shortest = min(self._shortest, settings.head_timeout, settings.body_idle_timeout)
        return connection

    async def watch_deadlines(self) -> None:
        """One look over all connections instead of a timer for each read; runs until it is cancelled."""
        while True:
            await anyio.sleep(max(0.01, min(0.25, self._shortest / 4)))
            now = clock.now()
            for connection in [one for one in self._connections if one.deadline < now]:
                connection.deadline = math.inf
                connection.pipe.expire()

    def _forget(self, connection: UpstreamConnection) -> None:
        self._connections.discard(connection)
        self.dialer.forget(connection.pipe)

    def keep(self, peer: Peer, route: Route, connection: UpstreamConnection) -> None:
        """Keep a connection for the client's next request, if it can carry one."""
        if peer.pool is None:
            peer.pool = Pool()
        peer.pool.give(route, connection)
