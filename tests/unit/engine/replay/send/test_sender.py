"""A session sent: in which order, how many at once, and what is counted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from memory_servers import OK, MemoryGateway, MemoryPipe, answering

from mockrec.engine.replay.chain.chains import Chained, Chains
from mockrec.engine.replay.chain.plan import ChainPlan
from mockrec.engine.replay.send.pace import Pace
from mockrec.engine.replay.send.recorded_exchange import SendContext
from mockrec.engine.replay.send.sender import Sender, SendProgress, Sends
from mockrec.engine.replay.session.editable import EditableRequest, set_header
from mockrec.engine.replay.session.requests import RecordedMessage, RecordedRequest

pytestmark = pytest.mark.anyio

HERE = ("http", "127.0.0.1", 3000)


class Replayed:
    """Sends calls to a server in memory."""

    def __init__(self, stage: Any, recorded: Any, targets: Any) -> None:
        stage.record("request", "response", "abort")
        self.recorded = recorded
        self.log = stage.log
        self.notes = stage.exchange_log
        self.targets = targets({"": HERE})
        self.progress = SendProgress()

    def call(
        self, number: int, *, connection: str = "c", overlapping: tuple[str, ...] = (), **fields: Any
    ) -> RecordedRequest:
        record = self.recorded.request(path=f"/{number}", **fields)
        return RecordedRequest(str(number), connection, record, 1000.0 + number * 0.01, frozenset(overlapping))

    async def send(
        self, found: list[RecordedRequest | RecordedMessage], upstream_client: MemoryGateway, **options: Any
    ) -> None:
        sends = Sends(
            **{
                "targets": self.targets,
                "pace": Pace(),
                "concurrency": 100,
                "fill": lambda draft: None,
                "fill_message": lambda data: data,
                "folder": None,
                "left": {},
                "silenced": frozenset(),
                "chains": Chains(ChainPlan(), 60.0, Chained()),
                **options,
            }
        )
        tools = SendContext(upstream_client, self.notes, 60.0, 1024, 1024)  # type: ignore[arg-type]
        await Sender(sends, tools, self.progress).send(iter(found))


@pytest.fixture
def replayed(stage: Any, recorded: Any, targets: Any) -> Replayed:
    return Replayed(stage, recorded, targets)


class Slow:
    """A server that answers when it is told to, and knows what it has been asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.open: dict[str, MemoryPipe] = {}
        self.news = anyio.Event()

    def __call__(self, pipe: MemoryPipe, data: bytes) -> None:
        target = data.split(b" ")[1].decode()[1:]
        self.asked.append(target)
        self.open[target] = pipe
        self.news.set()

    async def has(self, *targets: str) -> None:
        """Wait until exactly these are waiting for their answers."""
        while not set(targets) <= set(self.open):
            self.news = anyio.Event()
            await self.news.wait()
        for _ in range(20):  # turns of the loop in which another one could come
            await anyio.lowlevel.checkpoint()
        assert set(self.open) == set(targets)

    def answer(self, target: str) -> None:
        self.open.pop(target).say(OK)


async def test_a_request_waits_for_those_that_were_over_when_it_began(replayed: Replayed) -> None:
    server = Slow()
    calls: list[RecordedRequest | RecordedMessage] = [
        replayed.call(0),
        replayed.call(1, overlapping=("0",)),
        replayed.call(2, overlapping=("1",)),
        replayed.call(3),
        replayed.call(4, connection="d"),
    ]
    async with anyio.create_task_group() as group:
        group.start_soon(replayed.send, calls, MemoryGateway(server))
        await server.has("0", "1", "4")
        server.answer("1")
        await server.has("0", "4")
        server.answer("0")
        await server.has("2", "4")
        server.answer("4")
        server.answer("2")
        await server.has("3")
        server.answer("3")
    assert (replayed.progress.sent, replayed.progress.done, replayed.progress.failed) == (5, 5, 0)


