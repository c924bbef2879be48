"""A WebSocket as steps use it: the order of what is sent and logged, and its share of the event loop."""

from __future__ import annotations

from typing import Any, cast

import anyio
import pytest

from mockrec.engine.exchange.websocket import WebSocketLost, WebSocketSession
from mockrec.engine.steps.websocket import listen
from mockrec.engine.wire.websocket.connection import CloseFrame, Fragment, Ping, Pong, WebSocket, WsPart

pytestmark = pytest.mark.anyio


class Pipe:
    """A byte stream that gives these reads, and then disconnects. It keeps what is written."""

    def __init__(self, *reads: bytes) -> None:
        self.reads = list(reads)
        self.writes: list[bytes] = []

    async def receive(self) -> bytes:
        await anyio.lowlevel.checkpoint()
        if not self.reads:
            raise anyio.EndOfStream
        return self.reads.pop(0)

    async def send(self, item: bytes) -> None:
        self.writes.append(item)

    def write_nowait(self, data: bytes) -> None:
        self.writes.append(data)

    def said(self) -> list[WsPart]:
        return WebSocket("client", deflate=None, message_limit=1 << 20).receive(b"".join(self.writes))


def client() -> WebSocket:
    return WebSocket("client", deflate=None, message_limit=1 << 20)


def text(data: str) -> Fragment:
    return Fragment(data.encode(), False, True, True)


def session_of(stage: Any, pipe: Pipe, *, limit: int = 1000, first: bytes = b"") -> WebSocketSession:
    exchange = stage.exchange("GET /", ("Upgrade", "websocket"), ("Connection", "Upgrade"))
    codec = WebSocket("server", deflate=None, message_limit=1 << 20)
    return WebSocketSession(exchange, cast(Any, pipe), codec, first, limit)


async def received(session: WebSocketSession) -> int:
    """How many messages are received until the client disconnects."""
    count = 0
    try:
        while True:
            part = await session.receive()
            count += isinstance(part, Fragment) and part.ends
    except WebSocketLost:
        return count


def messages(stage: Any) -> list[tuple[str, str]]:
    return [
        (record["direction"], record["content"]["text"])
        for record in stage.log.records
        if record["type"].startswith("websocket-message-")
    ]


async def test_messages_of_one_read_are_echoed_in_one_write(stage: Any) -> None:
    ws = client()
    said = b"".join(ws.send_message(each, is_binary=False) for each in (b"a", b"b", b"a"))
    pipe = Pipe(said, ws.send_message(b"c", is_binary=False) + ws.send_ping(b"p") + ws.send_close(1000))
    session = session_of(stage, pipe)
    await listen(session, session.send_soon)
    assert len(pipe.writes[0]) == 9
    assert pipe.said() == [text("a"), text("b"), text("a"), text("c"), Pong(b"p"), CloseFrame(1000, "")]
    assert messages(stage) == [(side, each) for each in "abac" for side in ("received", "sent")]
    assert stage.log.types[-1] == "websocket-close"


async def test_collected_frames_go_before_all_others(stage: Any) -> None:
    pipe = Pipe()
    session = session_of(stage, pipe)
    await session.send_soon(text("a"))
    await session.ping(b"p")
    await session.send_soon(text("b"))
    session.leave()
    await session.send_soon(text("c"))
    assert pipe.said() == [text("a"), Ping(b"p"), text("b"), CloseFrame(1001, "mockrec is stopping")]
    assert messages(stage) == [("sent", "a"), ("sent", "b")]


async def test_collected_frames_go_before_the_close_for_a_fault(stage: Any) -> None:
    pipe = Pipe(client().send_message(b"a", is_binary=False) + b"\x81\x02no")
    session = session_of(stage, pipe)
    await listen(session, session.send_soon)
    assert [type(part) for part in pipe.said()] == [Fragment, CloseFrame]


async def test_many_frames_are_not_collected_without_end(stage: Any) -> None:
    pipe = Pipe()
    session = session_of(stage, pipe)
    for _ in range(100):
        await session.send_soon(text("x" * 1000))
    assert 8 * 1024 <= max(map(len, pipe.writes)) < 10 * 1024


async def test_a_long_message_is_logged_up_to_the_limit(stage: Any) -> None:
    ws = client()
    pipe = Pipe(ws.send_message(b"x" * 20, is_binary=False) + ws.send_message(b"short", is_binary=False))
    session = session_of(stage, pipe, limit=10)
    assert await received(session) == 2
    assert messages(stage) == [("received", "x" * 10), ("received", "short")]


async def test_others_have_their_turns_during_a_read_of_many_frames(stage: Any) -> None:
    ws = client()
    pipe = Pipe(ws.send_message(b"", is_binary=False) * 40_000)
    stage.record("response")  # no messages
    session = session_of(stage, pipe, first=ws.send_message(b"first", is_binary=False) * 20_000)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await anyio.lowlevel.checkpoint()
            turns += 1

    async with anyio.create_task_group() as group:
        group.start_soon(other)
        assert await received(session) == 60_000
        group.cancel_scope.cancel()
    assert turns > 50
