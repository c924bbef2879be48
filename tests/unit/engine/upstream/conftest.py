"""Connections to servers whose pipes only remember."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import pytest

from mockrec.engine.upstream.errors import UpstreamError
from mockrec.engine.upstream.http1 import Http1UpstreamConnection
from mockrec.engine.upstream.route import UpstreamTransport


class FakePipe:
    """A pipe whose other end says what it is told to."""

    peer = ("192.0.2.1", 80)
    local = ("192.0.2.2", 5000)

    def __init__(self, *said: bytes | Exception) -> None:
        self.said = list(said)
        self.sent: list[bytes] = []
        self.send_error: Exception | None = None
        self.stuck = False
        self.alive = True
        self.closed = 0
        self.unexpired = 0
        self.watcher: Callable[[], None] | None = None

    async def receive(self, max_bytes: int = 0) -> bytes:
        said = self.said.pop(0)
        if isinstance(said, Exception):
            raise said
        return said

    async def send(self, item: bytes) -> None:
        if self.send_error is not None:
            raise self.send_error
        if self.stuck:
            await anyio.sleep_forever()
        self.sent.append(item)

    def close(self) -> None:
        self.closed += 1

    def clear_expired(self) -> None:
        self.unexpired += 1

    def on_disconnect(self, ended: Callable[[], None] | None) -> None:
        self.watcher = ended

    def end(self) -> None:
        """The server closes the connection."""
        self.alive = False
        if self.watcher is not None:
            self.watcher()


class Made:
    """A connection, its pipe, and how often it was forgotten."""

    def __init__(self, *said: bytes | Exception) -> None:
        self.pipe = FakePipe(*said)
        self.forgotten: list[Http1UpstreamConnection] = []
        self.connection = Http1UpstreamConnection(UpstreamTransport(self.pipe), self.forgotten.append)  # type: ignore[arg-type]

    def ask(self) -> None:
        self.connection.codec.send_request("GET", "/", [["Host", "a"]], body=False)

    async def failure(self) -> tuple[str, str]:
        try:
            while True:
                await self.connection.receive(2.5)
        except UpstreamError as error:
            return error.code, str(error)


@pytest.fixture
def make() -> type[Made]:
    """`make(what its server says, …)`."""
    return Made
