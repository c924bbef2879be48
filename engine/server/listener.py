"""Accepts connections, each served by a task, and ends those whose client takes too long."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator

import anyio
from anyio.abc import TaskGroup

from mockrec.engine import clock
from mockrec.engine.process import connections_that_fit, keep_from_forks
from mockrec.engine.server.connection import Connection
from mockrec.engine.server.context import ServerContext
from mockrec.engine.transport.sockets import BACKLOG, url_of
from mockrec.engine.transport.tcp import TcpStream
from mockrec.engine.transport.write_batch import WriteCoalescer

_MOST_LINGERING = 64
"""Refused clients that get the time to read why, and use a descriptor meanwhile; others may not receive the reason."""


class Listener:
    """The listening sockets of a server, all on one port."""

    def __init__(self, sockets: list[socket.socket], host: str, context: ServerContext) -> None:
        self._sockets = sockets
        self._context = context
        self._servers: list[asyncio.Server] = []
        self._connections: dict[Connection, TcpStream] = {}
        self._refused = 0
        """The connections among them that are being refused."""
        self._empty = anyio.Event()
        """Set when the last connection has ended."""
        self._stopping = False
        self._serve_socket: Callable[[socket.socket], Awaitable[None]]
        """Accepts connections of one socket; set by `start`."""
        self.host = host
        self.port: int = sockets[0].getsockname()[1]

    @property
    def open_connections(self) -> int:
        """The number of connections that are open."""
        return len(self._connections)

    @property
    def url(self) -> str:
        """The URL at which clients on this machine reach the server."""
        return url_of(self.host, self.port)

    async def start(self, group: TaskGroup) -> None:
        """Accept from now on; connections are tasks of `group`."""

        def accepted(stream: TcpStream) -> None:
            if self._stopping:
                stream.close()
                return
            connection = Connection(stream, self._context)
            is_refused = len(self._connections) - self._refused >= most
            self._refused += is_refused
            self._connections[connection] = stream
            group.start_soon(self._serve, connection, is_refused, self._refused <= most_lingering)

        loop = asyncio.get_running_loop()
        coalescer = WriteCoalescer()
        most = min(self._context.limits.connections, connections_that_fit())
        most_lingering = min(_MOST_LINGERING, max(4, most // 4))
        # The event loop accepts the whole backlog at once: all of that uses descriptors before any of it is refused.
        backlog = max(16, min(BACKLOG, most))

        async def serve(sock: socket.socket) -> None:
            self._servers.append(
                await loop.create_server(lambda: TcpStream(accepted, coalescer), sock=sock, backlog=backlog)
            )

        self._serve_socket = serve
        for sock in self._sockets:
            await serve(sock)
        group.start_soon(self._watch_deadlines)
        keep_from_forks(self._descriptors)

    async def listen_also(self, sock: socket.socket) -> None:
        """Accept connections of a further listening socket, which belongs to this listener then; after `start`."""
        self._sockets.append(sock)
        await self._serve_socket(sock)

    def _descriptors(self) -> Iterator[int]:
        for sock in self._sockets:
            yield sock.fileno()
        for stream in self._connections.values():
            yield stream.descriptor

    async def _serve(self, connection: Connection, is_refused: bool, linger: bool) -> None:
        try:
            if is_refused:
                await connection.refuse(linger=linger)
            else:
                await connection.serve()
        finally:
            self._refused -= is_refused
            del self._connections[connection]
            if not self._connections:
                self._empty.set()

    async def _watch_deadlines(self) -> None:
        """Check the deadlines of all connections now and then, instead of a timer for each read."""
        timeouts = self._context.timeouts
        shortest = min(timeouts.head, timeouts.body_idle, timeouts.keep_alive, timeouts.handshake, timeouts.send_idle)
        send_idle = timeouts.send_idle * 1000.0
        pause = max(0.01, min(0.5, shortest / 4))
        while True:
            await anyio.sleep(pause)
            now = clock.now()
            for connection, stream in self._connections.items():
                connection.check_deadline(now)
                if stream.stalled_for(now) >= send_idle:
                    connection.stalled = True
                    stream.reset()

    async def stop(self) -> None:
        """Accept no more; return when every connection has ended."""
        self._stopping = True
        for server in self._servers:
            server.close()
        for connection in list(self._connections):
            await connection.stop()
        if self._connections:
            self._empty = anyio.Event()
            await self._empty.wait()

    def give_up(self, error: dict[str, str]) -> None:
        """Abort every open exchange: the process ends now. May be called while the event loop is blocked."""
        for connection in list(self._connections):
            connection.give_up(error)

    def close(self) -> None:
        """Close the sockets, also if `start` was never called."""
        for server in self._servers:
            server.close()
        for sock in self._sockets:
            sock.close()
