"""Origin servers in memory, for tests of replays: real HTTP connections over byte streams that are not sockets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio

from mockrec.engine.upstream.http1 import Http1UpstreamConnection
from mockrec.engine.upstream.route import UpstreamTransport

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Server = Callable[["MemoryPipe", bytes], None]


class MemoryPipe:
    """The client's end of a connection. `server(pipe, data)` is called with the sent bytes, and may respond with `say`."""

    peer = ("192.0.2.1", 80)
    local = ("192.0.2.2", 5000)

    def __init__(self, server: Server) -> None:
        self.server = server
        self.sent = b""
        self.state: Any = None
        """State of the connection that the server keeps."""
        self._said: list[bytes | Exception] = []
        self._news = anyio.Event()
        self._expired = False
        self.closed = False

    def say(self, *said: bytes | Exception) -> None:
        """Add bytes that the server sends next, or the exception that ends the connection."""
        self._said += said
        self._news.set()

    async def receive(self, max_bytes: int = 0) -> bytes:
        while not self._said:
            if self._expired:
                raise TimeoutError
            self._news = anyio.Event()
            await self._news.wait()
        said = self._said[0]
        if isinstance(said, Exception):
            raise said
        del self._said[0]
        return said

    async def send(self, item: bytes) -> None:
        self.sent += item
        self.server(self, item)

    def close(self) -> None:
        self.closed = True

    reset = close

    def set_expired(self) -> None:
        self._expired = True
        self._news.set()

    def clear_expired(self) -> None:
        self._expired = False

    def on_disconnect(self, callback: Callable[[], None] | None) -> None:
        """Do nothing: in these tests no connection ends while it is not read."""

    @property
    def alive(self) -> bool:
        return not self.closed


class NoBackpressure:
    """The backpressure of a log that never falls behind."""

    behind = False

    async def wait_for_room(self) -> None:
        raise AssertionError("a log that is not behind was waited for")


class MemoryGateway:
    """The part of a `Gateway` that replays use. It keeps connections for each client connection, as its pool does."""

    def __init__(self, server: Server, *, error: Exception | None = None) -> None:
        self.server = server
        self.error = error
        """The error of every attempt to connect."""
        self.pipes: list[MemoryPipe] = []
        self.kept: dict[str, list[Http1UpstreamConnection]] = {}
        self.closed_pools = 0

    def take_idle(self, peer: Any, route: Any) -> Http1UpstreamConnection | None:
        kept = self.kept.get(peer.connection_id)
        return kept.pop() if kept else None

    async def connect(self, peer: Any, route: Any, *, to_self: bool) -> Http1UpstreamConnection:
        await anyio.lowlevel.checkpoint()
        if self.error is not None:
            raise self.error
        pipe = MemoryPipe(self.server)
        self.pipes.append(pipe)
        return Http1UpstreamConnection(UpstreamTransport(pipe), lambda connection: None)  # type: ignore[arg-type]

    connect_websocket = connect

    def close_pool(self, peer: Any) -> None:
        self.closed_pools += 1

    def keep(self, peer: Any, route: Any, stream: Http1UpstreamConnection) -> None:
        self.kept.setdefault(peer.connection_id, []).append(stream)


def answering(*answers: bytes | Exception) -> Server:
    """Return a server that answers each request with the next of these; further requests with the last."""
    left = list(answers)

    def server(pipe: MemoryPipe, data: bytes) -> None:
        if b"\r\n\r\n" in data:  # a head; later parts of a body need no response
            pipe.say(left.pop(0) if len(left) > 1 else left[0])

    return server
