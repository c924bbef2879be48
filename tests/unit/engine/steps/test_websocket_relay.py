"""The relay of a WebSocket whose client disconnects."""

from __future__ import annotations

from typing import Any, cast

import anyio
import pytest

from mockrec.engine.exchange.websocket import WebSocketSession
from mockrec.engine.steps.websocket_relay import ServerEnd, SocketRelay
from mockrec.engine.upstream.errors import UpstreamError
from mockrec.engine.wire.websocket.connection import CloseFrame, WebSocket

pytestmark = pytest.mark.anyio


class Pipe:
    """A byte stream that keeps what is written. `receive` waits without end, or has the error `lost`."""

    def __init__(self, *, receive_fails: bool = False, send_fails: bool = False) -> None:
        self.written = b""
        self._receive_fails = receive_fails
        self._send_fails = send_fails

    async def receive(self) -> bytes:
        if self._receive_fails:
            raise anyio.BrokenResourceError
        await anyio.sleep_forever()
        raise AssertionError

    async def send(self, item: bytes) -> None:
        if self._send_fails:
            raise anyio.BrokenResourceError
        self.written += item

    def on_disconnect(self, callback: Any) -> None:
        pass


class Exchange:
    """The part of an exchange that ends."""

    finished = False

    def abort(self, error: Any) -> None:
        self.finished = True


async def closes_seen(client: Pipe, from_server: bytes) -> list[Any]:
    """What a server receives from the relay to this client, after it has sent `from_server`."""
    exchange = cast(Any, Exchange())
    codec = WebSocket("server", deflate=None, message_limit=1000, check_text=False)
    session = WebSocketSession(exchange, cast(Any, client), codec, b"", 1000)
    pipe = Pipe()
    server = ServerEnd(cast(Any, pipe), from_server, None, 1000)
    lost: list[UpstreamError] = []
    with anyio.fail_after(60):
        await SocketRelay(exchange, session, server, lost.append).run()
    assert not lost
    return list(WebSocket("server", deflate=None, message_limit=1000).receive(pipe.written))


async def test_the_server_is_told_when_the_loss_is_noticed_by_reading() -> None:
    assert await closes_seen(Pipe(receive_fails=True), b"") == [CloseFrame(1011, "")]


async def test_the_server_is_told_when_the_loss_is_noticed_by_writing() -> None:
    assert await closes_seen(Pipe(send_fails=True), b"\x81\x02hi") == [CloseFrame(1011, "")]
