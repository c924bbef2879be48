"""The byte stream on a real connection over loopback, on both event loops."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import suppress

import anyio
import pytest
from anyio import wait_all_tasks_blocked
from anyio.lowlevel import checkpoint

from mockrec.engine.transport.tcp import TcpStream

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20)]

KIB = 1024
MUCH = bytes(range(256)) * 32 * KIB
"""8 MiB: more than loopback and both buffers take."""


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    if request.param:
        pytest.importorskip("uvloop")
    return "asyncio", {"use_uvloop": request.param}


class Client:
    """The other end: a plain socket."""

    def __init__(self) -> None:
        self.socket = socket.socket()
        self.socket.setblocking(False)

    async def connect(self, address: tuple[str, int]) -> None:
        await asyncio.get_running_loop().sock_connect(self.socket, address)

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.socket, data)

    async def receive(self) -> bytes:
        """What there is, or nothing at the end. Raises ConnectionResetError."""
        return await asyncio.get_running_loop().sock_recv(self.socket, 1 << 20)

    async def receive_all(self) -> bytes:
        out = bytearray()
        while data := await self.receive():
            out += data
        return bytes(out)

    def end(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class Pair:
    """An accepted stream and its client."""

    def __init__(self, stream: TcpStream, client: Client) -> None:
        self.stream = stream
        self.client = client

    async def receive(self, size: int) -> bytes:
        """Exactly `size` bytes."""
        out = bytearray()
        while len(out) < size:
            out += await self.stream.receive()
        assert len(out) == size
        return bytes(out)


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    loop = asyncio.get_running_loop()
    opened: asyncio.Future[TcpStream] = loop.create_future()
    listening = socket.create_server(("127.0.0.1", 0))
    server = await loop.create_server(lambda: TcpStream(opened.set_result), sock=listening)
    client = Client()
    await client.connect(listening.getsockname())
    stream = await opened
    yield Pair(stream, client)
    client.socket.close()
    stream.reset()
    while not stream._lost:
        await checkpoint()
    server.close()
    await server.wait_closed()
    listening.close()


# ── receiving ──────────────────────────────────────────────────────────────────────────────────────


async def test_both_ends_are_named(pair: Pair) -> None:
    assert pair.stream.peer == pair.client.socket.getsockname()
    assert pair.stream.local == pair.client.socket.getpeername()


async def test_small_writes_are_not_held_back(pair: Pair) -> None:
    sock = pair.stream._transport.get_extra_info("socket")
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


async def test_bytes_arrive_as_they_were_sent(pair: Pair) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pair.client.send, MUCH)
        assert await pair.receive(len(MUCH)) == MUCH


async def test_receive_waits_for_bytes(pair: Pair) -> None:
    received = []

    async def receive() -> None:
        received.append(await pair.stream.receive())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(receive)
        await wait_all_tasks_blocked()
        assert not pair.stream.readable
        await pair.client.send(b"hello")
    assert received == [b"hello"]


async def test_diverted_bytes_do_not_wake_the_receive(pair: Pair) -> None:
    taken: list[bytes] = []
    left: dict[bytes, bytes | None] = {b"none": None, b"empty": b"", b"some": b"me", b"all": b"all"}

    def take(data: bytes) -> bytes | None:
        taken.append(data)
        return left[data]

    received: list[bytes] = []

    async def receive() -> None:
        received.append(await pair.stream.receive())

    pair.stream.divert(take)
    pair.stream.data_received(b"all")  # no `receive` waits
    assert await pair.stream.receive() == b"all"
    assert taken == []
    for data in (b"empty", b"some", b"all"):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive)
            for _ in range(3):
                await wait_all_tasks_blocked()
                pair.stream.data_received(b"none")
            pair.stream.data_received(data)
            pair.stream.data_received(b"+")  # the task has not run so far
    assert received == [b"+", b"me+", b"all+"]
    assert taken == [one for data in (b"empty", b"some", b"all") for one in (b"none", b"none", b"none", data)]
    pair.stream.divert(None)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(receive)
        await wait_all_tasks_blocked()
        pair.stream.data_received(b"none")
    assert received[-1] == b"none"


async def test_all_that_arrived_comes_at_once(pair: Pair) -> None:
    pair.stream.data_received(b"one ")
    pair.stream.data_received(b"two")
    assert pair.stream.readable
    assert await pair.stream.receive() == b"one two"
    assert not pair.stream.readable


async def test_bytes_before_the_first_receive_do_not_stop_reading(pair: Pair) -> None:
    for piece in (b"one ", b"two"):
        size = pair.stream._size + len(piece)
        await pair.client.send(piece)
        while pair.stream._size < size:
            await checkpoint()
        assert not pair.stream._paused_reading
    assert await pair.stream.receive() == b"one two"
    await pair.client.send(b"more")
    while not pair.stream.readable:
        await checkpoint()
    assert pair.stream._paused_reading


async def test_reading_stops_while_nobody_takes_the_bytes(pair: Pair) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pair.client.send, MUCH)
        while not pair.stream._paused_reading:
            await checkpoint()
        for _ in range(100):
            await checkpoint()
        held = pair.stream._size
        assert 0 < held <= 272 * KIB
        first = await pair.stream.receive()
        assert len(first) == held
        assert first + await pair.receive(len(MUCH) - held) == MUCH


async def test_nothing_more_is_read_until_what_was_taken_has_been_passed_on(pair: Pair) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pair.client.send, MUCH)
        taken = len(await pair.stream.receive())
        for _ in range(100):
            await checkpoint()
        assert taken + pair.stream._size <= 272 * KIB + 16 * KIB
        assert len(await pair.receive(len(MUCH) - taken)) == len(MUCH) - taken


async def test_the_end_is_noticed_by_who_watches_though_nobody_reads(pair: Pair) -> None:
    await pair.client.send(bytes(32 * KIB))
    await pair.receive(32 * KIB)
    ended = anyio.Event()
    pair.stream.on_disconnect(ended.set)
    await pair.client.send(bytes(32 * KIB))
    pair.client.end()
    await ended.wait()


async def test_the_peers_end_comes_after_its_bytes_and_stays(pair: Pair) -> None:
    await pair.client.send(b"last")
    pair.client.end()
    assert await pair.receive(4) == b"last"
    for _ in range(2):
        with pytest.raises(anyio.EndOfStream):
            await pair.stream.receive()


async def test_the_peers_end_wakes_a_waiting_receive(pair: Pair) -> None:
    async def end() -> None:
        await wait_all_tasks_blocked()
        pair.client.end()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(end)
        with pytest.raises(anyio.EndOfStream):
            await pair.stream.receive()


async def test_an_answer_can_follow_the_peers_end(pair: Pair) -> None:
    pair.client.end()
    with pytest.raises(anyio.EndOfStream):
        await pair.stream.receive()
    await pair.stream.send(b"answer")
    await pair.stream.aclose()
    assert await pair.client.receive_all() == b"answer"


async def test_a_reset_by_the_peer_breaks_the_stream(pair: Pair) -> None:
    pair.client.reset()
    for _ in range(2):
        with pytest.raises(anyio.BrokenResourceError) as caught:
            await pair.stream.receive()
        assert isinstance(caught.value.__cause__, ConnectionResetError)
    with pytest.raises(anyio.BrokenResourceError):
        await pair.stream.send(b"x")


async def test_a_reset_wakes_a_waiting_receive(pair: Pair) -> None:
    async def reset() -> None:
        await wait_all_tasks_blocked()
        pair.client.reset()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reset)
        with pytest.raises(anyio.BrokenResourceError):
            await pair.stream.receive()


async def test_a_cancelled_receive_loses_nothing(pair: Pair) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pair.stream.receive)
        await wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    await pair.client.send(b"still here")
    assert await pair.receive(10) == b"still here"


# ── sending ────────────────────────────────────────────────────────────────────────────────────────


async def test_send_waits_for_a_slow_client(pair: Pair) -> None:
    sent = []

    async def send() -> None:
        await pair.stream.send(MUCH)
        sent.append(True)
        await pair.stream.aclose()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        await wait_all_tasks_blocked()
        assert not sent
        assert await pair.client.receive_all() == MUCH
    assert sent


async def test_a_client_that_takes_nothing_is_told_from_a_slow_one(pair: Pair) -> None:
    stream, left = pair.stream, len(MUCH)
    assert stream.stalled_for(0.0) == 0.0
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stream.send, MUCH)
        await wait_all_tasks_blocked()
        assert [stream.stalled_for(now) for now in (1000.0, 1000.5, 4000.0)] == [0.0, 0.5, 3000.0]
        while stream.stalled_for(5000.0):
            left -= len(await pair.client.receive())
        while left:
            left -= len(await pair.client.receive())
    assert stream.stalled_for(9000.0) == 0.0


async def test_a_client_that_reads_in_time_is_not_waited_for(pair: Pair) -> None:
    await pair.stream.send(b"x" * 1000)
    assert pair.stream._writable is None
    assert await pair.client.receive() == b"x" * 1000


async def test_every_waiting_sender_goes_on(pair: Pair) -> None:
    sent = []

    async def send(name: str) -> None:
        await pair.stream.send(MUCH)
        sent.append(name)
        if len(sent) == 2:
            await pair.stream.aclose()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send, "a")
        tasks.start_soon(send, "b")
        await wait_all_tasks_blocked()
        assert not sent
        assert len(await pair.client.receive_all()) == 2 * len(MUCH)
    assert sorted(sent) == ["a", "b"]


async def test_a_reset_ends_the_waiting_of_a_send(pair: Pair) -> None:
    async def reset() -> None:
        await wait_all_tasks_blocked()
        pair.client.reset()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reset)
        with pytest.raises(anyio.BrokenResourceError):
            await pair.stream.send(MUCH)


async def test_a_client_that_has_gone_is_noticed_while_sending(pair: Pair) -> None:
    async def send_for_ever() -> None:
        while True:
            await pair.stream.send(b"x" * KIB)
            await checkpoint()

    pair.client.reset()
    with pytest.raises(anyio.BrokenResourceError):
        await send_for_ever()


async def test_a_cancelled_send_leaves_the_stream_usable(pair: Pair) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pair.stream.send, MUCH)
        await wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()

    async def send_more() -> None:
        await pair.stream.send(b"more")
        await pair.stream.aclose()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send_more)
        assert await pair.client.receive_all() == MUCH + b"more"


# ── ending ─────────────────────────────────────────────────────────────────────────────────────────


async def test_a_half_close_leaves_the_other_direction_open(pair: Pair) -> None:
    await pair.stream.send(b"all I have")
    await pair.stream.send_eof()
    assert await pair.client.receive_all() == b"all I have"
    await pair.client.send(b"thanks")
    assert await pair.receive(6) == b"thanks"


async def test_nothing_is_written_after_the_end(pair: Pair) -> None:
    await pair.stream.send(b"last")
    await pair.stream.send_eof()
    pair.stream.write_nowait(b"late")
    pair.stream.write_now(b"late")
    with pytest.raises(anyio.BrokenResourceError):
        await pair.stream.send(b"late")
    pair.stream.flush()
    assert await pair.client.receive_all() == b"last"


async def test_close_ends_after_what_was_written(pair: Pair) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pair.stream.send, MUCH[: 200 * KIB])
        await wait_all_tasks_blocked()
        await pair.stream.aclose()
        assert await pair.client.receive_all() == MUCH[: 200 * KIB]


async def test_a_closed_stream_is_broken_and_not_at_the_peers_end(pair: Pair) -> None:
    await pair.stream.aclose()
    with pytest.raises(anyio.BrokenResourceError):
        await pair.stream.send(b"x")
    with pytest.raises(anyio.BrokenResourceError):
        await pair.stream.receive()


async def test_a_close_wakes_a_waiting_receive(pair: Pair) -> None:
    async def close() -> None:
        await wait_all_tasks_blocked()
        await pair.stream.aclose()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(close)
        with pytest.raises(anyio.BrokenResourceError):
            await pair.stream.receive()


async def test_a_reset_reaches_the_client(pair: Pair) -> None:
    pair.stream.reset()
    with pytest.raises(ConnectionResetError):
        await pair.client.receive()
    with pytest.raises(anyio.BrokenResourceError):
        await pair.stream.receive()
    with pytest.raises(anyio.BrokenResourceError):
        await pair.stream.send(b"x")


async def test_a_reset_drops_what_was_not_sent(pair: Pair) -> None:
    sending = anyio.CancelScope()

    async def send() -> None:
        with sending, suppress(anyio.BrokenResourceError):
            await pair.stream.send(MUCH)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        await wait_all_tasks_blocked()
        pair.stream.reset()
    with pytest.raises(ConnectionResetError):
        await pair.client.receive_all()


async def test_a_reset_stays_a_reset_whatever_is_called_next(pair: Pair) -> None:
    pair.stream.reset()
    await pair.stream.send_eof()
    await pair.stream.aclose()
    pair.stream.reset()
    with pytest.raises(ConnectionResetError):
        await pair.client.receive()
    await pair.stream.send_eof()
    await pair.stream.aclose()
    pair.stream.reset()


async def test_a_stream_that_was_never_connected_can_be_closed() -> None:
    await TcpStream(lambda stream: None).aclose()


# ── running out of time ────────────────────────────────────────────────────────────────────────────


async def test_a_waiting_receive_can_expire(pair: Pair) -> None:
    async def expire() -> None:
        await wait_all_tasks_blocked()
        pair.stream.set_expired()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(expire)
        with pytest.raises(TimeoutError):
            await pair.stream.receive()


async def test_an_expired_stream_does_not_wait_until_it_is_taken_back(pair: Pair) -> None:
    pair.stream.set_expired()
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await pair.stream.receive()
    pair.stream.clear_expired()
    await pair.client.send(b"in time")
    assert await pair.receive(7) == b"in time"


async def test_an_expired_stream_still_gives_what_it_has(pair: Pair) -> None:
    pair.stream.data_received(b"here")
    pair.stream.set_expired()
    assert await pair.stream.receive() == b"here"


async def test_an_expired_stream_can_still_send(pair: Pair) -> None:
    pair.stream.set_expired()
    await pair.stream.send(b"too late")
    await pair.stream.aclose()
    assert await pair.client.receive_all() == b"too late"
