"""Accepts connections, each a task, and ends those whose client takes too long."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import anyio
from anyio.abc import TaskGroup

from mockrec.engine import clock
from mockrec.engine.process import connections_that_fit, keep_from_forks
from mockrec.engine.server.connection import Connection
from mockrec.engine.server.context import ServerContext
from mockrec.engine.transport.sockets import BACKLOG, url_of
from mockrec.engine.transport.tcp import TransportStream
from mockrec.engine.transport.write_batch import WriteCoalescer

_MOST_REFUSED = 64
"""Clients that get the time to read why they are turned away, and keep a descriptor so long; others may not hear it."""


class Listener:
    """The listening sockets of a run, all on one port."""

    def __init__(self, sockets: list[socket.socket], host: str, site: ServerContext) -> None:
        self._sockets = sockets
        self._site = site
        self._servers: list[asyncio.Server] = []
        self._connections: dict[Connection, TransportStream] = {}
        self._refused = 0
        """How many of them are being turned away."""
        self._empty = anyio.Event()
        self._stopping = False
        self.host = host
        self.port: int = sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        """Where clients on this machine find us."""
        return url_of(self.host, self.port)

    async def start(self, group: TaskGroup) -> None:
        """Accept from now on; connections are tasks of `group`."""

        def opened(stream: TransportStream) -> None:
            if self._stopping:
                stream.close()
                return
            connection = Connection(stream, self._site)
            crowded = len(self._connections) - self._refused >= most
            self._refused += crowded
            self._connections[connection] = stream
            group.start_soon(self._serve, connection, crowded, self._refused <= most_refused)

        loop = asyncio.get_running_loop()
        outbox = WriteCoalescer()
        most = min(self._site.limits.connections, connections_that_fit())
        most_refused = min(_MOST_REFUSED, max(4, most // 4))
        # What comes at once is accepted at once, and all of it takes descriptors before any of it is turned away.
        backlog = max(16, min(BACKLOG, most))
        for sock in self._sockets:
            self._servers.append(
                await loop.create_server(lambda: TransportStream(opened, outbox), sock=sock, backlog=backlog)
            )
        group.start_soon(self._watch_deadlines)
        keep_from_forks(self._descriptors)

    def _descriptors(self) -> Iterator[int]:
        for sock in self._sockets:
            yield sock.fileno()
        for stream in self._connections.values():
            yield stream.descriptor

    async def _serve(self, connection: Connection, crowded: bool, patient: bool) -> None:
        try:
            if crowded:
                await connection.refuse(patient=patient)
            else:
                await connection.serve()
        finally:
            self._refused -= crowded
            del self._connections[connection]
            if not self._connections:
                self._empty.set()

    async def _watch_deadlines(self) -> None:
        """One look over all connections instead of a timer for each read."""
        timeouts = self._site.timeouts
        shortest = min(timeouts.head, timeouts.body_idle, timeouts.keep_alive, timeouts.handshake, timeouts.send_idle)
        send_idle = timeouts.send_idle * 1000.0
        pause = max(0.01, min(0.5, shortest / 4))
        while True:
            await anyio.sleep(pause)
            now = clock.now()
            for connection, stream in self._connections.items():
                connection.look_at_clock(now)
                if stream.stalled(now) >= send_idle:
                    connection.stalled = True
                    stream.reset()

    async def stop(self) -> None:
        """Accept no more; return when what is under way has ended."""
        self._stopping = True
        for server in self._servers:
            server.close()
        for connection in list(self._connections):
            await connection.stop()
        if self._connections:
            self._empty = anyio.Event()
            await self._empty.wait()

    def give_up(self, error: dict[str, str]) -> None:
        """The process ends now: abort what is open. May be called while the event loop is held up."""
        for connection in list(self._connections):
            connection.give_up(error)

    def close(self) -> None:
        """Close sockets that were bound and never used."""
        for server in self._servers:
            server.close()
        for sock in self._sockets:
            sock.close()
