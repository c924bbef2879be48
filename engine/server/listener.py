"""Accepts connections, each a task, and ends those whose client takes too long."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Iterator

import anyio
from anyio.abc import TaskGroup

from mockrec.engine import clock
from mockrec.engine.errors import ConfigError
from mockrec.engine.process import connections_that_fit, keep_from_forks
from mockrec.engine.server.connection import Connection
from mockrec.engine.server.context import ServerContext
from mockrec.engine.transport.tcp import TransportStream
from mockrec.engine.transport.write_batch import WriteCoalescer

_BACKLOG = 2048
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
        backlog = max(16, min(_BACKLOG, most))
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


def url_of(host: str, port: int) -> str:
    """Where clients on this machine find what listens on a host and port."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}.get(host, host)
    return f"http://{f'[{host}]' if ':' in host and host[0] != '[' else host}:{port}"


def bind(host: str, ports: tuple[int, int]) -> list[socket.socket]:
    """Bind the first free port of a range (0: any) on every address of `host`. Raises ConfigError."""
    addresses = list(_addresses(host))
    for port in range(ports[0], ports[1] + 1):
        try:
            return _bind_all(addresses, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or ports[0] != ports[1]:
                if error.errno == errno.EADDRINUSE:
                    continue
                reason = os.strerror(error.errno) if error.errno else str(error)
                raise ConfigError(f"cannot listen on {host}:{port}: {reason}") from None
            raise ConfigError(
                f"port {port} on {host} is in use; give another one with --port (0 takes any free one)"
            ) from None
    raise ConfigError(f"all ports from {ports[0]} to {ports[1]} on {host} are in use")


def bind_shared(host: str, ports: tuple[int, int], count: int) -> list[list[socket.socket]]:
    """What `bind` binds, `count` times: the kernel spreads connections over all that listen (SO_REUSEPORT).

    Raises ConfigError.
    """
    # First alone: SO_REUSEPORT would share a port with any other process that asks for it, instead of saying so.
    taken = bind(host, ports)
    port = taken[0].getsockname()[1]
    for sock in taken:
        sock.close()
    addresses = list(_addresses(host))
    try:
        return [_bind_all(addresses, port, shared=True) for _ in range(count)]
    except OSError as error:
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror or error}") from None


def _addresses(host: str) -> Iterator[tuple[socket.AddressFamily, str]]:
    try:
        found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ConfigError(f"cannot listen on {host!r}: {error.strerror or error}") from None
    seen: set[str] = set()
    for family, _, _, _, address in found:
        name = str(address[0])
        if family in (socket.AF_INET, socket.AF_INET6) and name not in seen:
            seen.add(name)
            yield family, name


def _bind_all(
    addresses: list[tuple[socket.AddressFamily, str]], port: int, *, shared: bool = False
) -> list[socket.socket]:
    """Sockets on every address with one port. Addresses that this machine lacks are left out if one works."""
    with contextlib.ExitStack() as opened:
        sockets: list[socket.socket] = []
        missing: OSError | None = None
        for family, name in addresses:
            sock = opened.enter_context(socket.socket(family, socket.SOCK_STREAM))
            sock.setblocking(False)
            if os.name == "posix":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                sock.bind((name, port or (sockets[0].getsockname()[1] if sockets else 0)))
                sock.listen(_BACKLOG)  # only this tells that nobody else has the port
            except OSError as error:
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                missing = error
                sock.close()
                continue
            sockets.append(sock)
        if not sockets and missing is not None:
            raise missing
        opened.pop_all()
        return sockets
