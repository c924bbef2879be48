"""The inside of a stream as a pipe, and how writers share a connection; the codec only remembers."""

from __future__ import annotations

import math
from typing import Any

import anyio
import pytest

from mockrec.engine.transport.http2_stream import Http2ByteStream
from mockrec.engine.transport.http2_writer import StreamWriter
from mockrec.engine.wire.parts import Data, End, ResetPart

pytestmark = pytest.mark.anyio

STREAM, CANCEL, CONNECT_ERROR = 1, 8, 10


class Codec:
    """What is done on streams, in words."""

    def __init__(self) -> None:
        self.done: list[tuple[Any, ...]] = []
        self.out = b""
        self.room = math.inf
        self.open = True

    @property
    def pending(self) -> bool:
        return bool(self.out)

    def outgoing(self) -> bytes:
        out, self.out = self.out, b""
        return out

    def window(self, stream: int) -> int:
        return int(min(self.room, 1 << 20))

    def is_open(self, stream: int) -> bool:
        return self.open

    def send_data(self, stream: int, data: bytes, *, end: bool) -> None:
        self.out += data
        self.room -= len(data)
        self.done.append(("data", data, end))

    def send_end(self, stream: int) -> None:
        self.done.append(("end",))

    def consumed(self, stream: int, size: int) -> None:
        self.done.append(("consumed", size))

    def reset(self, stream: int, code: int) -> None:
        self.done.append(("reset", code))


class Below:
    """The connection's own pipe."""

    peer = ("192.0.2.1", 1)
    local = ("192.0.2.2", 2)

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.gate = anyio.Event()
        self.gate.set()
        self.broken = False

    async def wait_writable(self) -> None:
        await self.gate.wait()
        if self.broken:
            raise anyio.BrokenResourceError

    def write_nowait(self, data: bytes) -> None:
        self.sent.append(data)


class Made:
    def __init__(self) -> None:
        self.codec, self.below = Codec(), Below()
        self.writer = StreamWriter(self.codec, self.below)  # type: ignore[arg-type]
        self.pipe = Http2ByteStream(self.codec, self.writer, self.below, STREAM, CONNECT_ERROR)  # type: ignore[arg-type]


# ── the pipe ───────────────────────────────────────────────────────────────────────────────────────


async def test_what_comes_is_credited_when_more_is_asked_for() -> None:
    made = Made()
    for data in (b"ab", b"c"):
        made.pipe.take(Data(data))
    assert made.codec.done == []
    assert made.pipe.readable
    assert await made.pipe.receive() == b"abc"
    assert made.codec.done == []
    made.pipe.take(End())
    with pytest.raises(anyio.EndOfStream):
        await made.pipe.receive()
    assert made.codec.done == [("consumed", 3)]
    assert (made.pipe.peer, made.pipe.local) == (Below.peer, Below.local)


async def test_a_reset_breaks_it_and_tells_who_watches() -> None:
    made = Made()
    told: list[str] = []
    made.pipe.on_disconnect(lambda: told.append("gone"))
    made.pipe.take(ResetPart(8, "", True))
    assert told == ["gone"]
    with pytest.raises(anyio.BrokenResourceError):
        await made.pipe.receive()
    with pytest.raises(anyio.BrokenResourceError):
        await made.pipe.send(b"x")
    made.pipe.on_disconnect(lambda: told.append("long ago"))
    assert told == ["gone", "long ago"]
    assert not made.pipe.alive


async def test_it_may_expire() -> None:
    made = Made()
    made.pipe.set_expired()
    with pytest.raises(TimeoutError):
        await made.pipe.receive()
    made.pipe.clear_expired()
    made.pipe.take(Data(b"x"))
    assert await made.pipe.receive() == b"x"


async def test_its_ends() -> None:
    made = Made()
    await made.pipe.send(b"bye")
    await made.pipe.send_eof()
    made.pipe.take(Data(b"still heard"))
    assert await made.pipe.receive() == b"still heard"
    with pytest.raises(anyio.BrokenResourceError):
        await made.pipe.send(b"x")
    made.pipe.close()
    assert made.codec.done == [("data", b"bye", False), ("end",), ("consumed", 11), ("reset", CANCEL)]
    assert made.below.sent == [b"bye"]
    closed = Made()
    closed.pipe.take(End())
    await closed.pipe.aclose()
    assert closed.codec.done == [("end",)]
    broken = Made()
    broken.pipe.reset()
    assert broken.codec.done == [("reset", CONNECT_ERROR)]


async def test_what_is_put_waits_for_the_window_and_the_end_behind_it() -> None:
    made = Made()
    made.codec.room = 2
    made.pipe.take(End())
    made.pipe.write_nowait(b"abc")
    made.pipe.write_nowait(b"d")
    made.pipe.close()
    assert made.codec.done == [("data", b"ab", False)]
    made.codec.room = 10
    made.writer.open_windows()
    assert made.codec.done[1:] == [("data", b"c", False), ("data", b"d", False), ("end",)]


async def test_a_sender_that_is_cancelled_leaves_what_it_has_begun() -> None:
    made = Made()
    made.codec.room = 1
    with anyio.move_on_after(0.01) as scope:
        await made.pipe.send(bytes(100_000))
    assert scope.cancelled_caught
    made.codec.room = 1 << 20
    made.writer.open_windows()
    assert sum(len(act[1]) for act in made.codec.done) == 100_000


async def test_a_reset_forgets_what_waits() -> None:
    made = Made()
    made.codec.room = 0
    made.pipe.write_nowait(b"abc")
    made.pipe.reset()
    made.codec.room = 10
    made.writer.open_windows()
    assert made.codec.done == [("reset", CONNECT_ERROR)]


# ── writing ────────────────────────────────────────────────────────────────────────────────────────


async def test_a_body_goes_as_the_windows_open() -> None:
    made = Made()
    made.codec.room = 2
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: made.writer.send_data(STREAM, b"abcde", end=True))
        await anyio.wait_all_tasks_blocked()
        assert made.below.sent == [b"ab"]
        made.writer.open_windows()
        await anyio.wait_all_tasks_blocked()
        assert made.below.sent == [b"ab"]  # it was somebody else's
        made.codec.room = 10
        made.writer.open_windows()
    assert made.below.sent == [b"ab", b"cde"]
    assert made.codec.done[-1] == ("data", b"cde", True)


async def test_a_stream_that_is_reset_ends_the_waiting() -> None:
    made = Made()
    made.codec.room = 0
    failed = []

    async def send() -> None:
        try:
            await made.writer.send_data(STREAM, b"abc", end=True)
        except anyio.BrokenResourceError:
            failed.append(True)

    async with anyio.create_task_group() as group:
        group.start_soon(send)
        await anyio.wait_all_tasks_blocked()
        made.codec.open = False
        made.writer.open_windows()
    assert failed == [True]


async def test_whoever_is_cancelled_while_there_is_no_room_takes_nothing_along() -> None:
    made = Made()
    made.below.gate = anyio.Event()
    async with anyio.create_task_group() as group:
        for letter in (b"a", b"b", b"c"):
            made.codec.out += letter
            group.start_soon(made.writer.flush)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert made.below.sent == []
    made.below.gate.set()
    await made.writer.flush()
    assert made.below.sent == [b"abc"]


async def test_writing_without_waiting() -> None:
    made = Made()
    made.below.gate = anyio.Event()
    made.writer.push()
    made.codec.out = b"x"
    made.writer.push()
    assert made.below.sent == [b"x"]
    made.below.gate.set()
    made.below.broken = True
    made.codec.out = b"y"
    await made.writer.flush_quietly()
    assert made.below.sent == [b"x"]