async def test_so_many_at_once(replayed: Replayed) -> None:
    server = Slow()
    calls: list[RecordedRequest | RecordedMessage] = [
        replayed.call(number, connection=str(number)) for number in range(3)
    ]
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: replayed.send(calls, MemoryGateway(server), concurrency=2))
        await server.has("0", "1")
        server.answer("1")
        await server.has("0", "2")
        server.answer("0")
        server.answer("2")


async def test_each_connection_is_a_client_of_its_own(replayed: Replayed) -> None:
    upstream_client = MemoryGateway(answering(OK))
    calls: list[RecordedRequest | RecordedMessage] = [
        replayed.call(number, connection=str(number % 3)) for number in range(9)
    ]
    await replayed.send(calls, upstream_client)
    assert len(upstream_client.pipes) == 3


async def test_failures_are_counted_by_what_has_failed(replayed: Replayed) -> None:
    upstream_client = MemoryGateway(answering(anyio.EndOfStream()))
    calls: list[RecordedRequest | RecordedMessage] = [
        replayed.call(0, method="POST"),
        replayed.call(1),
        replayed.call(0, method="POST"),
    ]
    await replayed.send(calls, upstream_client)
    assert replayed.progress.failed == 3
    (most, count), *_ = replayed.progress.failures.most_common()
    assert most.startswith("POST http://127.0.0.1:3000/0: ") and count == 2


async def test_what_cannot_be_sent_is_skipped_or_failed(replayed: Replayed) -> None:
    upstream_client = MemoryGateway(answering(OK))
    strange = {"size": 1, "text": "x", "contentEncoding": "rot13"}
    calls: list[RecordedRequest | RecordedMessage] = [
        replayed.call(0, rawHeaders=[["X", "redacted-0123abcd"]]),
        replayed.call(1, body={"size": 9, "text": "x", "truncated": True}),
        replayed.call(2),
        replayed.call(3, method="POST", body=strange),
        replayed.call(4),
    ]
    await replayed.send(calls, upstream_client, silenced=frozenset({"2"}))
    progress = replayed.progress
    assert (progress.skipped, progress.sent, progress.done, progress.failed) == (3, 1, 2, 1)
    assert "rot13" in next(iter(progress.failures))
    assert replayed.log.only("request")["path"] == "/4"


async def test_values_are_filled_before_they_are_looked_at(replayed: Replayed) -> None:
    upstream_client = MemoryGateway(answering(OK))

    def fill(draft: EditableRequest) -> None:
        set_header(draft, "X", "filled")

    await replayed.send([replayed.call(0, rawHeaders=[["X", "redacted-0123abcd"]])], upstream_client, fill=fill)
    assert b"X: filled\r\n" in upstream_client.pipes[0].sent


async def test_a_rate_is_kept(replayed: Replayed) -> None:
    upstream_client = MemoryGateway(answering(OK))
    began = anyio.current_time()
    calls: list[RecordedRequest | RecordedMessage] = [
        replayed.call(number, connection=str(number)) for number in range(5)
    ]
    await replayed.send(calls, upstream_client, pace=Pace(rate=100.0))
    assert anyio.current_time() - began >= 0.04
    assert replayed.progress.fidelity.asked == pytest.approx(100.0)


async def test_a_session_is_read_no_further_than_it_is_sent(replayed: Replayed) -> None:
    server = Slow()
    read = 0

    def endless() -> Iterator[RecordedRequest]:
        nonlocal read
        while True:
            yield replayed.call(read)
            read += 1

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(replayed.send, endless(), MemoryGateway(server))
            await server.has("0")
            while read < 2000:
                await anyio.sleep(0.01)
            before = -1
            while read != before:  # until it waits
                before = read
                await anyio.sleep(0.05)
            scope.cancel()
    assert 2000 <= read < 2200


async def test_connections_that_nobody_uses_are_closed(replayed: Replayed) -> None:
    upstream_client = MemoryGateway(answering(OK))
    calls: list[RecordedRequest | RecordedMessage] = [
        replayed.call(number, connection=str(number)) for number in range(200)
    ]
    await replayed.send(calls, upstream_client, concurrency=1)
    assert (replayed.progress.sent, replayed.progress.failed, len(upstream_client.pipes)) == (200, 0, 200)
    assert upstream_client.closed_pools == 200
